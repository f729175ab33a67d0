//! The webhook sender, seen by an app that checks everything itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aes::Aes256;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use common::{Api, SOON, quick};
use feishu_sim::view::DeliveryState;
use feishu_sim::{CardAction, FaultKind, Sim, SimConfig, UserMessage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
struct App {
    seen: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// What to answer, first to last; then 200 `{}`.
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    key: Option<&'static str>,
}

impl App {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/events", post(receive))
            .with_state(self.clone());
        let server =
            hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let server = server.clone();
                tokio::spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = server.serve_connection(io, service).await;
                });
            }
        });
        format!("http://{address}/events")
    }

    fn seen(&self) -> Vec<(HeaderMap, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn receive(State(app): State<App>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let plain = match app.key {
        Some(key) => decrypt(key, &body),
        None => body.clone(),
    };
    let value: Value = serde_json::from_str(&plain).unwrap();
    if value["type"] == "url_verification" {
        return (
            StatusCode::OK,
            json!({"challenge": value["challenge"]}).to_string(),
        );
    }
    app.seen.lock().unwrap().push((headers, body));
    let mut answers = app.answers.lock().unwrap();
    if answers.is_empty() {
        return (StatusCode::OK, "{}".to_owned());
    }
    let (status, body) = answers.remove(0);
    (StatusCode::from_u16(status).unwrap(), body)
}

fn decrypt(key: &str, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    let sealed = STANDARD.decode(body["encrypt"].as_str().unwrap()).unwrap();
    let (iv, sealed) = sealed.split_at(16);
    let key = Sha256::digest(key.as_bytes());
    let iv: [u8; 16] = iv.try_into().unwrap();
    let plain = cbc::Decryptor::<Aes256>::new(&key, &iv.into())
        .decrypt_padded_vec::<Pkcs7>(sealed)
        .unwrap();
    String::from_utf8(plain).unwrap()
}

fn signature(headers: &HeaderMap, key: &str, body: &str) -> bool {
    let get = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let text = get("x-lark-request-timestamp") + &get("x-lark-request-nonce") + key + body;
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex == get("x-lark-signature")
}

#[tokio::test]
async fn a_plain_event_has_the_token_and_no_signature() {
    let app = App::default();
    let config = SimConfig {
        webhook_url: Some(app.start().await),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    sim.user_says(UserMessage::text("你好")).unwrap();
    sim.until(SOON, |sim| (!sim.acks().is_empty()).then_some(()))
        .await
        .unwrap();
    let (headers, body) = app.seen().remove(0);
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        event["header"]["token"],
        sim.config().verification_token.as_str()
    );
    assert_eq!(event["schema"], "2.0");
    assert!(!headers.contains_key("x-lark-signature"));
    assert_eq!(headers["content-type"], "application/json;charset=utf-8");
    sim.shutdown().await;
}

#[tokio::test]
async fn with_a_key_events_are_encrypted_and_signed_and_the_url_check_passes() {
    let key = "Kx7pQ2vN9mT4sR8wZ1yB6cD3";
    let app = App {
        key: Some(key),
        ..App::default()
    };
    let url = app.start().await;
    let config = SimConfig {
        encrypt_key: Some(key.to_owned()),
        webhook_url: Some(url.clone()),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    sim.verify_webhook(&url).await.unwrap();
    let sent = sim.user_says(UserMessage::text("表情🙂")).unwrap();
    sim.until(SOON, |sim| (!sim.acks().is_empty()).then_some(()))
        .await
        .unwrap();
    let (headers, body) = app.seen().remove(0);
    assert!(signature(&headers, key, &body));
    let event: Value = serde_json::from_str(&decrypt(key, &body)).unwrap();
    assert_eq!(
        event["header"]["event_id"].as_str(),
        sent.event_id.as_deref()
    );

    sim.faults().add(FaultKind::BadSignature.times(1));
    sim.user_says(UserMessage::text("x")).unwrap();
    sim.until(SOON, |sim| (sim.acks().len() == 2).then_some(()))
        .await
        .unwrap();
    let (headers, body) = app.seen().remove(1);
    assert!(!signature(&headers, key, &body));

    sim.faults().add(FaultKind::BadToken.times(1));
    sim.user_says(UserMessage::text("y")).unwrap();
    sim.until(SOON, |sim| (sim.acks().len() == 3).then_some(()))
        .await
        .unwrap();
    let (headers, body) = app.seen().remove(2);
    assert!(signature(&headers, key, &body), "only the token is foreign");
    let forged: Value = serde_json::from_str(&decrypt(key, &body)).unwrap();
    let token = sim.config().verification_token.as_str();
    assert_eq!(event["header"]["token"], token);
    assert_ne!(forged["header"]["token"], token);
    sim.shutdown().await;
}

#[tokio::test]
async fn anything_but_200_brings_the_same_event_again() {
    let app = App::default();
    app.answers
        .lock()
        .unwrap()
        .extend([(503, "{}".to_owned()), (302, "{}".to_owned())]);
    let config = SimConfig {
        webhook_url: Some(app.start().await),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let sent = sim.user_says(UserMessage::text("x")).unwrap();
    let delivery = sim
        .until(SOON, |sim| {
            let delivery = sim.message(&sent.message_id)?.delivery?;
            (delivery.state == DeliveryState::Acked).then_some(delivery)
        })
        .await
        .unwrap();
    assert_eq!(delivery.attempts, 3);
    let seen = app.seen();
    assert!(
        seen.iter().all(|(_, body)| *body == seen[0].1),
        "redeliveries differ"
    );
    let codes: Vec<i64> = sim.acks().iter().map(|ack| ack.code).collect();
    assert_eq!(codes, [503, 302, 200]);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_pressed_button_gets_its_answer_and_old_callbacks_are_flat() {
    let app = App::default();
    let config = SimConfig {
        webhook_url: Some(app.start().await),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    let card = |title: &str| {
        json!({
            "schema": "2.0",
            "header": {"title": {"tag": "plain_text", "content": title}, "template": "blue"},
            "body": {"elements": [{"tag": "button", "text": {"tag": "plain_text", "content": "OK"},
                "behaviors": [{"type": "callback", "value": {"k": "v"}}]}]},
        })
    };
    let body = json!({"receive_id": sim.p2p_chat_id(), "msg_type": "interactive", "content": card("one").to_string()});
    let sent = api
        .post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    let message_id = sent["data"]["message_id"].as_str().unwrap().to_owned();

    let answer = json!({"toast": {"type": "info", "content": "好"}, "card": {"type": "raw", "data": card("two")}});
    app.answers.lock().unwrap().push((200, answer.to_string()));
    let press = |old| CardAction {
        message_id: message_id.clone(),
        old,
        ..CardAction::default()
    };
    let pressed = sim.press(press(false)).await.unwrap();
    assert_eq!(
        (pressed.status, pressed.response),
        ("answered", Some(answer))
    );
    assert_eq!(sim.message(&message_id).unwrap().card.unwrap().title, "two");

    sim.press(press(true)).await.unwrap();
    let bodies: Vec<Value> = app
        .seen()
        .iter()
        .map(|(_, body)| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(bodies[0]["event"]["action"]["value"], json!({"k": "v"}));
    assert_eq!(
        bodies[0]["header"]["create_time"].as_str().unwrap().len(),
        16,
        "microseconds"
    );
    assert_eq!(bodies[1]["action"]["value"], json!({"k": "v"}));
    assert_eq!(
        bodies[1]["open_message_id"].as_str(),
        Some(message_id.as_str())
    );
    assert!(app.seen()[1].0.contains_key("x-lark-signature"));
    sim.shutdown().await;
}

#[tokio::test]
async fn a_callback_without_an_answer_is_not_repeated() {
    let config = SimConfig {
        ack_within: Duration::from_millis(50),
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    let card = json!({"elements": [{"tag": "action", "actions": [{"tag": "button", "text": {"tag": "plain_text", "content": "x"}, "value": {}}]}]});
    let body = json!({"receive_id": sim.p2p_chat_id(), "msg_type": "interactive", "content": card.to_string()});
    let sent = api
        .post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    let action = CardAction {
        message_id: sent["data"]["message_id"].as_str().unwrap().to_owned(),
        ..CardAction::default()
    };
    assert_eq!(
        sim.press(action.clone()).await.unwrap().status,
        "no_connection"
    );
    let _client = common::connect(&sim).await;
    assert_eq!(sim.press(action).await.unwrap().status, "timeout");
    assert_eq!(sim.stats()["redeliveries"], 0);
    sim.shutdown().await;
}
