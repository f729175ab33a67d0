//! From an authenticated event to a durable one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use planted::Defect;
use proto_core::{Event, EventKind, InboundMessage};
use runtime_tokio::{InboundEvent, Ingress, Verdict};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use xiaoo_store::{Admission as Admitted, NewEvent, NewTurn, StoreError};

use super::command::ChatCommand;
use super::policy::{Decision, Known};
use super::{Counters, SharedPipeline, action, guests};
use crate::fail_point;
use crate::render::action::CardAction;

/// The type of the event that tells of a message.
const MESSAGE_EVENT: &str = "im.message.receive_v1";
/// The kind of turn that a message asks for.
pub const MESSAGE_TURN: &str = "message";

/// The kind of turn for a message that was read back after an outage.
pub const LATE_TURN: &str = "late_message";

/// The kind of turn that does what the bot itself is told.
pub const COMMAND_TURN: &str = "command";
/// What the lane of those is called: they don't wait for the turn that they may be about.
const COMMAND_LANE: &str = "#command";

/// The kind of turn that says that its sender may not talk to the bot.
pub const REFUSED_TURN: &str = "refused";
/// What the lane of those is called.
const REFUSED_LANE: &str = "#refused";
/// How long one such notice speaks for the messages after it.
const REFUSED_AGAIN: Duration = Duration::from_secs(3_600);

/// The kind of turn that only says that there is no room for the message.
pub const BUSY_TURN: &str = "busy";
/// What the lane of those is called: they don't wait behind the backlog that
/// they are about.
const BUSY_LANE: &str = "#busy";
/// How long one such notice speaks for the messages after it. Not until there
/// is room: in a flood that is with every answer, and again not with the next.
const BURST: Duration = Duration::from_secs(60);
/// Conversations whose bursts are remembered. One that is forgotten costs a
/// notice too many.
const BURSTS_MAX: usize = 1024;

/// Both transports' way into the pipeline.
pub struct Admission {
    pipeline: SharedPipeline,
    closed: AtomicBool,
    /// When each conversation with a full backlog was last told so.
    bursts: Mutex<HashMap<String, Instant>>,
}

impl Admission {
    /// Takes events for `pipeline`.
    #[must_use]
    pub fn new(pipeline: SharedPipeline) -> Arc<Self> {
        Arc::new(Self {
            pipeline,
            closed: AtomicBool::new(false),
            bursts: Mutex::default(),
        })
    }

    /// Refuses everything from now on, so that Feishu pushes it again to the
    /// next process.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Takes in an event that Feishu has given up pushing.
    pub async fn take_in_late(&self, payload: Bytes) -> Verdict {
        self.admit(payload, LATE_TURN).await
    }

    async fn admit(&self, payload: Bytes, turn_kind: &'static str) -> Verdict {
        let counters = &self.pipeline.counters;
        let event = match Event::parse(&payload) {
            Ok(event) => event,
            Err(error) => {
                // A redelivery could not be understood either.
                warn!(
                    bytes = payload.len(),
                    "an event was not understood: {error}"
                );
                Counters::count(&counters.not_understood);
                return Verdict::Accepted;
            }
        };
        if let EventKind::CardAction(_) = event.kind {
            let answer = match CardAction::of(&event) {
                Some(action) => action::take(&self.pipeline, &action).await,
                // An empty object leaves the card as it is.
                None => Bytes::from_static(b"{}"),
            };
            return Verdict::Answer(answer);
        }
        let bot_open_id = self.pipeline.identity.borrow().clone();
        let identity_known = bot_open_id.is_some();
        let identity = self.pipeline.settings.identity(bot_open_id.as_deref());
        let Some(message) = InboundMessage::from_event(&event, identity) else {
            if event.event_type.is_some_and(|kind| kind == MESSAGE_EVENT) {
                warn!(
                    bytes = payload.len(),
                    "an event was not understood: it tells of a message and holds none"
                );
                Counters::count(&counters.not_understood);
            } else {
                debug!("an event of a kind that asks for nothing");
                Counters::count(&counters.ignored);
            }
            return Verdict::Accepted;
        };
        let known = Known {
            identity: identity_known || planted::is(Defect::JudgedOnAGuess),
            paired: guests::is_paired(&self.pipeline, &message).await,
        };
        let place = match self.judge(&message, known, turn_kind).await {
            Ok(place) => place,
            Err(why) => {
                debug!(
                    message_id = message.message_id,
                    why, "a message is left alone"
                );
                Counters::count(&counters.ignored);
                return Verdict::Accepted;
            }
        };
        let is_bot = message.sender_is_bot;
        let chat_id = message.chat_id.clone();
        let ids = (message.event_id.clone(), message.message_id.clone());
        let event = self.new_event(message, place, payload);
        fail_point::pass("admit.before_commit");
        if planted::is(Defect::AckBeforeCommit) {
            let store = self.pipeline.store.clone();
            tokio::spawn(async move { store.admit(event).await });
            return Verdict::Accepted;
        }
        let admitted = self.take_in(event).await;
        fail_point::pass("admit.after_commit");
        if !is_bot && matches!(admitted, Ok(Admitted::New(_))) {
            guests::person_spoke(&self.pipeline, &chat_id).await;
        }
        self.verdict(admitted, &ids.0, &ids.1)
    }

    /// Where a message's turn belongs, or why there is none.
    async fn judge(
        &self,
        message: &InboundMessage,
        known: Known,
        turn_kind: &'static str,
    ) -> Result<Lane, &'static str> {
        let pipeline = &self.pipeline;
        match pipeline.settings.policy.decide(message, known) {
            Decision::Answer => {}
            Decision::Ignore(why) => {
                if pipeline
                    .settings
                    .policy
                    .lacks_only_a_mention(message, known)
                {
                    guests::brought(pipeline, message).await;
                }
                return Err(why);
            }
            Decision::Refuse(_) => {
                return if guests::is_refused_anew(pipeline, message, REFUSED_AGAIN).await {
                    Ok(Lane::beside(REFUSED_TURN, REFUSED_LANE))
                } else {
                    Err("the sender may not talk to the bot, and was told")
                };
            }
        }
        if message.sender_is_bot && !guests::bot_may_speak(pipeline, message).await {
            return Err("bots have talked among themselves for long enough");
        }
        // An order of long ago is about a world that is gone.
        if turn_kind == LATE_TURN {
            return Ok(Lane::own(turn_kind));
        }
        Ok(match ChatCommand::of(message) {
            Some(ChatCommand::Retry) | None => Lane::own(turn_kind),
            Some(_) => Lane::beside(COMMAND_TURN, COMMAND_LANE),
        })
    }

    /// Makes the event durable, as a turn or as one that there is no room for.
    async fn take_in(&self, event: NewEvent) -> Result<Admitted, StoreError> {
        let store = &self.pipeline.store;
        let Some(work) = event.work.clone() else {
            return store.admit(event).await;
        };
        match store.admit(event.clone()).await {
            Err(StoreError::ConversationFull { max }) => {
                let told = !self.begins_burst(&work.conversation);
                warn!(
                    event_id = event.event_id,
                    conversation = work.conversation,
                    told,
                    "a message is not worked on: {max} others wait in its conversation"
                );
                let notice = NewTurn {
                    conversation: format!("{}{BUSY_LANE}", work.conversation),
                    kind: BUSY_TURN.into(),
                    body: work.body,
                    urgent: true,
                };
                let busy = NewEvent {
                    work: (!told).then_some(notice),
                    ..event
                };
                let admitted = store.admit(busy).await;
                if admitted.is_ok() {
                    Counters::count(&self.pipeline.counters.busy);
                } else if !told {
                    self.forget_burst(&work.conversation);
                }
                admitted
            }
            other => other,
        }
    }

    /// Whether the conversation has not been told for a while that it is full;
    /// from now on it has.
    fn begins_burst(&self, conversation: &str) -> bool {
        let now = Instant::now();
        let mut bursts = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn forget_burst(&self, conversation: &str) {
        let mut bursts = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
        bursts.remove(conversation);
    }

    fn new_event(&self, message: InboundMessage, lane: Lane, payload: Bytes) -> NewEvent {
        let conversation = conversation(&self.pipeline.settings.instance, &message);
        // An event without an id of its own is known by its message.
        let event_id = if message.event_id.is_empty() {
            message.dedup_key
        } else {
            message.event_id
        };
        NewEvent {
            app: self.pipeline.settings.app_id.clone(),
            event_id,
            message_id: Some(message.message_id).filter(|id| !id.is_empty()),
            received_ms: self.pipeline.now_ms(),
            work: Some(NewTurn {
                conversation: format!("{conversation}{}", lane.beside),
                kind: lane.kind.into(),
                body: payload.into(),
                urgent: !lane.beside.is_empty(),
            }),
        }
    }

    fn verdict(
        &self,
        admitted: Result<Admitted, StoreError>,
        event_id: &str,
        message_id: &str,
    ) -> Verdict {
        let counters = &self.pipeline.counters;
        match admitted {
            Ok(Admitted::New(turn)) => {
                info!(event_id, message_id, %turn, "message accepted");
                Counters::count(&counters.admitted);
                Verdict::Accepted
            }
            // There was no room for it, and its conversation knows.
            Ok(Admitted::Recorded) => Verdict::Accepted,
            Ok(Admitted::Duplicate { .. }) => {
                info!(event_id, message_id, "a redelivered message was recognised");
                Counters::count(&counters.duplicates);
                Verdict::Accepted
            }
            Err(StoreError::TooLarge { what, size, max }) => {
                // It would be too large the next time as well.
                warn!(
                    event_id,
                    what, size, max, "a message is too large to keep and was dropped"
                );
                Counters::count(&counters.not_understood);
                Verdict::Accepted
            }
            Err(_) if planted::is(Defect::RefusalAccepted) => Verdict::Accepted,
            Err(error) => {
                warn!(
                    event_id,
                    "a message was refused, Feishu will push it again: {error}"
                );
                Counters::count(&counters.refused);
                Verdict::Refused
            }
        }
    }
}

/// Where a turn waits, and of which kind it is.
#[derive(Clone, Copy)]
struct Lane {
    kind: &'static str,
    /// Behind the conversation's name; those are not to wait for anybody.
    beside: &'static str,
}

impl Lane {
    /// Behind the other messages of its conversation.
    fn own(kind: &'static str) -> Self {
        Self { kind, beside: "" }
    }

    /// In a lane of its own, past the conversation's.
    fn beside(kind: &'static str, beside: &'static str) -> Self {
        Self { kind, beside }
    }
}

/// The conversation that a lane beside it belongs to.
#[must_use]
pub fn conversation_of(lane: &str) -> &str {
    lane.split_once('#')
        .map_or(lane, |(conversation, _)| conversation)
}

impl Ingress for Admission {
    async fn accept(&self, event: InboundEvent) -> Verdict {
        Counters::count(&self.pipeline.counters.events);
        if self.closed.load(Ordering::Acquire) {
            Counters::count(&self.pipeline.counters.refused);
            return Verdict::Refused;
        }
        self.admit(event.payload, MESSAGE_TURN).await
    }
}

/// The lane of a message: its chat, and its thread if it is in one.
#[must_use]
pub fn conversation(instance: &str, message: &InboundMessage) -> String {
    match message.thread_id.as_deref() {
        _ if planted::is(Defect::OneConversation) => instance.to_owned(),
        Some(thread) if !thread.is_empty() => {
            format!("{instance}:{}:{thread}", message.chat_id)
        }
        _ => format!("{instance}:{}", message.chat_id),
    }
}
