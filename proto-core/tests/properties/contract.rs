//! The machine's contract under anything that may happen to a link: every
//! delivery ends in exactly one way, and no timer is due that has been fired.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto_core::Config;
use proto_core::conn::{
    AckError, AckToken, DeliveryId, Event, FixedMemory, HeapMemory, LinkState, Memory, Outcome,
};

use crate::cases;
use crate::rig::{NO_CONFIG, Rig};
use crate::support::{PlainFrame, Said};

/// What happens next.
#[derive(Clone, Debug)]
enum Happening {
    /// Time passes; timers fire, or something else comes first.
    Time(u64, bool),
    NextTimer,
    /// The same, with a buffer in which no refusal has room.
    TightTimer,
    Connect,
    /// The attempt goes on, whatever there is of it.
    Grant,
    Open,
    Lose,
    Wake,
    Pong(i64),
    Event,
    Part(u32),
    /// A delivery is redeemed, into a buffer that may be too small.
    Redeem(Index, usize),
    /// A token is lost.
    Forget(Index),
    Close,
}

fn happening() -> impl Strategy<Value = Happening> {
    let time = prop_oneof![Just(0), 1..100_u64, 1..5000_u64, 1..10_000_000_u64];
    prop_oneof![
        3 => (time, any::<bool>()).prop_map(|(millis, fires)| Happening::Time(millis, fires)),
        6 => Just(Happening::NextTimer),
        2 => Just(Happening::TightTimer),
        6 => Just(Happening::Connect),
        1 => Just(Happening::Grant),
        1 => Just(Happening::Open),
        2 => Just(Happening::Lose),
        1 => Just(Happening::Wake),
        2 => (-1..700_i64).prop_map(Happening::Pong),
        10 => Just(Happening::Event),
        3 => (0..2_u32).prop_map(Happening::Part),
        6 => (any::<Index>(), prop_oneof![1 => 0..64_usize, 4 => Just(1024)])
            .prop_map(|(which, room)| Happening::Redeem(which, room)),
        1 => any::<Index>().prop_map(Happening::Forget),
    ]
}

/// Time-outs of a millisecond to a minute.
fn config() -> impl Strategy<Value = Config> {
    vec(prop_oneof![1..10_u64, 1..3000_u64, 1..60_000_u64], 5).prop_map(|times| {
        let time = |at: usize| Duration::from_millis(times[at]);
        Config {
            connect_timeout: time(0),
            pong_timeout: time(1),
            ack_timeout: time(2),
            reassembly_timeout: time(3),
            stable_after: time(4),
            ..Config::default()
        }
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_delivery_ends_once_and_nothing_due_is_left(
        config in config(),
        seed in any::<u64>(),
        happenings in vec(happening(), 1..80),
        close in proptest::option::weighted(0.2, any::<Index>()),
    ) {
        let mut happenings = happenings;
        if let Some(at) = close {
            happenings.insert(at.index(happenings.len()), Happening::Close);
        }
        let fixed = FixedMemory::<4, 600, 1, 64>::default();
        Trial::new(Rig::new(config.clone(), seed, fixed)).run(&happenings);
        let heap = HeapMemory::new(4, 600, 1);
        Trial::new(Rig::new(config, seed, heap)).run(&happenings);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Acknowledged,
    LinkLost,
    /// The caller's buffer was too small; it counts as overdue.
    NoBuffer,
    Overdue,
}

struct Trial<M> {
    rig: Rig<M>,
    tokens: Vec<AckToken>,
    /// Every delivery, and how it ended.
    deliveries: BTreeMap<DeliveryId, Option<End>>,
}

impl<M: Memory> Trial<M> {
    fn new(rig: Rig<M>) -> Self {
        let (tokens, deliveries) = (Vec::new(), BTreeMap::new());
        Self {
            rig,
            tokens,
            deliveries,
        }
    }

    fn run(mut self, happenings: &[Happening]) {
        for happening in happenings {
            self.happen(happening);
            let said = self.rig.drain();
            self.hear(&said);
            self.balances();
        }
        self.settles();
    }

    fn happen(&mut self, happening: &Happening) {
        let rig = &mut self.rig;
        match happening {
            Happening::Time(millis, fires) => {
                rig.pass(Duration::from_millis(*millis));
                if *fires {
                    let said = rig.fire();
                    self.hear(&said);
                }
            }
            Happening::NextTimer => self.next_timer(),
            Happening::TightTimer => self.tight_timer(),
            Happening::Connect => self.connect(),
            Happening::Grant => rig.grant(NO_CONFIG),
            Happening::Open => rig.machine.handle_open(rig.now, rig.epoch),
            Happening::Lose => {
                rig.lose();
            }
            Happening::Wake => rig.machine.handle_wake(rig.now),
            Happening::Pong(interval) => rig.pong(&format!(r#"{{"PingInterval":{interval}}}"#)),
            Happening::Event => {
                self.receive(&[("type", "event")]);
            }
            Happening::Part(seq) => {
                let (id, seq) = (self.deliveries.len().to_string(), seq.to_string());
                self.receive(&[
                    ("type", "event"),
                    ("message_id", &id),
                    ("sum", "2"),
                    ("seq", &seq),
                ]);
            }
            Happening::Redeem(which, room) => self.redeem(which, *room),
            Happening::Forget(which) => {
                if !self.tokens.is_empty() {
                    let _ = self.tokens.remove(which.index(self.tokens.len()));
                }
            }
            Happening::Close => rig.machine.close(rig.now),
        }
    }

    fn next_timer(&mut self) {
        if self.rig.machine.poll_timeout().is_some() {
            let (_, said) = self.rig.next_timer();
            self.hear(&said);
        }
    }

    fn tight_timer(&mut self) {
        let rig = &mut self.rig;
        if let Some((due, _)) = rig.machine.poll_timeout() {
            rig.now = rig.now.max(due);
            rig.machine.handle_timeout(rig.now);
            let said = rig.drain_by(&mut heapless::Vec::<u8, 32>::new());
            self.hear(&said);
        }
    }

    /// An open link, unless there is one or will never be one again.
    fn connect(&mut self) {
        while self.rig.machine.state() == LinkState::Waiting {
            self.next_timer();
        }
        self.rig.grant(NO_CONFIG);
        self.rig.machine.handle_open(self.rig.now, self.rig.epoch);
    }

    fn receive(&mut self, headers: &[(&str, &str)]) {
        let Some((token, _)) = self.rig.receive(&PlainFrame::new(1, headers, b"{}")) else {
            return;
        };
        let before = self.deliveries.insert(token.id(), None);
        assert_eq!(before, None, "two deliveries are called {:?}", token.id());
        self.tokens.push(token);
    }

    fn redeem(&mut self, which: &Index, room: usize) {
        if self.tokens.is_empty() {
            return;
        }
        let token = self.tokens.remove(which.index(self.tokens.len()));
        let id = token.id();
        let mut out = heapless::Vec::<u8, 1024>::new();
        out.resize(1024 - room, 0).unwrap();
        let (machine, now) = (&mut self.rig.machine, self.rig.now);
        let end = match machine.acknowledge(now, token, Outcome::Done, &mut out) {
            Ok(()) => {
                assert_eq!(
                    machine.state(),
                    LinkState::Open,
                    "acknowledged without a link"
                );
                End::Acknowledged
            }
            Err(AckError::LinkDown) => End::LinkLost,
            Err(AckError::BufferFull) => End::NoBuffer,
            Err(AckError::TooLate) => {
                assert_eq!(
                    self.deliveries[&id],
                    Some(End::Overdue),
                    "too late for what?"
                );
                return;
            }
        };
        if end != End::Acknowledged {
            assert_eq!(out.len(), 1024 - room, "half an acknowledgement");
        }
        self.end(id, end);
    }

    fn hear(&mut self, said: &[Said]) {
        for output in said {
            if let Said::Event(Event::AckOverdue(id)) = output {
                self.end(*id, End::Overdue);
            }
        }
    }

    fn end(&mut self, id: DeliveryId, end: End) {
        let before = self.deliveries.insert(id, Some(end));
        assert_eq!(before, Some(None), "{id:?} ends as {end:?}");
    }

    /// The counters tell the same story.
    fn balances(&self) {
        let count = |end| {
            self.deliveries
                .values()
                .filter(|this| **this == end)
                .count() as u64
        };
        let stats = self.rig.machine.stats();
        assert_eq!(stats.delivered, self.deliveries.len() as u64);
        assert_eq!(stats.acknowledged, count(Some(End::Acknowledged)));
        assert_eq!(stats.link_lost, count(Some(End::LinkLost)));
        assert_eq!(
            stats.overdue,
            count(Some(End::Overdue)) + count(Some(End::NoBuffer))
        );
        assert!(self.rig.machine.in_flight() >= count(None));
    }

    /// In the end no delivery is left without one.
    fn settles(&mut self) {
        self.rig.pass(Duration::from_secs(3600));
        let said = self.rig.fire();
        self.hear(&said);
        assert!(
            self.deliveries.values().all(Option::is_some),
            "{:?}",
            self.deliveries
        );
        assert_eq!(self.rig.machine.in_flight(), 0);
    }
}
