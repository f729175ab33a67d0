//! The long connection, seen by a client made of sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that fails says where"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{SOON, connect, credentials, dial, discover, quick, url};
use feishu_sim::view::DeliveryState;
use feishu_sim::{FaultKind, LinkAction, Sim, SimConfig, UserMessage};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

#[tokio::test]
async fn the_endpoint_grants_a_url_and_all_four_numbers() {
    let sim = Sim::start(quick()).await.unwrap();
    let answer = discover(&sim, credentials(&sim)).await;
    assert_eq!(answer["code"], 0);
    assert_eq!(
        answer["data"]["ClientConfig"],
        json!({"ReconnectCount": -1, "ReconnectInterval": 2, "ReconnectNonce": 1, "PingInterval": 30})
    );
    let url = answer["data"]["URL"].as_str().unwrap();
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
    assert!(
        url.contains("?fpid=493&"),
        "service_id must not be first: {url}"
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn wrong_credentials_and_scripted_codes_always_have_a_data_object() {
    let sim = Sim::start(quick()).await.unwrap();
    for (name, body) in [
        (
            "wrong secret",
            json!({"AppID": sim.config().app_id, "AppSecret": "x"}),
        ),
        (
            "wrong id",
            json!({"AppID": "cli_x", "AppSecret": sim.config().app_secret}),
        ),
    ] {
        let answer = discover(&sim, body).await;
        assert_eq!(answer["code"], 514, "{name}");
        assert!(answer["data"].is_object(), "{name}");
    }
    for code in [1, 403, 1_000_040_343, 1_000_040_350] {
        sim.faults().add(FaultKind::EndpointCode { code }.times(1));
        let answer = discover(&sim, credentials(&sim)).await;
        assert_eq!(
            (&answer["code"], &answer["data"]),
            (&json!(code), &json!({}))
        );
    }
    assert_eq!(discover(&sim, credentials(&sim)).await["code"], 0);
    sim.shutdown().await;
}

fn header(refusal: &Error, name: &str) -> Option<String> {
    match refusal {
        Error::Http(response) => response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned()),
        other => panic!("not refused over HTTP: {other:?}"),
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_one_dial() {
    let sim = Sim::start(quick()).await.unwrap();
    let url = url(&sim).await;
    let _first = dial(&url).await.unwrap();
    let refusal = dial(&url).await.err().unwrap();
    assert_eq!(header(&refusal, "Handshake-Status").as_deref(), Some("514"));
    assert_eq!(
        header(&refusal, "Handshake-Autherrcode").as_deref(),
        Some("1000040344")
    );
    assert!(header(&refusal, "Handshake-Msg").is_some());
    sim.shutdown().await;
}

#[tokio::test]
async fn the_51st_connection_is_refused_and_a_free_place_is_taken() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(connect(&sim).await);
    }
    let refusal = dial(&url(&sim).await).await.err().unwrap();
    assert_eq!(
        header(&refusal, "Handshake-Autherrcode").as_deref(),
        Some("1000040350")
    );
    clients.pop();
    sim.until(SOON, |sim| (sim.link().connections < 50).then_some(()))
        .await
        .unwrap();
    assert!(dial(&url(&sim).await).await.is_ok());
    sim.shutdown().await;
}

#[tokio::test]
async fn a_ping_is_answered_with_the_configuration() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let service = sim.connections()[0].service_id;
    client.ping(service).await;
    let pong = client.frame().await;
    assert_eq!(
        (pong.seq_id, pong.log_id, pong.method, pong.service),
        (0, 0, 0, service)
    );
    assert_eq!(pong.headers, [("type".to_owned(), "pong".to_owned())]);
    assert_eq!(pong.json()["PingInterval"], 30);

    sim.faults().set([FaultKind::EmptyPong.times(1)]);
    client.ping(service).await;
    assert_eq!(client.frame().await.payload, None);

    client.ping(service + 1).await;
    client
        .send_bytes(b"\x18\x01\x2a\x0c\x0a\x04type\x12\x04ping".to_vec())
        .await;
    client.send_bytes(vec![0xff; 3]).await;
    client.socket_text("hello").await;
    client.ping(service).await;
    client.frame().await;
    let rules: Vec<String> = sim.violations().into_iter().map(|one| one.rule).collect();
    assert_eq!(rules, ["ping", "frame", "frame", "text_message"]);
    assert_eq!(sim.connections()[0].pings, 3);
    sim.shutdown().await;
}

impl common::Client {
    async fn socket_text(&mut self, text: &str) {
        use futures_util::SinkExt as _;
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }
}

#[tokio::test]
async fn an_event_is_pushed_and_its_ack_recorded() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let sent = sim.user_says(UserMessage::text("你好")).unwrap();
    let frame = client.frame().await;
    let keys: Vec<&str> = frame.headers.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "timestamp",
            "type",
            "message_id",
            "sum",
            "seq",
            "trace_id",
            "instance_id"
        ]
    );
    assert_eq!(
        (frame.method, frame.header("sum"), frame.header("type")),
        (1, "1", "event")
    );
    let event = frame.json();
    assert_eq!(
        event["header"]["event_id"].as_str(),
        sent.event_id.as_deref()
    );
    assert_eq!(event["event"]["message"]["content"], r#"{"text":"你好"}"#);
    assert_eq!(event["event"]["message"]["chat_type"], "p2p");

    client
        .send(&frame.ack(r#"{"code":200,"headers":null,"data":null}"#))
        .await;
    let delivery = sim
        .until(SOON, |sim| {
            let delivery = sim.message(&sent.message_id)?.delivery?;
            (delivery.state == DeliveryState::Acked).then_some(delivery)
        })
        .await
        .unwrap();
    assert_eq!(delivery.attempts, 1);
    assert_eq!(sim.violations(), []);
    assert_eq!(sim.acks()[0].code, 200);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_group_message_reaches_the_bot_only_when_it_is_mentioned() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let group = sim.group_chat_id();
    for (text, mention_bot, heard) in [
        ("@Alice Zhang 好", None, false),
        ("随便说说", Some(false), false),
        ("@小欧 总结一下", None, true),
        ("总结一下", None, true),
    ] {
        let message = UserMessage {
            mention_bot,
            ..UserMessage::text(text).in_chat(group)
        };
        let sent = sim.user_says(message).unwrap();
        assert_eq!(sent.event_id.is_some(), heard, "{text}");
        if heard {
            let event = client.take().await;
            let mention = &event["event"]["message"]["mentions"][0];
            assert_eq!(mention["id"]["open_id"], sim.config().bot_open_id.as_str());
            assert_eq!(mention["key"], "@_user_1");
        }
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn without_an_ack_the_event_comes_again_and_then_no_more() {
    let config = SimConfig {
        ack_within: Duration::from_millis(30),
        time_scale: 0.000_01,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let mut client = connect(&sim).await;
    let sent = sim.user_says(UserMessage::text("x")).unwrap();
    let mut frame_ids = Vec::new();
    for _ in 0..5 {
        let frame = client.frame().await;
        assert_eq!(
            frame.json()["header"]["event_id"].as_str(),
            sent.event_id.as_deref()
        );
        frame_ids.push(frame.header("message_id").to_owned());
    }
    frame_ids.sort();
    frame_ids.dedup();
    assert_eq!(frame_ids.len(), 5, "each push has an id of its own");
    let delivery = sim
        .until(SOON, |sim| {
            let delivery = sim.message(&sent.message_id)?.delivery?;
            (delivery.state == DeliveryState::GivenUp).then_some(delivery)
        })
        .await
        .unwrap();
    assert_eq!(delivery.attempts, 5);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_failure_code_brings_the_event_again_and_a_bad_ack_counts_for_nothing() {
    let config = SimConfig {
        ack_within: Duration::from_secs(1),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let mut client = connect(&sim).await;
    sim.user_says(UserMessage::text("x")).unwrap();
    let first = client.frame().await;
    client.send(&first.ack(r#"{"code":500}"#)).await;
    let second = client.frame().await;
    let mut bad = second.ack(r#"{"code":200}"#);
    bad.headers.retain(|(key, _)| key != "instance_id");
    client.send(&bad).await;
    let third = client.frame().await;
    client.send(&third.ack(r#"{"code":200}"#)).await;
    sim.until(SOON, |sim| (sim.acks().len() == 2).then_some(()))
        .await
        .unwrap();
    let seen: Vec<(i64, u32)> = sim
        .acks()
        .iter()
        .map(|ack| (ack.code, ack.attempt))
        .collect();
    assert_eq!(seen, [(500, 1), (200, 3)]);
    let rules: Vec<String> = sim.violations().into_iter().map(|one| one.rule).collect();
    assert_eq!(rules, ["ack_headers"]);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_large_event_comes_in_shuffled_parts() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let text = "汉".repeat(60_000);
    sim.user_says(UserMessage::text(text.clone())).unwrap();
    let mut parts = BTreeMap::new();
    let mut order = Vec::new();
    let last = loop {
        let frame = client.frame().await;
        let seq: usize = frame.header("seq").parse().unwrap();
        let sum: usize = frame.header("sum").parse().unwrap();
        order.push(seq);
        parts.insert(seq, frame.payload.clone().unwrap());
        if parts.len() == sum {
            break frame;
        }
    };
    assert!(order.len() >= 6 && !order.is_sorted(), "{order:?}");
    assert!(
        parts
            .values()
            .any(|part| std::str::from_utf8(part).is_err()),
        "no cut inside a character"
    );
    let whole: Vec<u8> = parts.into_values().flatten().collect();
    let event: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let content = event["event"]["message"]["content"].as_str().unwrap();
    assert_eq!(content, json!({"text": text}).to_string());
    client.send(&last.ack(r#"{"code":200}"#)).await;
    sim.until(SOON, |sim| (sim.acks().len() == 1).then_some(()))
        .await
        .unwrap();
    assert_eq!(sim.violations(), []);
    sim.shutdown().await;
}

#[tokio::test]
async fn an_event_with_a_lost_part_comes_again_whole() {
    let config = SimConfig {
        ack_within: Duration::from_millis(500),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let mut client = connect(&sim).await;
    sim.faults().set([
        FaultKind::Split { bytes: 200 }.times(1),
        FaultKind::LosePart.times(1),
    ]);
    sim.user_says(UserMessage::text("x")).unwrap();
    let first = client.frame().await;
    let sum: usize = first.header("sum").parse().unwrap();
    assert!(sum > 1);
    let mut got = 1;
    let whole = loop {
        let frame = client.frame().await;
        if frame.header("sum") == "1" {
            break frame;
        }
        got += 1;
    };
    assert_eq!(got, sum - 1);
    client.send(&whole.ack(r#"{"code":200}"#)).await;
    sim.until(SOON, |sim| sim.acks().first().map(|ack| ack.attempt))
        .await
        .unwrap();
    sim.shutdown().await;
}

#[tokio::test]
async fn ids_are_sometimes_zero_and_sometimes_above_2_to_the_53() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let (mut zero, mut large) = (0, 0);
    for _ in 0..60 {
        sim.user_says(UserMessage::text("x")).unwrap();
        let frame = client.frame().await;
        zero += usize::from(frame.seq_id == 0);
        large += usize::from(frame.seq_id > 1 << 53);
        client.send(&frame.ack(r#"{"code":200}"#)).await;
    }
    assert!(zero > 0 && large > 0, "{zero} zero, {large} large");
    sim.shutdown().await;
}

#[tokio::test]
async fn faults_strike_the_connection() {
    let config = SimConfig {
        // Nothing is pushed again while this runs.
        time_scale: 1.0,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();

    let mut client = connect(&sim).await;
    sim.faults().set([FaultKind::Close { code: 1001 }.times(1)]);
    sim.user_says(UserMessage::text("x")).unwrap();
    let close = client.message().await.unwrap().unwrap();
    assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 1001));

    let mut client = connect(&sim).await;
    let noise = [
        FaultKind::GarbageFrame,
        FaultKind::BrokenFrame,
        FaultKind::TextFrame,
        FaultKind::WsPing,
    ];
    sim.faults().set(noise.map(|kind| kind.times(1)));
    sim.user_says(UserMessage::text("y")).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match client.message().await.unwrap().unwrap() {
            Message::Binary(_) => "binary",
            Message::Text(_) => "text",
            Message::Ping(_) => "ping",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["binary", "binary", "text", "ping"]);

    sim.act_on_links(LinkAction::Drop);
    while client
        .message()
        .await
        .is_some_and(|message| message.is_ok())
    {}
    sim.until(SOON, |sim| (!sim.link().up).then_some(()))
        .await
        .unwrap();
    sim.shutdown().await;
}

#[tokio::test]
async fn a_silent_connection_stays_open_and_says_nothing() {
    let sim = Sim::start(quick()).await.unwrap();
    let mut client = connect(&sim).await;
    let service = sim.connections()[0].service_id;
    sim.act_on_links(LinkAction::Silence);
    client.ping(service).await;
    sim.user_says(UserMessage::text("x")).unwrap();
    let nothing = timeout(Duration::from_millis(200), client.message()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    assert_eq!(sim.link().connections, 1);
    assert_eq!(sim.connections()[0].pings, 0);
    sim.shutdown().await;
}
