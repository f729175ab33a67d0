//! The handle: what the rest of the program calls.
//!
//! It checks what comes in, turns it into a command or a question, gives that to
//! the engine, and bounds the wait. What is durable and how is the engine's.

mod notes;

use core::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::call::Delivery;
use crate::command::{Answer, Bounds, Command, MENDED, Question, detail};
use crate::desk::{Desk, Threads};
use crate::error::{OpenError, StoreError};
use crate::limits::{self, DETAIL_BYTES_MAX, NAME_BYTES_MAX};
use crate::memory::{self, Memory, MemoryDisk};
use crate::postgres;
use crate::sqlite;
use crate::types::{
    Admission, Claim, ConversationStats, Fenced, Health, HistoryRow, NewEvent, OutboxKey,
    OutboxRow, Sign, Silence, Step, StoreStats, Turn, TurnId, TurnKey, TurnResult, Whereabouts,
};
use crate::url::StoreUrl;

/// The durable inbox, turns, history, outbox and notes. A cheap handle: clone it.
///
/// Every method may be cancelled (dropped) at any point. Turns and outbox rows
/// that were handed to nobody go back to where they were.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    admit_deadline: Duration,
    is_shared: bool,
}

/// What an operator may set; each has a default in [`limits`].
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Patience of [`Store::admit`]. Longer than 3 s the platform has given up;
    /// too short, and a busy disk makes it send everything twice.
    pub admit_deadline: Duration,
    /// Turns that may wait in the whole store.
    pub queued_max: u64,
    /// Turns that may wait in one conversation.
    pub queued_per_conversation_max: u64,
    /// Notes that there may be.
    pub notes_max: u64,
    /// Largest size of the database file; `None` leaves that to the disk. Events
    /// are refused when seven eighths are used: the rest is for finishing them.
    /// SQLite only: a server's disk is the server's.
    pub file_bytes_max: Option<u64>,
    /// PostgreSQL only: how long this daemon's turns and sends are its own after it
    /// was last heard of.
    pub lease: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            admit_deadline: limits::ADMIT_DEADLINE,
            queued_max: limits::QUEUED_MAX,
            queued_per_conversation_max: limits::QUEUED_PER_CONVERSATION_MAX,
            notes_max: limits::NOTES_MAX,
            file_bytes_max: None,
            lease: limits::LEASE,
        }
    }
}

/// Keeps the store open. Dropping it, or [`StoreGuard::close`], ends the store:
/// calls under way are answered, later ones get [`StoreError::Closed`], the log
/// is folded into the file and the lock is released.
#[must_use = "the store closes when its guard is dropped"]
pub struct StoreGuard {
    engine: Closing,
}

impl StoreGuard {
    /// Closes the store and says whether all went well. Blocks for the commands
    /// that wait and a checkpoint: milliseconds on a healthy disk, and seconds when a
    /// server has just stopped to answer.
    pub fn close(mut self) -> Health {
        self.engine.close()
    }

    /// Ends the store as a kill of the process would: on a server nothing is given
    /// back. For tests.
    #[doc(hidden)]
    pub fn abandon(mut self) {
        match &mut self.engine {
            Closing::Threads(threads) => threads.abandon(),
            Closing::Memory(memory) => memory.abandon(),
        }
    }
}

impl Store {
    /// Opens the store, and makes it if it isn't there. Turns and sends that a
    /// dead process had begun become claimable again.
    ///
    /// Blocks for a few milliseconds, and on PostgreSQL as long as the server takes to
    /// answer, half a minute at most; needs no runtime.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do.
    pub fn open(url: &StoreUrl, options: StoreOptions) -> Result<(Self, StoreGuard), OpenError> {
        let (desk, threads) = match url {
            StoreUrl::Sqlite(path) => sqlite::open(path, options.bounds())?,
            StoreUrl::Postgres(url) => postgres::open(url, options.bounds(), options.lease)?,
        };
        let store = Self {
            engine: Engine::Threads(desk),
            admit_deadline: options.admit_deadline,
            is_shared: matches!(url, StoreUrl::Postgres(_)),
        };
        let guard = StoreGuard {
            engine: Closing::Threads(threads),
        };
        Ok((store, guard))
    }

    /// Opens a store in memory, for tests and simulation: what it keeps is on that
    /// disk, and as durable as the disk is told to be. Whoever had the disk's store
    /// open is taken for dead.
    pub fn in_memory(disk: &MemoryDisk, options: &StoreOptions) -> (Self, StoreGuard) {
        Self::on(disk, options, false)
    }

    /// The same beside those who have it open, as several daemons share a server: what
    /// one had under way becomes claimable when it closes, or when [`MemoryDisk::lapse`]
    /// says so.
    pub fn in_memory_beside(disk: &MemoryDisk, options: &StoreOptions) -> (Self, StoreGuard) {
        Self::on(disk, options, true)
    }

    fn on(disk: &MemoryDisk, options: &StoreOptions, beside: bool) -> (Self, StoreGuard) {
        let memory = memory::open(disk, options.bounds(), beside);
        let store = Self {
            engine: Engine::Memory(memory.clone()),
            admit_deadline: options.admit_deadline,
            is_shared: beside,
        };
        let guard = StoreGuard {
            engine: Closing::Memory(memory),
        };
        (store, guard)
    }

    /// Takes an event in, once. Returns when it is durable: only then may it be
    /// acknowledged. A duplicate is durable too, and may be acknowledged.
    ///
    /// # Errors
    ///
    /// Any error means: don't acknowledge, so that the platform sends it again.
    pub async fn admit(&self, event: NewEvent) -> Result<Admission, StoreError> {
        let Answer::Admission(admission) = self.write(Command::Admit(event)).await? else {
            return Err(mixed_up());
        };
        Ok(admission)
    }

    /// Takes the oldest waiting turn of each conversation that has none running, if it
    /// is one of those that are meant; at most `max` (and [`limits::CLAIM_MAX`]) of them,
    /// in order of arrival.
    ///
    /// # Errors
    ///
    /// On any error no turn was taken.
    pub async fn claim(&self, max: usize, which: Claim) -> Result<Vec<Turn>, StoreError> {
        let Answer::Turns(turns) = self.write(Command::Claim { max, which }).await? else {
            return Err(mixed_up());
        };
        Ok(turns)
    }

    /// Hands a claimed turn back as if it had never been claimed (shutdown).
    ///
    /// # Errors
    ///
    /// After an error the next [`Store::open`] does the same, but counts the try.
    pub async fn release(&self, turn: TurnKey) -> Result<Fenced, StoreError> {
        self.fenced(Command::Release(turn)).await
    }

    /// Remembers what the turn shows to people, so that a later run can finish
    /// it or take it away.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] for an id that can't be one, and those of the disk.
    pub async fn note_sign(&self, turn: TurnKey, sign: Sign) -> Result<Fenced, StoreError> {
        self.fenced(Command::NoteSign(turn, sign)).await
    }

    /// Appends a step to the turn's record: a model reply, a tool call about to
    /// be made, its result.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] past the bounds of a turn, and those of the disk.
    pub async fn note_step(&self, turn: TurnKey, step: Step) -> Result<Fenced, StoreError> {
        self.fenced(Command::NoteStep(turn, step)).await
    }

    /// The steps that earlier runs of a turn have recorded, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn steps(&self, turn: TurnId) -> Result<Vec<Step>, StoreError> {
        let Answer::Steps(steps) = self.read(Question::Steps(turn)).await? else {
            return Err(mixed_up());
        };
        Ok(steps)
    }

    /// Ends a turn: its outcome, its history and its outbox rows become durable
    /// together or not at all, and the conversation's next turn can be claimed.
    ///
    /// A retry after [`StoreError::Deadline`] is safe: it says
    /// [`Fenced::Replaced`] if the first try went through.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] past a bound, and those of the disk.
    pub async fn finish(&self, turn: TurnKey, result: TurnResult) -> Result<Fenced, StoreError> {
        let result = TurnResult {
            detail: result.detail.map(|text| detail(&text, DETAIL_BYTES_MAX)),
            ..result
        };
        self.fenced(Command::Finish(turn, result)).await
    }

    /// The newest rows of a conversation's memory that fit both bounds, without
    /// a gap, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn history(
        &self,
        conversation: &str,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let question = Question::History {
            conversation: conversation.to_owned(),
            rows_max,
            bytes_max,
        };
        let Answer::History(rows) = self.read(question).await? else {
            return Err(mixed_up());
        };
        Ok(rows)
    }

    /// Forgets a conversation's memory and says how many rows that were. Turns
    /// and sends of it go on.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn clear_conversation(&self, conversation: &str) -> Result<usize, StoreError> {
        let conversation = conversation.to_owned();
        self.counted(Command::ClearHistory { conversation }).await
    }

    /// Takes rows to send: each the first of its conversation that isn't settled,
    /// and due at `now_ms`; at most `max` (and [`limits::OUTBOX_TAKE_MAX`]).
    ///
    /// # Errors
    ///
    /// On any error no row was taken.
    pub async fn outbox_take(&self, now_ms: i64, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let Answer::Rows(rows) = self.write(Command::OutboxTake { now_ms, max }).await? else {
            return Err(mixed_up());
        };
        Ok(rows)
    }

    /// When the next outbox row is due, by the clock of [`Store::outbox_take`];
    /// `None` if none waits to be sent.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn outbox_next_ms(&self) -> Result<Option<i64>, StoreError> {
        let Answer::Next(next) = self.read(Question::OutboxNext).await? else {
            return Err(mixed_up());
        };
        Ok(next)
    }

    /// Settles a row as sent; `external_id` is the platform's name for it.
    ///
    /// # Errors
    ///
    /// Those of the disk. After a crash before this call the row comes again.
    pub async fn outbox_done(
        &self,
        row: OutboxKey,
        external_id: &str,
    ) -> Result<Fenced, StoreError> {
        let external_id = detail(external_id, NAME_BYTES_MAX);
        self.fenced(Command::OutboxDone { row, external_id }).await
    }

    /// Puts a row back, to be sent not before that time. Rows behind it wait on.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn outbox_retry(
        &self,
        row: OutboxKey,
        not_before_ms: i64,
        error: &str,
    ) -> Result<Fenced, StoreError> {
        self.fenced(Command::OutboxRetry {
            row,
            not_before_ms,
            error: detail(error, DETAIL_BYTES_MAX),
        })
        .await
    }

    /// Gives a row up, with the reason. Rows behind it can be sent.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn outbox_dead(&self, row: OutboxKey, reason: &str) -> Result<Fenced, StoreError> {
        let reason = detail(reason, DETAIL_BYTES_MAX);
        self.fenced(Command::OutboxDead { row, reason }).await
    }

    /// Removes what is older than the times in [`limits`], at most `batch` (and
    /// [`limits::PRUNE_BATCH_MAX`]) rows of each table, and says how many rows
    /// went. Call it until it says 0.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn prune(&self, now_ms: i64, batch: usize) -> Result<usize, StoreError> {
        self.counted(Command::Prune { now_ms, batch }).await
    }

    /// What a conversation has to do.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn conversation_stats(
        &self,
        conversation: &str,
    ) -> Result<ConversationStats, StoreError> {
        let question = Question::Conversation(conversation.to_owned());
        let Answer::Conversation(stats) = self.read(question).await? else {
            return Err(mixed_up());
        };
        Ok(stats)
    }

    /// How full the store is.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        let Answer::Stats(stats) = self.read(Question::Stats).await? else {
            return Err(mixed_up());
        };
        Ok(stats)
    }

    /// Where the app's world was left before the first such silence, with so many
    /// conversations at most. Looks at every event and conversation: a question for a
    /// start, not for every minute.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn whereabouts(
        &self,
        app: &str,
        silence: Silence,
        conversations_max: usize,
    ) -> Result<Whereabouts, StoreError> {
        let question = Question::Whereabouts {
            app: app.to_owned(),
            silence,
            conversations_max,
        };
        let Answer::Whereabouts(whereabouts) = self.read(question).await? else {
            return Err(mixed_up());
        };
        Ok(whereabouts)
    }

    /// Remembers that whatever was missed until then has been taken in: silences that
    /// began before are not found again, whoever asks.
    ///
    /// # Errors
    ///
    /// Those of [`Store::admit`].
    pub async fn mended(&self, app: &str, until_ms: i64) -> Result<(), StoreError> {
        let mark = NewEvent {
            app: app.to_owned(),
            event_id: format!("{MENDED}{until_ms}"),
            message_id: None,
            received_ms: until_ms,
            work: None,
        };
        self.admit(mark).await.map(drop)
    }

    /// The patience of [`Store::admit`].
    #[must_use]
    pub fn admit_deadline(&self) -> Duration {
        self.admit_deadline
    }

    /// Whether other daemons may work on the same turns: a run that was cut off may be
    /// one that goes on elsewhere until it finds out.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether the store can be relied on.
    #[must_use]
    pub fn health(&self) -> Health {
        self.engine.health().borrow().clone()
    }

    /// Tells of the change of [`Store::health`] when it comes. A process whose
    /// store has failed should end and be started again.
    #[must_use]
    pub fn health_changes(&self) -> watch::Receiver<Health> {
        self.engine.health()
    }

    /// Counts up whenever there may be something new to claim or to take, and whenever a
    /// note was written or deleted, by whichever daemon. Only a
    /// hint, so that nobody has to ask again and again: who waits for it finds out
    /// everything in time, but a change may also mean nothing.
    ///
    /// It also counts up every 1.5 s on PostgreSQL, since another daemon's hint may get
    /// lost, and its lease runs out without one. An outbox row that is put off becomes
    /// due without a change, see [`Store::outbox_next_ms`].
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.engine.changes()
    }

    async fn fenced(&self, command: Command) -> Result<Fenced, StoreError> {
        let Answer::Fenced(fenced) = self.write(command).await? else {
            return Err(mixed_up());
        };
        Ok(fenced)
    }

    async fn counted(&self, command: Command) -> Result<usize, StoreError> {
        let Answer::Count(count) = self.write(command).await? else {
            return Err(mixed_up());
        };
        Ok(count)
    }

    async fn write(&self, command: Command) -> Result<Answer, StoreError> {
        command.check()?;
        let patience = if matches!(command, Command::Admit(_)) {
            self.admit_deadline
        } else {
            limits::CALL_DEADLINE
        };
        match timeout(patience, self.engine.write(command)).await {
            Ok(answer) => answer.map(Delivery::take),
            Err(_) => Err(StoreError::Deadline { after: patience }),
        }
    }

    async fn read(&self, question: Question) -> Result<Answer, StoreError> {
        question.check()?;
        let patience = limits::CALL_DEADLINE;
        match timeout(patience, self.engine.read(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Deadline { after: patience }),
        }
    }
}

/// What is under the store.
#[derive(Clone)]
enum Engine {
    /// SQLite and PostgreSQL.
    Threads(Desk),
    /// For tests and simulation.
    Memory(Memory),
}

/// What ends it.
enum Closing {
    Threads(Threads),
    Memory(Memory),
}

impl Engine {
    async fn write(&self, command: Command) -> Result<Delivery, StoreError> {
        match self {
            Self::Threads(desk) => desk.write(command).await,
            Self::Memory(memory) => memory.write(command).await,
        }
    }

    async fn read(&self, question: Question) -> Result<Answer, StoreError> {
        match self {
            Self::Threads(desk) => desk.read(question).await,
            Self::Memory(memory) => memory.read(&question),
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        match self {
            Self::Threads(desk) => desk.health(),
            Self::Memory(memory) => memory.health(),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        match self {
            Self::Threads(desk) => desk.changes(),
            Self::Memory(memory) => memory.changes(),
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.close();
    }
}

impl Closing {
    fn close(&mut self) -> Health {
        match self {
            Self::Threads(threads) => threads.join(),
            Self::Memory(memory) => memory.close(),
        }
    }
}

impl StoreOptions {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            queued_max: self.queued_max,
            queued_per_conversation_max: self.queued_per_conversation_max,
            notes_max: self.notes_max,
            file_bytes_max: self.file_bytes_max,
        }
    }
}

/// An engine gave an answer that its question can't have: our mistake.
fn mixed_up() -> StoreError {
    StoreError::Database {
        detail: "it gave the answer of another question".to_owned(),
    }
}

#[cfg(test)]
mod tests;
