//! `/sim/…` and the chat page over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use std::time::Duration;

use common::{connect, http, quick};
use feishu_sim::Sim;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

async fn get(sim: &Sim, path: &str) -> Value {
    let url = format!("{}{path}", sim.base_url());
    http().get(url).send().await.unwrap().json().await.unwrap()
}

async fn send(sim: &Sim, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", sim.base_url());
    let request = http().request(method.parse().unwrap(), url).json(&body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_person_can_talk_look_and_take_back() {
    let sim = Sim::start(quick()).await.unwrap();
    let chats = get(&sim, "/sim/chats").await;
    assert_eq!(chats["bot"]["self"], true);
    let kinds: Vec<&str> = chats["chats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| chat["chat_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["p2p", "group"]);

    let group = sim.group_chat_id();
    let (status, said) = send(
        &sim,
        "POST",
        "/sim/messages",
        json!({"chat_id": group, "text": "<b>@小欧</b> & 你"}),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(said["message"]["text"], "@小欧 & 你");
    assert!(
        said["message"]["html"]
            .as_str()
            .unwrap()
            .contains("at-self")
    );
    let id = said["message_id"].as_str().unwrap();

    let listed = get(&sim, &format!("/sim/chats/{group}/messages?limit=5")).await;
    assert_eq!(listed["messages"][0]["message_id"], id);
    assert_eq!(
        send(&sim, "POST", "/sim/recall", json!({"message_id": id}))
            .await
            .0,
        200
    );
    let listed = get(&sim, &format!("/sim/chats/{group}/messages")).await;
    assert_eq!(
        (
            &listed["messages"][0]["deleted"],
            &listed["messages"][0]["text"]
        ),
        (&json!(true), &json!(""))
    );

    for (method, path, body, status) in [
        ("POST", "/sim/messages", json!({}), 400),
        (
            "POST",
            "/sim/messages",
            json!({"text": "x", "typo": 1}),
            400,
        ),
        (
            "POST",
            "/sim/messages",
            json!({"text": "x", "chat_id": "oc_no"}),
            404,
        ),
        ("POST", "/sim/nonsense", json!({}), 404),
        (
            "PUT",
            "/sim/faults",
            json!({"faults": [{"kind": "nonsense"}]}),
            400,
        ),
    ] {
        let (got, answer) = send(&sim, method, path, body.clone()).await;
        assert_eq!(got, status, "{path} {body}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn the_stream_tells_what_happens() {
    let sim = Sim::start(quick()).await.unwrap();
    let url = format!("{}/sim/stream", sim.base_url());
    let answer = http().get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.bytes_stream();
    let mut client = connect(&sim).await;
    send(&sim, "POST", "/sim/messages", json!({"text": "hi"})).await;
    client.take().await;
    let mut text = String::new();
    let wanted = [
        "event: hello",
        "event: link_up",
        "event: message_added",
        "event: push",
        "event: ack",
        "event: message_updated",
    ];
    let all = async {
        while !wanted.iter().all(|kind| text.contains(kind)) {
            text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
    };
    timeout(Duration::from_secs(10), all)
        .await
        .expect("all kinds");
    sim.shutdown().await;
}

#[tokio::test]
async fn faults_and_stats_are_there_over_http() {
    let sim = Sim::start(quick()).await.unwrap();
    let faults = json!({"faults": [{"kind": "no_pong", "count": 3, "probability": 1.0}]});
    assert_eq!(
        send(&sim, "PUT", "/sim/faults", faults.clone()).await,
        (200, faults.clone())
    );
    assert_eq!(get(&sim, "/sim/faults").await, faults);
    let none = json!({"faults": []});
    assert_eq!(
        send(&sim, "DELETE", "/sim/faults", json!({})).await,
        (200, none.clone())
    );
    send(&sim, "PUT", "/sim/faults", faults).await;
    assert_eq!(send(&sim, "POST", "/sim/reset", json!({})).await.0, 200);
    assert_eq!(get(&sim, "/sim/faults").await, none);
    let stats = get(&sim, "/sim/stats").await;
    assert_eq!(stats["violations"], json!([]));
    assert_eq!(
        get(&sim, "/sim/link").await,
        json!({"up": false, "connections": 0, "transport": "websocket"})
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn a_foreign_web_page_can_neither_speak_nor_listen() {
    let sim = Sim::start(quick()).await.unwrap();
    let own = sim.base_url();
    let by_name = own.replace("http://127.0.0.1", "localhost");
    let by_address = own.replace("http://", "");
    for (name, host, origin, status) in [
        ("a script", by_address.as_str(), None, 200),
        (
            "the chat page",
            by_address.as_str(),
            Some(own.as_str()),
            200,
        ),
        ("by name", by_name.as_str(), None, 200),
        (
            "another site",
            by_address.as_str(),
            Some("https://evil.example"),
            403,
        ),
        ("a sandboxed frame", by_address.as_str(), Some("null"), 403),
        ("a rebound name", "evil.example", None, 403),
    ] {
        let url = format!("{own}/sim/messages");
        let mut request = http()
            .post(url)
            .header("host", host)
            .json(&json!({"text": "x"}));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{name}");
    }
    sim.shutdown().await;
}
