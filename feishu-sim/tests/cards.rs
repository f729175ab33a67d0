//! What people do with cards, and what the bot's answer leads to.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod common;

use std::time::Duration;

use common::{Api, Client, connect, quick};
use feishu_sim::view::ControlKind;
use feishu_sim::{CardAction, Pressed, Sim, SimConfig};
use serde_json::{Value, json};

const ALICE: &str = "ou_a11ce000000000000000000000000003";
const LI_LEI: &str = "ou_11e10000000000000000000000000001";

fn card() -> Value {
    let plain = |text: &str| json!({"tag": "plain_text", "content": text});
    let option = |text: &str, value: &str| json!({"text": plain(text), "value": value});
    json!({
        "schema": "2.0",
        "body": {"elements": [
            {"tag": "markdown", "content": "Who?"},
            {"tag": "form", "name": "ask", "elements": [
                {"tag": "input", "name": "answer", "required": true, "placeholder": plain("write")},
                {"tag": "select_static", "name": "where", "placeholder": plain("choose"),
                 "options": [option("Here", "h"), option("There", "t")]},
                {"tag": "button", "name": "send", "form_action_type": "submit", "text": plain("Send"),
                 "behaviors": [{"type": "callback", "value": {"ask": "7"}}]},
            ]},
            {"tag": "overflow", "name": "more", "options": [option("One", "1")], "value": {"k": 1}},
            {"tag": "button", "text": plain("Off"), "disabled": true},
        ]},
    })
}

struct Rig {
    sim: Sim,
    client: Client,
    message_id: String,
}

impl Rig {
    async fn start() -> Self {
        let config = SimConfig {
            ack_within: Duration::from_millis(300),
            ..quick()
        };
        let sim = Sim::start(config).await.unwrap();
        let api = Api::of(&sim).await;
        let client = connect(&sim).await;
        let body = json!({
            "receive_id": sim.group_chat_id(), "msg_type": "interactive",
            "content": card().to_string(),
        });
        let sent = api
            .post("/im/v1/messages?receive_id_type=chat_id", body)
            .await;
        let message_id = sent["data"]["message_id"]
            .as_str()
            .unwrap_or_else(|| panic!("{sent}"))
            .to_owned();
        Self {
            sim,
            client,
            message_id,
        }
    }

    /// Uses the card, answers with `data`; gives the callback's `event`.
    async fn press(&mut self, action: CardAction, data: &Value) -> (Value, Pressed) {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(data.to_string());
        let payload = json!({"code": 200, "data": data}).to_string();
        let answered = async {
            let frame = self.client.frame().await;
            self.client.send(&frame.ack(&payload)).await;
            frame.json()["event"].clone()
        };
        let (pressed, event) = tokio::join!(self.sim.press(action), answered);
        (event, pressed.unwrap())
    }
}

#[tokio::test]
async fn a_form_is_sent_whole_and_answered_with_a_toast_and_a_card() {
    let mut rig = Rig::start().await;
    let shown = rig.sim.message(&rig.message_id).unwrap().card.unwrap();
    let kinds: Vec<ControlKind> = shown.controls.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [
            ControlKind::Input,
            ControlKind::Select,
            ControlKind::Button,
            ControlKind::Overflow,
            ControlKind::Button,
        ]
    );
    let done = json!({"schema": "2.0", "header": {"title": {"tag": "plain_text", "content": "done"}}, "body": {"elements": []}});
    let answer = json!({
        "toast": {"type": "success", "content": "好"}, "card": {"type": "raw", "data": done},
    });
    let action = CardAction::label(&rig.message_id, "Send")
        .by(ALICE)
        .with("answer", "<me>");
    let (event, pressed) = rig.press(action, &answer).await;
    assert_eq!(
        event["action"],
        json!({
            "tag": "button", "name": "send", "value": {"ask": "7"}, "timezone": "Asia/Shanghai",
            "form_value": {"answer": "<me>", "where": ""},
        })
    );
    assert_eq!(event["operator"]["open_id"], ALICE);
    assert_eq!(event["context"]["open_message_id"], rig.message_id.as_str());
    assert_eq!(
        (pressed.status, pressed.toast(), pressed.toast_type()),
        ("answered", Some("好"), Some("success"))
    );
    assert_eq!(pressed.card.unwrap().title, "done");
    assert_eq!(rig.sim.violations(), []);
}

#[tokio::test]
async fn a_menu_sends_its_option() {
    let mut rig = Rig::start().await;
    let action = CardAction {
        message_id: rig.message_id.clone(),
        control: Some("more".into()),
        option: Some("1".into()),
        ..CardAction::default()
    };
    let (event, pressed) = rig.press(action, &json!({})).await;
    assert_eq!(
        event["action"],
        json!({
            "tag": "overflow", "name": "more", "option": "1", "value": {"k": 1},
            "timezone": "Asia/Shanghai",
        })
    );
    assert_eq!((pressed.status, pressed.toast()), ("answered", None));
}

#[tokio::test]
async fn what_no_client_lets_pass_is_refused_here() {
    let rig = Rig::start().await;
    let label = |label: &str| CardAction::label(&rig.message_id, label);
    for (name, action) in [
        ("an empty required field", label("Send")),
        (
            "an option that is none",
            label("Send").with("answer", "x").with("where", "moon"),
        ),
        ("a disabled button", label("Off")),
        ("a button that is not there", label("On")),
        (
            "an option of a menu that is none",
            CardAction {
                message_id: rig.message_id.clone(),
                control: Some("more".into()),
                option: Some("2".into()),
                ..CardAction::default()
            },
        ),
    ] {
        assert!(rig.sim.press(action).await.is_err(), "{name}");
    }
    rig.sim
        .remove_member(rig.sim.group_chat_id(), ALICE)
        .unwrap();
    let gone = label("Send").with("answer", "x").by(ALICE);
    assert!(rig.sim.press(gone).await.is_err(), "somebody who left");
}

#[tokio::test]
async fn silence_and_answers_of_a_wrong_form_are_violations() {
    let mut rig = Rig::start().await;
    let send = CardAction::label(&rig.message_id, "Send")
        .by(LI_LEI)
        .with("answer", "x");
    assert_eq!(rig.sim.press(send.clone()).await.unwrap().status, "timeout");
    let _unanswered = rig.client.frame().await;
    let old_card = json!({"elements": []});
    for answer in [
        json!({"toast": {"type": "loud", "content": "x"}}),
        json!({"toast": {"type": "info"}}),
        json!({"card": {"type": "raw", "data": old_card}}),
        json!({"note": "x"}),
    ] {
        rig.press(send.clone(), &answer).await;
    }
    let rules: Vec<String> = rig
        .sim
        .violations()
        .into_iter()
        .map(|violation| violation.rule)
        .collect();
    assert_eq!(
        rules,
        [
            "callback_timeout",
            "callback_answer",
            "callback_answer",
            "callback_card",
            "callback_answer",
        ]
    );
    let card = rig.sim.message(&rig.message_id).unwrap().card.unwrap();
    assert_eq!(card.controls.len(), 5, "the card stays as it was");
}

#[tokio::test]
async fn a_form_that_cannot_be_sent_is_no_card() {
    let sim = Sim::start(quick()).await.unwrap();
    let api = Api::of(&sim).await;
    let button = json!({"tag": "button", "name": "b", "form_action_type": "submit"});
    let input = json!({"tag": "input", "name": "i"});
    for (name, form) in [
        ("no name", json!({"tag": "form", "elements": [button]})),
        (
            "no button",
            json!({"tag": "form", "name": "f", "elements": [input]}),
        ),
        (
            "a name twice",
            json!({"tag": "form", "name": "f", "elements": [input, input, button]}),
        ),
        (
            "a field without a name",
            json!({"tag": "form", "name": "f", "elements": [{"tag": "input"}, button]}),
        ),
    ] {
        let card = json!({"schema": "2.0", "body": {"elements": [form]}});
        let body = json!({"receive_id": sim.p2p_chat_id(), "msg_type": "interactive", "content": card.to_string()});
        let sent = api
            .post("/im/v1/messages?receive_id_type=chat_id", body)
            .await;
        assert_eq!(sent["code"], 230_099, "{name}: {sent}");
    }
}
