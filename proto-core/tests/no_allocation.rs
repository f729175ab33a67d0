//! The frame path takes nothing from the allocator.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::conn::{Connection, Epoch, FixedMemory, Outcome, Output};
use proto_core::{Config, EndpointReply, Event, EventKind, Frame, Identity, Instant, Limits};

/// Frame in; message and acknowledgement out.
#[test]
fn from_a_frame_to_its_message_and_acknowledgement_nothing_is_allocated() {
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
    let mut scratch = heapless::String::<4096>::new();
    let mut text = heapless::String::<4096>::new();
    let identity = Identity {
        open_id: "ou_bot",
        app_id: "cli_app",
    };

    let allocations = allocation_counter::measure(|| {
        for _ in 0..100 {
            out.clear();
            let frame = Frame::decode(&message, &Limits::default()).unwrap();
            assert_eq!(frame.headers().count(), 7);
            let delivery = machine.handle_message(now, epoch, &message).unwrap();
            let token = delivery.token;
            let event = Event::parse(delivery.payload).unwrap();
            let EventKind::Message(message) = event.kind else {
                panic!("the vector holds a message");
            };
            message
                .normalize(identity, &mut scratch, &mut text, &mut |_| {})
                .unwrap();
            machine
                .acknowledge(now, token, Outcome::Answer(b"{\"toast\":{}}"), &mut out)
                .unwrap();
        }
    });
    assert!(!out.is_empty());
    assert!(!text.is_empty());
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

/// Every type of message, through the general way as well.
#[test]
fn no_message_of_any_type_makes_the_normaliser_allocate() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/events");
    let mut messages = 0;
    let mut scratch = Box::new(heapless::String::<{ 1 << 18 }>::new());
    let mut text = Box::new(heapless::String::<{ 1 << 18 }>::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(vector) =
            serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap())
        else {
            continue;
        };
        let body = vector["body"].to_string();
        let allocations = allocation_counter::measure(|| {
            if let Ok(event) = Event::parse(body.as_bytes())
                && let EventKind::Message(message) = event.kind
            {
                messages += 1;
                message
                    .normalize(Identity::default(), &mut *scratch, &mut *text, &mut |_| {})
                    .unwrap();
            }
        });
        assert_eq!(allocations.count_total, 0, "{path:?}");
    }
    assert!(messages > 30, "{messages}");
}
