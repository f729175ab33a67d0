//! The server as a client sees it, over a plain socket.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that can't go on fails the test"
)]

use model_sim::{ModelSim, ModelSimConfig, Script};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn answers_have_the_official_shape() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    sim.script(Script::Answer("你好".into()));
    let (status, body) = post(&sim, &json!({"model": "m", "messages": [user("hi")]})).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "m");
    assert_eq!(
        answer["choices"],
        json!([{"index": 0, "logprobs": null, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "你好", "refusal": null}}])
    );
    for field in ["id", "created", "usage"] {
        assert!(!answer[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn streams_have_the_official_shape() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    sim.script(Script::ToolCalls {
        text: "先看一下".into(),
        calls: vec![("now".into(), r#"{"zone":"UTC"}"#.into())],
    });
    let request = json!({"messages": [user("hi")], "stream": true, "stream_options": {"include_usage": true}});
    let (status, body) = post(&sim, &request).await;
    assert_eq!(status, 200);
    let events: Vec<&str> = body
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .collect();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|c| serde_json::from_str(c).unwrap())
        .collect();
    let text = |pointer: &str| -> String {
        let pieces = chunks.iter().filter_map(|c| c.pointer(pointer)?.as_str());
        pieces.collect()
    };
    assert_eq!(text("/choices/0/delta/content"), "先看一下");
    let call = "/choices/0/delta/tool_calls/0/function";
    assert_eq!(text(&format!("{call}/name")), "now");
    assert_eq!(text(&format!("{call}/arguments")), r#"{"zone":"UTC"}"#);
    assert_eq!(text("/choices/0/finish_reason"), "tool_calls");
    assert_eq!(chunks.last().unwrap()["choices"], json!([]));
    assert!(chunks.last().unwrap()["usage"]["total_tokens"].is_u64());
}

#[tokio::test]
async fn what_real_servers_refuse_is_refused() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    let call = |id: &str, arguments: &str| {
        json!({"role": "assistant", "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "t", "arguments": arguments}}]})
    };
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let cases = [
        json!({}),
        json!({"messages": []}),
        json!({"messages": [user("a")], "tools": []}),
        json!({"messages": [user("a"), result("1")]}),
        json!({"messages": [user("a"), call("1", "{}")]}),
        json!({"messages": [user("a"), call("1", "{}"), user("b"), result("1")]}),
        json!({"messages": [user("a"), call("", "{}"), result("")]}),
        json!({"messages": [user("a"), call("1", "{"), result("1")]}),
        json!({"messages": [{"role": "owner", "content": "x"}]}),
        json!({"messages": [parts(json!([{"type": "audio"}]))]}),
        json!({"messages": [parts(json!([{"type": "image_url", "image_url": {"url": "a.png"}}]))]}),
    ];
    for case in cases {
        assert_eq!(post(&sim, &case).await.0, 400, "{case}");
    }
    let picture =
        json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]);
    let fine = json!({"messages": [parts(picture), call("1", "{}"), result("1")]});
    assert_eq!(post(&sim, &fine).await.0, 200);
    let large = json!({"messages": [user(&"x".repeat(33 << 20))]});
    assert_eq!(post(&sim, &large).await.0, 413);
}

#[tokio::test]
async fn the_key_is_asked_for_when_there_is_one() {
    let mut config = ModelSimConfig::for_tests();
    config.api_key = Some("right".into());
    let sim = ModelSim::start(config).await.unwrap();
    for (key, status) in [("", 401), ("wrong", 401), ("right", 200)] {
        assert_eq!(get_models(&sim, key).await.0, status, "{key:?}");
    }
    let (_, body) = get_models(&sim, "right").await;
    assert!(body.contains(r#""id":"scripted-stand-in""#), "{body}");
}

#[tokio::test]
async fn scripts_go_to_whom_they_were_meant_for() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    sim.script(Script::Answer("one".into()));
    sim.script(Script::Answer("two".into()));
    sim.script_for("special", Script::Answer("three".into()));
    for (said, answer) in [("a", "one"), ("special b", "three"), ("special c", "two")] {
        let (_, body) = post(&sim, &json!({"messages": [user(said)]})).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], answer, "{said}");
    }
    assert_eq!(sim.scripts_left(), 0);
    let said: Vec<String> = sim
        .requests()
        .iter()
        .map(|r| r.last_user_message())
        .collect();
    assert_eq!(said, ["a", "special b", "special c"]);
}

#[tokio::test]
async fn rules_stay_and_what_is_more_particular_wins() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    sim.always_for("red", Script::Answer("always red".into()));
    sim.always_when(
        |request| request.system() == "be blue",
        Script::Answer("always blue".into()),
    );
    sim.script(Script::Answer("anybody".into()));
    sim.script_when(
        |request| request.body["model"] == "m2",
        Script::Answer("once m2".into()),
    );
    let system = |text: &str| json!({"role": "system", "content": text});
    let cases = [
        (json!({"messages": [user("red")]}), "always red"),
        (json!({"messages": [user("red")]}), "always red"),
        (json!({"model": "m2", "messages": [user("red")]}), "once m2"),
        (
            json!({"messages": [system("be blue"), user("x")]}),
            "always blue",
        ),
        (json!({"messages": [user("x")]}), "anybody"),
    ];
    for (request, answer) in cases {
        let (_, body) = post(&sim, &request).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["choices"][0]["message"]["content"], answer,
            "{request}"
        );
    }
    assert_eq!(sim.scripts_left(), 0);
}

#[tokio::test]
async fn a_window_has_an_end() {
    let mut config = ModelSimConfig::for_tests();
    config.context_window = Some(1000);
    let sim = ModelSim::start(config).await.unwrap();
    let long = |bytes: usize| {
        let empty = json!({"messages": [user("")]}).to_string().len();
        json!({"messages": [user(&"x".repeat(bytes - empty))]})
    };
    assert_eq!(post(&sim, &long(4000)).await.0, 200);
    let (status, body) = post(&sim, &long(4001)).await;
    assert_eq!(status, 400);
    assert!(
        body.contains("maximum context length is 1000 tokens"),
        "{body}"
    );
    assert_eq!(sim.requests().len(), 2);
}

#[tokio::test]
async fn only_so_many_requests_are_remembered() {
    let mut config = ModelSimConfig::for_tests();
    config.requests_kept_max = 2;
    let sim = ModelSim::start(config).await.unwrap();
    for said in ["a", "b", "c"] {
        post(&sim, &json!({"messages": [user(said)]})).await;
    }
    let said: Vec<String> = sim
        .requests()
        .iter()
        .map(|r| r.last_user_message())
        .collect();
    assert_eq!(said, ["b", "c"]);
    sim.wait_for_requests(3).await;
    sim.wait_until_idle().await;
}

#[tokio::test]
async fn shutdown_breaks_what_hangs() {
    let sim = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    sim.script(Script::HangBeforeHeaders);
    let mut socket = TcpStream::connect(sim.address()).await.unwrap();
    let body = json!({"messages": [user("a")]}).to_string();
    socket
        .write_all(request("POST /v1/chat/completions", "", &body).as_bytes())
        .await
        .unwrap();
    sim.wait_for_requests(1).await;
    sim.shutdown().await;
    let mut rest = Vec::new();
    // Reset or closed, but not left open.
    let _ = socket.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn parts(parts: Value) -> Value {
    json!({"role": "user", "content": parts})
}

async fn post(sim: &ModelSim, body: &Value) -> (u16, String) {
    send(
        sim,
        request("POST /v1/chat/completions", "", &body.to_string()),
    )
    .await
}

async fn get_models(sim: &ModelSim, key: &str) -> (u16, String) {
    send(sim, request("GET /v1/models", key, "")).await
}

fn request(line: &str, key: &str, body: &str) -> String {
    // HTTP/1.0, so that the body is not chunked.
    format!(
        "{line} HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn send(sim: &ModelSim, request: String) -> (u16, String) {
    let mut socket = TcpStream::connect(sim.address()).await.unwrap();
    // A server that has read enough may answer and close before it has read all.
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), body.to_owned())
}
