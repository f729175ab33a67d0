//! Messages that are not answered, although somebody was meant to hear something: too many, too
//! late, not allowed, used up, stopped before they began.

use std::time::Duration;

use proto_core::InboundMessage;
use tracing::{info, warn};
use xiaoo_store::Turn;

use super::super::admission::REFUSED_TURN;
use super::super::busy::BUSY_TURN;
use super::super::policy::{Decision, Known, Refusal};
use super::super::{Counters, SharedPipeline, guests};
use crate::render::language::Language;
use crate::render::notice::Notice;

/// Times below are not Unix milliseconds: as such they would be of 2001.
const MILLISECONDS_SINCE: i64 = 1_000_000_000_000;

/// The age after which the bot no longer does what it was told. The platform pushes again what it
/// could not deliver, 6 h later still: a stop of then would end what was asked since.
const ORDER_AGE_MAX: Duration = Duration::from_secs(600);

/// Why there is no answer.
pub(super) struct Unanswered {
    /// What the sender is told, if anything.
    pub(super) said: Option<String>,
    /// The same for the operator.
    pub(super) reason: String,
    /// Whether somebody stopped it: what was said can then be said again by `/retry`.
    pub(super) is_stopped: bool,
}

impl Unanswered {
    fn told(notice: Notice, language: Language, reason: impl Into<String>) -> Self {
        Self {
            said: Some(notice.text(language).to_owned()),
            reason: reason.into(),
            is_stopped: false,
        }
    }
}

/// Why a message is not to be answered, if so, and what its sender is told.
pub(super) async fn reason(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    language: Language,
) -> Option<Unanswered> {
    match turn.kind.as_str() {
        BUSY_TURN => {
            let reason = "the conversation's backlog is full";
            return Some(Unanswered::told(Notice::Busy, language, reason));
        }
        REFUSED_TURN => return Some(refused(pipeline, message, language).await),
        _ => {}
    }
    if is_stopped(pipeline, turn).await {
        info!("the turn was stopped before it began");
        Counters::count(&pipeline.counters.stopped);
        return Some(Unanswered {
            said: None,
            reason: "stopped before it began".into(),
            is_stopped: true,
        });
    }
    if let Some(late) = late(pipeline, turn, message, language) {
        return Some(late);
    }
    used_up(pipeline, turn, message, language).await
}

/// Whether somebody has stopped all turns up to this one. A store that does not say stops nobody.
async fn is_stopped(pipeline: &SharedPipeline, turn: &Turn) -> bool {
    match pipeline.setting(&turn.conversation).await {
        Ok(setting) => setting.has_stopped(turn.key.id),
        Err(error) => {
            warn!("whether the turn was stopped cannot be read: {error}");
            false
        }
    }
}

/// Why the bot does not do what it was told long ago, if so: it was about a world that is gone.
pub(super) fn late_order(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    language: Language,
) -> Option<Unanswered> {
    let configured = pipeline.settings.message_age_max;
    let age_max = configured.map_or(ORDER_AGE_MAX, |age| age.min(ORDER_AGE_MAX));
    late_by(pipeline, turn, message, language, age_max)
}

fn late(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    language: Language,
) -> Option<Unanswered> {
    let age_max = pipeline.settings.message_age_max?;
    late_by(pipeline, turn, message, language, age_max)
}

fn late_by(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    language: Language,
    age_max: Duration,
) -> Option<Unanswered> {
    let settings = &pipeline.settings;
    // A time that is none, or in seconds, is the platform's slip.
    let said_ms = if message.create_time_ms >= MILLISECONDS_SINCE {
        message.create_time_ms
    } else {
        turn.received_ms
    };
    if !pipeline.is_older(said_ms, age_max) {
        return None;
    }
    warn!(
        message_id = message.message_id,
        told = settings.late_notice,
        "a message is older than {age_max:?} and is not answered"
    );
    Counters::count(&pipeline.counters.late);
    let said = settings
        .late_notice
        .then(|| Notice::Late.text(language).to_owned());
    Some(Unanswered {
        said,
        reason: format!("the message is older than {age_max:?}"),
        is_stopped: false,
    })
}

/// Counts the turn in, unless what may be used is used up.
async fn used_up(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    language: Language,
) -> Option<Unanswered> {
    let begun = pipeline
        .begin_spending(turn.key.id, &message.sender_open_id, &message.chat_id)
        .await;
    match begun {
        Ok(None) => None,
        Ok(Some(whose)) => {
            Counters::count(&pipeline.counters.turned_away);
            let reason = format!("the budget of the day is used up: {whose:?}");
            Some(Unanswered::told(Notice::UsedUp(whose), language, reason))
        }
        Err(error) => {
            warn!("what was used today cannot be read: {error}");
            None
        }
    }
}

async fn refused(
    pipeline: &SharedPipeline,
    message: &InboundMessage,
    language: Language,
) -> Unanswered {
    Counters::count(&pipeline.counters.turned_away);
    let known = Known {
        identity: true,
        paired: false,
    };
    let why = match pipeline.settings.policy.decide(message, known) {
        Decision::Refuse(why) => why,
        // The rules have changed since.
        Decision::Answer | Decision::Ignore(_) => Refusal::NotAllowed,
    };
    let mut unanswered = Unanswered::told(
        Notice::Refused(why),
        language,
        "the sender may not talk to the bot",
    );
    if why == Refusal::NotPaired {
        match guests::pairing_code(pipeline, &message.sender_open_id).await {
            Ok(Some(code)) => {
                let said = unanswered.said.as_mut();
                if let Some(said) = said {
                    said.push_str(&format!("\n/pair {code}"));
                }
            }
            Ok(None) => warn!("no code is free for a stranger"),
            Err(error) => warn!("no code could be made for a stranger: {error}"),
        }
    }
    unanswered
}
