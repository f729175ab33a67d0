//! Files, bundles, quotes: what people send, and what the bot gets to see of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use common::{Api, connect, quick};
use feishu_sim::{Forward, Sim, SimConfig, UserFile, UserFileKind, UserMessage};
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG image";
const ALICE: &str = "ou_a11ce000000000000000000000000003";

async fn start() -> (Sim, Api) {
    let config = SimConfig {
        limits_on: false,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    (sim, api)
}

/// The bytes behind a resource call, or its code.
async fn fetch(api: &Api, message_id: &str, key: &str, kind: &str) -> Result<Vec<u8>, i64> {
    let path = format!("/im/v1/messages/{message_id}/resources/{key}?type={kind}");
    let answer = api.raw("GET", &path, None).await.unwrap();
    if answer.status() == 200 {
        return Ok(answer.bytes().await.unwrap().to_vec());
    }
    let body: Value = answer.json().await.unwrap();
    Err(body["code"].as_i64().unwrap())
}

#[tokio::test]
async fn every_kind_of_file_arrives_as_its_type_and_can_be_fetched() {
    let (sim, api) = start().await;
    let mut client = connect(&sim).await;
    for (file, msg_type, content) in [
        (UserFile::image(PNG), "image", json!({})),
        (
            UserFile::file("报告.csv", "a,b"),
            "file",
            json!({"file_name": "报告.csv"}),
        ),
        (
            UserFile::audio("opus", 2000),
            "audio",
            json!({"duration": 2000}),
        ),
        (
            UserFile::video("v.mp4", "mp4", 61_000),
            "media",
            json!({"file_name": "v.mp4", "duration": 61_000, "image_key": ""}),
        ),
    ] {
        let bytes = file.bytes.clone();
        let sent = sim.user_says(UserMessage::file(file)).unwrap();
        let event = client.take().await;
        let message = &event["event"]["message"];
        assert_eq!(message["message_type"], msg_type);
        let mut told: Value = serde_json::from_str(message["content"].as_str().unwrap()).unwrap();
        let key_name = if msg_type == "image" {
            "image_key"
        } else {
            "file_key"
        };
        let key = told.as_object_mut().unwrap().remove(key_name).unwrap();
        assert_eq!(told, content, "{msg_type}");
        let kind = if msg_type == "image" { "image" } else { "file" };
        let key = key.as_str().unwrap();
        let fetched = fetch(&api, &sent.message_id, key, kind).await;
        assert_eq!(fetched.as_deref(), Ok(&bytes[..]), "{msg_type}");
        let wrong = if kind == "image" { "file" } else { "image" };
        assert_eq!(
            fetch(&api, &sent.message_id, key, wrong).await,
            Err(234_001),
            "{msg_type}"
        );
        let shown = sim.message(&sent.message_id).unwrap();
        assert_eq!(shown.files[0].bytes, bytes.len());
        assert_eq!(sim.file(key), Some(bytes));
    }
}

#[tokio::test]
async fn images_beside_text_are_a_post_that_can_mention() {
    let (sim, api) = start().await;
    let mut client = connect(&sim).await;
    let message = UserMessage::text("what is\nthis, @Alice Zhang?")
        .in_chat(sim.group_chat_id())
        .with_file(UserFile::image(PNG));
    let message = UserMessage {
        mention_bot: Some(true),
        ..message
    };
    let sent = sim.user_says(message).unwrap();
    let event = client.take().await;
    let told = &event["event"]["message"];
    let content: Value = serde_json::from_str(told["content"].as_str().unwrap()).unwrap();
    let text = |text: &str| json!({"tag": "text", "text": text, "style": []});
    let at = |key: &str, name: &str| json!({"tag": "at", "user_id": key, "user_name": name, "style": []});
    let image = content["content"][2][0]["image_key"].as_str().unwrap();
    assert_eq!(
        content["content"],
        json!([
            [at("@_user_2", "小欧"), text(" what is")],
            [text("this, "), at("@_user_1", "Alice Zhang"), text("?")],
            [{"tag": "img", "image_key": image}],
        ])
    );
    assert_eq!(told["mentions"][0]["name"], "Alice Zhang");
    let fetched = fetch(&api, &sent.message_id, image, "image").await;
    assert_eq!(fetched.as_deref(), Ok(PNG));
    let beside = UserMessage::text("x").with_file(UserFile::file("a.txt", "a"));
    assert!(sim.user_says(beside).is_err(), "a file stands alone");
}

#[tokio::test]
async fn a_bundle_is_opened_by_asking_and_its_files_by_its_own_id() {
    let (sim, api) = start().await;
    let mut client = connect(&sim).await;
    let group = sim.group_chat_id();
    let quiet = |text: &str| UserMessage {
        mention_bot: Some(false),
        ..UserMessage::text(text).in_chat(group)
    };
    let text = sim.user_says(quiet("one").from(ALICE)).unwrap();
    let file = sim
        .user_says(UserMessage::file(UserFile::file("a.txt", "AAA")).in_chat(group))
        .unwrap();
    let inner = sim
        .forward(Forward {
            chat: Some(group.to_owned()),
            messages: vec![file.message_id.clone()],
            ..Forward::default()
        })
        .unwrap();
    assert_eq!(inner.event_id, None, "nobody mentioned the bot");
    let outer = sim
        .forward(Forward {
            messages: vec![text.message_id, inner.message_id],
            ..Forward::default()
        })
        .unwrap();
    let event = client.take().await;
    assert_eq!(event["event"]["message"]["message_type"], "merge_forward");
    assert_eq!(
        event["event"]["message"]["content"],
        r#"{"content":"Merged and Forwarded Message"}"#
    );

    let answer = api
        .get(&format!("/im/v1/messages/{}", outer.message_id))
        .await;
    let items = answer["data"]["items"].as_array().unwrap();
    let seen: Vec<(&str, &Value)> = items
        .iter()
        .map(|item| {
            (
                item["msg_type"].as_str().unwrap(),
                &item["upper_message_id"],
            )
        })
        .collect();
    let (top, nested) = (&items[0]["message_id"], &items[2]["message_id"]);
    assert_eq!(
        seen,
        [
            ("merge_forward", &Value::Null),
            ("text", top),
            ("merge_forward", top),
            ("file", nested),
        ]
    );
    assert_eq!(items[1]["sender"]["id"], ALICE);
    let content: Value =
        serde_json::from_str(items[3]["body"]["content"].as_str().unwrap()).unwrap();
    let key = content["file_key"].as_str().unwrap();
    let inside = items[3]["message_id"].as_str().unwrap();
    assert_eq!(fetch(&api, inside, key, "file").await, Err(234_003));
    let fetched = fetch(&api, &outer.message_id, key, "file").await;
    assert_eq!(fetched.as_deref(), Ok(&b"AAA"[..]));
    let shown = sim.message(&outer.message_id).unwrap().text;
    assert_eq!(shown, "[聊天记录]\nAlice Zhang: one\n李雷: [聊天记录]");
}

#[tokio::test]
async fn files_of_gone_messages_and_other_chats_stay_closed() {
    let (sim, api) = start().await;
    let key_of = |message_id: &str| sim.message(message_id).unwrap().files[0].key.clone();
    let first = sim
        .user_says(UserMessage::file(UserFile::image(PNG)))
        .unwrap();
    let second = sim
        .user_says(UserMessage::file(UserFile::image(PNG)))
        .unwrap();
    let (one, two) = (key_of(&first.message_id), key_of(&second.message_id));
    assert_eq!(
        fetch(&api, &first.message_id, &two, "image").await,
        Err(234_003),
        "of another message"
    );
    let answer = api.get(&format!("/im/v1/images/{one}")).await;
    assert_eq!(answer["code"], 234_001, "not uploaded by the app");
    let body = json!({"receive_id": sim.p2p_chat_id(), "msg_type": "image", "content": json!({"image_key": one}).to_string()});
    let sent = api
        .post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    assert_eq!(
        sent["code"], 230_001,
        "a person's image is not the app's to send"
    );
    sim.recall(&first.message_id).unwrap();
    assert_eq!(
        fetch(&api, &first.message_id, &one, "image").await,
        Err(234_003),
        "recalled"
    );
}

#[tokio::test]
async fn people_come_and_go_and_files_go_up_over_http() {
    let (sim, api) = start().await;
    let url = |path: &str| format!("{}/sim/{path}", sim.base_url());
    let http = common::http();
    let stored: Value = http
        .post(url("resources?kind=image&name=a.png"))
        .body(PNG)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let said = json!({"text": "look", "files": [{"kind": "image", "key": stored["key"]}]});
    let answer = http.post(url("messages")).json(&said).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["message"]["msg_type"], "post", "{answer}");
    assert_eq!(answer["message"]["files"][0]["mime"], "image/png");

    let person: Value = http
        .post(url("people"))
        .json(&json!({"name": "小王"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let group = sim.group_chat_id();
    let join = json!({"chat_id": group, "open_id": person["open_id"]});
    http.post(url("members")).json(&join).send().await.unwrap();
    let members = api
        .get(&format!("/im/v1/chats/{group}/members?page_size=100"))
        .await;
    let names = members["data"]["items"].to_string();
    assert!(names.contains("小王"), "{names}");
    let message = UserMessage {
        mention_bot: Some(true),
        ..UserMessage::file(UserFile::new(UserFileKind::File, "x", "y"))
    };
    let message = message
        .in_chat(group)
        .from(person["open_id"].as_str().unwrap());
    assert_eq!(
        sim.user_says(message).unwrap().event_id,
        None,
        "a file mentions nobody"
    );
}

#[tokio::test]
async fn everyone_mentioned_is_counted_wherever_it_is() {
    let (sim, api) = start().await;
    let chat = sim.group_chat_id();
    api.say(chat, "@all @所有人 <at user_id=\"ou_1\"></at>", None)
        .await;
    assert_eq!(sim.everyone_mentioned(), 0);
    let sent = api.say(chat, "<at user_id=\"all\"></at>", None).await;
    assert_eq!(sim.everyone_mentioned(), 1);
    let id = sent["data"]["message_id"].as_str().unwrap();
    assert!(sim.message(id).unwrap().mentions_all);
    let card = |text: &str| {
        json!({"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": text}]}})
            .to_string()
    };
    let body = json!({"receive_id": chat, "msg_type": "interactive", "content": card("x")});
    let sent = api
        .post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    let id = sent["data"]["message_id"].as_str().unwrap();
    let path = format!("/im/v1/messages/{id}");
    let body = json!({"content": card("<at id=all></at>")});
    api.call("PATCH", &path, Some(body)).await;
    assert_eq!(sim.everyone_mentioned(), 2);
    sim.user_says(UserMessage::text("@_all hi").in_chat(chat))
        .unwrap();
    assert_eq!(sim.everyone_mentioned(), 2, "people may");
}
