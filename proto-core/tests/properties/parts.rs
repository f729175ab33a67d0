//! Split events: however they are cut, ordered and mixed, what is delivered is
//! the same; and what they can make the machine hold is bounded.

use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;
use proto_core::conn::{FixedMemory, HeapMemory, Memory};
use proto_core::{Config, Limits};

use crate::cases;
use crate::rig::{NO_CONFIG, Rig};
use crate::support::PlainFrame;

const EVENTS: usize = 3;

/// One thing that reaches the machine.
#[derive(Clone, Debug)]
enum Arrival {
    /// A part of an event.
    Part {
        event: usize,
        part: usize,
    },
    /// Another message, which has nothing to do with the parts.
    Whole,
    Pong,
    Garbage(Vec<u8>),
    Text,
    /// The link is lost, and another one opens.
    Reconnect,
    Time(u64),
}

/// Events as lists of parts, and everything that arrives: each part at least
/// once, some more often, in any order and between other things.
fn arrivals() -> impl Strategy<Value = (Vec<Vec<Vec<u8>>>, Vec<Arrival>)> {
    let event = (vec(any::<u8>(), 0..60), vec(any::<Index>(), 1..6)).prop_map(cut);
    vec(event, 1..=EVENTS)
        .prop_flat_map(|events| {
            let parts: Vec<_> = events
                .iter()
                .enumerate()
                .flat_map(|(event, parts)| (0..parts.len()).map(move |part| (event, part)))
                .collect();
            let again = vec(proptest::sample::select(parts.clone()), 0..8);
            (Just(events), Just(parts), again, vec(other(), 0..8))
        })
        .prop_flat_map(|(events, parts, again, others)| {
            let parts = parts.into_iter().chain(again);
            let arrivals: Vec<_> = parts
                .map(|(event, part)| Arrival::Part { event, part })
                .chain(others)
                .collect();
            (Just(events), Just(arrivals).prop_shuffle())
        })
}

fn other() -> impl Strategy<Value = Arrival> {
    prop_oneof![
        Just(Arrival::Whole),
        Just(Arrival::Pong),
        vec(any::<u8>(), 0..20).prop_map(Arrival::Garbage),
        Just(Arrival::Text),
        Just(Arrival::Reconnect),
        (0..900_u64).prop_map(Arrival::Time),
    ]
}

/// Cuts anywhere, also twice at one place: a part may be empty.
fn cut((payload, cuts): (Vec<u8>, Vec<Index>)) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(payload.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(payload.len());
    let mut start = 0;
    let parts = cuts.into_iter().map(|end| {
        let part = payload[start..end].to_vec();
        start = end;
        part
    });
    parts.collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_split_in_any_order_is_delivered_once_and_whole((events, arrivals) in arrivals()) {
        let config = Config {
            // How long parts are kept is not what this is about.
            reassembly_timeout: Duration::from_secs(3600),
            ..Config::default()
        };
        let fixed = FixedMemory::<8, 4096, EVENTS, 64>::default();
        joins(Rig::open(config.clone(), fixed), &events, &arrivals)?;
        joins(Rig::open(config, HeapMemory::new(8, 4096, EVENTS)), &events, &arrivals)?;
    }

    /// Whatever the peer says about parts, sums and ids: memory inside the
    /// machine needs no allocator, and memory from the allocator holds at most
    /// what the limits name for each set: its bytes, and eight for each part.
    /// For a moment the bytes of one set lie there twice: as they are put in
    /// order, or in more room than before.
    #[test]
    fn what_parts_can_make_the_machine_hold_is_bounded(messages in vec(hostile_part(), 1..60)) {
        const SETS: usize = 2;
        const EVENT_BYTES_MAX: usize = 100;
        const PARTS_MAX: u32 = 6;
        const BOUND: u64 =
            ((SETS + 1) * EVENT_BYTES_MAX + SETS * PARTS_MAX as usize * 8) as u64;
        let limits = Limits {
            event_bytes_max: EVENT_BYTES_MAX,
            parts_max: PARTS_MAX,
            ..Limits::default()
        };
        let config = Config { limits, ..Config::default() };
        let messages: Vec<_> = messages.iter().map(PlainFrame::encode_to_vec).collect();

        let mut rig = Rig::open(config.clone(), HeapMemory::new(4, 1024, SETS));
        let held = allocation_counter::measure(|| feed(&mut rig, &messages));
        prop_assert!(held.bytes_max <= BOUND, "{} bytes", held.bytes_max);

        let mut rig = Rig::open(config, FixedMemory::<4, 1024, SETS, 128>::default());
        let held = allocation_counter::measure(|| feed(&mut rig, &messages));
        prop_assert_eq!(held.count_total, 0);
    }
}

fn joins<M: Memory>(
    mut rig: Rig<M>,
    events: &[Vec<Vec<u8>>],
    arrivals: &[Arrival],
) -> Result<(), TestCaseError> {
    let mut missing: Vec<Vec<bool>> = events.iter().map(|parts| vec![true; parts.len()]).collect();
    for arrival in arrivals {
        match arrival {
            Arrival::Part { event, part } => {
                let parts = &events[*event];
                let message = part_message(&event.to_string(), parts.len(), *part, &parts[*part]);
                let completes = std::mem::take(&mut missing[*event][*part])
                    && missing[*event].iter().all(|missing| !missing);
                let delivered = rig.receive(&message);
                let payload = delivered.as_ref().map(|(_, payload)| payload.clone());
                prop_assert_eq!(payload, completes.then(|| parts.concat()));
                // The part that completes the event is the one that goes back.
                if let Some((token, _)) = delivered {
                    let ack = rig.acknowledge(token).unwrap();
                    let expected = message.acknowledged(0, br#"{"code":200}"#);
                    prop_assert_eq!(PlainFrame::decode(ack.as_slice()).unwrap(), expected);
                }
            }
            Arrival::Whole => {
                let message = PlainFrame::new(1, &[("type", "event"), ("message_id", "0")], b"{}");
                let (token, payload) = rig.receive(&message).unwrap();
                prop_assert_eq!(payload, b"{}");
                rig.acknowledge(token).unwrap();
            }
            Arrival::Pong => rig.pong(NO_CONFIG),
            Arrival::Garbage(bytes) => prop_assert!(rig.receive_bytes(bytes).is_none()),
            Arrival::Text => rig.machine.handle_other_message(rig.epoch, true),
            Arrival::Reconnect => {
                rig.lose();
                rig.connect(NO_CONFIG);
            }
            Arrival::Time(millis) => rig.pass(Duration::from_millis(*millis)),
        }
        rig.drain();
    }
    prop_assert_eq!(rig.machine.in_flight(), 0);
    Ok(())
}

fn part_message(id: &str, sum: usize, seq: usize, payload: &[u8]) -> PlainFrame {
    let (sum, seq) = (sum.to_string(), seq.to_string());
    let headers = [
        ("type", "event"),
        ("message_id", id),
        ("sum", &sum),
        ("seq", &seq),
        ("instance_id", "gw-7"),
    ];
    PlainFrame::new(1, &headers, payload)
}

/// Numbers of parts and indices that a peer could mean as an attack.
fn hostile_part() -> impl Strategy<Value = PlainFrame> {
    let strange = || {
        let texts = vec!["-1", "", "x", "1e3", "4294967295", "99999999999999999999"];
        let text = proptest::sample::select(texts).prop_map(str::to_owned);
        prop_oneof![
            (0..4_u64).prop_map(|count| count.to_string()),
            (1020..1028_u64).prop_map(|count| count.to_string()),
            any::<u64>().prop_map(|count| count.to_string()),
            text,
        ]
    };
    // Mostly ones that agree with each other, so that much is kept.
    let sum = prop_oneof![12 => Just("1024".to_owned()), 1 => strange()];
    let seq = prop_oneof![12 => (0..1024_u64).prop_map(|seq| seq.to_string()), 1 => strange()];
    let id = prop_oneof![12 => "[a-c]", 1 => "[a-b]{127,130}"];
    let payload = vec(any::<u8>(), 0..70);
    (id, sum, seq, payload).prop_map(|(id, sum, seq, payload)| {
        let headers = [
            ("type", "event"),
            ("message_id", &*id),
            ("sum", &*sum),
            ("seq", &*seq),
        ];
        PlainFrame::new(1, &headers, &payload)
    })
}

/// Nothing here allocates but the machine.
fn feed<M: Memory>(rig: &mut Rig<M>, messages: &[Vec<u8>]) {
    let mut scratch = heapless::Vec::<u8, 512>::new();
    for message in messages {
        let _ = rig.machine.handle_message(rig.now, rig.epoch, message);
        while rig.machine.poll_output(rig.now, &mut scratch).is_some() {}
        assert!(rig.machine.in_flight() <= 4);
    }
}
