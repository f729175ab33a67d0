//! Which refusals end everything, and which intervals are believed.

use core::time::Duration;

use proto_core::{ClientConfig, HandshakeRefusal, Refusal};

use crate::operation::{Answer, Intervals};

/// What a refusal means for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Retry,
    /// One of a few until the credentials count as bad.
    Suspicious,
    /// The app has too many connections.
    Slow,
    Fatal,
}

pub(super) fn answer(answer: &Answer) -> Result<(i32, &Intervals), (Refusal, Verdict)> {
    Err(match answer {
        Answer::Grant(service, intervals) => return Ok((*service, intervals)),
        Answer::Code(code) => {
            let verdict = match code {
                1 | 1_000_040_343 => Verdict::Retry,
                1_000_040_350 => Verdict::Slow,
                _ => Verdict::Fatal,
            };
            (Refusal::Code(*code), verdict)
        }
        Answer::Status(status) => {
            let verdict = match status {
                401 | 403 => Verdict::Suspicious,
                _ => Verdict::Retry,
            };
            (Refusal::HttpStatus(*status), verdict)
        }
        Answer::Body(_) => (Refusal::NoUrl, Verdict::Retry),
        Answer::Foreign(_) => (Refusal::ForeignUrl, Verdict::Retry),
        Answer::Failed => (Refusal::Unreachable, Verdict::Retry),
    })
}

pub(super) fn handshake(refusal: HandshakeRefusal) -> (Refusal, Verdict) {
    let verdict = match (refusal.status, refusal.auth_error) {
        (Some(403), _) => Verdict::Fatal,
        (_, Some(1_000_040_350)) => Verdict::Slow,
        (Some(514), _) => Verdict::Suspicious,
        _ => Verdict::Retry,
    };
    let refusal = Refusal::Handshake {
        status: refusal.status.unwrap_or_else(|| refusal.http_status.into()),
        auth_error: refusal.auth_error.unwrap_or(0),
        stated: refusal.status.is_some(),
    };
    (refusal, verdict)
}

/// An absent key keeps the old value, and so does one that makes no sense.
pub(super) fn intervals(old: ClientConfig, new: &Intervals) -> ClientConfig {
    let within = |stated: Option<i64>, min: i64, max: i64, old: Duration| match stated {
        Some(seconds) if seconds >= min => Duration::from_secs(seconds.min(max) as u64),
        _ => old,
    };
    ClientConfig {
        reconnect_count: new.count.or(old.reconnect_count),
        reconnect_interval: within(new.interval, 1, 600, old.reconnect_interval),
        reconnect_nonce: within(new.nonce, 0, 300, old.reconnect_nonce),
        ping_interval: within(new.ping, 1, 600, old.ping_interval),
    }
}

/// What a pong states; nothing if it isn't a JSON object.
pub(super) fn stated(payload: &[u8]) -> Intervals {
    let keys = serde_json::from_slice::<serde_json::Map<_, _>>(payload).unwrap_or_default();
    let key = |name: &str| keys.get(name).and_then(serde_json::Value::as_i64);
    Intervals {
        count: key("ReconnectCount"),
        interval: key("ReconnectInterval"),
        nonce: key("ReconnectNonce"),
        ping: key("PingInterval"),
    }
}
