//! The handle: what the rest of the program calls.
//!
//! No call touches the database on the caller's thread. A write goes to the
//! writer as a closure over an open transaction and comes back when that
//! transaction is on disk; a read goes to the reader.

use core::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{OpenError, StoreError};
use crate::limits;
use crate::sqlite::{self, Bounds, Delivery, Engine, Gauges, Needed, Threads, Undo};
use crate::types::{
    Admission, Fenced, Health, HistoryRow, NewEvent, OutboxKey, OutboxRow, Sign, Step, StoreStats,
    Turn, TurnId, TurnKey, TurnResult,
};
use crate::url::StoreUrl;

/// The durable inbox, turns, history and outbox. A cheap handle: clone it.
///
/// Every method may be cancelled (dropped) at any point. Turns and outbox rows
/// that were handed to nobody go back to where they were.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    bounds: Bounds,
    admit_deadline: Duration,
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
    /// Largest size of the database file; `None` leaves that to the disk. Events
    /// are refused when seven eighths are used: the rest is for finishing them.
    pub file_bytes_max: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            admit_deadline: limits::ADMIT_DEADLINE,
            queued_max: limits::QUEUED_MAX,
            queued_per_conversation_max: limits::QUEUED_PER_CONVERSATION_MAX,
            file_bytes_max: None,
        }
    }
}

/// Keeps the store open. Dropping it, or [`StoreGuard::close`], ends the store:
/// calls under way are answered, later ones get [`StoreError::Closed`], the log
/// is folded into the file and the lock is released.
#[must_use = "the store closes when its guard is dropped"]
pub struct StoreGuard {
    threads: Threads,
}

impl StoreGuard {
    /// Closes the store and says whether all went well. Blocks for the commands
    /// that wait and a checkpoint: milliseconds on a healthy disk.
    pub fn close(mut self) -> Health {
        self.threads.join()
    }
}

impl Store {
    /// Opens the store, and makes it if it isn't there. Turns and sends that a
    /// dead process had begun become claimable again.
    ///
    /// Blocks for a few milliseconds; needs no runtime.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do.
    pub fn open(url: &StoreUrl, options: StoreOptions) -> Result<(Self, StoreGuard), OpenError> {
        let StoreUrl::Sqlite(path) = url;
        let (engine, threads) = sqlite::open(path, options.file_bytes_max)?;
        let store = Self {
            engine,
            bounds: Bounds {
                queued_max: options.queued_max,
                queued_per_conversation_max: options.queued_per_conversation_max,
                file_bytes_max: options.file_bytes_max,
            },
            admit_deadline: options.admit_deadline,
        };
        Ok((store, StoreGuard { threads }))
    }

    /// Takes an event in, once. Returns when it is durable: only then may it be
    /// acknowledged. A duplicate is durable too, and may be acknowledged.
    ///
    /// # Errors
    ///
    /// Any error means: don't acknowledge, so that the platform sends it again.
    pub async fn admit(&self, event: NewEvent) -> Result<Admission, StoreError> {
        sqlite::check_event(&event)?;
        let bounds = self.bounds;
        self.write(
            self.admit_deadline,
            Needed::WhileAwaited,
            None,
            move |tx, gauges| sqlite::admit(tx, gauges, &bounds, &event),
        )
        .await
    }

    /// Takes the oldest waiting turn of each conversation that has none running,
    /// at most `max` (and [`limits::CLAIM_MAX`]) of them, in order of arrival.
    ///
    /// # Errors
    ///
    /// On any error no turn was taken.
    pub async fn claim(&self, max: usize) -> Result<Vec<Turn>, StoreError> {
        self.write(
            limits::CALL_DEADLINE,
            Needed::WhileAwaited,
            Some(|tx, gauges, turns: &Vec<Turn>| {
                turns
                    .iter()
                    .try_for_each(|turn| sqlite::release(tx, gauges, turn.key).map(drop))
            }),
            move |tx, gauges| sqlite::claim(tx, gauges, max),
        )
        .await
    }

    /// Hands a claimed turn back as if it had never been claimed (shutdown).
    ///
    /// # Errors
    ///
    /// After an error the next [`Store::open`] does the same, but counts the try.
    pub async fn release(&self, turn: TurnKey) -> Result<Fenced, StoreError> {
        self.always(move |tx, gauges| sqlite::release(tx, gauges, turn))
            .await
    }

    /// Remembers what the turn shows to people, so that a later run can finish
    /// it or take it away.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] for an id that can't be one, and those of the disk.
    pub async fn note_sign(&self, turn: TurnKey, sign: Sign) -> Result<Fenced, StoreError> {
        sqlite::check_sign(&sign)?;
        self.always(move |tx, _| sqlite::note_sign(tx, turn, &sign))
            .await
    }

    /// Appends a step to the turn's record: a model reply, a tool call about to
    /// be made, its result.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] past the bounds of a turn, and those of the disk.
    pub async fn note_step(&self, turn: TurnKey, step: Step) -> Result<Fenced, StoreError> {
        sqlite::check_step(&step)?;
        self.always(move |tx, _| sqlite::note_step(tx, turn, &step))
            .await
    }

    /// The steps that earlier runs of a turn have recorded, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn steps(&self, turn: TurnId) -> Result<Vec<Step>, StoreError> {
        self.read(move |db| sqlite::steps(db, turn)).await
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
        sqlite::check_result(&result)?;
        self.always(move |tx, _| sqlite::finish(tx, turn, &result))
            .await
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
        let conversation = conversation.to_owned();
        self.read(move |db| sqlite::history(db, &conversation, rows_max, bytes_max))
            .await
    }

    /// Forgets a conversation's memory and says how many rows that were. Turns
    /// and sends of it go on.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn clear_conversation(&self, conversation: &str) -> Result<usize, StoreError> {
        let conversation = conversation.to_owned();
        self.always(move |tx, _| sqlite::clear_history(tx, &conversation))
            .await
    }

    /// Takes rows to send: each the first of its conversation that isn't settled,
    /// and due at `now_ms`; at most `max` (and [`limits::OUTBOX_TAKE_MAX`]).
    ///
    /// # Errors
    ///
    /// On any error no row was taken.
    pub async fn outbox_take(&self, now_ms: i64, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.write(
            limits::CALL_DEADLINE,
            Needed::WhileAwaited,
            Some(|tx, _, rows: &Vec<OutboxRow>| {
                rows.iter()
                    .try_for_each(|row| sqlite::outbox_untake(tx, row.key).map(drop))
            }),
            move |tx, _| sqlite::outbox_take(tx, now_ms, max),
        )
        .await
    }

    /// When the next outbox row is due, by the clock of [`Store::outbox_take`];
    /// `None` if none waits to be sent.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn outbox_next_ms(&self) -> Result<Option<i64>, StoreError> {
        self.read(sqlite::outbox_next_ms).await
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
        let external_id = sqlite::cut(external_id, limits::NAME_BYTES_MAX).to_owned();
        self.always(move |tx, _| sqlite::outbox_done(tx, row, &external_id))
            .await
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
        let error = sqlite::cut(error, limits::DETAIL_BYTES_MAX).to_owned();
        self.always(move |tx, _| sqlite::outbox_retry(tx, row, not_before_ms, &error))
            .await
    }

    /// Gives a row up, with the reason. Rows behind it can be sent.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn outbox_dead(&self, row: OutboxKey, reason: &str) -> Result<Fenced, StoreError> {
        let reason = sqlite::cut(reason, limits::DETAIL_BYTES_MAX).to_owned();
        self.always(move |tx, _| sqlite::outbox_dead(tx, row, &reason))
            .await
    }

    /// Removes what is older than the times in [`limits`], at most `batch` (and
    /// [`limits::PRUNE_BATCH_MAX`]) rows of each table, and says how many rows
    /// went. Call it until it says 0.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub async fn prune(&self, now_ms: i64, batch: usize) -> Result<usize, StoreError> {
        self.always(move |tx, _| sqlite::prune(tx, now_ms, batch))
            .await
    }

    /// How full the store is.
    ///
    /// # Errors
    ///
    /// Those of the disk, and [`StoreError::Closed`].
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        let counters = self.engine.counters();
        self.read(move |db| sqlite::stats(db, &counters)).await
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

    /// A write that is done even if nobody waits for it any more.
    async fn always<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(
            limits::CALL_DEADLINE,
            Needed::Always,
            None::<Undo<T>>,
            operation,
        )
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        patience: Duration,
        needed: Needed,
        undo: Option<Undo<T>>,
        operation: impl FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match timeout(patience, self.engine.write(needed, undo, operation)).await {
            Ok(answer) => answer.map(Delivery::take),
            Err(_) => Err(StoreError::Deadline { after: patience }),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let patience = limits::CALL_DEADLINE;
        match timeout(patience, self.engine.read(query)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Deadline { after: patience }),
        }
    }
}

#[cfg(test)]
mod tests;
