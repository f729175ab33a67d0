//! Messages that their conversation's backlog has no room for.
//!
//! Each gets a turn all the same, in a lane beside that backlog, so that it is durable
//! what its sender will see: the first of a burst a notice, those that follow a mark.
//! Neither asks the model. That lane has a bound as well, and who finds it full is
//! refused, so that Feishu pushes the message again: a flood costs rows on disk and one
//! small call a message, and nothing is dropped without a sign.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use planted::Defect;
use proto_core::InboundMessage;
use runtime_tokio::openapi::{ApiError, ReplyTarget, derive_uuid};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};
use xiaoo_store::{
    Admission, NewEvent, NewOutbox, NewTurn, Outcome, Store, StoreError, Turn, TurnResult,
};

use super::SharedPipeline;
use super::outbox::{self, Sending};
use super::signs::event_key;
use crate::render::language::Language;
use crate::render::notice::{self, Notice};

/// The kind of turn that says that there is no room for the message.
pub const BUSY_TURN: &str = "busy";
/// The kind of turn that marks a message as one that there is no room for.
pub const MARKED_TURN: &str = "busy_marked";
/// What the lane of those is called: they don't wait behind the backlog that
/// they are about.
const BUSY_LANE: &str = "#busy";
/// The mark: a cross. It stays.
const MARK: &str = "CrossMark";
/// How long one notice speaks for the messages after it, which are marked. Not until
/// there is room: in a flood that is with every answer, and again not with the next.
const BURST: Duration = Duration::from_secs(60);
/// Conversations whose bursts are remembered. One that is forgotten costs a
/// notice in place of a mark.
const BURSTS_MAX: usize = 1024;

/// When each conversation with a full backlog was last told so, by this daemon: each of
/// several tells it once a minute. Whoever does, a message has one of the two.
#[derive(Debug, Default)]
pub struct Bursts(Mutex<HashMap<String, Instant>>);

/// An event that was made durable.
#[derive(Debug)]
pub struct TakenIn {
    /// What became of it.
    pub admitted: Admission,
    /// Whether there was no room to work on it.
    pub is_busy: bool,
}

impl Bursts {
    /// Makes an event durable, as a turn or as one that there is no room for; all that
    /// within the patience of one admission.
    ///
    /// # Errors
    /// Those of [`Store::admit`].
    pub async fn take_in(&self, store: &Store, event: NewEvent) -> Result<TakenIn, StoreError> {
        let deadline = Instant::now() + store.admit_deadline();
        let busy = match (store.admit(event.clone()).await, &event.work) {
            (Err(StoreError::ConversationFull { max }), Some(work)) => {
                let is_first = self.begins(&work.conversation);
                warn!(
                    event_id = event.event_id,
                    conversation = work.conversation,
                    told = !is_first,
                    "a message is not worked on: {max} others wait in its conversation"
                );
                let kind = if is_first { BUSY_TURN } else { MARKED_TURN };
                NewTurn {
                    conversation: format!("{}{BUSY_LANE}", work.conversation),
                    kind: kind.into(),
                    body: work.body.clone(),
                    urgent: true,
                }
            }
            (admitted, _) => {
                return admitted.map(|admitted| TakenIn {
                    admitted,
                    is_busy: false,
                });
            }
        };
        let is_notice = busy.kind == BUSY_TURN;
        let work = (!planted::is(Defect::MarkForgotten) || is_notice).then_some(busy);
        let conversation = event.work.map(|work| work.conversation).unwrap_or_default();
        let event = NewEvent { work, ..event };
        let admitted = match timeout_at(deadline, store.admit(event)).await {
            Ok(admitted) => admitted,
            Err(_) => Err(StoreError::Deadline {
                after: store.admit_deadline(),
            }),
        };
        if admitted.is_err() && is_notice {
            self.forget(&conversation);
        }
        admitted.map(|admitted| TakenIn {
            admitted,
            is_busy: true,
        })
    }

    /// Whether the conversation has not been told for a while that it is full;
    /// from now on it has.
    fn begins(&self, conversation: &str) -> bool {
        let now = Instant::now();
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bursts.len() >= BURSTS_MAX && !bursts.contains_key(conversation) {
            bursts.clear();
        }
        let told = bursts.insert(conversation.to_owned(), now);
        match told {
            Some(then) if now.duration_since(then) < BURST => {
                bursts.insert(conversation.to_owned(), then);
                false
            }
            Some(_) | None => true,
        }
    }

    /// The notice could not be kept: the next message tries again.
    fn forget(&self, conversation: &str) {
        let mut bursts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bursts.remove(conversation);
    }
}

/// The end of a turn that marks its message. Where reactions are switched off the
/// message gets the notice in place of the mark.
pub(super) fn marked(
    turn: &Turn,
    message: &InboundMessage,
    reacts: bool,
    finished_ms: i64,
) -> TurnResult {
    let content = notice::content(Notice::Busy.text(Language::of_message(message)));
    let thread_id = message.thread_id.clone().filter(|id| !id.is_empty());
    let sending = if reacts {
        Sending::Mark {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            in_thread: thread_id.is_some(),
            emoji: MARK.to_owned(),
            instead: content.content,
        }
    } else {
        Sending::Reply {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            in_thread: thread_id.is_some(),
            thread_id,
            part: 0,
            asked_ms: turn.received_ms,
            msg_type: content.msg_type.to_owned(),
            content: content.content,
            fallback: None,
        }
    };
    TurnResult {
        outcome: Outcome::Refused,
        detail: Some("the conversation's backlog is full".into()),
        finished_ms,
        history: Vec::new(),
        outbox: vec![NewOutbox {
            uuid: derive_uuid(&turn.app, event_key(turn), 0),
            kind: sending.kind().to_owned(),
            body: sending.to_body(),
        }],
    }
}

/// Marks a message; `instead` is said where that can't be. A uuid that is `old` may
/// have been forgotten: then nothing is said that may have been said before.
pub(super) async fn mark(
    pipeline: &SharedPipeline,
    target: &ReplyTarget,
    emoji: &str,
    instead: &str,
    (uuid, is_old): (&str, bool),
) -> Result<String, ApiError> {
    let message_id = &target.message_id;
    let refusal = match pipeline.api.add_reaction(message_id, emoji).await {
        Ok(reaction) => return Ok(reaction),
        Err(error)
            if error.is_retryable() || error.outcome_is_unknown() || error.is_fatal_config() =>
        {
            return Err(error);
        }
        Err(refusal) => refusal,
    };
    if refusal.target_is_gone() {
        info!(message_id, "there is nothing to mark: {refusal}");
        return Ok(String::new());
    }
    // Whether the platform takes a second one is not documented.
    let there = outbox::own_reactions(pipeline, message_id, emoji).await?;
    if let Some(there) = there.into_iter().next() {
        return Ok(there);
    }
    if is_old {
        return Err(refusal);
    }
    warn!(
        message_id,
        "a message cannot be marked, it is answered: {refusal}"
    );
    outbox::reply(pipeline, target, ("text", instead), None, uuid).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::sleep;
    use xiaoo_store::{Claim, Fate, MemoryDisk, StoreOptions};

    use super::*;

    /// How long a disk that is slow holds a commit: two of them are too long.
    const HELD: Duration = Duration::from_millis(1_200);

    fn event(number: usize) -> NewEvent {
        NewEvent {
            app: "cli".into(),
            event_id: format!("event-{number}"),
            message_id: Some(format!("om_{number}")),
            received_ms: 0,
            work: Some(NewTurn {
                conversation: "feishu:oc".into(),
                kind: "message".into(),
                body: "{}".into(),
                urgent: false,
            }),
        }
    }

    fn options(queued_per_conversation_max: u64) -> StoreOptions {
        StoreOptions {
            queued_per_conversation_max,
            ..StoreOptions::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn both_tries_together_have_the_patience_of_one() {
        let disk = MemoryDisk::new();
        let (store, _guard) = Store::in_memory(&disk, &options(0));
        let bursts = Bursts::default();
        bursts.take_in(&store, event(0)).await.unwrap();
        let (held, again) = (AtomicBool::new(false), disk.clone());
        disk.set_fates(move |_| {
            if held.fetch_xor(true, Ordering::Relaxed) {
                return Fate::Synced;
            }
            let disk = again.clone();
            tokio::spawn(async move {
                sleep(HELD).await;
                disk.resume();
            });
            Fate::Held
        });
        let began = Instant::now();
        let refused = bursts.take_in(&store, event(1)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Deadline { .. }), "{refused}");
        assert_eq!(began.elapsed(), store.admit_deadline());
        assert!(began.elapsed() > HELD, "the second try was cut short");
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_flood_each_message_has_a_turn_or_is_refused() {
        let (store, _guard) = Store::in_memory(&MemoryDisk::new(), &options(2));
        let bursts = Bursts::default();
        let mut became = Vec::new();
        for number in 0..8 {
            let taken_in = bursts.take_in(&store, event(number)).await;
            became.push(taken_in.map(|taken_in| taken_in.is_busy).ok());
        }
        let (turn, busy, refused) = (Some(false), Some(true), None);
        let expected = [turn, turn, turn, busy, busy, busy, refused, refused];
        assert_eq!(became, expected);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            for turn in store.claim(9, Claim::Any).await.unwrap() {
                kinds.push(turn.kind.clone());
                let result = TurnResult {
                    outcome: Outcome::Silent,
                    detail: None,
                    finished_ms: 0,
                    history: Vec::new(),
                    outbox: Vec::new(),
                };
                store.finish(turn.key, result).await.unwrap();
            }
        }
        let expected = [
            "message",
            BUSY_TURN,
            "message",
            MARKED_TURN,
            "message",
            MARKED_TURN,
        ];
        assert_eq!(kinds, expected);
        // When it is over the next burst has a notice again.
        sleep(BURST).await;
        for number in 10..14 {
            bursts.take_in(&store, event(number)).await.unwrap();
        }
        let heads = store.claim(9, Claim::Any).await.unwrap();
        let kinds: Vec<_> = heads.iter().map(|turn| turn.kind.as_str()).collect();
        assert_eq!(kinds, ["message", BUSY_TURN]);
    }
}
