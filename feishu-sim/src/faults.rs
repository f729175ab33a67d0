//! Faults: what goes wrong on demand, where, how often and how likely.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::config::bound;
use crate::lock::lock;

/// One thing that goes wrong. In JSON the members of `what` stand beside the
/// others: `{"kind":"api_status","status":500,"target":"POST /open-apis/im","count":2}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub what: FaultKind,
    /// For `api_*` faults: only calls whose `METHOD path` starts with this
    /// (documented path, such as `PATCH /open-apis/im/v1/messages/:message_id`);
    /// without a method, any. For push faults: only this event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How often; absent: until removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How likely at each opportunity, 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
}

const fn certain() -> f64 {
    1.0
}

impl From<FaultKind> for Fault {
    fn from(what: FaultKind) -> Self {
        Self {
            what,
            target: None,
            count: None,
            probability: certain(),
        }
    }
}

impl FaultKind {
    /// This fault, so many times.
    #[must_use]
    pub fn times(self, count: u32) -> Fault {
        Fault {
            count: Some(count),
            ..Fault::from(self)
        }
    }

    /// This fault, always, on one target.
    #[must_use]
    pub fn on(self, target: impl Into<String>) -> Fault {
        Fault {
            target: Some(target.into()),
            ..Fault::from(self)
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The endpoint answers this `code`: 1, 403, 514, 1000040343, 1000040350, ….
    EndpointCode {
        /// Business code.
        code: i64,
    },
    /// The endpoint answers this HTTP status with a text body.
    EndpointStatus {
        /// HTTP status.
        status: u16,
    },
    /// The endpoint never answers.
    EndpointHang,
    /// The endpoint closes the TCP connection without an answer.
    EndpointCut,
    /// The endpoint answers 200 with a body that is not JSON.
    EndpointGarbage,
    /// The endpoint answers code 0 without `ClientConfig`.
    EndpointNoConfig,
    /// The upgrade is refused.
    Handshake {
        /// HTTP status.
        #[serde(default = "forbidden")]
        http_status: u16,
        /// `Handshake-Status`; absent: no such headers at all.
        #[serde(default)]
        status: Option<i64>,
        /// `Handshake-Autherrcode`.
        #[serde(default)]
        auth_code: Option<i64>,
    },
    /// The upgrade is never answered.
    HandshakeHang,
    /// Pings are not answered.
    NoPong,
    /// Pongs have no payload.
    EmptyPong,
    /// Pongs carry this as their configuration: partial, zero, nonsense.
    PongPayload {
        /// Payload as it stands.
        payload: String,
    },
    /// At the next ping or push the connection goes half-open: TCP stays, but
    /// nothing is read or written any more.
    Silence,
    /// The connection is cut (no close frame) instead of a push.
    DropBeforePush,
    /// The connection is cut right after a push.
    DropAfterPush,
    /// A close frame with this code goes out instead of a push.
    Close {
        /// 1000, 1001, 1002, 1011, ….
        code: u16,
    },
    /// The push waits.
    DelayPush {
        /// Milliseconds.
        ms: u64,
    },
    /// The event is pushed once more after its success.
    DuplicatePush,
    /// Split into parts of this size, however small the event.
    Split {
        /// Bytes per part.
        bytes: usize,
    },
    /// One part of a split event is not sent.
    LosePart,
    /// One part of a split event is sent twice.
    RepeatPart,
    /// Bytes that are no frame go before the push.
    GarbageFrame,
    /// A frame without its required fields goes before the push.
    BrokenFrame,
    /// A text message goes before the push.
    TextFrame,
    /// A binary message of this size goes before the push.
    HugeFrame {
        /// Size.
        bytes: usize,
    },
    /// A websocket ping goes before the push.
    WsPing,
    /// The webhook body is signed wrong (with an Encrypt Key).
    BadSignature,
    /// The webhook body carries a foreign verification token.
    BadToken,
    /// The call is refused with 429, code 99991400 and the rate-limit headers.
    ApiRateLimited {
        /// `x-ogw-ratelimit-reset`, seconds.
        #[serde(default = "one_second")]
        reset: u64,
    },
    /// The call is refused with this HTTP status and a text body.
    ApiStatus {
        /// HTTP status.
        status: u16,
    },
    /// The call is refused with this business code.
    ApiCode {
        /// Business code.
        code: i64,
        /// HTTP status.
        #[serde(default = "bad_request")]
        status: u16,
    },
    /// The token is declared expired: 99991663, and it stays so.
    ApiExpiredToken,
    /// The TCP connection is cut before the call takes effect.
    ApiCut,
    /// The call takes effect, but the TCP connection is cut without an answer.
    ApiLostAnswer,
    /// The call takes effect, but is answered with this HTTP status.
    ApiLateStatus {
        /// HTTP status.
        status: u16,
    },
    /// The call is never answered and takes no effect.
    ApiHang,
    /// The answer's `Date` is that many seconds from now: what a client with a wrong
    /// clock sees.
    ApiDate {
        /// Seconds; negative is the past.
        skew: i64,
    },
    /// The answer comes late.
    ApiLatency {
        /// Milliseconds.
        ms: u64,
    },
}

const fn forbidden() -> u16 {
    403
}

const fn bad_request() -> u16 {
    400
}

const fn one_second() -> u64 {
    1
}

/// Where a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Endpoint,
    Handshake,
    Pong,
    Push,
    Webhook,
    AfterAck,
    Api,
}

impl FaultKind {
    const fn strikes(&self, point: Point) -> bool {
        match self {
            Self::EndpointCode { .. }
            | Self::EndpointStatus { .. }
            | Self::EndpointHang
            | Self::EndpointCut
            | Self::EndpointGarbage
            | Self::EndpointNoConfig => matches!(point, Point::Endpoint),
            Self::Handshake { .. } | Self::HandshakeHang => matches!(point, Point::Handshake),
            Self::NoPong | Self::EmptyPong | Self::PongPayload { .. } => {
                matches!(point, Point::Pong)
            }
            Self::Silence => matches!(point, Point::Pong | Point::Push),
            Self::DuplicatePush => matches!(point, Point::AfterAck),
            Self::DelayPush { .. } => {
                matches!(point, Point::Push | Point::Webhook)
            }
            Self::DropBeforePush
            | Self::DropAfterPush
            | Self::Close { .. }
            | Self::Split { .. }
            | Self::LosePart
            | Self::RepeatPart
            | Self::GarbageFrame
            | Self::BrokenFrame
            | Self::TextFrame
            | Self::HugeFrame { .. }
            | Self::WsPing => matches!(point, Point::Push),
            Self::BadSignature | Self::BadToken => matches!(point, Point::Webhook),
            Self::ApiRateLimited { .. }
            | Self::ApiStatus { .. }
            | Self::ApiCode { .. }
            | Self::ApiExpiredToken
            | Self::ApiCut
            | Self::ApiLostAnswer
            | Self::ApiLateStatus { .. }
            | Self::ApiHang
            | Self::ApiDate { .. }
            | Self::ApiLatency { .. } => matches!(point, Point::Api),
        }
    }
}

/// The faults in force. Cheap to ask when there are none.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<Vec<Fault>>,
    rng: Mutex<fastrand::Rng>,
}

impl Faults {
    pub(crate) fn new(rng: fastrand::Rng) -> Self {
        Self {
            rules: Mutex::default(),
            rng: Mutex::new(rng),
        }
    }

    /// Adds one. Beyond 256 the oldest goes.
    pub fn add(&self, fault: impl Into<Fault>) {
        let mut rules = lock(&self.rules);
        if rules.len() >= bound::FAULTS_MAX {
            rules.remove(0);
        }
        rules.push(fault.into());
    }

    /// Puts these in the place of all.
    pub fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        *lock(&self.rules) = faults.into_iter().take(bound::FAULTS_MAX).collect();
    }

    /// Everything works again.
    pub fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// Those in force, with what is left of their counts.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        lock(&self.rules).clone()
    }

    /// What strikes here and now; each hit uses up one of its fault's count.
    pub(crate) fn strike(&self, point: Point, target: &str) -> Vec<FaultKind> {
        let mut rules = lock(&self.rules);
        if rules.is_empty() {
            return Vec::new();
        }
        let mut rng = lock(&self.rng);
        let mut hits = Vec::new();
        rules.retain_mut(|fault| {
            let aimed = fault
                .target
                .as_deref()
                .is_none_or(|wanted| is_target(wanted, target));
            if !fault.what.strikes(point) || !aimed || rng.f64() >= fault.probability {
                return true;
            }
            hits.push(fault.what.clone());
            match &mut fault.count {
                None => true,
                Some(left) => {
                    *left = left.saturating_sub(1);
                    *left > 0
                }
            }
        });
        hits
    }
}

/// `PATCH /open-apis/im/v1/messages/:message_id` meets itself, its beginnings,
/// and its path alone.
fn is_target(wanted: &str, actual: &str) -> bool {
    actual.starts_with(wanted)
        || actual
            .split_once(' ')
            .is_some_and(|(_, path)| path.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> Faults {
        Faults::new(fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_counted_fault_strikes_so_often_and_no_more() {
        let faults = faults();
        faults.add(FaultKind::NoPong.times(2));
        let hits: Vec<usize> = (0..4)
            .map(|_| faults.strike(Point::Pong, "").len())
            .collect();
        assert_eq!(hits, [1, 1, 0, 0]);
        assert_eq!(faults.list(), []);
    }

    #[test]
    fn a_fault_strikes_its_target_only() {
        for (target, call, hit) in [
            ("POST /open-apis/im", "POST /open-apis/im/v1/messages", true),
            ("/open-apis/im", "POST /open-apis/im/v1/messages", true),
            ("GET /open-apis/im", "POST /open-apis/im/v1/messages", false),
            (
                "/open-apis/cardkit",
                "POST /open-apis/im/v1/messages",
                false,
            ),
        ] {
            let faults = faults();
            faults.add(FaultKind::ApiHang.on(target));
            assert_eq!(!faults.strike(Point::Api, call).is_empty(), hit, "{target}");
        }
    }

    #[test]
    fn faults_read_and_write_as_flat_json() {
        let text = r#"{"kind":"api_code","code":230020,"status":400,"target":"POST /x","count":1,"probability":1.0}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(
            fault,
            Fault {
                what: FaultKind::ApiCode {
                    code: 230_020,
                    status: 400
                },
                target: Some("POST /x".into()),
                count: Some(1),
                probability: 1.0,
            }
        );
        assert_eq!(serde_json::to_string(&fault).unwrap(), text);
        let short: Fault = serde_json::from_str(r#"{"kind":"silence"}"#).unwrap();
        assert_eq!(short, Fault::from(FaultKind::Silence));
    }

    #[test]
    fn a_fault_with_probability_zero_never_strikes() {
        let faults = faults();
        faults.add(Fault {
            probability: 0.0,
            ..FaultKind::ApiHang.into()
        });
        assert!((0..100).all(|_| faults.strike(Point::Api, "GET /x").is_empty()));
    }
}
