//! The calls of a bot: rules, codes, limits.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use std::time::Duration;

use common::{Api, quick};
use feishu_sim::{FaultKind, Sim, SimConfig, UserMessage};
use futures_util::future::join_all;
use serde_json::{Value, json};

async fn unlimited() -> (Sim, Api) {
    let config = SimConfig {
        limits_on: false,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    (sim, api)
}

#[tokio::test]
async fn token_refusals_come_with_http_200_and_their_codes() {
    let (sim, api) = unlimited().await;
    let id = sim.config().app_id.clone();
    for (app_id, secret, code) in [
        ("", "x", 10_003),
        ("nonsense", "x", 10_003),
        ("cli_0000000000000000", "x", 10_014),
        (id.as_str(), "wrong", 10_014),
    ] {
        let body = json!({"app_id": app_id, "app_secret": secret});
        let path = "/auth/v3/tenant_access_token/internal";
        let answer = api.raw("POST", path, Some(body)).await.unwrap();
        assert_eq!(answer.status(), 200, "{app_id}");
        assert_eq!(
            answer.json::<Value>().await.unwrap()["code"],
            code,
            "{app_id}"
        );
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn without_a_good_token_nothing_is_done() {
    let (sim, mut api) = unlimited().await;
    assert_eq!(
        api.get("/bot/v3/info").await["bot"]["open_id"],
        sim.config().bot_open_id.as_str()
    );
    sim.expire_tokens();
    let answer = api.raw("GET", "/bot/v3/info", None).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 99_991_663);
    api.token = "nonsense".to_owned();
    assert_eq!(api.get("/bot/v3/info").await["code"], 99_991_671);
    sim.shutdown().await;
}

#[tokio::test]
async fn one_uuid_makes_one_message() {
    let (sim, api) = unlimited().await;
    let chat = sim.p2p_chat_id();
    let first = api.say(chat, "one", Some("u-1")).await;
    let again = api.say(chat, "two", Some("u-1")).await;
    assert_eq!(first["code"], 0, "{first}");
    assert_eq!(first["data"], again["data"]);
    assert_eq!(sim.messages(chat).len(), 1);
    let other = api.say(chat, "three", Some("u-2")).await;
    assert_ne!(other["data"]["message_id"], first["data"]["message_id"]);
    for (length, code) in [(50, 0), (51, 230_001)] {
        let answer = api.say(chat, "x", Some(&"u".repeat(length))).await;
        assert_eq!(answer["code"], code, "{length} characters");
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn content_is_checked_against_its_type() {
    let (sim, api) = unlimited().await;
    let markdown_table = "| a |\n| --- |\n| b |\n\n".repeat(4);
    let card =
        |element: Value| json!({"schema": "2.0", "body": {"elements": [element]}}).to_string();
    for (name, msg_type, content, code) in [
        ("text", "text", r#"{"text":"a"}"#.to_owned(), 0),
        ("not JSON", "text", "a".to_owned(), 230_001),
        ("no text", "text", "{}".to_owned(), 230_001),
        (
            "text of 150 KB",
            "text",
            json!({"text": "a".repeat(150 * 1024 - 11)}).to_string(),
            0,
        ),
        (
            "text above",
            "text",
            json!({"text": "a".repeat(150 * 1024 - 10)}).to_string(),
            230_025,
        ),
        ("unknown type", "poem", "{}".to_owned(), 230_001),
        (
            "post",
            "post",
            r#"{"zh_cn":{"title":"","content":[[{"tag":"md","text":"**a**"}]]}}"#.to_owned(),
            0,
        ),
        (
            "post in post",
            "post",
            r#"{"post":{"zh_cn":{"title":"","content":[]}}}"#.to_owned(),
            230_001,
        ),
        (
            "md with company",
            "post",
            r#"{"zh_cn":{"content":[[{"tag":"md","text":"a"},{"tag":"text","text":"b"}]]}}"#
                .to_owned(),
            230_001,
        ),
        (
            "image not uploaded",
            "image",
            r#"{"image_key":"img_v3_x"}"#.to_owned(),
            230_001,
        ),
        (
            "card",
            "interactive",
            card(json!({"tag": "markdown", "content": "a"})),
            0,
        ),
        (
            "card above 30 KB",
            "interactive",
            card(json!({"tag": "markdown", "content": "a".repeat(30 * 1024)})),
            230_025,
        ),
        (
            "2.0 card with note",
            "interactive",
            card(json!({"tag": "note", "elements": []})),
            230_099,
        ),
        (
            "card with four tables",
            "interactive",
            card(json!({"tag": "markdown", "content": markdown_table})),
            230_099,
        ),
        (
            "card with a web image",
            "interactive",
            card(json!({"tag": "markdown", "content": "![a](https://a.cn/b.png)"})),
            230_099,
        ),
        (
            "card that names nobody",
            "interactive",
            card(json!({"tag": "markdown", "content": "<at id=ou_nobody></at>"})),
            230_099,
        ),
        (
            "2.0 card not shared",
            "interactive",
            r#"{"schema":"2.0","config":{"update_multi":false},"body":{"elements":[]}}"#.to_owned(),
            230_099,
        ),
    ] {
        let body =
            json!({"receive_id": sim.p2p_chat_id(), "msg_type": msg_type, "content": content});
        let answer = api
            .post("/im/v1/messages?receive_id_type=chat_id", body)
            .await;
        assert_eq!(answer["code"], code, "{name}: {answer}");
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn receivers_are_found_by_their_kind_of_id() {
    let (sim, api) = unlimited().await;
    let li_lei = sim
        .people()
        .into_iter()
        .find(|person| person.name == "李雷")
        .unwrap();
    let union_id = li_lei.open_id.replace("ou_", "on_");
    for (kind, id, code) in [
        ("open_id", li_lei.open_id.as_str(), 0),
        ("union_id", union_id.as_str(), 0),
        ("chat_id", sim.p2p_chat_id(), 0),
        ("open_id", "ou_nobody", 99_992_351),
        ("chat_id", "nonsense", 230_034),
        ("chat_id", "oc_elsewhere", 230_002),
        ("nonsense", "x", 230_001),
    ] {
        let body = json!({"receive_id": id, "msg_type": "text", "content": r#"{"text":"a"}"#});
        let path = format!("/im/v1/messages?receive_id_type={kind}");
        assert_eq!(api.post(&path, body).await["code"], code, "{kind} {id}");
    }
    assert_eq!(sim.messages(sim.p2p_chat_id()).len(), 3);
    sim.shutdown().await;
}

#[tokio::test]
async fn replies_hang_where_they_belong() {
    let (sim, api) = unlimited().await;
    let asked = sim.user_says(UserMessage::text("q")).unwrap().message_id;
    let reply = |to: &str, in_thread: bool| {
        let path = format!("/im/v1/messages/{to}/reply");
        let body =
            json!({"msg_type": "text", "content": r#"{"text":"a"}"#, "reply_in_thread": in_thread});
        let api = &api;
        async move { api.post(&path, body).await["data"].clone() }
    };
    let plain = reply(&asked, false).await;
    assert_eq!(
        (&plain["root_id"], &plain["parent_id"]),
        (&json!(asked), &json!(asked))
    );
    assert_eq!(plain["thread_id"], Value::Null);
    let chained = reply(plain["message_id"].as_str().unwrap(), false).await;
    assert_eq!(
        (&chained["root_id"], &chained["parent_id"]),
        (&json!(asked), &plain["message_id"])
    );
    let opened = reply(&asked, true).await;
    assert!(opened["thread_id"].as_str().unwrap().starts_with("omt_"));
    let inside = reply(opened["message_id"].as_str().unwrap(), false).await;
    assert_eq!(
        inside["thread_id"], opened["thread_id"],
        "a reply in a thread stays there"
    );
    assert_eq!(
        (&inside["root_id"], &inside["parent_id"]),
        (&json!(asked), &json!(asked))
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn recalled_messages_take_no_answer_and_no_change() {
    let (sim, api) = unlimited().await;
    let asked = sim.user_says(UserMessage::text("q")).unwrap().message_id;
    sim.recall(&asked).unwrap();
    let body = json!({"msg_type": "text", "content": r#"{"text":"a"}"#});
    let answer = api
        .post(&format!("/im/v1/messages/{asked}/reply"), body)
        .await;
    assert_eq!(answer["code"], 230_011);
    let read = api.get(&format!("/im/v1/messages/{asked}")).await;
    assert_eq!(read["data"]["items"][0]["deleted"], true);
    assert_eq!(read["data"]["items"][0]["body"], Value::Null);
    let react = json!({"reaction_type": {"emoji_type": "Get"}});
    let answer = api
        .post(&format!("/im/v1/messages/{asked}/reactions"), react)
        .await;
    assert_eq!(answer["code"], 231_003);
    sim.shutdown().await;
}

#[tokio::test]
async fn texts_take_twenty_edits_and_cards_take_patches() {
    let (sim, api) = unlimited().await;
    let chat = sim.p2p_chat_id();
    let sent = api.say(chat, "0", None).await;
    let id = sent["data"]["message_id"].as_str().unwrap();
    for count in 1..=21 {
        let body =
            json!({"msg_type": "text", "content": json!({"text": count.to_string()}).to_string()});
        let answer = api
            .call("PUT", &format!("/im/v1/messages/{id}"), Some(body))
            .await;
        assert_eq!(
            answer["code"],
            if count <= 20 { 0 } else { 230_072 },
            "edit {count}"
        );
    }
    assert_eq!(sim.message(id).unwrap().text, "20");

    let card = |shared: bool| {
        json!({"config": {"update_multi": shared}, "elements": [{"tag": "markdown", "content": "x"}]}).to_string()
    };
    for (before, after, code) in [
        (true, true, 0),
        (true, false, 230_001),
        (false, true, 230_001),
    ] {
        let body = json!({"receive_id": chat, "msg_type": "interactive", "content": card(before)});
        let sent = api
            .post("/im/v1/messages?receive_id_type=chat_id", body)
            .await;
        let path = format!(
            "/im/v1/messages/{}",
            sent["data"]["message_id"].as_str().unwrap()
        );
        let answer = api
            .call("PATCH", &path, Some(json!({"content": card(after)})))
            .await;
        assert_eq!(answer["code"], code, "{before} {after}");
    }
    let answer = api
        .call(
            "PATCH",
            &format!("/im/v1/messages/{id}"),
            Some(json!({"content": card(true)})),
        )
        .await;
    assert_eq!(answer["code"], 230_054, "a text takes no patch");
    sim.shutdown().await;
}

#[tokio::test]
async fn limits_have_their_codes_and_headers() {
    let sim = Sim::start(quick()).await.unwrap();
    let api = Api::of(&sim).await;
    let chat = sim.p2p_chat_id();
    // How many pass within a second is a matter of the windows' own tests;
    // here a hundred at once are surely too many.
    let texts = join_all((0..100).map(|_| api.say(chat, "x", None))).await;
    assert_eq!(texts[0]["code"], 0);
    assert!(texts.iter().any(|answer| answer["code"] == 230_020));
    let calls = join_all((0..100).map(|_| api.raw("GET", "/bot/v3/info", None))).await;
    let refused = calls
        .into_iter()
        .map(Result::unwrap)
        .find(|answer| answer.status() == 429)
        .expect("one in a hundred is refused");
    assert_eq!(refused.headers()["x-ogw-ratelimit-limit"], "50");
    assert_eq!(refused.headers()["x-ogw-ratelimit-reset"], "1");
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], 99_991_400);
    sim.shutdown().await;
}

#[tokio::test]
async fn reactions_come_and_go() {
    let (sim, api) = unlimited().await;
    let id = sim.user_says(UserMessage::text("q")).unwrap().message_id;
    let path = format!("/im/v1/messages/{id}/reactions");
    let react = |kind: &str| json!({"reaction_type": {"emoji_type": kind}});
    let added = api.post(&path, react("Typing")).await;
    let again = api.post(&path, react("Typing")).await;
    assert_eq!(added["data"]["reaction_id"], again["data"]["reaction_id"]);
    assert_eq!(
        api.post(&path, react("typing")).await["code"],
        231_001,
        "case counts"
    );
    assert_eq!(sim.reactions(&id)[0].emoji_type, "Typing");
    assert_eq!(
        api.get(&path).await["data"]["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let reaction = added["data"]["reaction_id"].as_str().unwrap();
    let answer = api
        .call("DELETE", &format!("{path}/{reaction}"), None)
        .await;
    assert_eq!(answer["code"], 0);
    assert_eq!(sim.reactions(&id), []);

    let li_lei = sim
        .people()
        .into_iter()
        .find(|person| person.name == "李雷")
        .unwrap();
    sim.react(&id, &li_lei.open_id, "THUMBSUP").unwrap();
    let list = api.get(&path).await;
    let foreign = list["data"]["items"][0]["reaction_id"].as_str().unwrap();
    let answer = api.call("DELETE", &format!("{path}/{foreign}"), None).await;
    assert_eq!(answer["code"], 231_007);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_card_entity_streams_in_order_and_is_shown_once() {
    let (sim, api) = unlimited().await;
    let card = json!({
        "schema": "2.0",
        "config": {"streaming_mode": true},
        "body": {"elements": [{"tag": "markdown", "element_id": "md_1", "content": ""}]},
    });
    let made = api
        .post(
            "/cardkit/v1/cards",
            json!({"type": "card_json", "data": card.to_string()}),
        )
        .await;
    let card_id = made["data"]["card_id"].as_str().unwrap().to_owned();
    let content = json!({"type": "card", "data": {"card_id": card_id}}).to_string();
    let send =
        json!({"receive_id": sim.p2p_chat_id(), "msg_type": "interactive", "content": content});
    let path = "/im/v1/messages?receive_id_type=chat_id";
    let sent = api.post(path, send.clone()).await;
    let message_id = sent["data"]["message_id"].as_str().unwrap();
    assert_eq!(
        api.post(path, send).await["code"],
        230_099,
        "an entity is sent once"
    );

    let element = format!("/cardkit/v1/cards/{card_id}/elements/md_1/content");
    for (text, sequence, code) in [
        ("你", 1, 0),
        ("你好", 3, 0),
        ("x", 3, 300_317),
        ("", 4, 10_002),
    ] {
        let body = json!({"content": text, "sequence": sequence});
        assert_eq!(
            api.call("PUT", &element, Some(body)).await["code"],
            code,
            "{text} {sequence}"
        );
    }
    let shown = sim.message(message_id).unwrap();
    assert_eq!((shown.text.as_str(), shown.version), ("你好", 3));
    assert!(shown.card.unwrap().streaming);

    let off = json!({"settings": r#"{"config":{"streaming_mode":false}}"#, "sequence": 5});
    let settings = format!("/cardkit/v1/cards/{card_id}/settings");
    assert_eq!(api.call("PATCH", &settings, Some(off)).await["code"], 0);
    let body = json!({"content": "late", "sequence": 6});
    assert_eq!(api.call("PUT", &element, Some(body)).await["code"], 300_309);
    assert!(!sim.message(message_id).unwrap().card.unwrap().streaming);
    let texts: Vec<String> = sim
        .card_versions(message_id)
        .into_iter()
        .map(|one| one.text)
        .collect();
    assert_eq!(texts, ["", "你", "你好", "你好"]);
    sim.shutdown().await;
}

#[tokio::test]
async fn streaming_ends_by_itself() {
    let config = SimConfig {
        // Ten minutes are 6 ms.
        time_scale: 0.000_01,
        limits_on: false,
        ..quick()
    };
    let sim = Sim::start(config).await.unwrap();
    let api = Api::of(&sim).await;
    let card = json!({"schema": "2.0", "config": {"streaming_mode": true}, "body": {"elements": [{"tag": "markdown", "element_id": "a", "content": ""}]}});
    let made = api
        .post(
            "/cardkit/v1/cards",
            json!({"type": "card_json", "data": card.to_string()}),
        )
        .await;
    let path = format!(
        "/cardkit/v1/cards/{}/elements/a/content",
        made["data"]["card_id"].as_str().unwrap()
    );
    tokio::time::sleep(Duration::from_millis(20)).await;
    for (sequence, code) in [(1, 200_850), (2, 300_309), (3, 300_309)] {
        let body = json!({"content": "x", "sequence": sequence});
        assert_eq!(api.call("PUT", &path, Some(body)).await["code"], code);
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn members_leave_bots_out_and_pages_are_uneven() {
    let (sim, api) = unlimited().await;
    let path = format!(
        "/im/v1/chats/{}/members?member_id_type=open_id&page_size=2",
        sim.group_chat_id()
    );
    let (mut names, mut token) = (Vec::new(), String::new());
    let mut sizes = Vec::new();
    loop {
        let page = api.get(&format!("{path}&page_token={token}")).await["data"].clone();
        let items = page["items"].as_array().unwrap().clone();
        sizes.push(items.len());
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        if page["has_more"] == false {
            assert!(page.get("page_token").is_none());
            break;
        }
        page["page_token"].as_str().unwrap().clone_into(&mut token);
    }
    assert_eq!(names, ["李雷", "韩梅梅", "Alice Zhang", "Bob Miller"]);
    assert_eq!(sizes, [1, 2, 1]);
    sim.shutdown().await;
}

#[tokio::test]
async fn files_go_up_into_a_message_and_down_again() {
    let (sim, api) = unlimited().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\nmessage\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n\u{89}PNG\r\n--b--\r\n";
    let bytes: Vec<u8> = form
        .chars()
        .map(|one| u8::try_from(u32::from(one)).unwrap())
        .collect();
    let answer = common::http()
        .post(format!("{}/open-apis/im/v1/images", sim.base_url()))
        .bearer_auth(&api.token)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(bytes)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    let key = answer["data"]["image_key"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned();
    let body = json!({"receive_id": sim.p2p_chat_id(), "msg_type": "image", "content": json!({"image_key": key}).to_string()});
    let sent = api
        .post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    let id = sent["data"]["message_id"].as_str().unwrap();
    let path = format!("/im/v1/messages/{id}/resources/{key}?type=image");
    let image = api.raw("GET", &path, None).await.unwrap();
    assert_eq!(image.headers()["content-type"], "image/png");
    assert_eq!(image.bytes().await.unwrap(), b"\x89PNG"[..]);
    let other = api
        .get(&format!(
            "/im/v1/messages/{id}/resources/img_v3_other?type=image"
        ))
        .await;
    assert_eq!(other["code"], 234_003);
    sim.shutdown().await;
}

#[tokio::test]
async fn faults_strike_calls() {
    let (sim, api) = unlimited().await;
    let chat = sim.p2p_chat_id();
    let create = "POST /open-apis/im/v1/messages";
    let body = || {
        Some(
            json!({"receive_id": chat, "msg_type": "text", "content": r#"{"text":"a"}"#, "uuid": "same"}),
        )
    };
    let path = "/im/v1/messages?receive_id_type=chat_id";

    sim.faults().add(FaultKind::ApiLostAnswer.on(create));
    assert!(
        api.raw("POST", path, body()).await.is_err(),
        "the answer is lost"
    );
    assert_eq!(sim.messages(chat).len(), 1, "but the call took effect");
    assert_eq!(
        api.get("/bot/v3/info").await["code"],
        0,
        "other calls are fine"
    );
    sim.faults().clear();
    let again = api.raw("POST", path, body()).await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(
        sim.messages(chat).len(),
        1,
        "the same uuid makes no second one"
    );

    for (fault, status) in [
        (FaultKind::ApiStatus { status: 502 }, 502),
        (FaultKind::ApiRateLimited { reset: 3 }, 429),
        (
            FaultKind::ApiCode {
                code: 230_022,
                status: 400,
            },
            400,
        ),
        (FaultKind::ApiExpiredToken, 400),
    ] {
        sim.faults().add(fault.clone().times(1));
        let answer = api.raw("POST", path, body()).await.unwrap();
        assert_eq!(answer.status(), status, "{fault:?}");
    }
    assert_eq!(
        api.get("/bot/v3/info").await["code"],
        99_991_663,
        "and the token stays stale"
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn history_is_paged_in_either_order_and_markdown_comes_back_plain() {
    let (sim, api) = unlimited().await;
    let chat = sim.p2p_chat_id();
    for text in ["1", "2", "3"] {
        api.say(chat, text, None).await;
    }
    let post = json!({"zh_cn": {"title": "T", "content": [[{"tag": "md", "text": "**a**\nb"}]]}});
    let body = json!({"receive_id": chat, "msg_type": "post", "content": post.to_string()});
    api.post("/im/v1/messages?receive_id_type=chat_id", body)
        .await;
    let path = format!("/im/v1/messages?container_id_type=chat&container_id={chat}&page_size=2");
    let page = api.get(&format!("{path}&sort_type=ByCreateTimeDesc")).await["data"].clone();
    assert_eq!(page["has_more"], true);
    let newest: Value =
        serde_json::from_str(page["items"][0]["body"]["content"].as_str().unwrap()).unwrap();
    assert_eq!(newest["content"][0][0]["tag"], "text");
    assert_eq!(newest["content"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][1]["body"]["content"], r#"{"text":"3"}"#);
    assert_eq!(
        page["items"][1]["sender"],
        json!({"id": sim.config().app_id, "id_type": "app_id", "sender_type": "app", "tenant_key": "2ed263bf32cf1651"})
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn an_app_is_told_of_its_own_versions_and_subscriptions_if_it_may_ask() {
    let config = SimConfig {
        draft_subscriptions: Some(vec!["im.message.receive_v1".into()]),
        subscriptions: vec!["card.action.trigger".into()],
        ..quick()
    };
    let app = format!("/application/v6/applications/{}", config.app_id);
    let versions = format!("{app}/app_versions?lang=zh_cn&page_size=2");
    let sim = Sim::start(config.clone()).await.unwrap();
    let api = Api::of(&sim).await;
    let listed = api.get(&versions).await;
    let items = listed["data"]["items"].as_array().unwrap().iter();
    let told: Vec<_> = items
        .map(|item| (item["status"].clone(), item["event_infos"].clone()))
        .collect();
    let message = json!([{"event_type": "im.message.receive_v1"}]);
    assert_eq!(told, [(json!(4), message), (json!(1), json!([]))]);
    let told = api.get(&format!("{app}?lang=zh_cn")).await;
    let callbacks = &told["data"]["app"]["callback_info"];
    assert_eq!(callbacks["callback_type"], "websocket");
    assert_eq!(
        callbacks["subscribed_callbacks"],
        json!(["card.action.trigger"])
    );
    let other = "/application/v6/applications/cli_0000000000000000?lang=zh_cn";
    assert_eq!(api.get(other).await["code"], 210_504);
    sim.shutdown().await;

    let app = format!("{app}?lang=zh_cn");
    for (right, tells_versions, tells_app) in [
        ("application:application:self_manage", true, true),
        ("application:application.app_version:readonly", true, false),
        ("admin:app.info:readonly", false, true),
        ("im:message", false, false),
    ] {
        let sim = Sim::start(SimConfig {
            granted_scopes: vec![right.into()],
            ..config.clone()
        })
        .await
        .unwrap();
        let api = Api::of(&sim).await;
        for (path, tells) in [(&versions, tells_versions), (&app, tells_app)] {
            let code = if tells { 0 } else { 99_991_672 };
            assert_eq!(api.get(path).await["code"], code, "{right}: {path}");
        }
        sim.shutdown().await;
    }
}
