//! The frame path takes nothing from the allocator.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::conn::{Connection, Epoch, FixedMemory, Outcome, Output};
use proto_core::{Config, EndpointReply, Frame, Instant, Limits};

#[test]
fn decoding_an_event_and_encoding_its_acknowledgement_allocates_nothing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/ws_frames.json");
    let vectors: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let hex = vectors
        .as_array()
        .unwrap()
        .iter()
        .find(|vector| vector["name"] == "event_single")
        .unwrap()["hex"]
        .as_str()
        .unwrap()
        .to_owned();
    let message: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let now = Instant::from_millis(0);
    let mut machine = Box::new(Connection::new(
        now,
        Config::default(),
        1,
        FixedMemory::<8, 4096, 1, 16384>::default(),
    ));
    let epoch = open(now, &mut machine);
    let mut out = heapless::Vec::<u8, 2048>::new();

    let allocations = allocation_counter::measure(|| {
        for _ in 0..100 {
            out.clear();
            let frame = Frame::decode(&message, &Limits::default()).unwrap();
            assert_eq!(frame.headers().count(), 7);
            let delivery = machine.handle_message(now, epoch, &message).unwrap();
            let token = delivery.token;
            machine
                .acknowledge(now, token, Outcome::Answer(b"{\"toast\":{}}"), &mut out)
                .unwrap();
        }
    });
    assert!(!out.is_empty());
    assert_eq!(allocations.count_total, 0);
}

fn open(now: Instant, machine: &mut Connection<FixedMemory<8, 4096, 1, 16384>>) -> Epoch {
    let mut scratch = heapless::Vec::<u8, 512>::new();
    let mut current = None;
    machine.handle_timeout(now);
    while let Some(output) = machine.poll_output(now, &mut scratch) {
        if let Output::FetchEndpoint(epoch) = output {
            current = Some(epoch);
        }
    }
    let epoch = current.unwrap();
    let body = br#"{"code":0,"data":{"URL":"wss://gw.feishu.cn/?service_id=1"}}"#;
    machine.handle_endpoint(now, epoch, EndpointReply::Http { status: 200, body });
    machine.handle_open(now, epoch);
    while machine.poll_output(now, &mut scratch).is_some() {}
    epoch
}
