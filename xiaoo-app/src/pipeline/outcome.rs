//! What a turn leaves behind, in one transaction: how it ended, what the
//! conversation remembers, and what is to be sent.

use std::time::Duration;

use planted::Defect;
use proto_core::InboundMessage;
use runtime_tokio::openapi::derive_uuid;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use xiaoo_agent::{Attachment, Message, TurnOutcome};
use xiaoo_store::limits::TURN_HISTORY_MAX;
use xiaoo_store::{Fenced, NewHistory, NewOutbox, Outcome, StoreError, Turn, TurnResult};

use super::SharedPipeline;
use super::ask::{Ask, button_id};
use super::outbox::Sending;
use super::people::Directory;
use super::signs::{Board, SETTLED_AFTER, Shown, card_uuid, event_key};
use crate::fail_point::{self, FailPoint};
use crate::render::answer::{self, Content};
use crate::render::attachment;
use crate::render::card::Phase;
use crate::render::language::Language;
use crate::render::notice;

/// Files that go with one answer: more are a mistake, or a flood.
const FILES_MAX: usize = 16;
/// The wait before a result that could not be kept is tried again; doubles up
/// to [`FINISH_AGAIN_MAX`].
const FINISH_AGAIN: Duration = Duration::from_millis(200);
/// The longest of these waits.
const FINISH_AGAIN_MAX: Duration = Duration::from_secs(10);

/// A turn that has come to its end, and what it has left on people's screens.
pub(super) struct Ending<'a> {
    pub(super) turn: &'a Turn,
    pub(super) message: &'a InboundMessage,
    pub(super) board: &'a Board,
    pub(super) shown: &'a Shown,
    /// Who can be mentioned.
    pub(super) people: &'a Directory,
    /// What people were asked, by the calls that asked.
    pub(super) asks: &'a [(String, Ask)],
    /// When that is, Unix milliseconds.
    pub(super) now_ms: i64,
}

impl Ending<'_> {
    /// With an answer.
    pub(super) fn answered(&self, outcome: &TurnOutcome) -> TurnResult {
        let contents = answer::contents(&outcome.answer, &self.people.mentionable());
        let files: Vec<_> = outcome.attachments().collect();
        let files = files_shown(&files, Language::of_message(self.message));
        TurnResult {
            outcome: Outcome::Answered,
            detail: None,
            finished_ms: self.now_ms,
            history: kept(&outcome.new_messages),
            outbox: self.outbox(Phase::Done, contents, files),
        }
    }

    /// With a notice, or without a word; `why` is for the operator.
    pub(super) fn noticed(
        &self,
        outcome: Outcome,
        notice: Option<&str>,
        why: String,
    ) -> TurnResult {
        let contents = notice.map(notice::content).into_iter().collect();
        TurnResult {
            outcome,
            detail: Some(why),
            finished_ms: self.now_ms,
            history: Vec::new(),
            outbox: self.outbox(Phase::Failed, contents, Vec::new()),
        }
    }

    /// With a notice, after this much had come of it.
    pub(super) fn failed(&self, notice: &str, why: String, messages: &[Message]) -> TurnResult {
        TurnResult {
            history: kept(&ended_early(messages, "the turn failed")),
            ..self.noticed(Outcome::Failed, Some(notice), why)
        }
    }

    /// Because somebody has stopped it, after this much had come of it. Nothing more is said.
    pub(super) fn stopped(&self, messages: &[Message]) -> TurnResult {
        TurnResult {
            outcome: Outcome::Interrupted,
            detail: Some("stopped by a person".into()),
            finished_ms: self.now_ms,
            history: remembered_of_stopped(messages),
            outbox: self.outbox(Phase::Stopped, Vec::new(), Vec::new()),
        }
    }

    /// What is to be sent, in order: the answer, its files, the cards' final states, and
    /// the reaction taken away.
    fn outbox(&self, phase: Phase, contents: Vec<Content>, files: Vec<Content>) -> Vec<NewOutbox> {
        let Self {
            turn,
            message,
            board,
            shown,
            people: _,
            asks,
            now_ms: _,
        } = self;
        let thread_id = message.thread_id.clone().filter(|id| !id.is_empty());
        let mut sendings = Vec::new();
        let parts = contents.len();
        for (part, content) in contents.into_iter().enumerate() {
            sendings.push(Sending::Reply {
                message_id: message.message_id.clone(),
                chat_id: message.chat_id.clone(),
                in_thread: thread_id.is_some(),
                thread_id: thread_id.clone(),
                msg_type: content.msg_type.to_owned(),
                content: content.content,
                fallback: content.fallback,
                part,
                asked_ms: turn.received_ms,
            });
        }
        for (at, file) in files.into_iter().enumerate() {
            sendings.push(Sending::File {
                message_id: message.message_id.clone(),
                chat_id: message.chat_id.clone(),
                in_thread: thread_id.is_some(),
                thread_id: thread_id.clone(),
                part: parts + at,
                asked_ms: turn.received_ms,
                msg_type: file.msg_type.to_owned(),
                content: file.content,
                fallback: file.fallback,
            });
        }
        for (call_id, ask) in *asks {
            sendings.extend(ask.card.as_ref().map(|card| Sending::FinishCard {
                card: Some(card.clone()),
                reply_to: message.message_id.clone(),
                create_uuid: String::new(),
                content: ask.card(&button_id(turn.key.id, call_id)),
                chat_id: message.chat_id.clone(),
                thread_id: thread_id.clone(),
                asked_ms: turn.received_ms,
                not_before_ms: 0,
            }));
        }
        let card_unknown = shown.card_unknown && !planted::is(Defect::CardForgotten);
        let has_card = shown.card.is_some() || card_unknown;
        let finished = has_card.then(|| Sending::FinishCard {
            card: shown.card.clone(),
            reply_to: message.message_id.clone(),
            create_uuid: card_uuid(turn),
            content: board.render(phase),
            chat_id: message.chat_id.clone(),
            thread_id,
            asked_ms: turn.received_ms,
            not_before_ms: 0,
        });
        sendings.extend(finished.clone());
        let has_reaction = shown.reaction.is_some() || shown.reaction_unknown;
        if has_reaction && !planted::is(Defect::ReactionForgotten) {
            sendings.push(Sending::TakeReactionAway {
                message_id: message.message_id.clone(),
                reaction: shown.reaction.clone(),
                emoji: shown.emoji.clone(),
                not_before_ms: 0,
            });
        }
        if shown.unsettled && !planted::is(Defect::NotSettled) {
            sendings.extend(self.once_more(finished));
        }
        rows(turn, sendings)
    }

    /// A try that was given up may arrive behind the final state: when that can
    /// no longer be, the signs are seen to once more.
    fn once_more(&self, finished: Option<Sending>) -> impl Iterator<Item = Sending> {
        let settled_ms = i64::try_from(SETTLED_AFTER.as_millis()).unwrap_or(0);
        let due_ms = self.now_ms.saturating_add(settled_ms);
        let mut finished = finished;
        if let Some(Sending::FinishCard { not_before_ms, .. }) = &mut finished {
            *not_before_ms = due_ms;
        }
        let reacts = !self.shown.emoji.is_empty();
        let reaction = reacts.then(|| Sending::TakeReactionAway {
            message_id: self.message.message_id.clone(),
            reaction: None,
            emoji: self.shown.emoji.clone(),
            not_before_ms: due_ms,
        });
        finished.into_iter().chain(reaction)
    }
}

/// The files of an answer, a word about each that Feishu has not taken, and one about those that
/// are too many.
fn files_shown(files: &[&Attachment], language: Language) -> Vec<Content> {
    // What was taken at a later try is not missing.
    let is_taken = |name: &str| {
        let mut others = files.iter();
        others.any(|other| other.key.is_some() && other.name == name)
    };
    let mut shown: Vec<Content> = files
        .iter()
        .filter_map(|file| {
            let missing = notice::content(&notice::file_not_sent(language, &file.name));
            match &file.key {
                Some(key) => Some(Content {
                    fallback: Some(missing.content),
                    ..attachment::taken(key, &file.name, file.is_image)
                }),
                None => (!is_taken(&file.name)).then_some(missing),
            }
        })
        .collect();
    let left_out = shown.len().saturating_sub(FILES_MAX);
    if left_out > 0 {
        shown.truncate(FILES_MAX);
        let word = notice::files_left_out(language, left_out, FILES_MAX);
        shown.push(notice::content(&word));
    }
    shown
}

/// With an answer of the bot's own: nothing was shown before it, and nothing is remembered.
pub(super) fn replied(
    turn: &Turn,
    message: &InboundMessage,
    contents: Vec<Content>,
    now_ms: i64,
) -> TurnResult {
    let thread_id = message.thread_id.clone().filter(|id| !id.is_empty());
    let replies = contents
        .into_iter()
        .enumerate()
        .map(|(part, content)| Sending::Reply {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            in_thread: thread_id.is_some(),
            thread_id: thread_id.clone(),
            msg_type: content.msg_type.to_owned(),
            content: content.content,
            fallback: content.fallback,
            part,
            asked_ms: turn.received_ms,
        });
    TurnResult {
        outcome: Outcome::Answered,
        detail: None,
        finished_ms: now_ms,
        history: Vec::new(),
        outbox: rows(turn, replies.collect()),
    }
}

/// Each with the uuid that it has however often the turn is run.
fn rows(turn: &Turn, sendings: Vec<Sending>) -> Vec<NewOutbox> {
    (0_u32..)
        .zip(sendings)
        .map(|(ordinal, sending)| NewOutbox {
            uuid: derive_uuid(&turn.app, event_key(turn), ordinal),
            kind: sending.kind().to_owned(),
            body: sending.to_body(),
        })
        .collect()
}

/// What the conversation remembers of a turn that somebody has stopped, after this much.
pub(super) fn remembered_of_stopped(messages: &[Message]) -> Vec<NewHistory> {
    kept(&ended_early(messages, "it was stopped by a person"))
}

/// What the conversation remembers of a turn that did not come to its end.
fn ended_early(messages: &[Message], why: &str) -> Vec<Message> {
    if messages.is_empty() {
        return Vec::new();
    }
    let mut messages = messages.to_vec();
    // An answer that nobody has seen is none.
    let is_answer = |last: &mut Message| matches!(last, Message::Assistant { tool_calls, .. } if tool_calls.is_empty());
    messages.pop_if(is_answer);
    messages.push(Message::assistant(format!("[no answer: {why}]")));
    messages
}

/// What was said, and all that came of it; of more than the store takes, the newest.
fn kept(messages: &[Message]) -> Vec<NewHistory> {
    let too_many = messages.len().saturating_sub(TURN_HISTORY_MAX);
    let is_kept = |at: usize| at == 0 || at > too_many || too_many == 0;
    let messages = (0..).zip(messages).filter(|(at, _)| is_kept(*at));
    let kept = messages.filter_map(|(_, message)| {
        let body = serde_json::to_string(message).ok()?;
        Some(NewHistory {
            role: role(message).into(),
            body: body.into(),
        })
    });
    kept.collect()
}

/// There is nothing to say.
pub(super) fn silent(finished_ms: i64) -> TurnResult {
    TurnResult {
        outcome: Outcome::Silent,
        detail: None,
        finished_ms,
        history: Vec::new(),
        outbox: Vec::new(),
    }
}

fn role(message: &Message) -> &'static str {
    match message {
        Message::User { .. } => "user",
        Message::Assistant { .. } => "assistant",
        Message::Tool { .. } => "tool",
        Message::Summary { .. } => "summary",
    }
}

/// Ends the turn in the store: without that the answer must not be sent. What
/// passes (a full disk, a server that is away) is waited for, until the daemon
/// stops; a result that can't be kept becomes a notice.
pub(super) async fn finish(
    pipeline: &SharedPipeline,
    turn: &Turn,
    mut result: TurnResult,
    instead: Option<TurnResult>,
    give_up: &CancellationToken,
) {
    let mut instead = instead;
    let mut wait = FINISH_AGAIN;
    fail_point::pass(FailPoint::FinishBeforeCommit);
    loop {
        let error = match pipeline.store.finish(turn.key, result.clone()).await {
            Ok(Fenced::Done) => {
                fail_point::pass(FailPoint::FinishAfterCommit);
                let board = pipeline.running.board(&turn.conversation);
                pipeline.diary.ended(turn, &result, board.as_ref());
                return;
            }
            Ok(Fenced::Replaced) => {
                info!("the turn has ended already, or belongs to another run");
                return;
            }
            Err(error) => error,
        };
        if let (StoreError::TooLarge { .. }, Some(notice)) = (&error, instead.take()) {
            error!("the turn's result cannot be kept, a notice goes out instead: {error}");
            result = notice;
            continue;
        }
        if planted::is(Defect::FinishedOnce) {
            return;
        }
        error!("the turn's result could not be kept, trying again: {error}");
        tokio::select! {
            () = give_up.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(FINISH_AGAIN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_turn_the_request_and_the_newest_are_kept() {
        let said = |at: usize| Message::user(at.to_string());
        for (messages, dropped) in [
            (0, 0),
            (1, 0),
            (TURN_HISTORY_MAX, 0),
            (TURN_HISTORY_MAX + 1, 1),
            (2 * TURN_HISTORY_MAX, TURN_HISTORY_MAX),
        ] {
            let rows = kept(&(0..messages).map(said).collect::<Vec<_>>());
            let told = (0..messages).filter(|at| *at == 0 || *at > dropped);
            let told: Vec<_> = told.map(said).collect();
            let rows = rows.iter().map(|row| serde_json::from_slice(&row.body));
            assert_eq!(rows.collect::<Result<Vec<Message>, _>>().unwrap(), told);
            assert!(told.len() <= TURN_HISTORY_MAX);
        }
    }

    #[test]
    fn so_many_files_go_out_and_what_does_not_is_said() {
        let file = |at: usize, key: Option<&str>| Attachment {
            key: key.map(str::to_owned),
            name: format!("{at}.csv"),
            is_image: false,
        };
        for (taken, left_out) in [
            (1, 0),
            (FILES_MAX, 0),
            (FILES_MAX + 1, 1),
            (FILES_MAX + 9, 9),
        ] {
            let files: Vec<_> = (0..taken).map(|at| file(at, Some("key"))).collect();
            let files: Vec<_> = files.iter().collect();
            let shown = files_shown(&files, Language::English);
            let sent = shown.iter().filter(|content| content.msg_type == "file");
            assert_eq!(sent.count(), taken - left_out);
            let said: Vec<_> = shown.iter().skip(FILES_MAX).collect();
            assert_eq!(said.len(), left_out.min(1), "{taken}");
            let is_said = |word: &&Content| word.content.contains(&format!("({left_out} more"));
            assert!(said.iter().all(is_said), "{said:?}");
        }
        let (missing, there) = (file(1, None), file(1, Some("key")));
        let shown = files_shown(&[&missing], Language::English);
        assert!(shown[0].content.contains("1.csv could not be sent"));
        assert_eq!(files_shown(&[&missing, &there], Language::English).len(), 1);
    }

    #[test]
    fn what_nobody_has_seen_of_a_stopped_turn_is_not_remembered_as_said() {
        let messages = [Message::user("hello"), Message::assistant("unseen")];
        let last = Message::assistant("[no answer: it was stopped]");
        let left = ended_early(&messages, "it was stopped");
        assert_eq!(left, [Message::user("hello"), last]);
        assert!(ended_early(&[], "it was stopped").is_empty());
    }
}
