//! Each fault does what its name says, so often as it was told, and no more:
//! a fault that never struck would make every test of a bot's courage pass.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Api, SOON, connect, credentials, dial, http, quick, url};
use feishu_sim::{FaultKind, Sim, SimConfig, UserMessage};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;

/// How long "never" is watched for.
const NEVER: Duration = Duration::from_millis(200);

/// Without redeliveries within a test, so that each push is asked for.
async fn patient() -> Sim {
    let config = SimConfig {
        time_scale: 1.0,
        ..quick()
    };
    Sim::start(config).await.unwrap()
}

async fn ask_endpoint(sim: &Sim) -> Result<reqwest::Response, reqwest::Error> {
    let url = format!("{}/callback/ws/endpoint", sim.base_url());
    http().post(url).json(&credentials(sim)).send().await
}

/// A call that meets the fault that is set, and gets no answer. It may take a while to get there.
async fn hangs<T>(sim: &Sim, call: impl Future<Output = T>) {
    let unanswered = async {
        let struck = sim.until(SOON, |sim| sim.faults().list().is_empty().then_some(()));
        struck.await.unwrap();
        tokio::time::sleep(NEVER).await;
    };
    tokio::select! {
        _ = call => panic!("it was answered"),
        () = unanswered => {}
    }
}

#[tokio::test]
async fn the_endpoint_fails_once_and_then_works() {
    let sim = patient().await;
    for (fault, status, body_has) in [
        (
            FaultKind::EndpointCode {
                code: 1_000_040_350,
            },
            200,
            r#""code":1000040350"#,
        ),
        (FaultKind::EndpointStatus { status: 503 }, 503, "scripted"),
        (FaultKind::EndpointGarbage, 200, "<html>"),
        (FaultKind::EndpointNoConfig, 200, r#""URL":"ws://"#),
    ] {
        sim.faults().set([fault.clone().times(1)]);
        let answer = ask_endpoint(&sim).await.unwrap();
        assert_eq!(answer.status(), status, "{fault:?}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(body_has), "{fault:?}: {body}");
        assert!(!body.contains("ClientConfig"), "{fault:?}: {body}");
        assert_eq!(sim.faults().list(), [], "{fault:?} is used up");
    }

    sim.faults().set([FaultKind::EndpointCut.times(1)]);
    assert!(ask_endpoint(&sim).await.is_err(), "cut without an answer");

    sim.faults().set([FaultKind::EndpointHang.times(1)]);
    hangs(&sim, ask_endpoint(&sim)).await;

    let healed = ask_endpoint(&sim).await.unwrap().text().await.unwrap();
    assert!(healed.contains("ClientConfig"), "{healed}");
    sim.shutdown().await;
}

#[tokio::test]
async fn a_scripted_refusal_has_the_status_and_only_the_headers_it_was_given() {
    let sim = patient().await;
    for (http_status, status, auth_code) in [
        (403, Some(403), None),
        (403, Some(514), Some(1_000_040_350)),
        (502, None, None),
    ] {
        sim.faults().set([FaultKind::Handshake {
            http_status,
            status,
            auth_code,
        }
        .times(1)]);
        let url = url(&sim).await;
        let Err(Error::Http(refusal)) = dial(&url).await.map(|_| ()) else {
            panic!("not refused over HTTP");
        };
        assert_eq!(refusal.status().as_u16(), http_status);
        let number = |name| {
            let value = refusal.headers().get(name)?;
            Some(value.to_str().unwrap().parse::<i64>().unwrap())
        };
        assert_eq!(number("Handshake-Status"), status);
        assert_eq!(number("Handshake-Autherrcode"), auth_code);
        assert!(dial(&url).await.is_ok(), "the ticket was not used up");
    }

    sim.faults().set([FaultKind::HandshakeHang.times(1)]);
    let url = url(&sim).await;
    hangs(&sim, dial(&url)).await;
    sim.shutdown().await;
}

#[tokio::test]
async fn pongs_stay_out_or_carry_nonsense() {
    let sim = patient().await;
    let mut client = connect(&sim).await;
    let service = sim.connections()[0].service_id;

    let nonsense = r#"{"PingInterval":0}"#;
    let payload = nonsense.to_owned();
    sim.faults()
        .set([FaultKind::PongPayload { payload }.times(1)]);
    client.ping(service).await;
    assert_eq!(
        client.frame().await.payload.as_deref(),
        Some(nonsense.as_bytes())
    );

    sim.faults().set([FaultKind::NoPong.times(1)]);
    client.ping(service).await;
    sim.until(SOON, |sim| (sim.connections()[0].pings == 2).then_some(()))
        .await
        .unwrap();
    client.ping(service).await;
    assert_eq!(client.frame().await.json()["PingInterval"], 30);
    assert!(timeout(NEVER, client.message()).await.is_err(), "one pong");
    sim.shutdown().await;
}

#[tokio::test]
async fn silence_strikes_at_a_ping_or_at_a_push_and_keeps_the_connection() {
    for at_a_push in [false, true] {
        let sim = patient().await;
        let mut client = connect(&sim).await;
        let service = sim.connections()[0].service_id;
        sim.faults().set([FaultKind::Silence.times(1)]);
        if at_a_push {
            sim.user_says(UserMessage::text("x")).unwrap();
        } else {
            client.ping(service).await;
        }
        sim.until(SOON, |sim| sim.faults().list().is_empty().then_some(()))
            .await
            .unwrap();
        client.ping(service).await;
        let nothing = timeout(NEVER, client.message()).await;
        assert!(nothing.is_err(), "at a push: {at_a_push}: {nothing:?}");
        assert_eq!(sim.link().connections, 1, "TCP stays");
        sim.shutdown().await;
    }
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_a_push() {
    for (fault, frames) in [
        (FaultKind::DropBeforePush, 0),
        (FaultKind::DropAfterPush, 1),
    ] {
        let sim = patient().await;
        let mut client = connect(&sim).await;
        sim.faults().set([fault.clone().times(1)]);
        sim.user_says(UserMessage::text("x")).unwrap();
        let mut seen = 0;
        while let Some(Ok(message)) = client.message().await {
            assert!(message.is_binary(), "{fault:?}: no close frame: {message}");
            seen += 1;
        }
        assert_eq!(seen, frames, "{fault:?}");
        let down = sim.until(SOON, |sim| (!sim.link().up).then_some(()));
        down.await.unwrap();
        sim.shutdown().await;
    }
}

#[tokio::test]
async fn a_push_is_doubled_late_or_preceded_by_something_huge() {
    let sim = patient().await;
    let mut client = connect(&sim).await;

    // First of all: an ack still on its way would use this fault up.
    sim.faults().set([FaultKind::DuplicatePush.times(1)]);
    sim.user_says(UserMessage::text("twice")).unwrap();
    let first = client.frame().await;
    client.send(&first.ack(r#"{"code":200}"#)).await;
    let again = client.frame().await;
    client.send(&again.ack(r#"{"code":200}"#)).await;
    assert_eq!(again.payload, first.payload, "the same event");
    assert_ne!(again.header("message_id"), first.header("message_id"));

    let ms = 150;
    sim.faults().set([FaultKind::DelayPush { ms }.times(1)]);
    let said = Instant::now();
    sim.user_says(UserMessage::text("late")).unwrap();
    client.take().await;
    assert!(said.elapsed() >= Duration::from_millis(ms));

    let bytes = 1 << 20;
    sim.faults().set([FaultKind::HugeFrame { bytes }.times(1)]);
    sim.user_says(UserMessage::text("huge")).unwrap();
    let huge = client.message().await.unwrap().unwrap();
    assert_eq!(huge.len(), bytes);
    client.take().await;

    let acked = sim.until(SOON, |sim| (sim.acks().len() == 4).then_some(()));
    acked.await.unwrap();
    assert_eq!(sim.violations(), []);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_repeated_part_comes_twice_with_the_same_bytes() {
    let sim = patient().await;
    let mut client = connect(&sim).await;
    sim.faults().set([
        FaultKind::Split { bytes: 200 }.times(1),
        FaultKind::RepeatPart.times(1),
    ]);
    sim.user_says(UserMessage::text("x")).unwrap();
    let first = client.frame().await;
    let sum: usize = first.header("sum").parse().unwrap();
    assert!(sum > 1);
    let mut parts = vec![first];
    while parts.len() < sum + 1 {
        parts.push(client.frame().await);
    }
    let mut seqs: Vec<usize> = parts
        .iter()
        .map(|part| part.header("seq").parse().unwrap())
        .collect();
    assert_eq!(parts.first(), parts.last(), "the first came once more");
    seqs.pop();
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(0..sum), "all others came once");
    sim.shutdown().await;
}

#[tokio::test]
async fn a_call_fails_before_or_after_its_effect() {
    let config = SimConfig {
        limits_on: false,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    let chat = sim.p2p_chat_id();
    let send = || {
        let body = json!({"receive_id": chat, "msg_type": "text", "content": r#"{"text":"a"}"#});
        api.raw(
            "POST",
            "/im/v1/messages?receive_id_type=chat_id",
            Some(body),
        )
    };

    sim.faults().set([FaultKind::ApiCut.times(1)]);
    assert!(send().await.is_err(), "cut");
    sim.faults().set([FaultKind::ApiHang.times(1)]);
    hangs(&sim, send()).await;
    assert!(sim.messages(chat).is_empty(), "neither took effect");

    let status = 504;
    sim.faults()
        .set([FaultKind::ApiLateStatus { status }.times(1)]);
    assert_eq!(send().await.unwrap().status(), status);
    assert_eq!(sim.messages(chat).len(), 1, "it took effect all the same");

    let ms = 150;
    sim.faults().set([FaultKind::ApiLatency { ms }.times(1)]);
    let asked = Instant::now();
    assert_eq!(send().await.unwrap().status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(ms));
    sim.shutdown().await;
}
