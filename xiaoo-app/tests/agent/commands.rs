//! What people tell the bot itself.

use std::time::{Duration, Instant};

use feishu_sim::UserMessage;
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Via, answers};
use crate::seen::{id_of, reply, say};

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
    // What only waited was the last that was said.
    rig.model.script(Script::Answer("another one".into()));
    assert_eq!(rig.answer_to(&rig.says("/retry")).await, "another one");
    let last = rig.model.requests().pop().unwrap().last_user_message();
    assert!(last.contains("and another"), "{last}");
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
async fn retry_in_a_group_repeats_the_words_of_whoever_asks_and_of_nobody_else() {
    let rig = Rig::via(Via::LongConnection).await;
    let [li, bob] = ["李雷", "Bob Miller"].map(|name| id_of(&rig.sim, name));
    let group = rig.sim.group_chat_id().to_owned();
    let says = |who: &str, text: &str| {
        let message = UserMessage::text(text).in_chat(&group).from(who);
        say(&rig, message)
    };
    let asked = || rig.model.requests().pop().unwrap();
    for (who, text, said) in [
        (&li, "@小欧 what is seven times six?", "42"),
        (&bob, "@小欧 and the capital of Peru?", "Lima"),
    ] {
        rig.model.script(Script::Answer(said.into()));
        assert_eq!(rig.answer_to(&says(who, text)).await, said);
    }
    // What others have said since stays said.
    rig.model.script(Script::Answer("forty-two".into()));
    assert_eq!(rig.answer_to(&says(&li, "@小欧 /retry")).await, "forty-two");
    let last = asked().last_user_message();
    assert!(
        last.contains("seven times six") && !last.contains("/retry"),
        "{last}"
    );
    let body = asked().body["messages"].to_string();
    assert!(body.contains("Peru") && body.contains("Lima"), "{body}");
    // Nobody has spoken since: the first answer makes room.
    rig.model.script(Script::Answer("6 × 7 = 42".into()));
    assert_eq!(
        rig.answer_to(&says(&li, "@小欧 /retry")).await,
        "6 × 7 = 42"
    );
    let body = asked().body["messages"].to_string();
    assert!(!body.contains("forty-two"), "{body}");
    // Who has said nothing has nothing to repeat, in either language.
    let questions = rig.model.requests().len();
    let eve = rig.sim.add_person("Eve").unwrap();
    rig.sim.add_member(&group, &eve).unwrap();
    for (text, notice) in [
        ("/retry", "no message of yours"),
        ("/重试", "你在这里还没有"),
    ] {
        let said = rig.answer_to(&says(&eve, &format!("@小欧 {text}"))).await;
        assert!(said.contains(notice), "{said}");
    }
    assert_eq!(rig.model.requests().len(), questions);
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
