//! Events on their way: pushed, missed, pushed again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::SimError;
use crate::clock::{ms, unix_ms};
use crate::config::bound;
use crate::events::{Event, is_callback};
use crate::faults::FaultKind;
use crate::link::{self, Pushed};
use crate::lock::lock;
use crate::shared::Shared;
use crate::view::{Ack, Delivery, DeliveryState, Transport};
use crate::webhook;

/// Waits before the second to fifth push; then the platform gives up.
const REDELIVERIES: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(5 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
];

/// What a callback's presser sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallbackResult {
    Answered(Option<Value>),
    Refused(i64),
    Timeout,
    NoConnection,
}

/// Sends an event on its way. Returns at once.
pub(crate) fn deliver(shared: &Arc<Shared>, event: Event) -> Result<(), SimError> {
    if shared.tasks.len() >= bound::DELIVERIES_MAX {
        return Err(SimError::Full {
            what: "events on their way",
            max: bound::DELIVERIES_MAX,
        });
    }
    lock(&shared.log).counts.events += 1;
    note(shared, &event, DeliveryState::Waiting, 0, None);
    let task = Arc::clone(shared);
    let cancel = shared.cancel.clone();
    shared.tasks.spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = run(&task, &event) => {}
        }
    });
    Ok(())
}

/// Pushes until it is acked, or no pushes are left.
async fn run(shared: &Shared, event: &Event) {
    let waits = REDELIVERIES.iter().map(Some).chain([None]);
    for (attempt, wait) in (1_u32..).zip(waits) {
        let (outcome, transport) = attempt_once(shared, event, attempt).await;
        match outcome {
            Outcome::Answered {
                code,
                answer,
                latency,
            } => {
                lock(&shared.log).counts.acked += u64::from(code == 200);
                record_ack(shared, event, attempt, transport, code, answer, latency);
                if code == 200 {
                    note(
                        shared,
                        event,
                        DeliveryState::Acked,
                        attempt,
                        Some(ms(latency)),
                    );
                    return repeat_if_asked(shared, event, attempt).await;
                }
            }
            Outcome::Missed | Outcome::NoConnection => lock(&shared.log).counts.missed += 1,
        }
        // A callback is answered now or never.
        let wait = wait.filter(|_| !is_callback(&event.event_type));
        let next = wait.map(|wait| shared.config.scaled(*wait));
        shared.changes.announce("ack_missed", || {
            json!({
                "event_id": event.event_id,
                "message_id": event.message_id,
                "attempt": attempt,
                "next_in_ms": next.map(ms),
            })
        });
        let Some(next) = next else {
            lock(&shared.log).counts.given_up += 1;
            note(shared, event, DeliveryState::GivenUp, attempt, None);
            return shared.changes.touch();
        };
        note(shared, event, DeliveryState::Failed, attempt, None);
        sleep(next).await;
    }
}

/// At-least-once, made visible: the same event again after its success.
async fn repeat_if_asked(shared: &Shared, event: &Event, attempt: u32) {
    let point = crate::faults::Point::AfterAck;
    let again = shared.strike(point, &event.event_type);
    if again.contains(&FaultKind::DuplicatePush) {
        let (outcome, transport) = attempt_once(shared, event, attempt + 1).await;
        if let Outcome::Answered {
            code,
            answer,
            latency,
        } = outcome
        {
            record_ack(shared, event, attempt + 1, transport, code, answer, latency);
        }
    }
}

/// Hands a callback over and waits for its answer.
pub(crate) async fn call_back(shared: &Shared, event: &Event) -> CallbackResult {
    lock(&shared.log).counts.events += 1;
    let (outcome, transport) = attempt_once(shared, event, 1).await;
    match outcome {
        Outcome::NoConnection => CallbackResult::NoConnection,
        Outcome::Missed => {
            lock(&shared.log).counts.missed += 1;
            shared.changes.touch();
            CallbackResult::Timeout
        }
        Outcome::Answered {
            code,
            answer,
            latency,
        } => {
            lock(&shared.log).counts.acked += u64::from(code == 200);
            record_ack(shared, event, 1, transport, code, answer.clone(), latency);
            if code == 200 {
                CallbackResult::Answered(answer)
            } else {
                CallbackResult::Refused(code)
            }
        }
    }
}

enum Outcome {
    Answered {
        code: i64,
        answer: Option<Value>,
        latency: Duration,
    },
    Missed,
    NoConnection,
}

/// One push over the way that is set up now.
async fn attempt_once(shared: &Shared, event: &Event, attempt: u32) -> (Outcome, Transport) {
    let url = lock(&shared.webhook_url).clone();
    let transport = match url {
        Some(_) => Transport::Webhook,
        None => Transport::Websocket,
    };
    {
        let mut log = lock(&shared.log);
        log.counts.pushes += 1;
        log.counts.redeliveries += u64::from(attempt > 1);
    }
    shared.changes.announce("push", || {
        json!({
            "event_id": event.event_id,
            "event_type": event.event_type,
            "message_id": event.message_id,
            "attempt": attempt,
            "transport": transport,
        })
    });
    let outcome = match url {
        Some(url) => over_http(shared, &url, event).await,
        None => over_link(shared, event).await,
    };
    (outcome, transport)
}

async fn over_link(shared: &Shared, event: &Event) -> Outcome {
    match link::push(shared, &event.event_type, &event.body).await {
        Pushed::Answered(answer, latency) => Outcome::Answered {
            code: answer.code,
            answer: answer.data,
            latency,
        },
        Pushed::Missed => Outcome::Missed,
        Pushed::NoConnection => Outcome::NoConnection,
    }
}

async fn over_http(shared: &Shared, url: &str, event: &Event) -> Outcome {
    match webhook::send(shared, url, &event.event_type, &event.body).await {
        Some(reply) => Outcome::Answered {
            code: i64::from(reply.status),
            answer: serde_json::from_slice(&reply.body).ok(),
            latency: reply.latency,
        },
        None => Outcome::Missed,
    }
}

fn note(
    shared: &Shared,
    event: &Event,
    state: DeliveryState,
    attempts: u32,
    latency_ms: Option<u64>,
) {
    if let Some(message_id) = &event.message_id {
        let delivery = Delivery {
            state,
            attempts,
            latency_ms,
        };
        lock(&shared.world).note_delivery(message_id, delivery);
    }
}

fn record_ack(
    shared: &Shared,
    event: &Event,
    attempt: u32,
    transport: Transport,
    code: i64,
    answer: Option<Value>,
    latency: Duration,
) {
    let ack = Ack {
        at: unix_ms(),
        event_id: event.event_id.clone(),
        event_type: event.event_type.clone(),
        message_id: event.message_id.clone(),
        code,
        latency_ms: ms(latency),
        attempt,
        transport,
        answer,
    };
    lock(&shared.log).ack(ack.clone());
    shared.changes.announce("ack", || {
        json!({
            "event_id": ack.event_id,
            "message_id": ack.message_id,
            "code": ack.code,
            "latency_ms": ack.latency_ms,
            "attempt": ack.attempt,
        })
    });
}
