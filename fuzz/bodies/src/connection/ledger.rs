//! What a driver learns from a machine, and what must be true of it.

use std::collections::BTreeSet;

use proto_core::conn::{AckError, DeliveryId, Epoch, Event, LinkState, Output, Stats};
use proto_core::{Frame, Limits, Method};

/// Everything that was said, added up.
#[derive(Default)]
pub(super) struct Ledger {
    /// The attempt that has begun and not ended.
    attempt: Option<Epoch>,
    is_up: bool,
    is_over: bool,
    waiting: BTreeSet<DeliveryId>,
    overdue: BTreeSet<DeliveryId>,
    /// As the machine's own, as far as they can be seen from outside.
    seen: Stats,
}

impl Ledger {
    pub(super) fn delivered(&mut self, id: DeliveryId) {
        self.seen.delivered += 1;
        assert!(self.waiting.insert(id), "{id:?} a second time");
    }

    /// Each delivery ends once, and the answer says how.
    pub(super) fn redeemed(&mut self, id: DeliveryId, redeemed: Result<(), AckError>) {
        let waited = self.waiting.remove(&id);
        match redeemed {
            Ok(()) => self.seen.acknowledged += 1,
            Err(AckError::LinkDown) => self.seen.link_lost += 1,
            Err(AckError::BufferFull) => self.seen.overdue += 1,
            Err(AckError::TooLate) => {
                assert!(
                    !waited && self.overdue.contains(&id),
                    "{id:?} is not overdue"
                );
                return;
            }
        }
        assert!(waited, "{id:?} ended twice: {redeemed:?}");
    }

    pub(super) fn output(&mut self, output: &Output<'_>, state: LinkState) {
        match output {
            Output::FetchEndpoint(epoch) => {
                assert!(!self.is_over, "an attempt after the end");
                assert_eq!(self.attempt, None, "two attempts at once");
                self.seen.attempts += 1;
                assert_eq!(epoch.number(), self.seen.attempts);
                self.attempt = Some(*epoch);
            }
            Output::Connect { epoch, url } => {
                assert_eq!(self.attempt, Some(*epoch));
                assert!(url.starts_with("wss://a.feishu.cn/"), "{url}");
            }
            Output::Send(message) => {
                assert_eq!(state, LinkState::Open);
                assert!(self.is_up, "a message before the link is up");
                self.sent(message);
            }
            Output::Disconnect(epoch, _) => assert_eq!(self.attempt, Some(*epoch)),
            Output::Event(event) => self.event(*event),
        }
    }

    /// Without being asked, the machine sends pings and refusals alone.
    fn sent(&mut self, message: &[u8]) {
        let frame = Frame::decode(message, &Limits::default()).expect("it is a frame");
        match frame.method {
            Method::Control => {
                assert_eq!(frame.kind(), "ping");
                self.seen.pings += 1;
            }
            Method::Data => assert_eq!(frame.payload, Some(&br#"{"code":500}"#[..])),
            Method::Unknown(other) => panic!("method {other}"),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::LinkUp(epoch) => {
                assert_eq!(self.attempt, Some(epoch));
                assert!(!self.is_up);
                self.seen.opened += 1;
                self.is_up = true;
            }
            Event::LinkDown(epoch, _) => {
                assert_eq!(
                    self.attempt.take(),
                    Some(epoch),
                    "down twice, or never begun"
                );
                self.is_up = false;
            }
            Event::Fatal(_) => {
                assert!(self.attempt.take().is_some());
                self.is_over = true;
            }
            Event::AckOverdue(id) => {
                self.seen.overdue += 1;
                assert!(self.waiting.remove(&id), "{id:?} ended before");
                self.overdue.insert(id);
            }
            Event::Discarded(_) => self.seen.discarded += 1,
            Event::BadFrame(_) => self.seen.bad_frames += 1,
            // A refusal is followed by LinkDown; new intervals ask for nothing.
            Event::Refused(_) | Event::Reconfigured(_) | _ => {}
        }
    }

    /// The machine's counters say what was seen: nothing was lost on the way.
    pub(super) fn balances(&self, stats: &Stats) {
        let seen = Stats {
            // These are not said one by one.
            messages: stats.messages,
            ignored: stats.ignored,
            pongs: stats.pongs,
            shed: stats.shed,
            doubles: stats.doubles,
            ..self.seen
        };
        assert_eq!(&seen, stats);
        let ended = stats.acknowledged + stats.overdue + stats.link_lost;
        assert_eq!(stats.delivered, ended + self.waiting.len() as u64);
    }

    pub(super) fn nothing_waits(&self) {
        assert!(self.waiting.is_empty(), "neither answered nor overdue");
    }
}
