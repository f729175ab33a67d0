//! Questions to people: may a tool be used, and what the model wants to know.

use feishu_sim::view::Message;
use feishu_sim::{CardAction, UserMessage};
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via};

const SHELL: &str =
    "[tools]\nenable = [\"shell\", \"ask_user\"]\nask_first = [\"shell\", \"write_file\"]\n";

async fn rig(via: Via) -> Rig {
    Rig::start(Setup {
        via,
        more: SHELL,
        ..Setup::default()
    })
    .await
}

/// The card that asks something about this message.
async fn asked(rig: &Rig, message_id: &str) -> Message {
    let chat = rig.sim.message(message_id).unwrap().chat_id;
    let found = rig
        .sim
        .until(PATIENCE, |sim| {
            sim.messages(&chat).into_iter().find(|message| {
                message.parent_id.as_deref() == Some(message_id)
                    && message
                        .card
                        .as_ref()
                        .is_some_and(|card| card.template == "orange")
            })
        })
        .await;
    found.unwrap_or_else(|| panic!("nobody was asked; log:\n{}", rig.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_when_its_asker_agrees_and_not_before() {
    for via in [Via::LongConnection, Via::Webhook, Via::EncryptedWebhook] {
        let rig = rig(via).await;
        let group = rig
            .sim
            .add_group("ops", &[rig.sim.people()[0].open_id.clone()])
            .unwrap();
        let other = rig.sim.add_person("Eve").unwrap();
        rig.sim.add_member(&group, &other).unwrap();
        rig.model.script(Script::tool_call(
            "shell",
            r#"{"command":"echo from the sandbox > out.txt; cat out.txt"}"#,
        ));
        rig.model.script(Script::Answer("it is done".into()));
        let message = rig
            .sim
            .user_says(UserMessage::text("@小欧 run it").in_chat(&group))
            .unwrap()
            .message_id;
        let card = asked(&rig, &message).await;
        assert!(
            card.text.contains("cat out.txt")
                || card.card.as_ref().unwrap().html.contains("cat out.txt")
        );
        assert_eq!(rig.model.requests().len(), 1);
        // Somebody else presses.
        let pressed = rig
            .sim
            .press(CardAction::label(&card.message_id, "Allow once").by(&other))
            .await
            .unwrap();
        assert_eq!(pressed.toast_type(), Some("warning"), "{pressed:?}");
        assert_eq!(rig.model.requests().len(), 1);
        let pressed = rig
            .sim
            .press(CardAction::label(&card.message_id, "Allow once"))
            .await
            .unwrap();
        assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
        assert_eq!(pressed.card.unwrap().template, "green");
        assert_eq!(rig.answer_to(&message).await, "it is done");
        let result = rig.model.requests().pop().unwrap().body.to_string();
        assert!(result.contains("from the sandbox"), "{result}");
        assert!(
            rig.sim.violations().is_empty(),
            "{:?}",
            rig.sim.violations()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_a_restart_and_its_answer_is_heard() {
    let mut rig = rig(Via::LongConnection).await;
    rig.model.script(Script::tool_call(
        "ask_user",
        r#"{"question":"Which colour?"}"#,
    ));
    let message = rig.says("paint it");
    let card = asked(&rig, &message).await;
    rig.daemon.kill();
    rig.start_daemon().await;
    rig.model.script(Script::Answer("blue it is".into()));
    let pressed = rig
        .sim
        .press(CardAction::label(&card.message_id, "Submit").with("answer", "blue"))
        .await
        .unwrap();
    assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
    assert_eq!(rig.answer_to(&message).await, "blue it is");
    let result = rig.model.requests().pop().unwrap().body.to_string();
    assert!(result.contains("blue"), "{result}");
    // It was asked once.
    let orange =
        |message: &Message| message.parent_id.as_deref() == Some(&card.parent_id.clone().unwrap());
    let cards = rig.sim.messages(&rig.chat()).into_iter().filter(orange);
    assert_eq!(cards.filter(|message| message.card.is_some()).count(), 2);
}
