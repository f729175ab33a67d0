//! From an authenticated event to a durable one.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use planted::Defect;
use proto_core::{Event, EventError, EventKind, InboundMessage, JsonStr};
use runtime_tokio::{InboundEvent, Ingress, Verdict};
use tracing::{debug, info, trace, warn};
use xiaoo_store::{Admission as Admitted, NewEvent, NewTurn, StoreError};

use super::busy::{Bursts, TakenIn};
use super::command::ChatCommand;
use super::diary::Fate;
use super::policy::{Decision, Known};
use super::{Counters, SharedPipeline, action, guests};
use crate::fail_point::{self, FailPoint};
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

/// In which time what the judgement has to know must be read. With the commit behind it that is
/// still within the 3 s that Feishu waits.
const JUDGED_WITHIN: Duration = Duration::from_secs(1);

/// Both transports' way into the pipeline.
pub struct Admission {
    pipeline: SharedPipeline,
    closed: AtomicBool,
    bursts: Bursts,
}

impl Admission {
    /// Takes events for `pipeline`.
    #[must_use]
    pub fn new(pipeline: SharedPipeline) -> Arc<Self> {
        Arc::new(Self {
            pipeline,
            closed: AtomicBool::new(false),
            bursts: Bursts::default(),
        })
    }

    /// Refuses everything from now on, so that Feishu pushes it again to the
    /// next process.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Takes in an event that Feishu has given up pushing.
    pub async fn take_in_late(&self, payload: &[u8]) -> Verdict {
        let event = Event::parse(payload);
        let event = event.as_ref().map_err(|error| *error);
        self.admit(event, payload, LATE_TURN).await
    }

    async fn admit(
        &self,
        event: Result<&Event<'_>, EventError>,
        payload: &[u8],
        turn_kind: &'static str,
    ) -> Verdict {
        let counters = &self.pipeline.counters;
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // A redelivery could not be understood either.
                warn!(
                    bytes = payload.len(),
                    "an event was not understood: {error}"
                );
                Counters::count(&counters.not_understood);
                self.note(Fate::NotUnderstood, "", Some(&error.to_string()));
                return Verdict::Accepted;
            }
        };
        if let EventKind::CardAction(_) = event.kind {
            self.note(Fate::Click, &text(event.event_id), None);
            let answer = match CardAction::of(event) {
                Some(action) => action::take(&self.pipeline, &action).await,
                // An empty object leaves the card as it is.
                None => Bytes::from_static(b"{}"),
            };
            return Verdict::Answer(answer);
        }
        let bot_open_id = self.pipeline.identity.borrow().clone();
        let identity_known = bot_open_id.is_some();
        let identity = self.pipeline.settings.identity(bot_open_id.as_deref());
        let Some(message) = InboundMessage::from_event(event, identity) else {
            if event.event_type.is_some_and(|kind| kind == MESSAGE_EVENT) {
                warn!(
                    bytes = payload.len(),
                    "an event was not understood: it tells of a message and holds none"
                );
                Counters::count(&counters.not_understood);
                let why = "it tells of a message and holds none";
                self.note(Fate::NotUnderstood, &text(event.event_id), Some(why));
            } else {
                debug!("an event of a kind that asks for nothing");
                Counters::count(&counters.ignored);
                let kind = text(event.event_type);
                self.note(Fate::Ignored, &text(event.event_id), Some(&kind));
            }
            return Verdict::Accepted;
        };
        let identity_known = identity_known || planted::is(Defect::JudgedOnAGuess);
        let judging = self.judge(&message, identity_known, turn_kind);
        let judged = match tokio::time::timeout(JUDGED_WITHIN, judging).await {
            Ok(judged) => judged,
            Err(_) => Err(Left::Unjudged(StoreError::Deadline {
                after: JUDGED_WITHIN,
            })),
        };
        let place = match judged {
            Ok(place) => place,
            // It may be somebody's who is to be answered.
            Err(Left::Unjudged(error)) => {
                return self.verdict(Err(error), &message.event_id, &message.message_id);
            }
            Err(Left::Alone(why)) => {
                debug!(
                    message_id = message.message_id,
                    why, "a message is left alone"
                );
                Counters::count(&counters.ignored);
                self.note(Fate::Ignored, &message.message_id, Some(why));
                return Verdict::Accepted;
            }
        };
        trace!(
            message_id = message.message_id,
            text = message.text,
            "what a message says"
        );
        let ids = (message.event_id.clone(), message.message_id.clone());
        let event = self.new_event(message, place, payload);
        fail_point::pass(FailPoint::AdmitBeforeCommit);
        if planted::is(Defect::AckBeforeCommit) {
            let store = self.pipeline.store.clone();
            tokio::spawn(async move { store.admit(event).await });
            return Verdict::Accepted;
        }
        let taken_in = self.bursts.take_in(&self.pipeline.store, event).await;
        fail_point::pass(FailPoint::AdmitAfterCommit);
        self.verdict(taken_in, &ids.0, &ids.1)
    }

    /// Where a message's turn belongs, or why there is none.
    async fn judge(
        &self,
        message: &InboundMessage,
        identity_known: bool,
        turn_kind: &'static str,
    ) -> Result<Lane, Left> {
        let pipeline = &self.pipeline;
        let known = Known {
            identity: identity_known,
            paired: guests::is_paired(pipeline, message).await?,
        };
        let policy = &pipeline.settings.policy;
        match policy.decide(message, known) {
            Decision::Answer => {}
            Decision::Ignore(why) => {
                if policy.lacks_only_a_mention(message, known) {
                    guests::brought(pipeline, message).await;
                }
                return Err(Left::Alone(why));
            }
            Decision::Refuse(_) => {
                return if guests::is_refused_anew(pipeline, message, REFUSED_AGAIN).await? {
                    Ok(Lane::beside(REFUSED_TURN, REFUSED_LANE))
                } else {
                    let why = "the sender may not talk to the bot, and was told";
                    Err(Left::Alone(why))
                };
            }
        }
        if !guests::is_within_bots_run(pipeline, message).await? {
            let why = "bots have talked among themselves for long enough";
            return Err(Left::Alone(why));
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

    fn new_event(&self, message: InboundMessage, lane: Lane, payload: &[u8]) -> NewEvent {
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
                body: Bytes::copy_from_slice(payload).into(),
                urgent: !lane.beside.is_empty(),
            }),
        }
    }

    fn verdict(
        &self,
        taken_in: Result<TakenIn, StoreError>,
        event_id: &str,
        message_id: &str,
    ) -> Verdict {
        let counters = &self.pipeline.counters;
        if taken_in.as_ref().is_ok_and(|taken_in| taken_in.is_busy) {
            Counters::count(&counters.busy);
        }
        match taken_in.map(|taken_in| taken_in.admitted) {
            Ok(Admitted::New(turn)) => {
                info!(event_id, message_id, %turn, "message accepted");
                Counters::count(&counters.admitted);
                self.note(Fate::Admitted, message_id, None);
                Verdict::Accepted
            }
            // It asks for nothing.
            Ok(Admitted::Recorded) => Verdict::Accepted,
            Ok(Admitted::Duplicate { .. }) => {
                info!(event_id, message_id, "a redelivered message was recognised");
                Counters::count(&counters.duplicates);
                self.note(Fate::Duplicate, message_id, None);
                Verdict::Accepted
            }
            Err(StoreError::TooLarge { what, size, max }) => {
                // It would be too large the next time as well.
                warn!(
                    event_id,
                    what, size, max, "a message is too large to keep and was dropped"
                );
                Counters::count(&counters.not_understood);
                let why = format!("{what} has {size} bytes of at most {max}");
                self.note(Fate::NotUnderstood, message_id, Some(&why));
                Verdict::Accepted
            }
            Err(_) if planted::is(Defect::RefusalAccepted) => Verdict::Accepted,
            Err(error) => {
                warn!(
                    event_id,
                    "a message was refused, Feishu will push it again: {error}"
                );
                Counters::count(&counters.refused);
                self.note(Fate::Refused, message_id, Some(&error.to_string()));
                Verdict::Refused
            }
        }
    }

    fn note(&self, fate: Fate, id: &str, why: Option<&str>) {
        let now_ms = self.pipeline.now_ms();
        self.pipeline.diary.came(now_ms, fate, id, why);
    }
}

/// Its text, or none.
fn text(field: Option<JsonStr<'_>>) -> Cow<'_, str> {
    field.map(JsonStr::to_text).unwrap_or_default()
}

/// Why a message has no turn.
enum Left {
    /// Nobody is to be answered, for this reason.
    Alone(&'static str),
    /// The store does not say what has to be known. The platform shall ask again.
    Unjudged(StoreError),
}

impl From<StoreError> for Left {
    fn from(error: StoreError) -> Self {
        Self::Unjudged(error)
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
    async fn accept(&self, event: InboundEvent<'_>) -> Verdict {
        Counters::count(&self.pipeline.counters.events);
        if self.closed.load(Ordering::Acquire) {
            Counters::count(&self.pipeline.counters.refused);
            return Verdict::Refused;
        }
        self.admit(event.event, event.payload, MESSAGE_TURN).await
    }

    fn acknowledged(&self, after: Duration) {
        self.pipeline.counters.ack_time.observe(after);
        fail_point::pass(FailPoint::AdmitAcknowledged);
    }
}

/// The chat that a conversation is in, as the conversations of its threads begin, too.
#[must_use]
pub fn chat_of<'a>(instance: &str, conversation: &'a str) -> &'a str {
    let behind = conversation.strip_prefix(instance).unwrap_or_default();
    let chat = behind.strip_prefix(':').unwrap_or_default();
    let thread = chat.split_once(':').map_or("", |(_, thread)| thread);
    let end = match thread {
        "" => conversation.len(),
        thread => conversation.len() - thread.len() - 1,
    };
    conversation.get(..end).unwrap_or(conversation)
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
