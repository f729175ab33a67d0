//! Long conversations: what is summarised, what is taken out, and what survives.

use std::fs;

use model_sim::{ModelSim, ModelSimConfig, RecordedRequest, Script};
use serde_json::Value;
use xiaoo_agent::{
    Message, ModelChain, ModelError, Progress, Recorded, TurnError, Workspace, effective_history,
    repair_history,
};

use crate::common::{model_at, start};
use crate::harness::{Run, asks_for, reply, roles, started};

#[tokio::test]
async fn the_older_part_is_summarised_before_the_window_is_full() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let models = with_window(&sim, 4_000);
    let mut run = Run::new("now?");
    run.history = turns(0..20);
    let outcome = run.run_on(&models).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u S a");
    assert_eq!(run.seen.steps(), "S a");
    assert!(run.seen.saw(|p| *p == Progress::Compacting));
    assert_eq!(outcome.by_model[0].requests, 2, "the summary is paid for");

    let [asked, question] = sim.requests().try_into().unwrap();
    let material = asked.last_user_message();
    assert!(material.contains("question 0 ") && !material.contains("question 19 "));
    let said = texts(&question);
    assert!(said[0].contains("THE SUMMARY"), "{}", said[0]);
    assert!(!said.iter().any(|text| text.contains("question 0 ")));
    assert!(said.iter().any(|text| text.contains("question 19 ")));
    assert!(bytes(&question) < 4_000 * 4 * 8 / 10);

    // The next turn finds what is left, and has no need of another.
    run.history.extend(outcome.new_messages);
    let left = effective_history(run.history.clone());
    assert!(matches!(&left[0], Message::Summary { content, .. } if content == "THE SUMMARY"));
    run.user = Message::user("and now?");
    let outcome = run.run_on(&models).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u a");
    let said = texts(&sim.requests()[2]);
    assert!(said[0].contains("THE SUMMARY") && !said.concat().contains("question 0 "));
    assert!(said.concat().contains("question 19 "));
}

#[tokio::test]
async fn many_short_messages_are_summarised_although_they_would_fit() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let models = model_at(&sim.base_url(), |_| {}).into();
    for (turns_before, asked_for) in [(150, "u a"), (151, "u S a")] {
        let mut run = Run::new("now?");
        run.history = (0..turns_before)
            .flat_map(|n| [Message::user(format!("q{n}")), Message::assistant("a")])
            .collect();
        let outcome = run.run_on(&models).await.unwrap();
        assert_eq!(roles(&outcome.new_messages), asked_for, "{turns_before}");
        run.history.extend(outcome.new_messages);
        let left = effective_history(run.history).len();
        // Half of them stay, and the summary; and with the turn's own two.
        let expected = if turns_before == 150 {
            302
        } else {
            1 + 150 + 2
        };
        assert_eq!(left, expected);
    }
}

#[tokio::test]
async fn a_summary_is_summarised_with_what_came_after_it() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("SECOND".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let mut run = Run::new("now?");
    run.history = turns(0..20);
    run.history.push(Message::Summary {
        content: "FIRST".into(),
        verbatim: vec!["<skill>KEEP</skill>".into()],
        keeps: 2,
    });
    run.history.extend(turns(20..40));
    let outcome = run.run_on(&with_window(&sim, 4_000)).await.unwrap();
    let [asked, question] = sim.requests().try_into().unwrap();
    let material = asked.last_user_message();
    assert!(material.contains("FIRST") && material.contains("question 19 "));
    assert!(!material.contains("question 18 "));
    let said = texts(&question).concat();
    assert!(said.contains("SECOND") && said.contains("<skill>KEEP</skill>"));
    assert!(!said.contains("FIRST"));
    run.history.extend(outcome.new_messages);
    let left = effective_history(run.history);
    assert!(matches!(&left[0], Message::Summary { content, .. } if content == "SECOND"));
}

#[tokio::test]
async fn a_refusal_forces_one_and_its_limit_is_remembered() {
    let sim = with_end(4_000).await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let models = ModelChain::new(model_at(&sim.base_url(), |_| {}));
    let mut run = Run::new("now?");
    run.history = turns(0..24);
    assert_eq!(run.run_on(&models).await.unwrap().answer, "done");
    let asked: Vec<bool> = sim.requests().iter().map(is_for_summary).collect();
    assert_eq!(asked, [false, true, false]);

    // Another conversation does not run into the same wall.
    let mut other = Run::new("now?");
    other.history = turns(0..24);
    assert_eq!(other.run_on(&models).await.unwrap().answer, "done");
    let asked: Vec<bool> = sim.requests().iter().skip(3).map(is_for_summary).collect();
    assert_eq!(asked, [true, false]);
}

#[tokio::test]
async fn a_limit_that_nobody_tells_is_found_by_halving() {
    let sim = start().await;
    sim.script_for("now", Script::error(400, "the prompt is too long"));
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let mut run = Run::new("now?");
    run.history = turns(0..8);
    assert_eq!(run.run(&sim).await.unwrap().answer, "done");
    let requests = sim.requests();
    assert_eq!(requests.len(), 3);
    assert!(bytes(&requests[2]) < bytes(&requests[0]) * 6 / 10);
}

#[tokio::test]
async fn what_can_not_be_shortened_is_refused_once() {
    let sim = with_end(1_000).await;
    let mut run = Run::new(&"x".repeat(8_000));
    let limit = Some(1_000);
    assert_eq!(
        run.run(&sim).await,
        Err(TurnError::Model(ModelError::ContextOverflow { limit }))
    );
    assert_eq!(sim.requests().len(), 1);

    // And one that is still too long after it was shortened, once more and not again.
    let sim = start().await;
    for _ in 0..3 {
        sim.script(Script::error(400, "the prompt is too long"));
    }
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    let mut run = Run::new("now?");
    run.history = turns(0..8);
    let limit = None;
    assert_eq!(
        run.run(&sim).await,
        Err(TurnError::Model(ModelError::ContextOverflow { limit }))
    );
    assert_eq!(sim.requests().len(), 3);
    assert_eq!(sim.scripts_left(), 1);
}

#[tokio::test]
async fn when_there_is_no_summary_the_oldest_turns_are_dropped() {
    for bad in [Script::error(400, "no"), Script::Answer(String::new())] {
        let sim = start().await;
        sim.always_when(is_for_summary, bad);
        sim.always_for("now", Script::Answer("done".into()));
        let mut run = Run::new("now?");
        run.history = turns(0..20);
        let outcome = run.run_on(&with_window(&sim, 4_000)).await.unwrap();
        assert_eq!(roles(&outcome.new_messages), "u a");
        let question = sim.requests().pop().unwrap();
        let said = texts(&question).concat();
        assert!(!said.contains("question 0 ") && said.contains("question 19 "));
        assert!(bytes(&question) < 4_000 * 4 * 8 / 10);
    }
}

#[tokio::test]
async fn more_history_than_is_allowed_is_summarised_whatever_the_window() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    sim.always_for("now", Script::Answer("done".into()));
    let mut run = Run::new("now?");
    run.history = turns(0..20);
    run.limits.history_bytes_max = 4_000;
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u S a");
    assert!(bytes(&sim.requests()[1]) < 4_000);
}

/// Floods of output, a skill among them.
fn flooding(sim: &ModelSim, floods: usize) {
    sim.script(Script::tool_call("load_skill", r#"{"do":"flood"}"#));
    for n in 0..floods {
        let arguments = format!(r#"{{"do":"flood","n":{n}}}"#);
        sim.script(Script::tool_call("probe", arguments));
    }
    sim.script(Script::Answer("done".into()));
}

#[tokio::test]
async fn outputs_of_a_long_turn_make_room_and_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start().await;
    flooding(&sim, 8);
    let mut run = Run::with_probe("go");
    run.workspace = Some(Workspace::open(directory.path()).unwrap());
    // Each is 5,000 bytes: six of them would fill it.
    let outcome = run.run_on(&with_window(&sim, 9_000)).await.unwrap();
    assert!(!run.seen.saw(|p| *p == Progress::Compacting));
    let last = sim.requests().pop().unwrap();
    assert!(bytes(&last) < 9_000 * 4 * 8 / 10, "{}", bytes(&last));
    let results: Vec<&Message> = outcome
        .new_messages
        .iter()
        .filter(|message| matches!(message, Message::Tool { .. }))
        .collect();
    assert_eq!(results[0].content().len(), 5_000, "a skill stays");
    assert_eq!(results[8].content().len(), 5_000, "so does the newest");
    let stub = results[1].content();
    let (_, rest) = stub.split_once("it is in ").unwrap();
    let (file, _) = rest.split_once(',').unwrap();
    let kept = fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(kept, "x".repeat(5_000));
    // What is recorded is what was said.
    let recorded = run.seen.messages();
    assert!(recorded.iter().all(|m| !m.content().contains("it is in ")));
}

#[tokio::test]
async fn a_turn_that_alone_is_too_long_is_summarised_in_the_middle() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    flooding(&sim, 8);
    // Without files there is nothing that could be taken out.
    let mut run = Run::with_probe("find the needle");
    run.history = turns(0..2);
    let outcome = run.run_on(&with_window(&sim, 9_000)).await.unwrap();
    assert_eq!(outcome.answer, "done");
    let mut summaries = outcome
        .new_messages
        .iter()
        .filter_map(|message| match message {
            Message::Summary {
                content, verbatim, ..
            } => Some((content, verbatim)),
            Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
        });
    let (content, verbatim) = summaries.next_back().unwrap();
    assert!(content.starts_with("THE SUMMARY"), "{content}");
    assert!(content.contains("find the needle"), "{content}");
    assert_eq!(
        verbatim,
        &["x".repeat(5_000)],
        "the skill goes on word for word"
    );
    let last = sim.requests().pop().unwrap();
    assert!(bytes(&last) < 9_000 * 4 * 8 / 10, "{}", bytes(&last));
    assert_eq!(last.body["messages"][0]["role"], "user");
    assert_eq!(last.body["messages"][1]["role"], "assistant");
}

/// A turn that shortens its conversation may be cut off after every step: it comes to the same
/// end, what was paid for is not paid for again, and every question of it is a valid one (the
/// server refuses any other).
#[tokio::test]
async fn a_turn_that_is_shortened_may_be_cut_off_after_every_step() {
    let sim = start().await;
    sim.always_when(is_for_summary, Script::Answer("THE SUMMARY".into()));
    flooding(&sim, 8);
    let mut whole = Run::with_probe("go");
    whole.history = turns(0..2);
    whole.run_on(&with_window(&sim, 9_000)).await.unwrap();
    let steps = whole.seen.recorded;
    assert!(steps.len() > 20);
    for cut in 0..steps.len() {
        let sim = start().await;
        sim.always_when(is_for_summary, Script::Answer("AGAIN".into()));
        sim.always_for("", Script::Answer("done".into()));
        let mut run = Run::with_probe("go");
        run.history = turns(0..2);
        run.resume = steps[..cut].to_vec();
        let outcome = run.run_on(&with_window(&sim, 9_000)).await.unwrap();
        assert_eq!(outcome.answer, "done", "{cut}");
        let is_summary = |message: &&Message| matches!(message, Message::Summary { .. });
        let kept = steps[..cut].iter().filter_map(Recorded::message);
        let kept = kept.filter(is_summary).count();
        let now = run.seen.messages();
        let all = outcome.new_messages.iter().filter(is_summary).count();
        assert_eq!(all - kept, now.iter().filter(is_summary).count(), "{cut}");
        let next = [whole.history.clone(), outcome.new_messages].concat();
        let next = effective_history(next);
        assert_eq!(repair_history(next.clone()), next, "{cut}");
    }
}

#[tokio::test]
async fn a_summary_that_was_recorded_is_not_asked_for_again() {
    let sim = start().await;
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.history = turns(0..20);
    run.resume = vec![
        reply(Message::Summary {
            content: "PAID FOR".into(),
            verbatim: Vec::new(),
            keeps: 3,
        }),
        reply(asks_for(&[("a", "probe", "{}")])),
        started("a"),
        Message::tool("a", "x").into(),
    ];
    let outcome = run.run_on(&with_window(&sim, 4_000)).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u S a t a");
    let [question] = sim.requests().try_into().unwrap();
    let said = texts(&question).concat();
    assert!(said.contains("PAID FOR") && said.contains("question 19 "));
    assert!(!said.contains("question 18 "));
}

#[tokio::test]
async fn what_is_said_again_takes_the_place_of_the_first_time() {
    let sim = start().await;
    sim.script(Script::Answer("better".into()));
    let mut run = Run::new("");
    run.history = turns(0..2);
    run.user = Message::User {
        content: "question 1 again".into(),
        images: Vec::new(),
        again: true,
    };
    run.run(&sim).await.unwrap();
    let said = texts(&sim.requests()[0]);
    assert_eq!(said.len(), 3);
    assert!(said[0].starts_with("question 0 "));
    assert_eq!(said[2], "question 1 again");
}

fn turns(numbers: std::ops::Range<u32>) -> Vec<Message> {
    let filler = "and so on ".repeat(30);
    numbers
        .flat_map(|n| {
            [
                Message::user(format!("question {n} {filler}")),
                Message::assistant(format!("answer {n} {filler}")),
            ]
        })
        .collect()
}

fn with_window(sim: &ModelSim, tokens: u32) -> ModelChain {
    model_at(&sim.base_url(), |config| {
        config.context_window = Some(tokens)
    })
    .into()
}

async fn with_end(tokens: usize) -> ModelSim {
    let mut config = ModelSimConfig::for_tests();
    config.context_window = Some(tokens);
    ModelSim::start(config).await.unwrap()
}

fn is_for_summary(request: &RecordedRequest) -> bool {
    request.system().starts_with("You shorten a conversation")
}

fn texts(request: &RecordedRequest) -> Vec<String> {
    let messages = request.body["messages"].as_array().unwrap();
    let texts = messages.iter().map(|message| message["content"].as_str());
    texts
        .map(|text| text.unwrap_or_default().to_owned())
        .collect()
}

fn bytes(request: &RecordedRequest) -> usize {
    Value::to_string(&request.body).len()
}
