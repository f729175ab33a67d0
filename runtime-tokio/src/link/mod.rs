//! The long connection on tokio: one task owns one
//! [`Connection`](proto_core::conn::Connection) and does what it says.
//!
//! The core decides everything; this module has the sockets, the clock and the
//! write batching. Every log line about the link has the words
//! `feishu websocket`.

mod dial;
mod driver;
mod oversize;
mod probe;
mod proxy;

use core::future::Future;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use proto_core::conn::{CloseReason, LinkState, Stats};
use tokio_util::sync::CancellationToken;

use crate::{Ingress, WallClock};

pub use dial::{Dialer, Stream, TlsSource};
pub use probe::{ProbeError, probe};

/// The call that gives a connection URL.
pub trait EndpointSource: Send + Sync + 'static {
    /// Calls the endpoint once. `None` when there was no HTTP answer. The
    /// caller sets no time-out: bound it.
    fn fetch(&self) -> impl Future<Output = Option<EndpointAnswer>> + Send;
}

/// The endpoint's HTTP answer, whatever it says.
#[derive(Clone, Debug)]
pub struct EndpointAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// How the link behaves beyond what the core's own configuration says.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The core's configuration.
    pub core: proto_core::Config,
    /// How the way to the platform is opened.
    pub dialer: Dialer,
    /// Tells when the machine has slept.
    pub clock: WallClock,
}

/// What the link is doing, shared with health pages.
#[derive(Clone, Debug, Default)]
pub struct LinkStatus(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    now: LinkSnapshot,
    history: VecDeque<LinkChange>,
}

/// Changes of a link that are remembered: a day of one that is lost every hour, and the last
/// hour of one that flaps.
const HISTORY_MAX: usize = 48;

/// The link came up, or went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// When.
    pub at: SystemTime,
    /// To what it changed: open, waiting, refused for good, closed. Attempts in between are no
    /// change.
    pub to: LinkState,
    /// Why it is not open any more, in words.
    pub why: Option<String>,
}

/// One look at the link.
#[derive(Clone, Debug)]
pub struct LinkSnapshot {
    /// Where the machine stands.
    pub state: LinkState,
    /// When it came there.
    pub since: SystemTime,
    /// When the last event came in.
    pub last_event: Option<SystemTime>,
    /// When the last pong came in.
    pub last_pong: Option<SystemTime>,
    /// Why the last attempt or link ended, in words.
    pub last_error: Option<String>,
    /// How often an attempt or a link ended, and why.
    pub endings: Endings,
    /// The core's counters.
    pub stats: Stats,
    /// Messages thrown away because they were too long.
    pub oversize: u64,
    /// Deliveries in flight.
    pub in_flight: u64,
    /// Bytes of parts that wait for the others of their events, or were joined last.
    pub joining_bytes: usize,
    /// Writes to the socket, and acknowledgements they carried.
    pub flushes: u64,
    /// Rounds of the loop: it makes one every few seconds whatever happens, and is stuck if it
    /// does not.
    pub rounds: u64,
}

/// Ends of attempts and of links, by [`CloseReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// The endpoint or the handshake took too long.
    pub connect_timeout: u64,
    /// The network failed before the link was open.
    pub connect_failed: u64,
    /// The platform refused.
    pub refused: u64,
    /// The platform closed the link.
    pub peer: u64,
    /// The network failed.
    pub transport: u64,
    /// The link was deaf.
    pub pong_timeout: u64,
    /// The daemon stopped.
    pub shutdown: u64,
    /// Whatever this version has no name for.
    pub other: u64,
}

impl Endings {
    fn count(&mut self, reason: CloseReason) {
        let count = match reason {
            CloseReason::ConnectTimeout => &mut self.connect_timeout,
            CloseReason::ConnectFailed => &mut self.connect_failed,
            CloseReason::Refused => &mut self.refused,
            CloseReason::Peer(_) => &mut self.peer,
            CloseReason::Transport => &mut self.transport,
            CloseReason::PongTimeout => &mut self.pong_timeout,
            CloseReason::Shutdown => &mut self.shutdown,
            _ => &mut self.other,
        };
        *count += 1;
    }
}

impl Default for LinkSnapshot {
    fn default() -> Self {
        Self {
            state: LinkState::Waiting,
            since: SystemTime::UNIX_EPOCH,
            last_event: None,
            last_pong: None,
            last_error: None,
            endings: Endings::default(),
            stats: Stats::default(),
            oversize: 0,
            in_flight: 0,
            joining_bytes: 0,
            flushes: 0,
            rounds: 0,
        }
    }
}

impl LinkStatus {
    /// The link as it was a moment ago.
    #[must_use]
    pub fn snapshot(&self) -> LinkSnapshot {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.now.clone()
    }

    /// How it came to be so: its last changes, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<LinkChange> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.history.iter().cloned().collect()
    }

    fn update(&self, change: impl FnOnce(&mut LinkSnapshot)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known.now);
        known.note_change();
    }
}

impl Known {
    /// Notes the state if it is another one than before.
    fn note_change(&mut self) {
        let to = match self.now.state {
            LinkState::Waiting | LinkState::Connecting => LinkState::Waiting,
            to @ (LinkState::Open | LinkState::Fatal | LinkState::Closed) => to,
        };
        let before = self.history.back().map(|last| last.to);
        // It begins with waiting, which is no news.
        if before.unwrap_or(LinkState::Waiting) == to {
            return;
        }
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        let why = match to == LinkState::Open {
            true => None,
            false => self.now.last_error.clone(),
        };
        self.history.push_back(LinkChange {
            at: self.now.since,
            to,
            why,
        });
    }
}

/// Keeps the link up until `shutdown`, then answers what is in flight and
/// closes with a close frame. Returns only then.
pub async fn run(
    options: LinkOptions,
    endpoint: impl EndpointSource,
    ingress: Arc<impl Ingress>,
    status: LinkStatus,
    shutdown: CancellationToken,
) {
    driver::Driver::new(options, endpoint, ingress, status)
        .run(shutdown)
        .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_history_has_changes_with_their_reasons_and_no_attempts() {
        let status = LinkStatus::default();
        let mut minutes = 0;
        let mut at = |state, why: Option<&str>| {
            minutes += 1;
            status.update(|now| {
                now.state = state;
                now.since = SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
                now.last_error = why.map(str::to_owned);
            });
        };
        at(LinkState::Connecting, None);
        at(LinkState::Open, None);
        at(LinkState::Open, None);
        at(LinkState::Waiting, Some("PongTimeout"));
        at(LinkState::Connecting, Some("no route"));
        at(LinkState::Waiting, Some("no route"));
        at(LinkState::Fatal, Some("wrong secret"));
        let told: Vec<_> = status
            .history()
            .into_iter()
            .map(|change| {
                let minute = change.at.duration_since(SystemTime::UNIX_EPOCH);
                (minute.unwrap().as_secs() / 60, change.to, change.why)
            })
            .collect();
        let expected = [
            (2, LinkState::Open, None),
            (4, LinkState::Waiting, Some("PongTimeout".to_owned())),
            (7, LinkState::Fatal, Some("wrong secret".to_owned())),
        ];
        assert_eq!(told, expected);
        for _ in 0..HISTORY_MAX {
            at(LinkState::Open, None);
            at(LinkState::Waiting, None);
        }
        assert_eq!(status.history().len(), HISTORY_MAX);
    }
}
