//! Conversations and turns that are long, and models that are away.

use std::time::Duration;

use model_sim::{ModelSim, ModelSimConfig, RecordedRequest, Script};
use serde_json::json;

use crate::harness::{Rig, Setup};
use crate::talk::{asked, last_request, press, rig, script, setup};

/// Tokens of the models here.
const WINDOW: usize = 4096;

fn is_for_summary(request: &RecordedRequest) -> bool {
    request.system().starts_with("You shorten a conversation")
}

/// As the model counts: four bytes are one.
fn tokens(request: &RecordedRequest) -> usize {
    request.body.to_string().len() / 4
}

fn conversation(request: &RecordedRequest) -> String {
    request.body["messages"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_is_summarised_and_goes_on_with_that() {
    let mut rig = Rig::start(Setup {
        llm: "context_window = 4096",
        ..setup("tools = [\"read_file\"]\n")
    })
    .await;
    rig.model.always_when(
        is_for_summary,
        Script::Answer("The code word is heron.".into()),
    );
    rig.model
        .always_when(|_| true, Script::Answer("noted".into()));
    let summaries = |rig: &Rig| {
        let requests = rig.model.requests();
        requests.iter().filter(|one| is_for_summary(one)).count()
    };
    let mut said = 0;
    while summaries(&rig) == 0 {
        assert!(said < 20, "never summarised");
        let fact = format!("fact {said}: {}", "and so on ".repeat(150));
        rig.answer_to(&rig.says(&fact)).await;
        said += 1;
    }
    // At four fifths of the window, and not long before.
    let requests = rig.model.requests();
    let largest = requests.iter().map(tokens).max().unwrap();
    assert!(largest <= WINDOW, "{largest}");
    let before = requests.iter().take_while(|one| !is_for_summary(one));
    let before = before.last().map(tokens).unwrap();
    assert!(
        (WINDOW / 2..=WINDOW * 17 / 20).contains(&before),
        "{before}"
    );
    let summary = requests.iter().find(|one| is_for_summary(one)).unwrap();
    assert!(conversation(summary).contains("fact 0:"));
    assert!(summary.tools().is_empty());
    let goes_on = |request: &RecordedRequest| {
        let conversation = conversation(request);
        assert!(
            conversation.contains("code word is heron"),
            "{conversation}"
        );
        assert!(!conversation.contains("fact 0:"), "{conversation}");
    };
    goes_on(&last_request(&rig));
    // It is part of the conversation: also for another daemon.
    rig.daemon.kill();
    rig.start_daemon().await;
    rig.answer_to(&rig.says("what was the code word?")).await;
    goes_on(&last_request(&rig));
    assert_eq!(summaries(&rig), 1);

    // A server whose window is smaller than anybody thought says so once.
    for n in 0..2 {
        let more = format!("more {n}: {}", "and so on ".repeat(150));
        rig.answer_to(&rig.says(&more)).await;
    }
    let refusal = json!({"error": {
        "message": "This model's maximum context length is 2000 tokens. However, your messages \
                    resulted in 2500 tokens. Please reduce the length of the messages.",
        "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
    }});
    rig.model.script_for(
        "is that too much",
        Script::Status {
            status: 400,
            headers: vec![("content-type".into(), "application/json".into())],
            body: refusal.to_string(),
        },
    );
    let asked_before = rig.model.requests().len();
    assert_eq!(rig.answer_to(&rig.says("is that too much?")).await, "noted");
    let requests = rig.model.requests().split_off(asked_before);
    let kinds: Vec<bool> = requests.iter().map(is_for_summary).collect();
    assert_eq!(kinds, [false, true, false]);
    assert!(tokens(&requests[2]) < tokens(&requests[0]));
    assert!(conversation(&requests[2]).contains("is that too much?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_answers_while_the_first_is_down() {
    let second = ModelSim::start(ModelSimConfig::for_tests()).await.unwrap();
    let mut rig = rig(format!(
        "[[llm.fallbacks]]\nprovider = \"compatible\"\napi_base = \"{}\"\nmodel = \"stand-in\"\n",
        second.base_url()
    ))
    .await;
    let first = rig.says("hello");
    rig.answer_to(&first).await;
    let html = |rig: &Rig, message: &str| rig.card_of(message).card.unwrap().html;
    assert!(html(&rig, &first).contains("scripted"));
    assert!(second.requests().is_empty());
    let down = std::mem::replace(&mut rig.model, second);
    down.shutdown().await;
    for text in ["are you there?", "still?"] {
        let message = rig.says(text);
        rig.answer_to(&message).await;
        let request = last_request(&rig);
        assert_eq!(request.body["model"], "stand-in");
        assert!(conversation(&request).contains("hello"));
        assert!(!request.had_key, "a key goes to its own server only");
        let card = html(&rig, &message);
        assert!(card.contains("stand-in"), "{card}");
    }
    assert_eq!(rig.model.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_turns_in_a_circle_is_told_and_has_to_answer() {
    /// What a turn has unless the operator says otherwise.
    const STEPS: usize = 20;
    let rig = rig("").await;
    rig.model.always_when(
        |request| !request.tools().is_empty(),
        Script::tool_call("current_time", "{}"),
    );
    rig.model.script(Script::Answer("that is all".into()));
    let message = rig.says("what time is it, over and over?");
    assert_eq!(rig.answer_to(&message).await, "that is all");
    let requests = rig.model.requests();
    assert_eq!(requests.len(), STEPS);
    let last = &requests[STEPS - 1];
    assert!(last.tools().is_empty());
    assert!(last.system().contains("No more tool calls are possible"));
    let results = last.tool_results();
    assert_eq!(results.len(), STEPS - 1);
    for (at, result) in results.iter().enumerate() {
        let is_noticed = result.contains("third time in a row");
        assert_eq!(is_noticed, at >= 2, "{at}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_takes_too_long_ends_in_a_notice_and_the_conversation_goes_on() {
    let rig = rig("[limits]\nturn_timeout_secs = 2\n[tools]\nenable = [\"shell\"]\n").await;
    rig.model.script(Script::tool_call("current_time", "{}"));
    rig.model.script(Script::HangBeforeHeaders);
    let message = rig.says("what time is it?");
    let notice = rig.answer_to(&message).await;
    assert!(notice.contains("took too long"), "{notice}");
    assert_eq!(rig.card_of(&message).card.unwrap().template, "red");
    rig.model.script(Script::HangMidStream {
        text: "half an answer".into(),
        pieces: 2,
    });
    let message = rig.says("and now?");
    let notice = rig.answer_to(&message).await;
    assert!(notice.contains("took too long"), "{notice}");
    // The time in which somebody thinks is not the turn's.
    script(&rig, &[("shell", json!({"command": "echo here"}))]);
    let message = rig.says("run it");
    let card = asked(&rig, &message).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    press(&rig, &card, "Allow once").await;
    assert_eq!(rig.answer_to(&message).await, "done");
    // The model's server insists on a history in which every call is answered.
    let conversation = conversation(&last_request(&rig));
    for part in [
        "what time is it?",
        "current_time",
        "[no answer: ",
        "and now?",
    ] {
        assert!(conversation.contains(part), "{part:?} in {conversation}");
    }
}
