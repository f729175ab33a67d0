//! How often the bytes of a split event are copied.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::cell::Cell;

use proto_core::conn::{
    AckSlot, Connection, Epoch, HeapMemory, HeapParts, Memory, Output, PartSet, PartSpan, PartStore,
};
use proto_core::{BufferFull, Config, EndpointReply, FrameFields, Header, Instant, Method};

const NOW: Instant = Instant::from_millis(0);
const PARTS: usize = 64;
const PART_BYTES: usize = 16 << 10;
/// The last part is shorter, as it is when somebody cuts at one length.
const EVENT_BYTES: usize = PARTS * PART_BYTES - 1000;

/// Indices as they arrive, and how often a byte is copied then.
fn orders() -> [(&'static str, Vec<usize>, usize); 4] {
    let mut swapped: Vec<_> = (0..PARTS).collect();
    swapped.swap(20, 21);
    // 7 has no divisor in common with 64, so each index comes once.
    let scattered = (0..PARTS).map(|at| at * 7 % PARTS).collect();
    [
        ("in order", (0..PARTS).collect(), 1),
        ("two swapped", swapped, 2),
        ("scattered", scattered, 2),
        ("backwards", (0..PARTS).rev().collect(), 2),
    ]
}

#[test]
fn a_part_is_copied_once_and_once_more_only_if_parts_did_not_come_in_order() {
    for (name, order, copies) in orders() {
        let (mut machine, epoch) = open(CountingMemory::default());
        let event = event();
        let messages = messages(&event, &order);
        APPENDED.set(0);
        ORDERED.set(0);
        let payload = deliver(&mut machine, epoch, &messages);
        assert_eq!(payload, event, "{name}");
        assert_eq!(APPENDED.get(), EVENT_BYTES, "{name}");
        assert_eq!(1 + ORDERED.get(), copies, "{name}");
    }
}

#[test]
fn room_for_an_event_is_made_in_one_piece() {
    /// Eight bytes for each part say where it is.
    const SPANS: usize = PARTS * 8;
    for (name, order, copies) in orders() {
        let (mut machine, epoch) = open(HeapMemory::new(4, 4096, 1));
        let event = event();
        let messages = messages(&event, &order);
        let taken = allocation_counter::measure(|| {
            for message in &messages {
                let _ = machine.handle_message(NOW, epoch, message);
            }
        });
        // Backwards, the short part comes first, and the second one tells how
        // long the whole may be.
        let again = usize::from(name == "backwards");
        let pieces = 1 + copies + again;
        assert_eq!(taken.count_total, pieces as u64, "{name}");
        let room = SPANS + (copies + again) * PARTS * PART_BYTES;
        assert!(
            taken.bytes_total <= room as u64,
            "{name}: {} bytes",
            taken.bytes_total
        );
    }
}

thread_local! {
    static APPENDED: Cell<usize> = const { Cell::new(0) };
    static ORDERED: Cell<usize> = const { Cell::new(0) };
}

/// What [`HeapParts`] does, counted.
#[derive(Default)]
struct CountingParts(HeapParts);

impl PartStore for CountingParts {
    fn begin(&mut self, count: usize) -> Result<(), BufferFull> {
        self.0.begin(count)
    }

    fn spans(&self) -> &[PartSpan] {
        self.0.spans()
    }

    fn spans_mut(&mut self) -> &mut [PartSpan] {
        self.0.spans_mut()
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    fn append(&mut self, part: &[u8], expected: usize) -> Result<(), BufferFull> {
        APPENDED.set(APPENDED.get() + part.len());
        self.0.append(part, expected)
    }

    fn put_in_order(&mut self) {
        ORDERED.set(ORDERED.get() + 1);
        self.0.put_in_order();
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Memory that somebody else than this crate made.
struct CountingMemory {
    slots: [AckSlot; 4],
    bytes: [u8; 4096],
    sets: [PartSet<CountingParts>; 1],
}

impl Default for CountingMemory {
    fn default() -> Self {
        Self {
            slots: Default::default(),
            bytes: [0; 4096],
            sets: Default::default(),
        }
    }
}

impl Memory for CountingMemory {
    type Parts = CountingParts;

    fn ack_slots(&mut self) -> &mut [AckSlot] {
        &mut self.slots
    }

    fn ack_slots_ref(&self) -> &[AckSlot] {
        &self.slots
    }

    fn ack_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn part_sets(&mut self) -> &mut [PartSet<CountingParts>] {
        &mut self.sets
    }

    fn part_sets_ref(&self) -> &[PartSet<CountingParts>] {
        &self.sets
    }
}

fn event() -> Vec<u8> {
    (0..EVENT_BYTES).map(|at| (at % 251) as u8).collect()
}

fn messages(event: &[u8], order: &[usize]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = event.chunks(PART_BYTES).collect();
    let message = |index: &usize| {
        let seq = index.to_string();
        let headers = [
            ("type", "event"),
            ("message_id", "m1"),
            ("sum", "64"),
            ("seq", &seq),
        ];
        let fields = FrameFields {
            seq_id: 1,
            log_id: 2,
            service: 3,
            method: Method::Data,
            payload_encoding: None,
            payload_type: None,
            payload: Some(parts[*index]),
            log_id_new: None,
        };
        let mut message = Vec::new();
        let headers = headers.map(|(key, value)| Header { key, value });
        fields.encode(headers, &mut message).unwrap();
        message
    };
    order.iter().map(message).collect()
}

/// Nothing is delivered before the last message; its delivery's payload.
fn deliver<M: Memory>(machine: &mut Connection<M>, epoch: Epoch, messages: &[Vec<u8>]) -> Vec<u8> {
    let (last, before) = messages.split_last().unwrap();
    for message in before {
        assert!(machine.handle_message(NOW, epoch, message).is_none());
    }
    let delivery = machine.handle_message(NOW, epoch, last).unwrap();
    delivery.payload.to_vec()
}

fn open<M: Memory>(memory: M) -> (Connection<M>, Epoch) {
    let mut machine = Connection::new(NOW, Config::default(), 1, memory);
    let (mut scratch, mut epoch) = (Vec::new(), Epoch::default());
    machine.handle_timeout(NOW);
    while let Some(output) = machine.poll_output(NOW, &mut scratch) {
        if let Output::FetchEndpoint(attempt) = output {
            epoch = attempt;
        }
    }
    let body = br#"{"code":0,"data":{"URL":"wss://gw.feishu.cn/?service_id=1"}}"#;
    machine.handle_endpoint(NOW, epoch, EndpointReply::Http { status: 200, body });
    machine.handle_open(NOW, epoch);
    while machine.poll_output(NOW, &mut scratch).is_some() {}
    (machine, epoch)
}
