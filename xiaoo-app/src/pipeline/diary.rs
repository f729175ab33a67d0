//! What happened last, for whoever looks at the dashboard: events that came in, and how turns
//! ended. Only ids and words of this program, never what people said; bounded, and in memory
//! alone: what must last is in the store.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use xiaoo_store::{Outcome, Turn, TurnResult};

use super::signs::Board;

/// Events that are remembered: some screens full.
const EVENTS_KEPT: usize = 60;
/// Ends of turns that are remembered.
const ENDS_KEPT: usize = 60;
/// Characters of an event's id: Feishu's have half as many.
const ID_CHARS_MAX: usize = 80;
/// Characters of a reason: those of a model's server can be long.
const REASON_CHARS_MAX: usize = 300;

/// The last of everything, newest last.
#[derive(Debug, Default)]
pub struct Diary {
    events: Mutex<VecDeque<EventNote>>,
    ends: Mutex<VecDeque<EndNote>>,
}

/// An event that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventNote {
    /// When it was judged, Unix milliseconds.
    pub at_ms: i64,
    /// What became of it.
    pub fate: Fate,
    /// The message, or the event if it is about none; may be empty.
    pub id: String,
    /// Why, where that is not plain.
    pub why: Option<String>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A turn was made of it.
    Admitted,
    /// It was known already.
    Duplicate,
    /// It asks for nothing.
    Ignored,
    /// It could not be understood.
    NotUnderstood,
    /// It could not be kept: Feishu pushes it again.
    Refused,
    /// A button was pressed.
    Click,
}

/// A turn that ended, or something that could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndNote {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// How.
    pub end: End,
    /// The turn.
    pub turn: String,
    /// The conversation; empty of what could not be sent.
    pub conversation: String,
    /// What sort of turn, or of thing to send.
    pub kind: String,
    /// From the message's arrival to the end, milliseconds.
    pub took_ms: Option<u64>,
    /// The model that answered last.
    pub model: Option<String>,
    /// Tools that were used, as far as the card shows them.
    pub tools: usize,
    /// Why, if it is no answer.
    pub why: Option<String>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// With an answer.
    Answered,
    /// With a notice that it failed.
    Failed,
    /// Somebody has stopped it.
    Stopped,
    /// With a notice that the message is not answered.
    Refused,
    /// Without a word: there was nothing to say any more.
    Silent,
    /// Something could not be sent for good.
    GivenUp,
}

impl Diary {
    /// An event was judged.
    pub fn came(&self, at_ms: i64, fate: Fate, id: &str, why: Option<&str>) {
        let note = EventNote {
            at_ms,
            fate,
            id: id.chars().take(ID_CHARS_MAX).collect(),
            why: why.map(cut),
        };
        push(&self.events, EVENTS_KEPT, note);
    }

    /// A turn has ended; `board` is what it did.
    pub fn ended(&self, turn: &Turn, result: &TurnResult, board: Option<&Board>) {
        let view = board.map(Board::look);
        let took = result.finished_ms.saturating_sub(turn.received_ms);
        let note = EndNote {
            at_ms: result.finished_ms,
            end: match result.outcome {
                Outcome::Answered => End::Answered,
                Outcome::Failed => End::Failed,
                Outcome::Interrupted => End::Stopped,
                Outcome::Refused => End::Refused,
                Outcome::Silent => End::Silent,
            },
            turn: turn.key.id.to_string(),
            conversation: turn.conversation.clone(),
            kind: turn.kind.clone(),
            took_ms: u64::try_from(took).ok(),
            tools: view.as_ref().map_or(0, |view| view.tools.len()),
            model: view.map(|view| view.model),
            why: result.detail.as_deref().map(cut),
        };
        push(&self.ends, ENDS_KEPT, note);
    }

    /// Something could not be sent and is not tried again.
    pub fn given_up(&self, at_ms: i64, turn: &str, kind: &str, why: &str) {
        let note = EndNote {
            at_ms,
            end: End::GivenUp,
            turn: turn.to_owned(),
            conversation: String::new(),
            kind: kind.to_owned(),
            took_ms: None,
            model: None,
            tools: 0,
            why: Some(cut(why)),
        };
        push(&self.ends, ENDS_KEPT, note);
    }

    /// The last events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<EventNote> {
        all(&self.events)
    }

    /// The last ends, oldest first.
    #[must_use]
    pub fn ends(&self) -> Vec<EndNote> {
        all(&self.ends)
    }
}

fn push<T>(notes: &Mutex<VecDeque<T>>, kept: usize, note: T) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.len() >= kept {
        notes.pop_front();
    }
    notes.push_back(note);
}

fn all<T: Clone>(notes: &Mutex<VecDeque<T>>) -> Vec<T> {
    let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.iter().cloned().collect()
}

fn cut(why: &str) -> String {
    why.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_reasons_are_cut() {
        let diary = Diary::default();
        for at_ms in 0..1_000 {
            diary.came(at_ms, Fate::Ignored, "om_1", Some(&"ä".repeat(1_000)));
            diary.given_up(at_ms, "7", "reply", "no such chat");
        }
        let (events, ends) = (diary.events(), diary.ends());
        assert_eq!((events.len(), ends.len()), (EVENTS_KEPT, ENDS_KEPT));
        assert_eq!((events[0].at_ms, events[59].at_ms), (940, 999));
        assert_eq!(events[0].why, Some("ä".repeat(REASON_CHARS_MAX)));
        assert_eq!((ends[59].at_ms, ends[59].end), (999, End::GivenUp));
    }
}
