//! The long-connection machine against a simulated platform and clock.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use proto_core::conn::{
    AckError, AckToken, CloseReason, Connection, Discard, Encoding, Epoch, Event, FixedMemory,
    LinkState, Outcome, Output, Timer,
};
use proto_core::{
    Config, EndpointReply, Frame, FrameFields, HandshakeRefusal, Header, Instant, Limits, Method,
    Refusal,
};

const SECOND: Duration = Duration::from_secs(1);
const PING: &[u8] = &[
    0x08, 0x00, 0x10, 0x00, 0x18, 0xf6, 0x81, 0x80, 0x10, 0x20, 0x00, 0x2a, 0x0c, 0x0a, 0x04, 0x74,
    0x79, 0x70, 0x65, 0x12, 0x04, 0x70, 0x69, 0x6e, 0x67,
];

#[test]
fn a_link_opens_in_two_steps_and_is_pinged_at_once() {
    let mut rig = Rig::new();
    assert_eq!(rig.advance_to_next_timer(), Some(Timer::Reconnect));
    let epoch = rig.epoch;
    assert_eq!(rig.outputs(), [Seen::Fetch]);
    rig.endpoint(GRANT);
    assert_eq!(
        rig.outputs(),
        [
            Seen::Event(Event::Reconfigured(rig.machine.server_config())),
            Seen::Connect(URL.into())
        ]
    );
    rig.machine.handle_open(rig.now, epoch);
    assert_eq!(
        rig.outputs(),
        [Seen::Event(Event::LinkUp(epoch)), Seen::Send(PING.into())]
    );
    assert_eq!(rig.machine.state(), LinkState::Open);
}

#[test]
fn pings_keep_their_interval_and_any_message_clears_the_pong_deadline() {
    let mut rig = Rig::open();
    for _ in 0..50 {
        rig.pong(b"");
        let before = rig.now;
        while rig.advance_to_next_timer() != Some(Timer::Ping) {}
        assert_eq!(rig.now - before, 120 * SECOND);
        assert_eq!(rig.outputs(), [Seen::Send(PING.into())]);
    }
    assert_eq!(rig.machine.stats().pings, 51);
}

#[test]
fn a_deaf_link_is_dropped_at_its_deadline() {
    let mut rig = Rig::open();
    let opened = rig.now;
    assert_eq!(rig.advance_to_next_timer(), Some(Timer::Pong));
    assert_eq!(rig.now - opened, 30 * SECOND);
    assert_eq!(
        rig.outputs(),
        [
            Seen::Disconnect(CloseReason::PongTimeout),
            Seen::Event(Event::LinkDown(rig.epoch, CloseReason::PongTimeout))
        ]
    );
    assert_eq!(rig.machine.state(), LinkState::Waiting);
}

#[test]
fn a_machine_that_slept_pings_at_once() {
    let mut rig = Rig::open();
    rig.pong(b"");
    rig.machine.handle_wake(rig.now);
    assert_eq!(rig.outputs(), [Seen::Send(PING.into())]);
    assert_eq!(
        rig.machine.poll_timeout().map(|(_, timer)| timer),
        Some(Timer::Pong)
    );
}

#[test]
fn pongs_change_the_intervals_inside_bounds() {
    for (payload, ping, interval, nonce) in [
        (r#"{"PingInterval":7}"#, 7, 120, 30),
        (
            r#"{"PingInterval":0,"ReconnectInterval":0,"ReconnectNonce":0}"#,
            120,
            120,
            0,
        ),
        (
            r#"{"PingInterval":-5,"ReconnectInterval":-1,"ReconnectNonce":-1}"#,
            120,
            120,
            30,
        ),
        (
            r#"{"PingInterval":99999,"ReconnectInterval":99999,"ReconnectNonce":99999}"#,
            600,
            600,
            300,
        ),
        (r#"{"PingInterval":"7"}"#, 120, 120, 30),
        ("nonsense", 120, 120, 30),
        ("", 120, 120, 30),
        (
            r#"{"New":{"a":[1]},"ReconnectCount":3,"ReconnectInterval":60}"#,
            120,
            60,
            30,
        ),
    ] {
        let mut rig = Rig::open();
        rig.pong(payload.as_bytes());
        let config = rig.machine.server_config();
        assert_eq!(config.ping_interval, ping * SECOND, "{payload}");
        assert_eq!(config.reconnect_interval, interval * SECOND, "{payload}");
        assert_eq!(config.reconnect_nonce, nonce * SECOND, "{payload}");
    }
}

#[test]
fn an_event_is_acknowledged_as_the_official_clients_write_it() {
    let mut rig = Rig::open();
    let message = event("m1", 1, 0, b"{\"a\":1}");
    let token = rig.deliver(&message).unwrap();
    rig.now = rig.now + Duration::from_millis(17);
    let ack = rig.acknowledge(token, Outcome::Done).unwrap();

    let limits = Limits::default();
    let (sent, back) = (
        Frame::decode(&message, &limits).unwrap(),
        Frame::decode(&ack, &limits).unwrap(),
    );
    assert_eq!(back.payload, Some(&br#"{"code":200}"#[..]));
    assert_eq!(
        (back.seq_id, back.log_id, back.service),
        (sent.seq_id, sent.log_id, sent.service)
    );
    assert_eq!(
        (back.method, back.log_id_new()),
        (sent.method, sent.log_id_new())
    );
    let mut expected: Vec<_> = sent.headers().collect();
    expected.push(Header {
        key: "biz_rt",
        value: "17",
    });
    assert_eq!(back.headers().collect::<Vec<_>>(), expected);
    // Canonical: what an encoder of these fields would have written.
    let mut canonical = Vec::new();
    FrameFields::from(&back)
        .encode(back.headers(), &mut canonical)
        .unwrap();
    assert_eq!(ack, canonical);
}

#[test]
fn recorded_acknowledgements_come_out_byte_for_byte() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/ws_frames.json");
    let vectors: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |name: &str| -> Vec<u8> {
        let found = vectors
            .as_array()
            .unwrap()
            .iter()
            .find(|vector| vector["name"] == name);
        let hex = found.unwrap()["hex"].as_str().unwrap();
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let limits = Limits::default();
    let recorded = bytes("ack_ok_node");
    let recorded = Frame::decode(&recorded, &limits).unwrap();
    // The frame that was acknowledged: the recorded one without what the ack added.
    let asked: Vec<_> = recorded
        .headers()
        .filter(|header| header.key != "biz_rt")
        .collect();
    let mut message = Vec::new();
    FrameFields {
        payload: Some(b"{}"),
        ..FrameFields::from(&recorded)
    }
    .encode(asked.iter().copied(), &mut message)
    .unwrap();
    let mut rig = Rig::open();
    let token = rig.deliver(&message).unwrap();
    let ack = rig.acknowledge(token, Outcome::Done).unwrap();
    let ours = Frame::decode(&ack, &limits).unwrap();
    assert_eq!(ours.payload, recorded.payload);
    let keys = |frame: &Frame<'_>| {
        frame
            .headers()
            .map(|header| header.key.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&ours), keys(&recorded));
}

#[test]
fn answers_travel_as_base64_and_refusals_as_500() {
    let mut rig = Rig::open();
    let json = br#"{"toast":{"type":"success","content":"ok, \u597d, and long enough for two pieces of base64 text"}}"#;
    let token = rig.deliver(&event("m1", 1, 0, b"{}")).unwrap();
    let ack = rig.acknowledge(token, Outcome::Answer(json)).unwrap();
    let payload = Frame::decode(&ack, &Limits::default())
        .unwrap()
        .payload
        .unwrap()
        .to_vec();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["code"], 200);
    assert_eq!(unbase64(payload["data"].as_str().unwrap()), json);

    let token = rig.deliver(&event("m2", 1, 0, b"{}")).unwrap();
    let ack = rig.acknowledge(token, Outcome::Failed).unwrap();
    let frame = Frame::decode(&ack, &Limits::default()).unwrap();
    assert_eq!(frame.payload, Some(&br#"{"code":500}"#[..]));
}

#[test]
fn an_unacknowledged_delivery_is_refused_at_its_deadline() {
    let mut rig = Rig::open();
    rig.pong(b"");
    let delivered = rig.now;
    let token = rig.deliver(&event("m1", 1, 0, b"{}")).unwrap();
    let id = token.id();
    assert_eq!(rig.advance_to_next_timer(), Some(Timer::Ack));
    assert_eq!(rig.now - delivered, Duration::from_millis(2500));
    let outputs = rig.outputs();
    let [Seen::Send(refusal), Seen::Event(Event::AckOverdue(overdue))] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(*overdue, id);
    let frame = Frame::decode(refusal, &Limits::default()).unwrap();
    assert_eq!(frame.payload, Some(&br#"{"code":500}"#[..]));
    assert_eq!(
        rig.acknowledge(token, Outcome::Done),
        Err(AckError::TooLate)
    );
}

#[test]
fn an_acknowledgement_after_a_reconnect_goes_out_on_the_new_link() {
    let mut carried = 0;
    for seed in 0..20 {
        let mut rig = Rig::seeded(seed);
        rig.reconnect();
        let token = rig.deliver(&event("m1", 1, 0, b"{}")).unwrap();
        let other = rig.deliver(&event("m2", 1, 0, b"{}")).unwrap();
        let lost_at = rig.now;
        rig.machine
            .handle_closed(rig.now, rig.epoch, CloseReason::Peer(Some(1000)));
        assert_eq!(
            rig.acknowledge(other, Outcome::Done),
            Err(AckError::LinkDown)
        );
        rig.reconnect();
        // The wait is random: in time if it was short, refused if it was not.
        let in_time = rig.now - lost_at < Duration::from_millis(2500);
        assert_eq!(rig.acknowledge(token, Outcome::Done).is_ok(), in_time);
        carried += u32::from(in_time);
    }
    assert!(carried > 0);
}

/// Feishu pushes again what was refused: within seconds or after 15 s, and
/// perhaps under the same id.
#[test]
fn a_split_event_that_was_refused_comes_again() {
    for later in [Duration::ZERO, SECOND, 4 * SECOND, 6 * SECOND] {
        let mut rig = Rig::open();
        let parts = [event("split", 2, 0, b"{"), event("split", 2, 1, b"}")];
        assert_eq!(rig.deliver_payload(&parts[0]), None);
        // The slowest set that is still joined.
        rig.now = rig.now + 9 * SECOND;
        let token = rig.deliver(&parts[1]).unwrap();
        rig.acknowledge(token, Outcome::Failed).unwrap();
        rig.now = rig.now + later;
        assert_eq!(rig.deliver_payload(&parts[0]), None);
        let again = rig.deliver_payload(&parts[1]);
        assert_eq!(again.as_deref(), Some(&b"{}"[..]), "{later:?}");
        assert_eq!(rig.machine.stats().doubles, 0);
    }
}

#[test]
fn a_split_event_that_was_acknowledged_does_not_come_again_within_moments() {
    let answers = [Outcome::Done, Outcome::Answer(b"{}")];
    for (outcome, later) in answers.into_iter().zip([SECOND, 4 * SECOND]) {
        let mut rig = Rig::open();
        let other = rig.deliver_split("other").unwrap();
        let token = rig.deliver_split("split").unwrap();
        // What is refused is forgotten, and nothing else.
        rig.acknowledge(other, Outcome::Failed).unwrap();
        assert_eq!(rig.deliver_split("split"), None, "not answered yet");
        rig.acknowledge(token, outcome).unwrap();
        rig.now = rig.now + later;
        assert_eq!(rig.deliver_split("split"), None);
        assert_eq!(rig.machine.stats().doubles, 4);
        assert!(rig.deliver_split("other").is_some());
    }
}

/// Only what was acknowledged is a double: everything else is pushed again, and
/// must find an answer then.
#[test]
fn a_split_event_that_was_not_acknowledged_comes_again_at_once() {
    let shed = |rig: &mut Rig| {
        let waiting: Vec<_> = (0..8)
            .map(|_| rig.deliver(&event("m", 1, 0, b"{}")).unwrap())
            .collect();
        assert_eq!(rig.deliver_split("split"), None);
        assert_eq!(rig.machine.stats().shed, 1);
        for token in waiting {
            rig.acknowledge(token, Outcome::Done).unwrap();
        }
    };
    let overdue = |rig: &mut Rig| {
        let _token = rig.deliver_split("split").unwrap();
        assert_eq!(rig.advance_to_next_timer(), Some(Timer::Ack));
    };
    let no_buffer = |rig: &mut Rig| {
        let token = rig.deliver_split("split").unwrap();
        let mut out = heapless::Vec::<u8, 40>::new();
        let redeemed = rig
            .machine
            .acknowledge(rig.now, token, Outcome::Done, &mut out);
        assert_eq!(redeemed, Err(AckError::BufferFull));
    };
    let link_lost = |rig: &mut Rig| {
        let token = rig.deliver_split("split").unwrap();
        rig.machine
            .handle_closed(rig.now, rig.epoch, CloseReason::Transport);
        let redeemed = rig.acknowledge(token, Outcome::Done);
        assert_eq!(redeemed, Err(AckError::LinkDown));
        let lost = rig.now;
        rig.reconnect();
        assert!(rig.now - lost < 5 * SECOND);
    };
    let endings: [fn(&mut Rig); 4] = [shed, overdue, no_buffer, link_lost];
    for (which, end) in endings.iter().enumerate() {
        let mut rig = Rig::open();
        rig.pong(b"");
        end(&mut rig);
        assert!(rig.deliver_split("split").is_some(), "ending {which}");
        assert_eq!(rig.machine.stats().doubles, 0, "ending {which}");
    }
}

/// What nobody can read is refused each time that it comes.
#[test]
fn a_split_event_in_an_unknown_encoding_is_refused_again() {
    let mut rig = Rig::open();
    for _ in 0..2 {
        assert_eq!(rig.deliver_payload(&event("split", 2, 0, b"{")), None);
        assert_eq!(
            rig.deliver_payload(&in_encoding("br", &event("split", 2, 1, b"}"))),
            None
        );
        let outputs = rig.outputs();
        let [Seen::Send(refusal)] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        let frame = Frame::decode(refusal, &Limits::default()).unwrap();
        assert_eq!(frame.payload, Some(&br#"{"code":500}"#[..]));
    }
}

#[test]
fn parts_join_in_any_order_and_survive_a_reconnect() {
    let text = "{\"文本\":\"一二三四五\"}".as_bytes();
    let parts: Vec<&[u8]> = vec![&text[..5], &text[5..6], &[], &text[6..]];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        for reconnect in [false, true] {
            let mut rig = Rig::open();
            for (arrived, seq) in order.into_iter().enumerate() {
                let message = event("split", 4, seq, parts[seq]);
                if reconnect && arrived == 2 {
                    rig.machine
                        .handle_closed(rig.now, rig.epoch, CloseReason::Transport);
                    rig.reconnect();
                }
                let delivered = rig.deliver_payload(&message);
                if arrived < 3 {
                    assert_eq!(delivered, None, "{order:?}");
                    // A double of a part that is at hand changes nothing.
                    assert_eq!(rig.deliver_payload(&message), None);
                } else {
                    assert_eq!(delivered.as_deref(), Some(text), "{order:?}");
                    assert_eq!(rig.deliver_payload(&message), None, "completed before");
                }
            }
            assert_eq!(rig.machine.stats().delivered, 1);
        }
    }
}

#[test]
fn impossible_parts_are_dropped_and_the_link_stays_up() {
    for (sum, seq, why) in [
        ("3", "3", Discard::Impossible),
        ("3", "-1", Discard::Impossible),
        ("x", "0", Discard::Impossible),
        ("1000000000", "0", Discard::Impossible),
        ("99999999999999999999", "0", Discard::Impossible),
    ] {
        let mut rig = Rig::open();
        let message = frame(
            &[
                ("type", "event"),
                ("message_id", "m"),
                ("sum", sum),
                ("seq", seq),
            ],
            b"x",
        );
        assert!(rig.deliver(&message).is_none());
        assert_eq!(
            rig.outputs(),
            [Seen::Event(Event::Discarded(why))],
            "{sum} {seq}"
        );
        assert_eq!(rig.machine.state(), LinkState::Open);
    }
    let mut rig = Rig::open();
    assert!(rig.deliver(&event("m", 2, 0, b"abc")).is_none());
    assert!(rig.deliver(&event("m", 2, 0, b"abd")).is_none());
    assert_eq!(
        rig.outputs(),
        [Seen::Event(Event::Discarded(Discard::Contradiction))]
    );
}

#[test]
fn an_incomplete_set_expires_ten_seconds_after_its_first_part() {
    let mut rig = Rig::open();
    rig.pong(b"");
    rig.deliver(&event("m", 3, 0, b"a"));
    let first = rig.now;
    rig.now = rig.now + 4 * SECOND;
    rig.deliver(&event("m", 3, 1, b"b"));
    assert_eq!(rig.machine.joining_bytes(), 2);
    assert_eq!(rig.advance_to_next_timer(), Some(Timer::Reassembly));
    assert_eq!(rig.now - first, 10 * SECOND);
    assert_eq!(
        rig.outputs(),
        [Seen::Event(Event::Discarded(Discard::Expired))]
    );
    assert_eq!(rig.machine.joining_bytes(), 0);
}

#[test]
fn garbage_is_counted_and_the_link_stays_up() {
    let mut rig = Rig::open();
    let headers = [("type", "event"), ("message_id", "m")];
    for message in [
        b"{\"code\":0}".to_vec(),
        Vec::new(),
        vec![0xff; 64],
        frame(&[("type", "gossip")], b"x"),
        raw_frame(Method::Unknown(7), &headers, b"x"),
        raw_frame(Method::Control, &[("type", "ping")], b""),
    ] {
        assert!(rig.deliver(&message).is_none());
    }
    rig.machine.handle_other_message(rig.epoch, true);
    let stats = *rig.machine.stats();
    assert_eq!((stats.bad_frames, stats.ignored), (3, 4));
    assert_eq!(rig.machine.state(), LinkState::Open);
}

#[test]
fn headers_that_are_missing_have_their_defaults_and_of_doubles_the_first_counts() {
    let mut rig = Rig::open();
    assert!(rig.deliver(&frame(&[("type", "event")], b"{}")).is_some());
    let doubled = frame(
        &[
            ("type", "event"),
            ("type", "card"),
            ("sum", "1"),
            ("sum", "9"),
        ],
        b"{}",
    );
    assert!(rig.deliver(&doubled).is_some());
}

#[test]
fn payload_encodings_are_passed_up_or_refused() {
    let mut rig = Rig::open();
    let limits = Limits::default();
    let encoded = |encoding| in_encoding(encoding, &event("m", 1, 0, b"x"));
    let gzip = encoded("gzip");
    let delivery = rig
        .machine
        .handle_message(rig.now, rig.epoch, &gzip)
        .unwrap();
    assert_eq!(delivery.encoding, Encoding::Gzip);
    assert!(rig.deliver(&encoded("br")).is_none());
    let [Seen::Send(refusal)] = &rig.outputs()[..] else {
        panic!()
    };
    assert_eq!(
        Frame::decode(refusal, &limits).unwrap().payload,
        Some(&br#"{"code":500}"#[..])
    );
}

#[test]
fn full_memory_sheds_and_recovers() {
    let mut rig = Rig::open();
    let mut tokens = Vec::new();
    while let Some(token) = rig.deliver(&event("m", 1, 0, b"{}")) {
        tokens.push(token);
    }
    assert_eq!(tokens.len(), 8);
    assert_eq!(rig.machine.stats().shed, 1);
    // The ring is reused again and again, whatever the order of the answers.
    for round in 0..100 {
        let token = tokens.remove(if round % 3 == 0 { 0 } else { tokens.len() / 2 });
        rig.acknowledge(token, Outcome::Done).unwrap();
        tokens.extend(rig.deliver(&event(&format!("m{round}"), 1, 0, b"{}")));
        rig.now = rig.now + Duration::from_millis(1);
    }
    for token in tokens {
        rig.acknowledge(token, Outcome::Done).unwrap();
    }
    assert_eq!(rig.machine.in_flight(), 0);
}

#[test]
fn fatal_and_retryable_refusals_are_told_apart() {
    let answer = |code: i64| format!("{{\"code\":{code},\"msg\":\"\",\"data\":{{}}}}");
    for (status, body, state, refusal) in [
        (200, answer(1), LinkState::Waiting, Refusal::Code(1)),
        (
            200,
            answer(1_000_040_343),
            LinkState::Waiting,
            Refusal::Code(1_000_040_343),
        ),
        (
            200,
            answer(1_000_040_350),
            LinkState::Waiting,
            Refusal::Code(1_000_040_350),
        ),
        (200, answer(403), LinkState::Fatal, Refusal::Code(403)),
        (200, answer(514), LinkState::Fatal, Refusal::Code(514)),
        (200, answer(77), LinkState::Fatal, Refusal::Code(77)),
        (
            200,
            r#"{"code":514,"data":null}"#.into(),
            LinkState::Fatal,
            Refusal::Code(514),
        ),
        (
            200,
            r#"{"code":514,"data":[{}]}"#.into(),
            LinkState::Fatal,
            Refusal::Code(514),
        ),
        (200, answer(0), LinkState::Waiting, Refusal::NoUrl),
        (
            200,
            r#"{"code":0}"#.into(),
            LinkState::Waiting,
            Refusal::NoUrl,
        ),
        (
            200,
            r#"{"code":0,"data":{"URL":""}}"#.into(),
            LinkState::Waiting,
            Refusal::NoUrl,
        ),
        (200, "<html>".into(), LinkState::Waiting, Refusal::NoUrl),
        (
            200,
            r#"{"code":0,"data":{"URL":"wss://evil.example/ws"}}"#.into(),
            LinkState::Waiting,
            Refusal::ForeignUrl,
        ),
        (500, answer(0), LinkState::Waiting, Refusal::HttpStatus(500)),
        (
            403,
            answer(403),
            LinkState::Waiting,
            Refusal::HttpStatus(403),
        ),
    ] {
        let mut rig = Rig::new();
        rig.advance_to_next_timer();
        rig.outputs();
        rig.machine.handle_endpoint(
            rig.now,
            rig.epoch,
            EndpointReply::Http {
                status,
                body: body.as_bytes(),
            },
        );
        assert_eq!(rig.machine.state(), state, "{status} {body}");
        let expected = if state == LinkState::Fatal {
            Event::Fatal(refusal)
        } else {
            Event::Refused(refusal)
        };
        assert_eq!(rig.outputs()[0], Seen::Event(expected), "{status} {body}");
        assert_eq!(
            rig.machine.poll_timeout().is_none(),
            state == LinkState::Fatal
        );
    }
}

#[test]
fn what_the_endpoint_says_for_people_decides_nothing() {
    for msg in [
        r#""say \"please\"\n""#,
        r#""\u00e9\u0000""#,
        "null",
        "7",
        r#"{"code":514}"#,
    ] {
        let mut rig = Rig::new();
        rig.advance_to_next_timer();
        rig.outputs();
        rig.endpoint(&GRANT.replace(r#""msg":"""#, &format!(r#""msg":{msg}"#)));
        let asked = rig.outputs();
        assert!(
            matches!(asked.last(), Some(Seen::Connect(_))),
            "{msg}: {asked:?}"
        );
    }
}

#[test]
fn handshake_refusals_are_told_apart() {
    let refused = |http_status, status, auth_error| HandshakeRefusal {
        http_status,
        status,
        auth_error,
    };
    for (refusal, state, at_least) in [
        (refused(403, Some(403), None), LinkState::Fatal, 0),
        (refused(403, None, None), LinkState::Waiting, 0),
        (
            refused(403, Some(514), Some(1_000_040_350)),
            LinkState::Waiting,
            60,
        ),
        (
            refused(403, Some(514), Some(1_000_040_344)),
            LinkState::Waiting,
            0,
        ),
        (refused(502, Some(1), None), LinkState::Waiting, 0),
    ] {
        let mut rig = Rig::new();
        rig.advance_to_next_timer();
        rig.outputs();
        rig.endpoint(GRANT);
        rig.outputs();
        rig.machine.handle_refused(rig.now, rig.epoch, refusal);
        assert_eq!(rig.machine.state(), state, "{refusal:?}");
        if let Some((due, _)) = rig.machine.poll_timeout() {
            assert!(due - rig.now >= at_least * SECOND, "{refusal:?}");
        }
    }
}

#[test]
fn credentials_that_are_refused_again_and_again_count_as_bad() {
    for suspicious in [Failure::Status(401), Failure::Handshake(514)] {
        let mut rig = Rig::new();
        for _ in 0..5 {
            rig.fail(suspicious);
        }
        assert_eq!(rig.machine.state(), LinkState::Fatal, "{suspicious:?}");
        assert_eq!(rig.machine.poll_timeout(), None);
    }
}

/// An app that the platform lets in is not given up because a proxy on the way
/// says 403 now and then.
#[test]
fn any_other_failure_starts_the_count_of_suspicious_refusals_anew() {
    for other in [
        Failure::Status(502),
        Failure::Unreachable,
        Failure::Handshake(1),
        Failure::Closed,
        Failure::TimedOut,
    ] {
        let mut rig = Rig::new();
        for _ in 0..10 {
            for suspicious in [403, 401, 403, 401] {
                rig.fail(Failure::Status(suspicious));
            }
            rig.fail(other);
        }
        for _ in 0..5 {
            rig.fail(Failure::Status(403));
        }
        assert_eq!(rig.machine.state(), LinkState::Fatal, "{other:?}");
    }
}

#[test]
fn waits_grow_to_their_cap_and_a_flapping_link_keeps_backing_off() {
    let mut rig = Rig::new();
    let mut longest = Duration::ZERO;
    for attempt in 0..40_u32 {
        let before = rig.now;
        while rig.advance_to_next_timer() != Some(Timer::Reconnect) {}
        rig.outputs();
        let waited = rig.now - before;
        let bound = match attempt {
            0 => Duration::ZERO,
            1 => 5 * SECOND,
            later => SECOND * 2_u32.pow((later - 2).min(6)),
        };
        assert!(waited <= bound.min(60 * SECOND), "{attempt}: {waited:?}");
        longest = longest.max(waited);
        // Opens, and is lost before it counts as stable.
        rig.endpoint(GRANT);
        rig.machine.handle_open(rig.now, rig.epoch);
        rig.outputs();
        rig.machine
            .handle_closed(rig.now, rig.epoch, CloseReason::Peer(Some(1001)));
        rig.outputs();
    }
    assert!(longest > 20 * SECOND, "{longest:?}");
    // An hour of health, and the next outage starts with short waits again.
    while rig.advance_to_next_timer() != Some(Timer::Reconnect) {}
    rig.outputs();
    rig.endpoint(GRANT);
    rig.machine.handle_open(rig.now, rig.epoch);
    rig.pong(b"");
    while rig.advance_to_next_timer() != Some(Timer::Stable) {}
    rig.machine
        .handle_closed(rig.now, rig.epoch, CloseReason::Transport);
    rig.outputs();
    let lost = rig.now;
    while rig.advance_to_next_timer() != Some(Timer::Reconnect) {}
    assert!(rig.now - lost <= 5 * SECOND);
}

#[test]
fn a_thousand_clients_that_lose_the_server_at_once_do_not_come_back_as_one() {
    let mut buckets = [0_u32; 50];
    for seed in 0..1000 {
        let mut rig = Rig::seeded(seed);
        rig.reconnect();
        rig.machine
            .handle_closed(rig.now, rig.epoch, CloseReason::Transport);
        rig.outputs();
        let (due, _) = rig.machine.poll_timeout().unwrap();
        let wait = (due - rig.now).as_millis() as usize;
        buckets[(wait / 100).min(49)] += 1;
    }
    // Evenly spread, each tenth of a second gets 20.
    assert!(buckets.iter().all(|count| *count < 60), "{buckets:?}");
}

#[test]
fn news_of_an_old_attempt_changes_nothing() {
    let mut rig = Rig::open();
    let old = rig.epoch;
    rig.machine
        .handle_closed(rig.now, old, CloseReason::Transport);
    rig.reconnect();
    let before = *rig.machine.stats();
    rig.machine
        .handle_closed(rig.now, old, CloseReason::Transport);
    rig.machine.handle_open(rig.now, old);
    assert!(
        rig.machine
            .handle_message(rig.now, old, &event("m", 1, 0, b"{}"))
            .is_none()
    );
    rig.machine
        .handle_endpoint(rig.now, old, EndpointReply::Failed);
    assert_eq!(rig.outputs(), []);
    assert_eq!(*rig.machine.stats(), before);
    assert_eq!(rig.machine.state(), LinkState::Open);
}

#[test]
fn an_attempt_that_hangs_is_given_up() {
    let mut rig = Rig::new();
    rig.advance_to_next_timer();
    rig.outputs();
    let asked = rig.now;
    assert_eq!(rig.advance_to_next_timer(), Some(Timer::Connect));
    assert_eq!(rig.now - asked, 20 * SECOND);
    assert_eq!(
        rig.outputs()[0],
        Seen::Disconnect(CloseReason::ConnectTimeout)
    );
}

#[test]
fn closing_says_goodbye_once_and_stays_closed() {
    let mut rig = Rig::open();
    rig.machine.close(rig.now);
    rig.machine.close(rig.now);
    assert_eq!(
        rig.outputs(),
        [
            Seen::Disconnect(CloseReason::Shutdown),
            Seen::Event(Event::LinkDown(rig.epoch, CloseReason::Shutdown))
        ]
    );
    rig.machine
        .handle_closed(rig.now, rig.epoch, CloseReason::Transport);
    assert_eq!(rig.machine.poll_timeout(), None);
    assert_eq!(rig.machine.state(), LinkState::Closed);
}

const URL: &str = "wss://msg-frontier.feishu.cn/ws/v2?fpid=493&aid=552564&device_id=1&access_key=ab&service_id=33554678&ticket=t";
const GRANT: &str = r#"{"code":0,"msg":"","data":{"URL":"wss:\/\/msg-frontier.feishu.cn\/ws\/v2?fpid=493\u0026aid=552564&device_id=1&access_key=ab&service_id=33554678&ticket=t","ClientConfig":{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":30,"PingInterval":120}}}"#;

/// A machine, a clock that only timers move, and the platform's side by hand.
struct Rig {
    machine: Connection<FixedMemory>,
    now: Instant,
    epoch: Epoch,
    scratch: heapless::Vec<u8, 512>,
    pending: Vec<Seen>,
}

/// How an attempt ends before there is a link.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The endpoint answers with this HTTP status.
    Status(u16),
    Unreachable,
    /// The handshake is refused with this `Handshake-Status`.
    Handshake(i64),
    Closed,
    TimedOut,
}

/// An output, owned.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Fetch,
    Connect(String),
    Send(Vec<u8>),
    Disconnect(CloseReason),
    Event(Event),
}

impl Rig {
    fn new() -> Self {
        Self::seeded(7)
    }

    fn seeded(seed: u64) -> Self {
        let now = Instant::from_millis(1_000_000);
        Self {
            machine: Connection::new(now, Config::default(), seed, FixedMemory::default()),
            now,
            epoch: Epoch::default(),
            scratch: heapless::Vec::new(),
            pending: Vec::new(),
        }
    }

    fn open() -> Self {
        let mut rig = Self::new();
        rig.reconnect();
        rig
    }

    /// Through the next attempt to an open link.
    fn reconnect(&mut self) {
        while self.advance_to_next_timer() != Some(Timer::Reconnect) {}
        self.endpoint(GRANT);
        self.machine.handle_open(self.now, self.epoch);
        self.drain();
        self.pending.clear();
    }

    /// Through the next attempt, which fails.
    fn fail(&mut self, failure: Failure) {
        assert_eq!(self.machine.state(), LinkState::Waiting);
        while self.advance_to_next_timer() != Some(Timer::Reconnect) {}
        match failure {
            Failure::Status(status) => {
                let reply = EndpointReply::Http { status, body: b"" };
                self.machine.handle_endpoint(self.now, self.epoch, reply);
            }
            Failure::Unreachable => {
                let reply = EndpointReply::Failed;
                self.machine.handle_endpoint(self.now, self.epoch, reply);
            }
            Failure::Handshake(status) => {
                self.endpoint(GRANT);
                let refusal = HandshakeRefusal {
                    http_status: 400,
                    status: Some(status),
                    auth_error: None,
                };
                self.machine.handle_refused(self.now, self.epoch, refusal);
            }
            Failure::Closed => {
                self.endpoint(GRANT);
                let reason = CloseReason::ConnectFailed;
                self.machine.handle_closed(self.now, self.epoch, reason);
            }
            Failure::TimedOut => {
                assert_eq!(self.advance_to_next_timer(), Some(Timer::Connect));
            }
        }
        self.drain();
    }

    fn endpoint(&mut self, body: &str) {
        let reply = EndpointReply::Http {
            status: 200,
            body: body.as_bytes(),
        };
        self.machine.handle_endpoint(self.now, self.epoch, reply);
        self.drain();
    }

    fn pong(&mut self, payload: &[u8]) {
        let pong = raw_frame(Method::Control, &[("type", "pong")], payload);
        assert!(self.deliver(&pong).is_none());
        self.drain();
        self.pending.clear();
    }

    fn deliver(&mut self, message: &[u8]) -> Option<AckToken> {
        let delivery = self.machine.handle_message(self.now, self.epoch, message)?;
        Some(delivery.token)
    }

    fn deliver_payload(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let delivery = self.machine.handle_message(self.now, self.epoch, message)?;
        Some(delivery.payload.to_vec())
    }

    /// An event in two parts.
    fn deliver_split(&mut self, id: &str) -> Option<AckToken> {
        assert_eq!(self.deliver(&event(id, 2, 0, b"{")), None);
        self.deliver(&event(id, 2, 1, b"}"))
    }

    fn acknowledge(&mut self, token: AckToken, outcome: Outcome<'_>) -> Result<Vec<u8>, AckError> {
        let mut out = Vec::new();
        self.machine
            .acknowledge(self.now, token, outcome, &mut out)?;
        Ok(out)
    }

    /// Jumps to the next deadline and lets it fire.
    fn advance_to_next_timer(&mut self) -> Option<Timer> {
        self.drain();
        let (due, timer) = self.machine.poll_timeout()?;
        assert!(
            due >= self.now || timer == Timer::Reconnect,
            "{timer:?} was due before now"
        );
        self.now = due.max(self.now);
        self.machine.handle_timeout(self.now);
        self.drain();
        if let Some((next, which)) = self.machine.poll_timeout() {
            assert!(
                next > self.now,
                "{which:?} is still due after handle_timeout"
            );
        }
        Some(timer)
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output(self.now, &mut self.scratch) {
            self.pending.push(match output {
                Output::FetchEndpoint(epoch) => {
                    self.epoch = epoch;
                    Seen::Fetch
                }
                Output::Connect { url, .. } => Seen::Connect(url.to_owned()),
                Output::Send(bytes) => Seen::Send(bytes.to_vec()),
                Output::Disconnect(_, reason) => Seen::Disconnect(reason),
                Output::Event(event) => Seen::Event(event),
            });
        }
    }

    fn outputs(&mut self) -> Vec<Seen> {
        self.drain();
        std::mem::take(&mut self.pending)
    }
}

fn event(id: &str, sum: usize, seq: usize, payload: &[u8]) -> Vec<u8> {
    let (sum, seq) = (sum.to_string(), seq.to_string());
    frame(
        &[
            ("timestamp", "1772445600000"),
            ("type", "event"),
            ("message_id", id),
            ("sum", &sum),
            ("seq", &seq),
            ("trace_id", "trace"),
            ("instance_id", "gw-7"),
        ],
        payload,
    )
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    raw_frame(Method::Data, headers, payload)
}

fn raw_frame(method: Method, headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameFields {
        seq_id: u64::MAX - 3,
        log_id: 1 << 60,
        service: 33_554_678,
        method,
        payload_encoding: None,
        payload_type: None,
        payload: Some(payload),
        log_id_new: Some("2026"),
    }
    .encode(
        headers.iter().map(|(key, value)| Header { key, value }),
        &mut out,
    )
    .unwrap();
    out
}

/// The same message with this `payload_encoding`.
fn in_encoding(encoding: &str, message: &[u8]) -> Vec<u8> {
    let frame = Frame::decode(message, &Limits::default()).unwrap();
    let mut out = Vec::new();
    FrameFields {
        payload_encoding: Some(encoding),
        ..FrameFields::from(&frame)
    }
    .encode(frame.headers(), &mut out)
    .unwrap();
    out
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let mut bytes = vec![0; text.len()];
    let len = base64::engine::general_purpose::STANDARD
        .decode_slice(text, &mut bytes)
        .unwrap();
    bytes.truncate(len);
    bytes
}
