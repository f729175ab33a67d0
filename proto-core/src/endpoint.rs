//! What the platform says before a link is open: the endpoint's answer, the
//! handshake's refusal, and the intervals it wants kept.

use core::fmt;
use core::time::Duration;

mod payloads;

pub use payloads::StatedConfig;
#[cfg(feature = "serde")]
pub use payloads::{EndpointAnswer, EndpointData};

use crate::HostPolicy;
use payloads::Answer;

/// The longest connection URL. Those seen have about 250 bytes.
pub const URL_BYTES_MAX: usize = 1024;

/// How the call to `/callback/ws/endpoint` ended.
#[derive(Clone, Copy)]
pub enum EndpointReply<'a> {
    /// An HTTP answer, whatever its status.
    Http {
        /// The status code.
        status: u16,
        /// The body, as far as the caller reads such bodies.
        body: &'a [u8],
    },
    /// No answer: DNS, TCP, TLS or a time-out.
    Failed,
}

/// A URL to dial.
#[derive(Default)]
pub(crate) struct EndpointGrant {
    pub(crate) url: heapless::String<URL_BYTES_MAX>,
    /// Copied into every ping; 0 if the URL names none.
    pub(crate) service_id: i32,
}

/// The intervals that the server asks for (`ClientConfig` on the wire, in
/// seconds), kept inside sane bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// `ReconnectCount`: attempts per outage. Reported, not obeyed: a daemon
    /// must come back.
    pub reconnect_count: Option<i64>,
    /// `ReconnectInterval`, 1 to 600 s: the longest step between attempts.
    pub reconnect_interval: Duration,
    /// `ReconnectNonce`, 0 to 300 s: the first wait of an outage is a random
    /// time below it.
    pub reconnect_nonce: Duration,
    /// `PingInterval`, 1 to 600 s.
    pub ping_interval: Duration,
}

/// A handshake that was answered with anything but 101.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeRefusal {
    /// The HTTP status.
    pub http_status: u16,
    /// The `Handshake-Status` header, if it is there and a number.
    pub status: Option<i64>,
    /// The `Handshake-Autherrcode` header, if it is there and a number.
    pub auth_error: Option<i64>,
}

/// Why the platform does not let us in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The endpoint answered with this code.
    #[error("the endpoint refused with code {0} ({reason})", reason = code_meaning(*.0))]
    Code(i64),
    /// The endpoint answered with this HTTP status.
    #[error("the endpoint answered HTTP {0}")]
    HttpStatus(u16),
    /// The handshake was refused.
    #[error("the handshake was refused: status {status} ({reason}), auth error {auth_error}",
        reason = code_meaning(*.status))]
    Handshake {
        /// `Handshake-Status`, or the HTTP status where it is missing.
        status: i64,
        /// `Handshake-Autherrcode`, 0 where it is missing.
        auth_error: i64,
        /// Whether the platform's own headers said so, or only HTTP did.
        stated: bool,
    },
    /// The endpoint's body is not the JSON it should be, or holds no URL.
    #[error("the endpoint's answer holds no connection URL")]
    NoUrl,
    /// The URL leads to a host that may not be dialled.
    #[error("the connection URL's host is not allowed")]
    ForeignUrl,
    /// No answer from the endpoint.
    #[error("the endpoint did not answer")]
    Unreachable,
}

mod code {
    pub(super) const FORBIDDEN: i64 = 403;
    pub(super) const AUTH_FAILED: i64 = 514;
    pub(super) const SYSTEM_BUSY: i64 = 1;
    pub(super) const INTERNAL: i64 = 1_000_040_343;
    pub(super) const NO_CREDENTIAL: i64 = 1_000_040_344;
    pub(super) const TOO_MANY_CONNECTIONS: i64 = 1_000_040_350;
}

impl Refusal {
    /// Nothing that this process does will change the answer.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match *self {
            Self::Code(code) => !matches!(
                code,
                code::SYSTEM_BUSY | code::INTERNAL | code::TOO_MANY_CONNECTIONS
            ),
            Self::Handshake { status, stated, .. } => stated && status == code::FORBIDDEN,
            Self::HttpStatus(_) | Self::NoUrl | Self::ForeignUrl | Self::Unreachable => false,
        }
    }

    /// Another instance may leave: worth another try, but not soon.
    #[must_use]
    pub const fn wants_slow_retry(&self) -> bool {
        match *self {
            Self::Code(code) => code == code::TOO_MANY_CONNECTIONS,
            Self::Handshake { auth_error, .. } => auth_error == code::TOO_MANY_CONNECTIONS,
            Self::HttpStatus(_) | Self::NoUrl | Self::ForeignUrl | Self::Unreachable => false,
        }
    }

    /// Once is chance; several in a row mean that the credentials are bad.
    #[must_use]
    pub const fn suspects_credentials(&self) -> bool {
        match *self {
            Self::HttpStatus(status) => matches!(status, 401 | 403),
            Self::Handshake { status, .. } => {
                status == code::AUTH_FAILED && !self.wants_slow_retry()
            }
            Self::Code(_) | Self::NoUrl | Self::ForeignUrl | Self::Unreachable => false,
        }
    }
}

impl HandshakeRefusal {
    pub(crate) fn judge(self) -> Refusal {
        Refusal::Handshake {
            status: self.status.unwrap_or_else(|| self.http_status.into()),
            auth_error: self.auth_error.unwrap_or_default(),
            stated: self.status.is_some(),
        }
    }
}

impl EndpointGrant {
    /// Takes over what the reply grants, and tells which intervals came with
    /// it. In place: a URL is large for the stack of a small device.
    pub(crate) fn judge(
        &mut self,
        reply: EndpointReply<'_>,
        hosts: &HostPolicy,
    ) -> Result<Option<StatedConfig>, Refusal> {
        let body = match reply {
            EndpointReply::Failed => return Err(Refusal::Unreachable),
            EndpointReply::Http { status: 200, body } => body,
            EndpointReply::Http { status, .. } => return Err(Refusal::HttpStatus(status)),
        };
        let answer = Answer::read(body).ok_or(Refusal::NoUrl)?;
        // The code first: a refusal counts whatever `data` looks like.
        if answer.code != 0 {
            return Err(Refusal::Code(answer.code));
        }
        let url = answer.url.ok_or(Refusal::NoUrl)?;
        self.url.clear();
        if url.is_empty() || url.unescape(&mut self.url).is_err() {
            return Err(Refusal::NoUrl);
        }
        if !hosts.allows(&self.url) {
            return Err(Refusal::ForeignUrl);
        }
        self.service_id = service_id(&self.url).unwrap_or_default();
        Ok(answer.config)
    }
}

impl fmt::Debug for EndpointGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointGrant")
            .field("service_id", &self.service_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EndpointReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { status, body } => f
                .debug_struct("Http")
                .field("status", status)
                .field("body_bytes", &body.len())
                .finish(),
            Self::Failed => f.write_str("Failed"),
        }
    }
}

impl Default for ClientConfig {
    /// What official clients assume before the server speaks.
    fn default() -> Self {
        Self {
            reconnect_count: None,
            reconnect_interval: Duration::from_secs(120),
            reconnect_nonce: Duration::from_secs(30),
            ping_interval: Duration::from_secs(120),
        }
    }
}

impl ClientConfig {
    /// Longest interval that is believed, in seconds.
    const INTERVAL_MAX: i64 = 600;
    /// Longest nonce that is believed, in seconds.
    const NONCE_MAX: i64 = 300;

    /// These intervals, with what `stated` says put in. A key that is absent, zero
    /// or negative keeps its old value.
    pub(crate) fn updated(self, stated: StatedConfig) -> Self {
        let interval = |new: Option<i64>, old| match new {
            Some(seconds @ 1..) => {
                Duration::from_secs(seconds.min(Self::INTERVAL_MAX).unsigned_abs())
            }
            Some(_) | None => old,
        };
        Self {
            reconnect_count: stated.reconnect_count.or(self.reconnect_count),
            reconnect_interval: interval(stated.reconnect_interval, self.reconnect_interval),
            reconnect_nonce: match stated.reconnect_nonce {
                Some(seconds @ 0..) => {
                    Duration::from_secs(seconds.min(Self::NONCE_MAX).unsigned_abs())
                }
                Some(_) | None => self.reconnect_nonce,
            },
            ping_interval: interval(stated.ping_interval, self.ping_interval),
        }
    }
}

fn service_id(url: &str) -> Option<i32> {
    let query = url.bytes().position(|byte| byte == b'?')? + 1;
    let pairs = url.as_bytes().get(query..)?.split(|byte| *byte == b'&');
    let mut ids = pairs.filter_map(|pair| pair.strip_prefix(b"service_id="));
    core::str::from_utf8(ids.next()?).ok()?.parse().ok()
}

const fn code_meaning(code: i64) -> &'static str {
    match code {
        code::SYSTEM_BUSY => "system busy",
        code::FORBIDDEN => "the app is forbidden to connect",
        code::AUTH_FAILED => "wrong app id or secret",
        code::INTERNAL => "internal error of the platform",
        code::NO_CREDENTIAL => "no credential",
        code::TOO_MANY_CONNECTIONS => "more than 50 connections of this app",
        _ => "not a documented code",
    }
}
