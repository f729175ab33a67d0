//! What the documents say a client of the long connection does, as plainly as
//! it can be said: lists, maps, and no thought for speed.
//!
//! Waits are random, so the model knows only between which times the next
//! attempt comes, and learns more as it watches.

mod deliveries;
mod judge;
mod parts;
mod timers;

use core::time::Duration;

use prost::Message as _;
use proto_core::conn::{CloseReason, Epoch, Event, Stats};
use proto_core::{ClientConfig, HandshakeRefusal, Instant, Limits, Refusal};

use crate::operation::{Answer, Intervals};
use crate::support::{PlainFrame, Said, url};

pub(crate) use deliveries::Delivered;
use deliveries::Push;
use judge::Verdict;
use parts::Parts;

const SECOND: Duration = Duration::from_secs(1);
/// Deliveries in flight that there is room for.
pub(crate) const ACKS: usize = 3;
/// Split events that there is room for.
pub(crate) const SETS: usize = 2;
pub(crate) const LIMITS: Limits = Limits {
    frame_bytes_max: 600,
    event_bytes_max: 64,
    parts_max: 4,
};
/// Refusals in a row that make credentials look bad, until they count as bad.
const SUSPICIONS_MAX: u32 = 5;

pub(crate) struct Model {
    state: State,
    /// The current attempt; none before the first.
    epoch: Option<Epoch>,
    service: i32,
    pub(crate) server: ClientConfig,
    /// Attempts that failed since a link last stood for a minute.
    failures: u32,
    suspicions: u32,
    parts: Parts,
    pub(crate) pushes: Vec<Push>,
    pub(crate) stats: Stats,
}

#[derive(Clone, Copy)]
enum State {
    /// The next attempt comes neither before nor after these.
    Waiting(Instant, Instant),
    Asking {
        give_up: Instant,
    },
    Dialing {
        give_up: Instant,
    },
    Open(Link),
    Refused,
    Closed,
}

#[derive(Clone, Copy)]
struct Link {
    stable: Option<Instant>,
    pinged: Instant,
    ping: Instant,
    /// The first ping that nothing was heard after must be answered by then.
    pong: Option<Instant>,
}

impl Model {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: State::Waiting(now, now),
            epoch: None,
            service: 0,
            server: ClientConfig {
                reconnect_count: None,
                reconnect_interval: 120 * SECOND,
                reconnect_nonce: 30 * SECOND,
                ping_interval: 120 * SECOND,
            },
            failures: 0,
            suspicions: 0,
            parts: Parts::default(),
            pushes: Vec::new(),
            stats: Stats::default(),
        }
    }

    pub(crate) fn endpoint(&mut self, now: Instant, epoch: Epoch, answer: &Answer) -> Vec<Said> {
        let State::Asking { give_up } = self.state else {
            return Vec::new();
        };
        if self.epoch != Some(epoch) {
            return Vec::new();
        }
        match judge::answer(answer) {
            Ok((service, intervals)) => {
                let mut said = self.told(now, intervals);
                self.service = service;
                self.state = State::Dialing { give_up };
                said.push(Said::Connect(epoch, url(service)));
                said
            }
            Err((refusal, verdict)) => self.refuse_or_retry(now, epoch, refusal, verdict),
        }
    }

    pub(crate) fn open(&mut self, now: Instant, epoch: Epoch) -> Vec<Said> {
        if self.epoch != Some(epoch) || !matches!(self.state, State::Dialing { .. }) {
            return Vec::new();
        }
        self.stats.opened += 1;
        self.suspicions = 0;
        self.state = State::Open(Link {
            stable: Some(now + 60 * SECOND),
            pinged: now,
            ping: now,
            pong: None,
        });
        let mut said = vec![Said::Event(Event::LinkUp(epoch))];
        said.extend(self.ping(now));
        said
    }

    pub(crate) fn refused(
        &mut self,
        now: Instant,
        epoch: Epoch,
        refusal: HandshakeRefusal,
    ) -> Vec<Said> {
        if self.epoch != Some(epoch) || !matches!(self.state, State::Dialing { .. }) {
            return Vec::new();
        }
        let (refusal, verdict) = judge::handshake(refusal);
        self.refuse_or_retry(now, epoch, refusal, verdict)
    }

    pub(crate) fn closed(&mut self, now: Instant, epoch: Epoch, reason: CloseReason) -> Vec<Said> {
        let is_over = matches!(
            self.state,
            State::Waiting(..) | State::Refused | State::Closed
        );
        if self.epoch != Some(epoch) || is_over {
            return Vec::new();
        }
        self.suspicions = 0;
        vec![self.down(now, epoch, reason, self.next_wait())]
    }

    pub(crate) fn wake(&mut self, now: Instant) -> Vec<Said> {
        self.ping(now)
    }

    pub(crate) fn close(&mut self) -> Vec<Said> {
        let said = match (self.state, self.epoch) {
            (State::Asking { .. } | State::Dialing { .. } | State::Open(_), Some(epoch)) => vec![
                Said::Disconnect(epoch, CloseReason::Shutdown),
                Said::Event(Event::LinkDown(epoch, CloseReason::Shutdown)),
            ],
            _ => Vec::new(),
        };
        self.state = State::Closed;
        said
    }

    /// A message that is not binary is a sign of life and no more.
    pub(crate) fn other(&mut self, epoch: Epoch, is_text: bool) {
        if self.hears(epoch) && is_text {
            self.stats.ignored += 1;
        }
    }

    fn hears(&mut self, epoch: Epoch) -> bool {
        if let State::Open(link) = &mut self.state
            && self.epoch == Some(epoch)
        {
            link.pong = None;
            return true;
        }
        false
    }

    fn ping(&mut self, now: Instant) -> Vec<Said> {
        let State::Open(link) = &mut self.state else {
            return Vec::new();
        };
        link.pinged = now;
        link.ping = now + self.server.ping_interval;
        if link.pong.is_none() {
            link.pong = Some(now + 30 * SECOND);
        }
        self.stats.pings += 1;
        let ping = PlainFrame {
            log_id: 0,
            seq_id: 0,
            service: self.service,
            payload: None,
            log_id_new: None,
            ..PlainFrame::new(0, &[("type", "ping")], b"")
        };
        vec![Said::Send(ping.encode_to_vec())]
    }

    /// The server has other intervals.
    fn told(&mut self, now: Instant, intervals: &Intervals) -> Vec<Said> {
        let config = judge::intervals(self.server, intervals);
        if config == self.server {
            return Vec::new();
        }
        self.server = config;
        if let State::Open(link) = &mut self.state {
            // Sooner if that is what is asked, but not before now.
            link.ping = link.ping.min(link.pinged + config.ping_interval).max(now);
        }
        vec![Said::Event(Event::Reconfigured(config))]
    }

    fn refuse_or_retry(
        &mut self,
        now: Instant,
        epoch: Epoch,
        refusal: Refusal,
        verdict: Verdict,
    ) -> Vec<Said> {
        if verdict == Verdict::Suspicious {
            self.suspicions += 1;
        } else {
            self.suspicions = 0;
        }
        if verdict == Verdict::Fatal || self.suspicions == SUSPICIONS_MAX {
            self.state = State::Refused;
            return vec![Said::Event(Event::Fatal(refusal))];
        }
        let wait = if verdict == Verdict::Slow {
            (60 * SECOND, 120 * SECOND)
        } else {
            self.next_wait()
        };
        let refused = Said::Event(Event::Refused(refusal));
        vec![refused, self.down(now, epoch, CloseReason::Refused, wait)]
    }

    /// The shortest and the longest wait before the next attempt.
    fn next_wait(&self) -> (Duration, Duration) {
        let longest = match self.failures {
            0 => self.server.reconnect_nonce.min(5 * SECOND),
            more => (SECOND * 2_u32.pow((more - 1).min(6)))
                .min(60 * SECOND)
                .min(self.server.reconnect_interval),
        };
        (Duration::ZERO, longest)
    }

    fn down(
        &mut self,
        now: Instant,
        epoch: Epoch,
        reason: CloseReason,
        wait: (Duration, Duration),
    ) -> Said {
        self.failures += 1;
        self.state = State::Waiting(now + wait.0, now + wait.1);
        Said::Event(Event::LinkDown(epoch, reason))
    }
}
