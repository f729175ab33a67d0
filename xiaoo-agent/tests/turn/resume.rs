//! A turn that was interrupted goes on where it was: what had started is not done again, what
//! had not is done now.

use model_sim::Script;
use xiaoo_agent::{Message, Recorded};

use crate::common::start;
use crate::harness::{Run, asks, asks_for, reply, roles, started};

#[tokio::test]
async fn every_start_is_recorded_before_the_call_and_reads_are_not() {
    let sim = start().await;
    sim.script(Script::ToolCalls {
        text: String::new(),
        calls: vec![
            ("probe".into(), "{}".into()),
            ("look".into(), "{}".into()),
            ("nope".into(), "{}".into()),
        ],
    });
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.run(&sim).await.unwrap();
    assert_eq!(run.seen.steps(), "a s t t t a");
}

#[tokio::test]
async fn what_could_not_be_noted_as_started_is_not_run() {
    let sim = start().await;
    let mut run = Run::with_probe("go");
    run.resume = vec![reply(asks(&["a"]))];
    run.seen.refuse = true;
    run.run(&sim).await.unwrap_err();
    assert_eq!(run.probe_runs(), 0);
}

#[tokio::test]
async fn what_had_started_is_not_run_again_and_what_had_not_is_run_now() {
    let sim = start().await;
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.resume = vec![
        reply(asks(&["a", "b", "c"])),
        started("a"),
        Message::tool("a", "ran before").into(),
        started("b"),
    ];
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(roles(&outcome.new_messages), "u a t t t a");
    let told: Vec<&str> = outcome.new_messages[2..]
        .iter()
        .map(Message::content)
        .collect();
    assert_eq!(told[0], "ran before");
    assert!(told[1].contains("interrupted by a restart"), "{}", told[1]);
    assert_eq!(told[2..], ["ran 1", "done"]);
    // Only what is new is recorded.
    assert_eq!(run.seen.steps(), "t s t a");
    assert_eq!(outcome.steps, 2);
}

#[tokio::test]
async fn what_changes_nothing_is_run_again() {
    let sim = start().await;
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.resume = vec![reply(asks_for(&[("a", "look", "{}"), ("b", "look", "{}")]))];
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(outcome.new_messages[3].content(), "ran 2");
}

#[tokio::test]
async fn calls_of_an_earlier_version_may_have_started_without_a_word() {
    let sim = start().await;
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    let kept = r#"{"role":"assistant","content":"","tool_calls":[{"id":"a","name":"probe","arguments":"{}"},{"id":"b","name":"probe","arguments":"{}"}]}"#;
    run.resume = vec![
        serde_json::from_str::<Recorded>(kept).unwrap(),
        Message::tool("a", "ran before").into(),
    ];
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(run.probe_runs(), 0);
    let told = outcome.new_messages[3].content();
    assert!(told.contains("interrupted by a restart"), "{told}");
}

#[tokio::test]
async fn a_broken_call_is_not_run_with_other_arguments_after_a_restart() {
    let sim = start().await;
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.resume = vec![reply(asks_for(&[("a", "probe", r#"{"do":"#)]))];
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(run.probe_runs(), 0);
    assert!(outcome.new_messages[2].content().contains("not valid JSON"));
}

#[tokio::test]
async fn a_turn_that_was_finished_is_not_asked_again() {
    for answer in [
        reply(Message::assistant("it is done")),
        Message::assistant("it is done").into(),
    ] {
        let sim = start().await;
        let mut run = Run::new("go");
        run.resume = vec![answer];
        let outcome = run.run(&sim).await.unwrap();
        assert_eq!(outcome.answer, "it is done");
        assert_eq!(sim.requests().len(), 0);
        assert_eq!(run.seen.steps(), "");
    }
}

#[tokio::test]
async fn what_earlier_runs_spent_and_repeated_counts() {
    let sim = start().await;
    sim.script(Script::tool_call("probe", "{}"));
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.resume = vec![
        reply(asks(&["a"])),
        started("a"),
        Message::tool("a", "x").into(),
        reply(asks(&["b"])),
        started("b"),
        Message::tool("b", "x").into(),
    ];
    let outcome = run.run(&sim).await.unwrap();
    assert!(outcome.new_messages[6].content().contains("third time"));
    assert_eq!(outcome.by_model[0].requests, 4);
    assert!(outcome.usage.total_tokens > 22);
}

/// Whatever prefix of its records a turn goes on from, it comes to the same end, and no call is
/// made that had started.
#[tokio::test]
async fn a_turn_may_be_cut_off_after_every_step() {
    let script = |sim: &model_sim::ModelSim| {
        sim.script(Script::ToolCalls {
            text: "two".into(),
            calls: vec![("probe".into(), "{}".into()), ("look".into(), "{}".into())],
        });
        sim.script(Script::tool_call("probe", r#"{"n":3}"#));
        sim.script(Script::Answer("done".into()));
    };
    let sim = start().await;
    script(&sim);
    let mut whole = Run::with_probe("go");
    whole.run(&sim).await.unwrap();
    let steps = whole.seen.recorded;
    assert_eq!(steps.len(), 8);
    for cut in 0..steps.len() {
        let sim = start().await;
        script(&sim);
        let mut run = Run::with_probe("go");
        run.resume = steps[..cut].to_vec();
        let replies = |steps: &[Recorded]| {
            let replies = steps
                .iter()
                .filter(|step| matches!(step, Recorded::Reply { .. }));
            replies.count()
        };
        // The replies that are recorded are not asked for again.
        let kept = replies(&run.resume);
        let left = start().await;
        for script in [
            Script::ToolCalls {
                text: "two".into(),
                calls: vec![("probe".into(), "{}".into()), ("look".into(), "{}".into())],
            },
            Script::tool_call("probe", r#"{"n":3}"#),
            Script::Answer("done".into()),
        ]
        .into_iter()
        .skip(kept)
        {
            left.script(script);
        }
        let outcome = run.run(&left).await.unwrap();
        assert_eq!(outcome.answer, "done", "{cut}");
        assert_eq!(roles(&outcome.new_messages), "u a t t a t a", "{cut}");
        assert_eq!(left.requests().len(), 3 - kept, "{cut}");
        let is_cut = matches!(steps[..cut].last(), Some(Recorded::Started { .. }));
        let unknown = outcome.new_messages.iter();
        let unknown = unknown.filter(|m| m.content().contains("interrupted by a restart"));
        assert_eq!(unknown.count(), usize::from(is_cut), "{cut}");
    }
}
