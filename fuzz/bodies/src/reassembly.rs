//! Parts of several events in any order, doubled, altered and late, against a
//! plain model that keeps them in maps.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use proto_core::conn::{Connection, Discard, Epoch, Event, FixedMemory, Outcome, Output};
use proto_core::{Config, FrameFields, Header, Instant, Limits, Method};

use crate::link::open_link;

/// Events at once, and the memory for them: one set fewer.
const EVENTS: u8 = 4;
const SETS: usize = 3;
/// Bytes of one event, joined: in the machine's memory, and by its limits.
const SET_BYTES: usize = 40;
const EVENT_BYTES_MAX: usize = 30;
const PARTS_MAX: u32 = 8;
/// How long the machine knows that an event was complete.
const COMPLETED_FOR: u64 = 5_000;

/// Plays the parts that the bytes describe to the machine and to the model.
pub fn reassembly(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    // Either bound may be the one that is met first.
    let event_bytes_max = if input.arbitrary().unwrap_or_default() {
        EVENT_BYTES_MAX
    } else {
        usize::MAX
    };
    let mut rig = Rig::open(event_bytes_max);
    while !input.is_empty() {
        if rig.step(&mut input).is_err() {
            return;
        }
    }
}

/// A machine whose link is open, and what should become of the parts it gets.
struct Rig {
    machine: Connection<FixedMemory<1, 512, SETS, SET_BYTES>>,
    epoch: Epoch,
    now: u64,
    timeout: u64,
    model: Model,
}

struct Model {
    event_bytes_max: usize,
    open: BTreeMap<u8, Parts>,
    /// When an event was complete.
    completed: BTreeMap<u8, u64>,
}

struct Parts {
    since: u64,
    sum: u32,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Kept,
    Double,
    Delivered(Vec<u8>),
    Dropped(Discard),
}

impl Rig {
    fn open(event_bytes_max: usize) -> Self {
        let config = Config {
            limits: Limits {
                event_bytes_max,
                parts_max: PARTS_MAX,
                ..Limits::default()
            },
            // The platform's silence is not what this is about.
            pong_timeout: Duration::from_secs(1 << 40),
            ..Config::default()
        };
        let timeout = u64::try_from(config.reassembly_timeout.as_millis());
        let (machine, epoch) = open_link(config, FixedMemory::default());
        Self {
            machine,
            epoch,
            now: 0,
            timeout: timeout.unwrap_or(u64::MAX),
            model: Model {
                event_bytes_max: event_bytes_max.min(SET_BYTES),
                open: BTreeMap::new(),
                completed: BTreeMap::new(),
            },
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let choice: u8 = input.arbitrary()?;
        if choice & 0xf0 == 0xf0 {
            return self.pass(u64::from(choice & 0x0f) * 1000);
        }
        let event = choice % EVENTS;
        // Few sums and indices, so that sets get complete; some impossible.
        let seq = choice >> 4 & 3;
        let sum = match choice >> 2 & 3 {
            3 => PARTS_MAX + 1,
            few => 2 + u32::from(few),
        };
        let payload = payload(event, seq, input.arbitrary()?);
        let expected = self.model.take(self.now, event, sum, seq.into(), &payload);
        let taken = self.take(event, sum, seq.into(), &payload);
        assert_eq!(taken, expected);
        Ok(())
    }

    /// Lets time pass: sets that are too old go, all others stay.
    fn pass(&mut self, millis: u64) -> Result<()> {
        self.now += millis;
        self.machine.handle_timeout(Instant::from_millis(self.now));
        let (now, timeout) = (self.now, self.timeout);
        let before = self.model.open.len();
        self.model
            .open
            .retain(|_, parts| parts.since + timeout > now);
        let expired = before - self.model.open.len();
        assert_eq!(self.drain(), vec![Discard::Expired; expired]);
        Ok(())
    }

    /// What the machine does with a part.
    fn take(&mut self, event: u8, sum: u32, seq: u32, payload: &[u8]) -> Taken {
        let now = Instant::from_millis(self.now);
        let doubles = self.machine.stats().doubles;
        let message = part(event, sum, seq, payload);
        let delivery = self.machine.handle_message(now, self.epoch, &message);
        let delivered = delivery.map(|delivery| {
            assert_eq!(delivery.parts, sum);
            assert_eq!(delivery.push_id, name(event));
            (delivery.token, delivery.payload.to_vec())
        });
        if let Some((token, payload)) = delivered {
            let acknowledged = self
                .machine
                .acknowledge(now, token, Outcome::Done, &mut Vec::new());
            assert_eq!(acknowledged, Ok(()));
            assert_eq!(self.drain(), []);
            return Taken::Delivered(payload);
        }
        match self.drain().as_slice() {
            [why] => Taken::Dropped(*why),
            [] if self.machine.stats().doubles > doubles => Taken::Double,
            [] => Taken::Kept,
            more => panic!("one part, {more:?}"),
        }
    }

    /// What was discarded.
    fn drain(&mut self) -> Vec<Discard> {
        let mut discarded = Vec::new();
        let mut scratch = Vec::new();
        let now = Instant::from_millis(self.now);
        while let Some(output) = self.machine.poll_output(now, &mut scratch) {
            if let Output::Event(Event::Discarded(why)) = output {
                discarded.push(why);
            }
        }
        discarded
    }
}

impl Model {
    fn take(&mut self, now: u64, event: u8, sum: u32, seq: u32, payload: &[u8]) -> Taken {
        if sum > PARTS_MAX || seq >= sum {
            return Taken::Dropped(Discard::Impossible);
        }
        if self
            .completed
            .get(&event)
            .is_some_and(|at| at + COMPLETED_FOR > now)
        {
            return Taken::Double;
        }
        let full = self.open.len() >= SETS;
        if full && !self.open.contains_key(&event) {
            return Taken::Dropped(Discard::NoRoom);
        }
        let set = self.open.entry(event).or_insert_with(|| Parts {
            since: now,
            sum,
            parts: BTreeMap::new(),
        });
        let taken = set.insert(sum, seq, payload, self.event_bytes_max);
        match taken {
            Taken::Dropped(_) => {
                self.open.remove(&event);
            }
            Taken::Delivered(_) => {
                self.open.remove(&event);
                self.completed.insert(event, now);
            }
            Taken::Kept | Taken::Double => {}
        }
        taken
    }
}

impl Parts {
    fn insert(&mut self, sum: u32, seq: u32, payload: &[u8], bytes_max: usize) -> Taken {
        if self.sum != sum {
            return Taken::Dropped(Discard::Contradiction);
        }
        match self.parts.get(&seq) {
            Some(known) if known == payload => return Taken::Double,
            Some(_) => return Taken::Dropped(Discard::Contradiction),
            None => {}
        }
        self.parts.insert(seq, payload.to_vec());
        let joined: Vec<u8> = self.parts.values().flatten().copied().collect();
        if joined.len() > bytes_max {
            return Taken::Dropped(Discard::NoRoom);
        }
        if self.parts.len() < sum as usize {
            return Taken::Kept;
        }
        Taken::Delivered(joined)
    }
}

/// Up to 15 bytes that tell the part they belong to; the high bit alters them.
fn payload(event: u8, seq: u8, choice: u8) -> Vec<u8> {
    let len = choice & 0x0f;
    (0..len)
        .map(|at| event << 6 | seq << 4 | at)
        .map(|byte| if choice & 0x80 == 0 { byte } else { !byte })
        .collect()
}

const fn name(event: u8) -> &'static str {
    match event {
        0 => "",
        1 => "e1",
        2 => "e2",
        _ => "7b1e4f0e-aaaa-bbbb-cccc-0123456789ab",
    }
}

fn part(event: u8, sum: u32, seq: u32, payload: &[u8]) -> Vec<u8> {
    let (sum, seq) = (sum.to_string(), seq.to_string());
    let headers = [
        ("type", "event"),
        ("message_id", name(event)),
        ("sum", &sum),
        ("seq", &seq),
    ];
    let fields = FrameFields {
        seq_id: 1,
        log_id: 2,
        service: 3,
        method: Method::Data,
        payload_encoding: None,
        payload_type: None,
        payload: Some(payload),
        log_id_new: None,
    };
    let headers = headers.map(|(key, value)| Header { key, value });
    let mut message = Vec::new();
    fields
        .encode(headers, &mut message)
        .expect("a Vec has no bound");
    message
}
