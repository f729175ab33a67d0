//! What people tell the bot itself.

use std::time::{Duration, Instant};

use feishu_sim::UserMessage;
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Via, answers};

/// Waits for the bot's reply to a message that shows no card.
async fn reply(rig: &Rig, message_id: &str) -> String {
    let chat = rig.sim.message(message_id).unwrap().chat_id;
    let found = rig
        .sim
        .until(PATIENCE, |sim| {
            answers(sim, &chat, message_id).into_iter().next()
        })
        .await;
    let found = found.unwrap_or_else(|| panic!("no reply; log:\n{}", rig.log()));
    found.text
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_the_stream_within_a_second_and_nothing_comes_after_it() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Slow {
        text: "word ".repeat(400),
        chunk_delay: Duration::from_millis(100),
    });
    let long = rig.says("a long story please");
    rig.model.wait_for_requests(1).await;
    let waiting = rig.says("and another");
    let asked = Instant::now();
    let stop = rig.says("停止");
    let said = reply(&rig, &stop).await;
    assert!(said.starts_with("已停止"), "{said}");
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    rig.model.wait_until_idle().await;
    let card = rig
        .sim
        .until(PATIENCE, |sim| {
            let card = sim.messages(&rig.chat()).into_iter().find(|message| {
                message.card.is_some() && message.parent_id.as_deref() == Some(&long)
            })?;
            (card.card?.template == "grey").then_some(())
        })
        .await;
    assert!(card.is_some(), "{}", rig.log());
    assert!(answers(&rig.sim, &rig.chat(), &long).is_empty());
    assert!(answers(&rig.sim, &rig.chat(), &waiting).is_empty());
    // The conversation goes on.
    rig.model.script(Script::Answer("here I am".into()));
    let next = rig.says("still there?");
    assert_eq!(rig.answer_to(&next).await, "here I am");
    let history = rig.model.requests().pop().unwrap().body.to_string();
    assert!(history.contains("a long story please"), "{history}");
    assert!(history.contains("stopped by a person"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_while_a_turn_runs_and_cost_no_model() {
    let rig = Rig::via(Via::Webhook).await;
    rig.model.script(Script::HangBeforeHeaders);
    rig.says("think for ever");
    rig.model.wait_for_requests(1).await;
    for (text, expected) in [
        ("/help", "/stop"),
        ("/帮助", "/stop"),
        ("/status", "scripted"),
        ("/model", "scripted"),
        ("/model nobody", "nobody"),
        ("/skills", "No skills"),
        ("/技能", "技能"),
        ("/pair 123456", "admins"),
    ] {
        let message = rig.says(text);
        let said = reply(&rig, &message).await;
        assert!(said.contains(expected), "{text}: {said}");
    }
    assert_eq!(rig.model.requests().len(), 1);
    let stop = rig.says("/stop");
    assert_eq!(reply(&rig, &stop).await, "Stopped.");
    let stop = rig.says("stop");
    assert_eq!(reply(&rig, &stop).await, "Nothing is running.");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_forgets_and_retry_takes_the_place_of_the_first_try() {
    let rig = Rig::via(Via::LongConnection).await;
    let first = rig.says("my number is 417");
    rig.answer_to(&first).await;
    rig.model.script(Script::Answer("a bad answer".into()));
    let second = rig.says("what is my number?");
    rig.answer_to(&second).await;
    rig.model.script(Script::Answer("417".into()));
    let retry = rig.says("/retry");
    assert_eq!(rig.answer_to(&retry).await, "417");
    let request = rig.model.requests().pop().unwrap();
    let body = request.body["messages"].to_string();
    assert!(body.contains("my number is 417"), "{body}");
    assert!(
        !body.contains("a bad answer") && !body.contains("/retry"),
        "{body}"
    );
    let new = rig.says("/new");
    assert!(reply(&rig, &new).await.contains("forgotten"));
    let third = rig.says("what is my number now?");
    rig.answer_to(&third).await;
    let body = rig.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(!body.contains("417"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_command_reaches_the_model_as_text() {
    let rig = Rig::via(Via::LongConnection).await;
    let message = rig
        .sim
        .user_says(UserMessage::text("/frobnicate the tests"))
        .unwrap()
        .message_id;
    rig.answer_to(&message).await;
    let said = rig.model.requests()[0].last_user_message();
    assert_eq!(said, "/frobnicate the tests");
}
