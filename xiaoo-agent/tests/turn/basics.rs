//! A question, its answer, and the tools between them.

use std::time::Duration;

use model_sim::Script;
use serde_json::json;
use xiaoo_agent::{CurrentTime, Message, ModelError, Progress, RecordFailed, ToolSet, TurnError};

use crate::common::{model_at, start};
use crate::harness::{Run, asks, roles};

#[tokio::test]
async fn a_question_gets_its_answer() {
    let sim = start().await;
    sim.script(Script::Answer("四".into()));
    let mut run = Run::new("二加二？");
    run.history = vec![Message::user("你好"), Message::assistant("好")];
    run.system = "be brief";
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(outcome.answer, "四");
    assert_eq!((outcome.steps, outcome.cut_off), (1, false));
    assert!(outcome.usage.total_tokens > 0);
    assert_eq!(
        outcome.new_messages,
        [Message::user("二加二？"), Message::assistant("四")]
    );
    assert_eq!(run.seen.messages(), [Message::assistant("四")]);
    assert_eq!(outcome.model, "m");
    assert_eq!(outcome.by_model.len(), 1);
    assert_eq!(outcome.by_model[0].usage, outcome.usage);
    assert_eq!(
        sim.requests()[0].body["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "你好"},
            {"role": "assistant", "content": "好"},
            {"role": "user", "content": "二加二？"},
        ])
    );
    assert!(matches!(
        run.seen.progress.as_slice(),
        [Progress::Thinking, Progress::Writing { .. }]
    ));
}

#[tokio::test]
async fn a_tool_is_run_and_its_result_goes_back() {
    let sim = start().await;
    let mut run = Run::new("现在几点？");
    run.tools = ToolSet::new().with(CurrentTime::new(480)).unwrap();
    let outcome = run.run(&sim).await.unwrap();
    assert!(outcome.answer.contains("+08:00"), "{}", outcome.answer);
    assert_eq!(outcome.steps, 2);
    assert_eq!(roles(&outcome.new_messages), "u a t a");
    assert_eq!(outcome.new_messages[1..], run.seen.messages());
    let tools: Vec<&Progress> = run
        .seen
        .progress
        .iter()
        .filter(|p| {
            matches!(
                p,
                Progress::ToolStarted { .. } | Progress::ToolFinished { .. }
            )
        })
        .collect();
    let name = || "current_time".to_owned();
    assert_eq!(
        tools,
        [
            &Progress::ToolStarted { name: name() },
            &Progress::ToolFinished {
                name: name(),
                ok: true
            },
        ]
    );
}

#[tokio::test]
async fn a_call_that_goes_wrong_is_told_to_the_model() {
    let cases = [
        ("nope", "{}", "no tool of that name"),
        ("probe", "{\"a\":", "not valid JSON"),
        ("probe", "[1]", "not a JSON object"),
        ("probe", r#"{"do":"panic"}"#, "the tool broke"),
        ("probe", r#"{"do":"hang"}"#, "took longer than"),
        (
            "probe",
            r#"{"do":"flood"}"#,
            "[cut: the first 100 of 5000 bytes]",
        ),
        ("probe", "", "ran 1"),
    ];
    for (name, arguments, told) in cases {
        let sim = start().await;
        sim.script(Script::tool_call(name, arguments));
        sim.script(Script::Answer("done".into()));
        let mut run = Run::with_probe("go");
        run.limits.tool_timeout = Duration::from_millis(100);
        run.limits.tool_output_bytes_max = 100;
        let outcome = run.run(&sim).await.unwrap();
        assert_eq!(outcome.answer, "done");
        let result = outcome.new_messages[2].content();
        assert!(result.contains(told), "{arguments}: {result}");
    }
}

#[tokio::test]
async fn several_calls_are_answered_in_order() {
    let sim = start().await;
    sim.script(Script::ToolCalls {
        text: "先看".into(),
        calls: vec![
            ("probe".into(), r#"{"n":1}"#.into()),
            ("probe".into(), r#"{"n":2}"#.into()),
        ],
    });
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u a t t a");
    assert_eq!(outcome.new_messages[1].content(), "先看");
    assert_eq!(outcome.new_messages[2].content(), "ran 1");
    assert_eq!(outcome.new_messages[3].content(), "ran 2");
}

#[tokio::test]
async fn a_model_that_turns_in_a_circle_is_told() {
    let sim = start().await;
    for _ in 0..3 {
        sim.script(Script::tool_call("probe", "{}"));
    }
    sim.script(Script::Answer("sorry".into()));
    let mut run = Run::with_probe("go");
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(outcome.answer, "sorry");
    assert_eq!(run.probe_runs(), 2);
    assert!(outcome.new_messages[6].content().contains("third time"));
}

#[tokio::test]
async fn the_last_step_has_no_tools_and_ends_the_turn() {
    let call = |n: u32| Script::tool_call("probe", format!("{{\"n\":{n}}}"));
    let sim = start().await;
    sim.script(call(1));
    sim.script(call(2));
    sim.script(Script::ToolCalls {
        text: "as far as I got".into(),
        calls: vec![("probe".into(), "{}".into())],
    });
    let mut run = Run::with_probe("go");
    run.limits.steps_max = 3;
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(outcome.answer, "as far as I got");
    assert_eq!((outcome.steps, run.probe_runs()), (3, 2));
    let offered: Vec<bool> = sim
        .requests()
        .iter()
        .map(|request| request.body.get("tools").is_some())
        .collect();
    assert_eq!(offered, [true, true, false]);
}

#[tokio::test]
async fn a_cut_off_call_is_never_run() {
    let stream = |text: &str| {
        Script::stream(format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\",\"tool_calls\":[{{\"index\":0,\"id\":\"1\",\"function\":{{\"name\":\"probe\",\"arguments\":\"{{}}\"}}}}]}},\"finish_reason\":\"length\"}}]}}\n\ndata: [DONE]\n\n"
        ))
    };
    let sim = start().await;
    sim.script(stream(""));
    let mut run = Run::with_probe("go");
    assert_eq!(run.run(&sim).await, Err(ModelError::Truncated.into()));
    sim.script(stream("half an answer"));
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(
        (outcome.answer.as_str(), outcome.cut_off),
        ("half an answer", true)
    );
    assert_eq!(roles(&outcome.new_messages), "u a");
    assert_eq!(run.probe_runs(), 0);
}

#[tokio::test]
async fn a_filtered_answer_is_no_answer() {
    let sim = start().await;
    sim.script(Script::stream(
        "data: {\"choices\":[{\"delta\":{\"content\":\"半\"},\"finish_reason\":\"sensitive\"}]}\n\ndata: [DONE]\n\n",
    ));
    let mut run = Run::new("go");
    assert_eq!(run.run(&sim).await, Err(ModelError::Filtered.into()));
    assert_eq!(run.seen.messages(), []);
}

#[tokio::test]
async fn what_could_not_be_recorded_is_not_done() {
    let sim = start().await;
    sim.script(Script::tool_call("probe", "{}"));
    let mut run = Run::with_probe("go");
    run.seen.refuse = true;
    assert_eq!(
        run.run(&sim).await,
        Err(TurnError::Record(RecordFailed("disk full".into())))
    );
    assert_eq!(run.probe_runs(), 0);
}

#[tokio::test]
async fn ids_that_servers_use_again_are_made_unique() {
    let same_id = || {
        Script::stream(
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"functions.probe:0\",\"function\":{\"name\":\"probe\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
        )
    };
    let sim = start().await;
    sim.script(same_id());
    sim.script(same_id());
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.history = vec![
        Message::user("earlier"),
        asks(&["functions.probe:0"]),
        Message::tool("functions.probe:0", "x"),
        Message::assistant("y"),
    ];
    let outcome = run.run(&sim).await.unwrap();
    let ids: Vec<String> = outcome
        .new_messages
        .iter()
        .filter_map(|message| match message {
            Message::Tool { tool_call_id, .. } => Some(tool_call_id.clone()),
            Message::User { .. } | Message::Assistant { .. } | Message::Summary { .. } => None,
        })
        .collect();
    assert_eq!(ids, ["functions.probe:0_2", "functions.probe:0_3"]);
}

#[tokio::test]
async fn the_newest_progress_wins() {
    let sim = start().await;
    sim.script(Script::Answer("x".repeat(400)));
    let (sender, receiver) = tokio::sync::watch::channel(Progress::Thinking);
    let models = model_at(&sim.base_url(), |_| {}).into();
    let run = Run::new("go");
    run.run_with(&models, &mut { sender }).await.unwrap();
    assert!(matches!(&*receiver.borrow(), Progress::Writing { .. }));
}
