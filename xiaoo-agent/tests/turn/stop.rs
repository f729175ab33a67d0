//! Stopping: the stream and the tool end at once, and what is left is a valid history.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model_sim::Script;
use tokio::time::Instant;
use xiaoo_agent::{Message, ModelError, TurnError, repair_history};

use crate::common::{model_at, start};
use crate::harness::{Run, asks, reply, roles, started};

/// What a person takes for "at once".
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn cancelling_closes_the_connection_at_once() {
    let hangs = [
        Script::HangBeforeHeaders,
        Script::HangMidStream {
            text: "一二三四五六".into(),
            pieces: 1,
        },
        Script::CommentsOnly {
            every: Duration::from_millis(5),
        },
    ];
    for hang in hangs {
        let sim = start().await;
        sim.script(hang);
        let mut run = Run::new("go");
        let cancel = run.cancel.clone();
        let (result, ()) = tokio::join!(run.run(&sim), async {
            sim.wait_for_requests(1).await;
            cancel.cancel();
        });
        assert_eq!(result, Err(TurnError::Cancelled));
        sim.wait_until_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tool_holds_a_stop_up() {
    for does in ["hang", "block"] {
        let sim = start().await;
        sim.script(Script::tool_call("probe", format!("{{\"do\":\"{does}\"}}")));
        let mut run = Run::with_probe("go");
        let (cancel, runs) = (run.cancel.clone(), run.probe_runs_counter());
        // A thread of its own: it must not be the tool that holds it up.
        let stopped = std::thread::spawn(move || {
            while runs.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            cancel.cancel();
            Instant::now()
        });
        let models = model_at(&sim.base_url(), |_| {}).into();
        let failed = run.run_on(&models).await.unwrap_err();
        let took = stopped.join().unwrap().elapsed();
        assert!(took < AT_ONCE, "{does}: {took:?}");
        assert_eq!(failed.error, TurnError::Cancelled);
        assert_eq!(roles(&failed.messages), "u a t");
        let told = failed.messages[2].content();
        assert!(told.contains("ended while this call was running"), "{told}");
    }
}

#[tokio::test]
async fn what_a_failed_turn_leaves_is_a_valid_history() {
    let sim = start().await;
    sim.script(Script::error(400, "no"));
    let mut run = Run::with_probe("go");
    run.resume = vec![
        reply(asks(&["a"])),
        started("a"),
        Message::tool("a", "x").into(),
    ];
    let models = model_at(&sim.base_url(), |_| {}).into();
    let failed = run.run_on(&models).await.unwrap_err();
    assert!(matches!(
        failed.error,
        TurnError::Model(ModelError::BadRequest { .. })
    ));
    assert_eq!(roles(&failed.messages), "u a t");
    assert_eq!(failed.usage.total_tokens, 11);
    assert_eq!(failed.by_model[0].model, "m");

    let mut kept = failed.messages;
    kept.push(Message::assistant("(stopped)"));
    assert_eq!(repair_history(kept.clone()), kept);
    sim.script(Script::Answer("好".into()));
    let mut next = Run::new("and now?");
    next.history = kept;
    assert_eq!(next.run(&sim).await.unwrap().answer, "好");
}

#[tokio::test]
async fn calls_that_were_not_made_are_said_not_to_be() {
    let sim = start().await;
    sim.script(Script::ToolCalls {
        text: String::new(),
        calls: vec![
            ("probe".into(), r#"{"do":"hang"}"#.into()),
            ("probe".into(), "{}".into()),
        ],
    });
    let mut run = Run::with_probe("go");
    run.limits.turn_timeout = Duration::from_millis(300);
    let models = model_at(&sim.base_url(), |_| {}).into();
    let failed = run.run_on(&models).await.unwrap_err();
    assert_eq!(failed.error.class(), "timed_out");
    assert_eq!(roles(&failed.messages), "u a t t");
    assert!(
        failed.messages[2]
            .content()
            .contains("while this call was running")
    );
    assert!(
        failed.messages[3]
            .content()
            .contains("before this call was made")
    );
}
