//! What goes into the store and what comes out: plain data, no behaviour.
//!
//! Times are milliseconds since the Unix epoch and always the caller's: the
//! store never reads a clock, so that a test or a simulation decides what time
//! it is. The one exception is the patience of [`crate::Store::admit`], which
//! is the runtime's.

use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

/// Bytes that the store keeps and never looks into.
///
/// `Debug` shows the length alone: a payload is somebody's message, and does
/// not belong in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// Gives the bytes away without copying them.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// An event as it arrived, to be admitted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose event: ids of two apps never meet.
    pub app: String,
    /// The platform's key for redeliveries.
    pub event_id: String,
    /// The second key: a message that comes again under another event id.
    pub message_id: Option<String>,
    /// When it arrived, by the caller's clock.
    pub received_ms: i64,
    /// The turn it asks for; `None` for events that are only counted.
    pub work: Option<NewTurn>,
}

/// A turn to be queued behind the others of its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTurn {
    /// The lane: turns of one conversation run one at a time, in order.
    pub conversation: String,
    /// What sort of work, in the caller's words.
    pub kind: String,
    /// What the turn needs to run; dropped from the store when it has finished.
    pub body: Body,
    /// Whether it is to be answered at once, while all places are taken: it can be
    /// claimed by [`Claim::Urgent`] too. In its lane it waits as any other, so what
    /// must not wait behind a conversation's work needs a lane beside it.
    pub urgent: bool,
}

/// Which turns a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// All, the oldest first: urgent ones don't come before the others.
    Any,
    /// Urgent ones alone.
    Urgent,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Durable, and a turn is queued for it.
    New(TurnId),
    /// Durable; it asked for no turn.
    Recorded,
    /// It was here before: nothing was written.
    Duplicate {
        /// The key that was known.
        by: DuplicateKey,
        /// The turn that the first delivery made, if it made one.
        turn: Option<TurnId>,
    },
}

/// The key by which an event was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateKey {
    /// `(app, event_id)`.
    EventId,
    /// `(app, message_id)`, under another event id.
    MessageId,
}

/// A turn's name; grows with arrival and is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub(crate) i64);

impl TurnId {
    /// The number, to be written down; later turns have higher ones.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for TurnId {
    /// The turn of a number that was written down.
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to write to a turn: good until somebody else has claimed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TurnKey {
    /// Which turn.
    pub id: TurnId,
    /// Which claim of it; every claim counts one up.
    pub epoch: i64,
}

/// A claimed turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What every write of this run must show.
    pub key: TurnKey,
    /// How many runs were started and not handed back, this one included: 1 the
    /// first time, more when a crash cut earlier runs off.
    pub attempts: u32,
    /// The app of the event.
    pub app: String,
    /// The event's key.
    pub event_id: String,
    /// The message's key, if the event was a message.
    pub message_id: Option<String>,
    /// When the event arrived.
    pub received_ms: i64,
    /// The lane.
    pub conversation: String,
    /// What sort of work.
    pub kind: String,
    /// What it needs to run.
    pub body: Body,
    /// Whether it was to be answered at once.
    pub urgent: bool,
    /// What an earlier run has shown to people and not taken away.
    pub signs: Signs,
}

/// What of a turn is on people's screens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Id of the reaction on the message.
    pub reaction: Option<String>,
    /// Message id of the progress card.
    pub card: Option<String>,
}

/// A sign of life that was just shown or taken away (`None`).
///
/// Signs are for turns that run: one that is still shown when its turn finishes is
/// the outbox's to take away, so that a crash in between doesn't leave it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A reaction, by its id.
    Reaction(Option<String>),
    /// A progress card, by its message id.
    Card(Option<String>),
}

/// Whether the caller still owned the turn it wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It did, and the write is durable.
    Done,
    /// Somebody else has claimed the turn since, or it has finished: nothing was
    /// written, and the caller stops quietly.
    Replaced,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// With an honest notice that it failed.
    Failed,
    /// With a notice that it was cut off.
    Interrupted,
    /// Policy said no.
    Refused,
    /// There was nothing to say: the message was recalled, for instance.
    Silent,
}

/// All that a turn leaves behind; stored in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnResult {
    /// How it ended.
    pub outcome: Outcome,
    /// A word on why, for operators; cut at [`crate::limits::DETAIL_BYTES_MAX`].
    pub detail: Option<String>,
    /// When it ended.
    pub finished_ms: i64,
    /// What the conversation remembers of it, oldest first.
    pub history: Vec<NewHistory>,
    /// What is to be sent, in this order.
    pub outbox: Vec<NewOutbox>,
}

/// One row for the conversation's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHistory {
    /// Who spoke, in the caller's words.
    pub role: String,
    /// What was said.
    pub body: Body,
}

/// One row of a conversation's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The turn that wrote it.
    pub turn: TurnId,
    /// When that turn finished.
    pub created_ms: i64,
    /// Who spoke.
    pub role: String,
    /// What was said.
    pub body: Body,
}

/// A step of a running turn, recorded so that a later run can go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What sort of step, in the caller's words.
    pub kind: String,
    /// Its content.
    pub body: Body,
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutbox {
    /// The key by which the platform drops the second of two equal sends. A
    /// uuid that is already in the outbox is a promise already made: the row is
    /// skipped.
    pub uuid: String,
    /// What sort of sending, in the caller's words.
    pub kind: String,
    /// What to send and where to.
    pub body: Body,
}

/// Something to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Names the row and this try of it.
    pub key: OutboxKey,
    /// The turn that wrote it.
    pub turn: TurnId,
    /// The lane: row n + 1 waits until row n is done or dead.
    pub conversation: String,
    /// The key against double sends.
    pub uuid: String,
    /// What sort of sending.
    pub kind: String,
    /// What to send and where to.
    pub body: Body,
    /// When the first try began, which may be this one, by the clock of who took the
    /// row. The platform's memory of a uuid is short: an old row's fate must be looked
    /// up before it is resent. Daemons that share a server may go by clocks that
    /// differ, so how long ago it was is the server's word.
    pub first_try_at_ms: i64,
    /// Why the last try failed; `None` on the first, and after a crash.
    pub error: Option<String>,
}

/// The right to settle an outbox row: good for one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutboxKey {
    /// Which row; grows with the order of writing.
    pub id: i64,
    /// Which try, counted from 1.
    pub attempt: u32,
}

/// What a conversation has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationStats {
    /// Turns that wait to be claimed.
    pub queued: u64,
    /// The turn that is claimed.
    pub running: Option<RunningTurn>,
}

/// A turn that is claimed, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTurn {
    /// Which turn.
    pub id: TurnId,
    /// What sort of work.
    pub kind: String,
    /// When its event arrived.
    pub received_ms: i64,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Turns that wait to be claimed.
    pub queued: u64,
    /// Turns that are claimed.
    pub running: u64,
    /// Arrival of the oldest turn that waits.
    pub oldest_queued_ms: Option<i64>,
    /// Outbox rows that are not settled, those being sent included.
    pub outbox_open: u64,
    /// Outbox rows given up and still kept.
    pub outbox_dead: u64,
    /// Size of the database file.
    pub file_bytes: u64,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// Transactions that were committed since the store was opened.
    pub commits: u64,
    /// Commands that those transactions held: the ratio is what grouping saves.
    pub commands: u64,
    /// Microseconds that those transactions took, from their first command to the disk.
    pub commit_micros: u64,
}

/// Whether the store can be relied on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It can.
    #[default]
    Good,
    /// The disk or the file failed: what was answered before stands, nothing is
    /// taken any more, and the process should end.
    Failed {
        /// What happened.
        reason: String,
    },
    /// The disk is full. What comes is refused meanwhile, and when there is room again
    /// the store goes on by itself.
    Full {
        /// What happened.
        reason: String,
    },
    /// The database server can't be reached. Nothing is taken in meanwhile, and
    /// when it is there again the store goes on by itself.
    Unreachable {
        /// What happened.
        reason: String,
    },
}

/// A time in which no event of an app came in, as it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When it began at the earliest: what was before is known to be well.
    pub since_ms: i64,
    /// When it is still going on, if it is.
    pub until_ms: i64,
    /// How long it was at least, and a little longer.
    pub longer_than_ms: i64,
}

/// Where the world was left: what to look at after an outage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// When the first such silence began that nobody has mended; never before the
    /// store itself remembers anything.
    pub silent_since_ms: Option<i64>,
    /// Conversations that remember something, the one that spoke last first; none
    /// when there was no silence.
    pub conversations: Vec<String>,
}
