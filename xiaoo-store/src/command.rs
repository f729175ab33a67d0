//! What every engine understands: the writes and the questions, as data.
//!
//! [`crate::Store`] makes them and reads the answers, an engine does them. That
//! they are data and not code is what lets one engine run them in a thread, one
//! send them over a network, and one do them a second time on another copy.

use crate::error::StoreError;
use crate::limits::{
    BODY_BYTES_MAX, NAME_BYTES_MAX, NOTE_BYTES_MAX, TURN_HISTORY_MAX, TURN_OUTBOX_MAX,
    TURN_STEP_BYTES_MAX, TURN_STEPS_MAX,
};
use crate::note::{Note, NotePut, PutNote};
use crate::types::{
    Admission, Claim, ConversationStats, Fenced, HistoryRow, NewEvent, OutboxKey, OutboxRow,
    Outcome, Sign, Silence, Step, StoreStats, Turn, TurnId, TurnKey, TurnResult, Whereabouts,
};

/// A write. Each is done whole or not at all.
#[derive(Debug)]
pub(crate) enum Command {
    Admit(NewEvent),
    Claim {
        max: usize,
        which: Claim,
    },
    Release(TurnKey),
    NoteSign(TurnKey, Sign),
    NoteStep(TurnKey, Step),
    Finish(TurnKey, TurnResult),
    ClearHistory {
        conversation: String,
    },
    OutboxTake {
        now_ms: i64,
        max: usize,
    },
    /// Puts back a row that nobody has begun to send.
    OutboxUntake(OutboxKey),
    OutboxDone {
        row: OutboxKey,
        external_id: String,
    },
    OutboxRetry {
        row: OutboxKey,
        not_before_ms: i64,
        error: String,
    },
    OutboxDead {
        row: OutboxKey,
        reason: String,
    },
    PutNote(PutNote),
    DeleteNote {
        scope: String,
        key: String,
        now_ms: i64,
    },
    Prune {
        now_ms: i64,
        batch: usize,
    },
}

/// A read.
#[derive(Debug)]
pub(crate) enum Question {
    Steps(TurnId),
    History {
        conversation: String,
        rows_max: usize,
        bytes_max: usize,
    },
    OutboxNext,
    Note {
        scope: String,
        key: String,
        now_ms: i64,
    },
    Notes {
        scope: String,
        max: usize,
        now_ms: i64,
    },
    Conversation(String),
    Stats,
    Whereabouts {
        app: String,
        silence: Silence,
        conversations_max: usize,
    },
}

/// What comes back; each command and question has one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Admission(Admission),
    Conversation(ConversationStats),
    Count(usize),
    Fenced(Fenced),
    History(Vec<HistoryRow>),
    Next(Option<i64>),
    Note(Option<Note>),
    NotePut(NotePut),
    Notes(Vec<(String, Note)>),
    Rows(Vec<OutboxRow>),
    Stats(StoreStats),
    Steps(Vec<Step>),
    Turns(Vec<Turn>),
    Whereabouts(Whereabouts),
}

/// What the name of an event begins with that says: until then everything was read
/// back. No platform names its events so.
pub(crate) const MENDED: &str = "mended:";

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) queued_max: u64,
    pub(crate) queued_per_conversation_max: u64,
    pub(crate) notes_max: u64,
    pub(crate) file_bytes_max: Option<u64>,
}

impl Command {
    /// Whether it is to be done even when its caller has gone: it tells of
    /// something that has happened. The others are questions whose answer nobody
    /// would hear; a note among them, as who writes one must know whether he was first,
    /// and an approval must not be given after its person was told that it was not.
    pub(crate) fn is_always_needed(&self) -> bool {
        match self {
            Self::Admit(_)
            | Self::Claim { .. }
            | Self::OutboxTake { .. }
            | Self::PutNote(_)
            | Self::DeleteNote { .. } => false,
            Self::Release(_)
            | Self::NoteSign(..)
            | Self::NoteStep(..)
            | Self::Finish(..)
            | Self::ClearHistory { .. }
            | Self::OutboxUntake(_)
            | Self::OutboxDone { .. }
            | Self::OutboxRetry { .. }
            | Self::OutboxDead { .. }
            | Self::Prune { .. } => true,
        }
    }

    /// Whether others may wait for what it has done, with this answer: something is
    /// ready to be claimed or taken, or a note says something new. A note that was not
    /// written says nothing, or two who wait for each other's notes would wake each
    /// other for ever.
    pub(crate) fn is_news(&self, answer: &Result<Answer, StoreError>) -> bool {
        match self {
            Self::Admit(_)
            | Self::Release(_)
            | Self::Finish(..)
            | Self::OutboxUntake(_)
            | Self::OutboxDone { .. }
            | Self::OutboxRetry { .. }
            | Self::OutboxDead { .. } => answer.is_ok(),
            Self::PutNote(_) => matches!(answer, Ok(Answer::NotePut(NotePut::Done { .. }))),
            Self::DeleteNote { .. } => matches!(answer, Ok(Answer::Note(Some(_)))),
            Self::Claim { .. }
            | Self::NoteSign(..)
            | Self::NoteStep(..)
            | Self::ClearHistory { .. }
            | Self::OutboxTake { .. }
            | Self::Prune { .. } => false,
        }
    }

    /// Refuses what no engine keeps, so that all refuse the same.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Admit(event) => check_event(event),
            Self::NoteSign(_, Sign::Reaction(id) | Sign::Card(id)) => {
                name("sign", id.as_deref().unwrap_or_default())
            }
            Self::NoteStep(_, step) => {
                name("kind", &step.kind)?;
                bounded("step body", step.body.len(), BODY_BYTES_MAX)
            }
            Self::Finish(_, result) => check_result(result),
            Self::ClearHistory { conversation } => name("conversation", conversation),
            Self::PutNote(put) => put.check(),
            Self::DeleteNote { scope, key, .. } => note_name(scope, key),
            Self::OutboxDone { .. }
            | Self::OutboxRetry { .. }
            | Self::OutboxDead { .. }
            | Self::OutboxUntake(_)
            | Self::Claim { .. }
            | Self::Release(_)
            | Self::OutboxTake { .. }
            | Self::Prune { .. } => Ok(()),
        }
    }
}

impl PutNote {
    /// Refuses what no engine keeps.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        note_name(&self.scope, &self.key)?;
        bounded("note body", self.body.len(), NOTE_BYTES_MAX)
    }
}

impl Question {
    /// Refuses what no engine keeps, so that all refuse the same.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::History { conversation, .. } | Self::Conversation(conversation) => {
                name("conversation", conversation)
            }
            Self::Note { scope, key, .. } => note_name(scope, key),
            Self::Notes { scope, .. } => name("scope", scope),
            Self::Whereabouts { app, .. } => name("app", app),
            Self::OutboxNext | Self::Stats | Self::Steps(_) => Ok(()),
        }
    }
}

impl Answer {
    /// What takes it back, if it reached nobody.
    pub(crate) fn undo(&self) -> Vec<Command> {
        match self {
            Self::Turns(turns) => turns
                .iter()
                .map(|turn| Command::Release(turn.key))
                .collect(),
            Self::Rows(rows) => rows
                .iter()
                .map(|row| Command::OutboxUntake(row.key))
                .collect(),
            Self::Admission(_)
            | Self::Conversation(_)
            | Self::Count(_)
            | Self::Fenced(_)
            | Self::History(_)
            | Self::Next(_)
            | Self::Note(_)
            | Self::NotePut(_)
            | Self::Notes(_)
            | Self::Stats(_)
            | Self::Steps(_)
            | Self::Whereabouts(_) => Vec::new(),
        }
    }
}

fn note_name(scope: &str, key: &str) -> Result<(), StoreError> {
    name("scope", scope)?;
    name("key", key)
}

fn check_event(event: &NewEvent) -> Result<(), StoreError> {
    name("app", &event.app)?;
    name("event_id", &event.event_id)?;
    name(
        "message_id",
        event.message_id.as_deref().unwrap_or_default(),
    )?;
    if let Some(turn) = &event.work {
        name("conversation", &turn.conversation)?;
        name("kind", &turn.kind)?;
        bounded("body", turn.body.len(), BODY_BYTES_MAX)?;
    }
    Ok(())
}

fn check_result(result: &TurnResult) -> Result<(), StoreError> {
    bounded("history", result.history.len(), TURN_HISTORY_MAX)?;
    bounded("outbox", result.outbox.len(), TURN_OUTBOX_MAX)?;
    for row in &result.history {
        name("role", &row.role)?;
        bounded("history body", row.body.len(), BODY_BYTES_MAX)?;
    }
    for row in &result.outbox {
        name("uuid", &row.uuid)?;
        name("kind", &row.kind)?;
        bounded("outbox body", row.body.len(), BODY_BYTES_MAX)?;
    }
    Ok(())
}

/// Refuses one step more than a turn that has so many, of so many bytes, may have.
pub(crate) fn check_steps(rows: usize, bytes: usize, step: &Step) -> Result<(), StoreError> {
    bounded("steps of the turn", rows.saturating_add(1), TURN_STEPS_MAX)?;
    bounded(
        "bytes of the turn's steps",
        bytes.saturating_add(step.body.len()),
        TURN_STEP_BYTES_MAX,
    )
}

/// Refuses a name that no platform gives: too long, or with a NUL in it, which
/// PostgreSQL can't keep in a text.
fn name(what: &'static str, value: &str) -> Result<(), StoreError> {
    if value.contains('\0') {
        return Err(StoreError::NotAName { what });
    }
    bounded(what, value.len(), NAME_BYTES_MAX)
}

fn bounded(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max {
        return Err(StoreError::TooLarge { what, size, max });
    }
    Ok(())
}

/// A text for people, shortened to at most `bytes_max` bytes at a character's
/// edge and without the NUL that PostgreSQL can't keep.
pub(crate) fn detail(text: &str, bytes_max: usize) -> String {
    // A character has at most 4 bytes, so one of the last 4 positions is an edge.
    let cut = (0..4)
        .filter_map(|back| text.get(..bytes_max.checked_sub(back)?))
        .next()
        .unwrap_or(text);
    cut.replace('\0', "")
}

/// The rows to put back together from a read that came newest first: what fits
/// `bytes_max` without a gap, oldest first.
pub(crate) fn newest_that_fit(
    newest_first: impl IntoIterator<Item = Result<HistoryRow, StoreError>>,
    bytes_max: usize,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut room = bytes_max;
    let mut rows = Vec::new();
    for row in newest_first {
        let row = row?;
        let Some(left) = room.checked_sub(row.body.len()) else {
            break;
        };
        room = left;
        rows.push(row);
    }
    rows.reverse();
    Ok(rows)
}

/// A count or a length as the database says it.
pub(crate) fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// How an outcome is written down.
pub(crate) fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
        Outcome::Refused => "refused",
        Outcome::Silent => "silent",
    }
}

pub(crate) fn fenced(is_ours: bool) -> Fenced {
    if is_ours {
        Fenced::Done
    } else {
        Fenced::Replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character() {
        for (text, max, expected) in [
            ("abc", 5, "abc"),
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("abc", 0, ""),
            ("小欧", 6, "小欧"),
            ("小欧", 5, "小"),
            ("小欧", 2, ""),
            ("a😀", 4, "a"),
            ("a\0b", 3, "ab"),
        ] {
            assert_eq!(detail(text, max), expected, "{text} at {max}");
        }
    }
}
