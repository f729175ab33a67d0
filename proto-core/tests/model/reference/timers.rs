//! Time: what is due, and what happens then.

use core::time::Duration;

use proto_core::Instant;
use proto_core::conn::{CloseReason, DeliveryId, Discard, Epoch, Event, LinkState, Timer};

use super::{Model, State};
use crate::support::Said;

const ACK_WITHIN: Duration = Duration::from_millis(2500);
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

impl Model {
    /// What is due happens: first to the link, then to parts, then to
    /// deliveries. `fetched` is the attempt that was seen to begin, as only
    /// who drew the wait can tell; `ids` are what pushes are called.
    pub(crate) fn timeout(
        &mut self,
        now: Instant,
        fetched: Option<Epoch>,
        ids: &[DeliveryId],
    ) -> Vec<Said> {
        let mut said = self.link_timers(now);
        said.extend(self.attempt(now, fetched));
        let expired = self.parts.expire(now);
        self.stats.discarded += expired as u64;
        said.extend(vec![
            Said::Event(Event::Discarded(Discard::Expired));
            expired
        ]);
        let is_open = matches!(self.state, State::Open(_));
        for (index, (push, id)) in self.pushes.iter_mut().zip(ids).enumerate() {
            if push.waits && push.at + ACK_WITHIN <= now {
                push.waits = false;
                self.parts.forget(index);
                self.stats.overdue += 1;
                if is_open {
                    said.push(Said::Send(push.acknowledgement(now, br#"{"code":500}"#)));
                }
                said.push(Said::Event(Event::AckOverdue(*id)));
            }
        }
        said
    }

    fn link_timers(&mut self, now: Instant) -> Vec<Said> {
        let reason = match &mut self.state {
            State::Asking { give_up } | State::Dialing { give_up } if *give_up <= now => {
                CloseReason::ConnectTimeout
            }
            State::Open(link) => {
                if link.stable.is_some_and(|due| due <= now) {
                    link.stable = None;
                    self.failures = 0;
                }
                if link.pong.is_none_or(|due| due > now) {
                    let is_due = link.ping <= now;
                    return if is_due { self.ping(now) } else { Vec::new() };
                }
                CloseReason::PongTimeout
            }
            State::Waiting(..)
            | State::Asking { .. }
            | State::Dialing { .. }
            | State::Refused
            | State::Closed => return Vec::new(),
        };
        self.suspicions = 0;
        let epoch = self.epoch.unwrap();
        let wait = self.next_wait();
        vec![
            Said::Disconnect(epoch, reason),
            self.down(now, epoch, reason, wait),
        ]
    }

    fn attempt(&mut self, now: Instant, fetched: Option<Epoch>) -> Option<Said> {
        let State::Waiting(earliest, latest) = &mut self.state else {
            assert_eq!(fetched, None, "an attempt that nobody waited for");
            return None;
        };
        let Some(epoch) = fetched else {
            assert!(*latest > now, "no attempt, {latest:?} at the latest");
            *earliest = (*earliest).max(now + Duration::from_millis(1));
            return None;
        };
        assert!(*earliest <= now, "an attempt, {earliest:?} at the earliest");
        self.stats.attempts += 1;
        assert_eq!(epoch.number(), self.stats.attempts);
        self.epoch = Some(epoch);
        self.state = State::Asking {
            give_up: now + CONNECT_WITHIN,
        };
        Some(Said::Fetch(epoch))
    }

    /// Whether the next deadline can be this one. One that is seen narrows
    /// what is known about the next attempt.
    pub(crate) fn waits_for(&mut self, seen: Option<(Instant, Timer)>) {
        let known = self.known_timers().into_iter().min();
        let State::Waiting(earliest, latest) = &mut self.state else {
            assert_eq!(seen, known);
            return;
        };
        let (due, timer) = seen.expect("an attempt is to come");
        if timer == Timer::Reconnect {
            assert!(
                (*earliest..=*latest).contains(&due),
                "{due:?}: {earliest:?} to {latest:?}"
            );
            assert!(known.is_none_or(|known| (due, timer) < known));
            (*earliest, *latest) = (due, due);
        } else {
            assert_eq!(seen, known);
            *earliest = (*earliest).max(due + Duration::from_millis(1));
            assert!(*earliest <= *latest, "the attempt comes before {seen:?}");
        }
    }

    /// All deadlines but that of the next attempt.
    fn known_timers(&self) -> Vec<(Instant, Timer)> {
        let mut timers = Vec::new();
        match self.state {
            State::Asking { give_up } | State::Dialing { give_up } => {
                timers.push((give_up, Timer::Connect));
            }
            State::Open(link) => {
                timers.push((link.ping, Timer::Ping));
                timers.extend(link.stable.map(|due| (due, Timer::Stable)));
                timers.extend(link.pong.map(|due| (due, Timer::Pong)));
            }
            State::Waiting(..) | State::Refused | State::Closed => {}
        }
        let waiting = self.pushes.iter().filter(|push| push.waits);
        timers.extend(waiting.map(|push| (push.at + ACK_WITHIN, Timer::Ack)));
        timers.extend(self.parts.deadline().map(|due| (due, Timer::Reassembly)));
        timers
    }

    pub(crate) fn link_state(&self) -> LinkState {
        match self.state {
            State::Waiting(..) => LinkState::Waiting,
            State::Asking { .. } | State::Dialing { .. } => LinkState::Connecting,
            State::Open(_) => LinkState::Open,
            State::Refused => LinkState::Fatal,
            State::Closed => LinkState::Closed,
        }
    }
}
