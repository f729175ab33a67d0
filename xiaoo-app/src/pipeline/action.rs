//! Somebody pressed a button on one of the bot's cards.
//!
//! Feishu waits 3 s for the answer, and shows it: a word, and the card anew. No call is made
//! here: the store decides, and whoever waits for the answer hears of it there.

use std::time::Duration;

use bytes::Bytes;
use tracing::{info, warn};
use xiaoo_store::TurnId;

use super::ask::{self, Ask, State, What};
use super::{Counters, SharedPipeline};
use crate::render::action::{CardAction, CardAnswer, Toast};
use crate::render::ask::{ALWAYS, Always, DENY, EVERYONE, ONCE};

/// In which time the store must have decided; the platform waits for 3 s.
const WITHIN: Duration = Duration::from_millis(2_000);
/// Longest answer in a person's own words.
const ANSWER_CHARS_MAX: usize = 4_000;

/// Takes a click, and gives what Feishu is answered.
pub async fn take(pipeline: &SharedPipeline, action: &CardAction) -> Bytes {
    Counters::count(&pipeline.counters.clicks);
    let answer = match tokio::time::timeout(WITHIN, decide(pipeline, action)).await {
        Ok(answer) => answer,
        Err(_) => {
            warn!("the store was too slow for a click");
            CardAnswer::toast(Toast::Later)
        }
    };
    answer.to_json()
}

async fn decide(pipeline: &SharedPipeline, action: &CardAction) -> CardAnswer {
    let Some((turn, call_id)) = action.ask_id.as_deref().and_then(parse_id) else {
        // A button of an old card, or of none of ours.
        return CardAnswer::none();
    };
    let scope = ask::scope(turn);
    let known = match pipeline.note::<Ask>(&scope, call_id).await {
        Ok(Some(known)) => known,
        Ok(None) => return CardAnswer::toast(Toast::Expired),
        Err(error) => {
            warn!("a click cannot be taken: {error}");
            return CardAnswer::toast(Toast::Later);
        }
    };
    let operator = action.operator_open_id.as_str();
    let may_answer = match known.what {
        What::Approval { .. } => {
            operator == known.who || pipeline.settings.policy.is_admin(operator)
        }
        // It is that person's answer that is wanted.
        What::Question { .. } => operator == known.who,
    };
    if !may_answer || operator.is_empty() {
        info!(operator, "a click of somebody who was not asked");
        return CardAnswer::toast(Toast::NotYours);
    }
    let id = ask::button_id(turn, call_id);
    if known.state != State::Open {
        return CardAnswer::with_card(too_late(&known.state), &known.card(&id));
    }
    if known.deadline_ms <= pipeline.now_ms() {
        // Silence was the answer, also where the one who waited has not come to say so.
        return match ask::end(pipeline, &scope, call_id, State::TimedOut).await {
            Ok(Some(ended)) => CardAnswer::with_card(Toast::Expired, &ended.card(&id)),
            Ok(None) | Err(_) => CardAnswer::toast(Toast::Expired),
        };
    }
    let Some(choice) = choice(&known.what, action) else {
        return CardAnswer::toast(Toast::Empty);
    };
    if choice == EVERYONE && !pipeline.settings.policy.is_admin(operator) {
        return CardAnswer::toast(Toast::AdminsOnly);
    }
    let state = State::Answered {
        by: operator.to_owned(),
        choice: choice.clone(),
        at_ms: pipeline.now_ms(),
    };
    let ended = match ask::end(pipeline, &scope, call_id, state.clone()).await {
        Ok(Some(ended)) => ended,
        Ok(None) => return CardAnswer::toast(Toast::Expired),
        Err(error) => {
            warn!("a click cannot be taken: {error}");
            return CardAnswer::toast(Toast::Later);
        }
    };
    if ended.state != state {
        return CardAnswer::with_card(too_late(&ended.state), &ended.card(&id));
    }
    info!(operator, %turn, "a question was answered");
    let toast = match (&ended.what, choice.as_str()) {
        (What::Approval { tool, .. }, ALWAYS) => {
            let to = Some(ended.who.as_str());
            pipeline
                .grant(&ended.conversation, tool, to, operator)
                .await;
            Toast::Allowed
        }
        (What::Approval { tool, .. }, EVERYONE) => {
            pipeline
                .grant(&ended.conversation, tool, None, operator)
                .await;
            Toast::Allowed
        }
        (What::Approval { .. }, DENY) => Toast::Denied,
        (What::Approval { .. }, _) => Toast::Allowed,
        (What::Question { .. }, _) => Toast::Thanks,
    };
    CardAnswer::with_card(toast, &ended.card(&id))
}

/// What is said to whoever presses when it is over.
fn too_late(state: &State) -> Toast {
    match state {
        State::Answered { .. } => Toast::DecidedAlready,
        State::Open | State::TimedOut | State::Withdrawn => Toast::Expired,
    }
}

/// What was chosen; `None` if it is nothing that could be.
fn choice(what: &What, action: &CardAction) -> Option<String> {
    match what {
        What::Approval { always, .. } => {
            let pressed = action.choice.as_deref()?;
            let is_offered = match pressed {
                ONCE | ALWAYS | DENY => true,
                EVERYONE => *always == Always::AskerOrEveryone,
                _ => false,
            };
            is_offered.then(|| pressed.to_owned())
        }
        What::Question { options, .. } if options.is_empty() => {
            let text = action.text.as_deref()?.trim();
            (!text.is_empty()).then(|| text.chars().take(ANSWER_CHARS_MAX).collect())
        }
        What::Question { options, .. } => {
            let at: usize = action.choice.as_deref()?.parse().ok()?;
            options.get(at).cloned()
        }
    }
}

fn parse_id(id: &str) -> Option<(TurnId, &str)> {
    let (turn, call_id) = id.split_once('/')?;
    Some((TurnId::from(turn.parse::<i64>().ok()?), call_id))
}
