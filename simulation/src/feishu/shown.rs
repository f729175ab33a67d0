//! What people see of the bot, and what they must never see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Message;
use crate::world::State;

/// What was shown about each message.
#[derive(Default)]
pub struct Shown {
    about: BTreeMap<String, Answer>,
    /// Messages that are marked as ones that there is no room for.
    marked: BTreeSet<String>,
    /// Files that went with answers, by the runs of the model that wanted them.
    files: BTreeSet<String>,
    /// The newest turn of each conversation that was answered.
    newest: BTreeMap<String, (u64, String)>,
}

/// What was shown about one message.
#[derive(Default)]
pub struct Answer {
    /// Which run of the model wrote it; `notice` for a notice.
    run: String,
    contents: BTreeSet<String>,
    last_line: u64,
    /// Its card, and which process made it.
    card: Option<(String, u32)>,
}

/// A new message of the bot, made by a process.
pub fn judge(state: &mut State, pid: u32, id: &str, message: &Message) {
    if message.kind == "interactive" {
        let about = message.parent.clone().unwrap_or_default();
        let answer = state.feishu.shown.about.entry(about.clone()).or_default();
        if let Some((first, _)) = answer.card.replace((id.to_owned(), pid)) {
            state.violated(format_args!("{about} has two cards, {first} and {id}"));
        }
        return;
    }
    let text = words(&message.content);
    if message.kind == "file" {
        return judge_file(state, &text);
    }
    let (about, run, line) = marks(&text, message);
    if about.is_empty() {
        // A notice about a message that was recalled, to its chat.
        return state.saw("a notice to a chat");
    }
    let answer = state.feishu.shown.about.entry(about.clone()).or_default();
    let is_first = answer.contents.is_empty();
    let is_repeated = !answer.contents.insert(text);
    let other = (!is_first && answer.run != run).then(|| answer.run.clone());
    let is_early = line.is_some_and(|line| !is_first && line <= answer.last_line);
    answer.run.clone_from(&run);
    answer.last_line = line.unwrap_or(0);
    if is_repeated {
        state.violated(format_args!("{about} is answered twice with the same"));
    } else if let Some(other) = other {
        state.violated(format_args!("{about} has two answers, {other} and {run}"));
    } else if is_early {
        state.violated(format_args!(
            "the parts of {about}'s answer are out of order"
        ));
    }
    if !is_first {
        state.saw("an answer in parts");
    }
    if run == "notice" {
        state.saw("a notice");
    }
    if state.feishu.shown.marked.contains(&about) {
        state.violated(format_args!("{about} is marked and answered"));
    }
    in_order(state, &about);
}

/// A file: once, and behind the answer that it goes with.
fn judge_file(state: &mut State, text: &str) {
    let (Some(about), Some(file)) = (mark(text, "about="), mark(text, "file=")) else {
        return state.violated(format_args!("nobody has wanted the file {text:?}"));
    };
    state.saw("a file goes with an answer");
    if !state.feishu.shown.files.insert(file.clone()) {
        state.violated(format_args!(
            "{about} is answered twice with the file {file}"
        ));
    }
    let answer = state.feishu.shown.about.get(&about);
    let has_answer = answer.is_some_and(|answer| !answer.run.is_empty() && answer.run != "notice");
    if !has_answer && !state.ledger.is_dead(&about, "reply") {
        state.violated(format_args!("the file {file} has no answer about {about}"));
    }
    in_order(state, &about);
}

/// A mark on a message.
pub fn mark_of(state: &mut State, message: &str) {
    state.saw("a message is marked");
    state.feishu.shown.marked.insert(message.to_owned());
    if state.feishu.shown.is_answered(message) {
        state.violated(format_args!("{message} is answered and marked"));
    }
}

/// Answers come in the order in which their conversation was taken in.
fn in_order(state: &mut State, about: &str) {
    let Some(turn) = state.ledger.by_message.get(about) else {
        state.violated(format_args!("{about} is answered and was never taken in"));
        return;
    };
    let Some(record) = state.ledger.turns.get(turn) else {
        return;
    };
    let (number, lane) = (turn.to_string(), record.conversation.clone());
    let number: u64 = number.parse().unwrap_or(0);
    let newest = state.feishu.shown.newest.entry(lane).or_default();
    if newest.0 > number {
        let later = newest.1.clone();
        state.violated(format_args!("{about} is answered after {later}"));
    } else {
        *newest = (number, about.to_owned());
    }
}

/// What a text is about, which run of the model wrote it, and its first line's
/// number. Notices have none of it.
fn marks(text: &str, message: &Message) -> (String, String, Option<u64>) {
    let about = mark(text, "about=").or_else(|| message.parent.clone());
    let run = mark(text, "run=").unwrap_or_else(|| "notice".to_owned());
    let line = mark(text, "line=").and_then(|line| line.parse().ok());
    (about.unwrap_or_default(), run, line)
}

/// The word behind a prefix, where it first stands.
#[must_use]
pub fn mark(text: &str, prefix: &str) -> Option<String> {
    let (_, rest) = text.split_once(prefix)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// All texts in a content.
fn words(content: &str) -> String {
    fn gather(value: &Value, into: &mut String) {
        match value {
            Value::String(text) => {
                into.push_str(text);
                into.push('\n');
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, into)),
            Value::Object(members) => members
                .iter()
                .filter(|(name, _)| *name != "tag")
                .for_each(|(_, member)| gather(member, into)),
            _ => {}
        }
    }
    let mut text = String::new();
    if let Ok(value) = serde_json::from_str(content) {
        gather(&value, &mut text);
    }
    text
}

/// Whether a card says that its turn is over.
#[must_use]
pub fn is_final(content: &str) -> bool {
    let card: Value = serde_json::from_str(content).unwrap_or_default();
    let color = card["header"]["template"].as_str();
    color.is_some_and(|color| color != "blue")
}

impl Shown {
    /// Whether anything but a card was shown about a message.
    #[must_use]
    pub fn is_answered(&self, message: &str) -> bool {
        self.about
            .get(message)
            .is_some_and(|answer| !answer.contents.is_empty())
    }

    /// Whether a message is marked.
    #[must_use]
    pub fn is_marked(&self, message: &str) -> bool {
        self.marked.contains(message)
    }

    /// Whether the file that a run of the model has wanted was shown.
    #[must_use]
    pub fn has_file(&self, file: &str) -> bool {
        self.files.contains(file)
    }

    /// The process that made a card.
    #[must_use]
    pub fn maker(&self, card: &str) -> Option<u32> {
        self.about
            .values()
            .filter_map(|answer| answer.card.as_ref())
            .find_map(|(id, pid)| (id == card).then_some(*pid))
    }

    /// All cards, with what they are about.
    pub fn cards(&self) -> impl Iterator<Item = (&String, &String)> {
        self.about
            .iter()
            .filter_map(|(about, answer)| Some((about, &answer.card.as_ref()?.0)))
    }
}
