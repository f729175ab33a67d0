//! What is written out of a store, and how it is read from its tables.

use crate::error::StoreError;
use crate::types::Body;

/// Something that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A turn, in whatever state.
    Turn(TurnRecord),
    /// Something to send that is not sent; dead letters among them.
    Send(SendRecord),
    /// Something that a conversation remembers.
    History(HistoryRecord),
    /// A note, expired ones that are still there among them.
    Note(NoteRecord),
    /// How much of a table could not be read.
    Unreadable {
        /// The table.
        table: &'static str,
        /// Ids behind which there may have been a row.
        ids: u64,
    },
}

/// A turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnRecord {
    /// Its name.
    pub id: i64,
    /// `waiting`, `ready`, `running` or `done`.
    pub state: String,
    /// The app of the event.
    pub app: String,
    /// The event's key.
    pub event_id: String,
    /// The message's key.
    pub message_id: Option<String>,
    /// When the event arrived.
    pub received_ms: i64,
    /// The lane.
    pub conversation: String,
    /// What sort of work.
    pub kind: String,
    /// How many runs were started.
    pub attempts: i64,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why it ended so.
    pub detail: Option<String>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// What it needs to run; `None` when it has ended, or when that can't be read.
    pub body: Option<Body>,
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRecord {
    /// Its number.
    pub id: i64,
    /// `waiting`, `ready`, `sending` or `dead`.
    pub state: String,
    /// The lane.
    pub conversation: String,
    /// The turn that wrote it.
    pub turn: i64,
    /// When that turn finished.
    pub created_ms: i64,
    /// The key against double sends.
    pub uuid: String,
    /// What sort of sending.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When the first try began.
    pub first_try_at_ms: Option<i64>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// What to send and where to; `None` when that can't be read.
    pub body: Option<Body>,
}

/// Something that a conversation remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRecord {
    /// Its number.
    pub id: i64,
    /// Whose memory.
    pub conversation: String,
    /// The turn that wrote it.
    pub turn: i64,
    /// When that turn finished.
    pub created_ms: i64,
    /// Who spoke.
    pub role: String,
    /// What was said; `None` when that can't be read.
    pub body: Option<Body>,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteRecord {
    /// Its version.
    pub version: i64,
    /// What it belongs to.
    pub scope: String,
    /// Its name there.
    pub key: String,
    /// From when on it is taken for absent.
    pub expires_ms: Option<i64>,
    /// What it says; `None` when that can't be read.
    pub body: Option<Body>,
}

/// The tables that are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Turn,
    Send,
    History,
    Note,
}

/// A row of either database.
pub(super) trait Columns {
    fn number(&self, column: usize) -> Result<i64, StoreError>;
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, column: usize) -> Result<String, StoreError>;
    fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError>;
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError>;
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Send => "outbox",
            Self::History => "history",
            Self::Note => "note",
        }
    }

    /// The rows above the first parameter up to the second, in order, as many as the
    /// third says. Both databases read it; `body` says where the body is.
    pub(super) fn sql(self, body: &str) -> String {
        let (columns, rows) = match self {
            Self::Turn => (
                "id, state, app, event_id, message_id, received_ms, conversation, kind, attempts,
                 outcome, detail, finished_ms",
                "turn WHERE",
            ),
            Self::Send => (
                "id, state, conversation, turn_id, created_ms, uuid, kind, attempts,
                 first_try_at_ms, error",
                "outbox WHERE state <> 'done' AND",
            ),
            Self::History => (
                "id, conversation, turn_id, created_ms, role",
                "history WHERE",
            ),
            Self::Note => ("id, scope, key, expires_ms", "note WHERE"),
        };
        format!("SELECT {columns}, {body} FROM {rows} id > $1 AND id <= $2 ORDER BY id LIMIT $3")
    }

    pub(super) fn read(self, row: &impl Columns) -> Result<Record, StoreError> {
        let body = |column| {
            let bytes = row.bytes(column)?;
            Ok::<_, StoreError>(bytes.map(Body::from))
        };
        Ok(match self {
            Self::Turn => {
                let state = row.text(1)?;
                Record::Turn(TurnRecord {
                    id: row.number(0)?,
                    app: row.text(2)?,
                    event_id: row.text(3)?,
                    message_id: row.maybe_text(4)?,
                    received_ms: row.number(5)?,
                    conversation: row.text(6)?,
                    kind: row.text(7)?,
                    attempts: row.number(8)?,
                    outcome: row.maybe_text(9)?,
                    detail: row.maybe_text(10)?,
                    finished_ms: row.maybe_number(11)?,
                    // One engine deletes it then, the other empties it.
                    body: body(12)?.filter(|_| state != "done"),
                    state,
                })
            }
            Self::Send => Record::Send(SendRecord {
                id: row.number(0)?,
                state: row.text(1)?,
                conversation: row.text(2)?,
                turn: row.number(3)?,
                created_ms: row.number(4)?,
                uuid: row.text(5)?,
                kind: row.text(6)?,
                attempts: row.number(7)?,
                first_try_at_ms: row.maybe_number(8)?,
                error: row.maybe_text(9)?,
                body: body(10)?,
            }),
            Self::History => Record::History(HistoryRecord {
                id: row.number(0)?,
                conversation: row.text(1)?,
                turn: row.number(2)?,
                created_ms: row.number(3)?,
                role: row.text(4)?,
                body: body(5)?,
            }),
            Self::Note => Record::Note(NoteRecord {
                version: row.number(0)?,
                scope: row.text(1)?,
                key: row.text(2)?,
                expires_ms: row.maybe_number(3)?,
                body: body(4)?,
            }),
        })
    }
}

impl Record {
    pub(super) fn id(&self) -> i64 {
        match self {
            Self::Turn(turn) => turn.id,
            Self::Send(send) => send.id,
            Self::History(row) => row.id,
            Self::Note(note) => note.version,
            Self::Unreadable { .. } => i64::MIN,
        }
    }

    pub(super) fn body_bytes(&self) -> usize {
        let body = match self {
            Self::Turn(turn) => &turn.body,
            Self::Send(send) => &send.body,
            Self::History(row) => &row.body,
            Self::Note(note) => &note.body,
            Self::Unreadable { .. } => return 0,
        };
        body.as_ref().map_or(0, |body| body.len())
    }
}
