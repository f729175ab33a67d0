//! One push of one event over one connection, with the faults that strike it.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::frames::{self, SentFrame};
use super::{Answer, Links, Outgoing, Pending, uuid};
use crate::clock::unix_ms;
use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::shared::Shared;

/// What became of a push.
#[derive(Debug)]
pub(crate) enum Pushed {
    /// A valid ack came in time, whatever its code.
    Answered(Answer, Duration),
    /// None came.
    Missed,
    /// There was no connection.
    NoConnection,
}

/// The faults of one push, added up.
#[derive(Default)]
struct Plan {
    delay: Option<Duration>,
    before: Vec<Outgoing>,
    part_bytes: Option<usize>,
    loses_part: bool,
    repeats_part: bool,
    instead: Option<Outgoing>,
    after: Option<Outgoing>,
    is_silenced: bool,
}

/// Pushes and waits for the ack.
pub(crate) async fn push(shared: &Shared, event_type: &str, payload: &Bytes) -> Pushed {
    let plan = plan(shared.strike(Point::Push, event_type));
    if let Some(delay) = plan.delay {
        sleep(delay).await;
    }
    let (done, answered) = oneshot::channel();
    let pushed = Instant::now();
    let message_id = {
        let mut links = lock(&shared.links);
        match send(
            &mut links,
            shared.config.part_bytes_max,
            payload,
            plan,
            done,
        ) {
            Some(message_id) => message_id,
            None => return Pushed::NoConnection,
        }
    };
    let answer = timeout(shared.config.ack_within, answered).await;
    if let Ok(Ok(answer)) = answer {
        let latency = answer.at.saturating_duration_since(pushed);
        return Pushed::Answered(answer, latency);
    }
    lock(&shared.links).pending.remove(&message_id);
    Pushed::Missed
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a point is struck by its own faults only"
)]
fn plan(faults: Vec<FaultKind>) -> Plan {
    let mut plan = Plan::default();
    for fault in faults {
        match fault {
            FaultKind::DelayPush { ms } => plan.delay = Some(Duration::from_millis(ms)),
            FaultKind::GarbageFrame => plan.before.push(Outgoing::Binary(frames::GARBAGE.to_vec())),
            FaultKind::BrokenFrame => plan.before.push(Outgoing::Binary(frames::broken())),
            FaultKind::TextFrame => plan.before.push(Outgoing::Text("not a frame".to_owned())),
            FaultKind::HugeFrame { bytes } => {
                let size = bytes.min(HUGE_BYTES_MAX);
                plan.before.push(Outgoing::Binary(vec![0x2a; size]));
            }
            FaultKind::WsPing => plan.before.push(Outgoing::Ping),
            FaultKind::Split { bytes } => plan.part_bytes = Some(bytes.max(1)),
            FaultKind::LosePart => plan.loses_part = true,
            FaultKind::RepeatPart => plan.repeats_part = true,
            FaultKind::DropBeforePush => plan.instead = Some(Outgoing::Cut),
            FaultKind::Close { code } => plan.instead = Some(Outgoing::Close(code)),
            FaultKind::Silence => {
                plan.instead = Some(Outgoing::Silence);
                plan.is_silenced = true;
            }
            FaultKind::DropAfterPush => plan.after = Some(Outgoing::Cut),
            other => tracing::debug!(?other, "fault has no meaning here"),
        }
    }
    plan
}

/// Queues the frames on a random connection; gives the push's id.
fn send(
    links: &mut Links,
    part_bytes_max: usize,
    payload: &Bytes,
    plan: Plan,
    done: oneshot::Sender<Answer>,
) -> Option<String> {
    let mut rng = links.rng.fork();
    let link = links.pick()?;
    let message_id = uuid(&mut rng);
    let part_bytes = plan.part_bytes.unwrap_or(part_bytes_max).max(1);
    let smallest = payload.len().div_ceil(PARTS_MAX).max(1);
    let chunks: Vec<&[u8]> = payload.chunks(part_bytes.max(smallest)).collect();
    let service = link.info.service_id;
    let parts = describe(&mut rng, service, &message_id, chunks.len());

    let mut order: Vec<(&SentFrame, &[u8])> = parts.iter().zip(chunks).collect();
    rng.shuffle(&mut order);
    let mut is_whole = true;
    if plan.loses_part && order.len() > 1 {
        order.pop();
        is_whole = false;
    }
    if plan.repeats_part
        && order.len() > 1
        && let Some(first) = order.first().copied()
    {
        order.push(first);
    }
    for extra in plan.before {
        link.order(extra);
    }
    link.info.pushes += 1;
    link.is_silent |= plan.is_silenced;
    match plan.instead {
        Some(instead) => link.order(instead),
        None => {
            for (part, chunk) in order {
                link.order(Outgoing::Binary(part.encode(chunk)));
            }
        }
    }
    if let Some(after) = plan.after {
        link.order(after);
    }
    let pending = Pending {
        parts,
        is_whole,
        done,
    };
    links.pending.insert(message_id.clone(), pending);
    Some(message_id)
}

/// One frame's worth of fields for each part.
fn describe(rng: &mut fastrand::Rng, service: i32, message_id: &str, sum: usize) -> Vec<SentFrame> {
    let timestamp = unix_ms().to_string();
    let trace_id = format!("{:032x}", rng.u128(..));
    let instance_id = format!("gateway-{}", rng.u32(..16));
    (0..sum)
        .map(|seq| SentFrame {
            seq_id: frame_id(rng),
            log_id: frame_id(rng),
            service,
            log_id_new: format!("{:024X}", rng.u128(..) >> 32),
            headers: [
                ("timestamp", timestamp.clone()),
                ("type", "event".to_owned()),
                ("message_id", message_id.to_owned()),
                ("sum", sum.to_string()),
                ("seq", seq.to_string()),
                ("trace_id", trace_id.clone()),
                ("instance_id", instance_id.clone()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .to_vec(),
        })
        .collect()
}

/// Sometimes zero (an encoder that drops it is found out), sometimes above
/// 2^53 (one that goes through a double is), mostly neither.
fn frame_id(rng: &mut fastrand::Rng) -> u64 {
    match rng.u8(..8) {
        0 => 0,
        1 => rng.u64((1 << 53) + 1..),
        _ => rng.u64(1..1 << 53),
    }
}

/// Parts of one event at most, however small they were asked for.
const PARTS_MAX: usize = 512;
/// The largest "huge" message.
const HUGE_BYTES_MAX: usize = 64 * 1024 * 1024;
