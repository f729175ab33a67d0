//! Calls that a person has to agree to, and questions to people.

use std::sync::Arc;
use std::time::Duration;

use model_sim::{ModelSim, Script};
use tokio::time::Instant;
use xiaoo_agent::{
    Approval, ApprovalRules, AskUser, ChatMembers, Progress, ToolSet, TurnError, Workspace,
};

use crate::common::start;
use crate::harness::{People, Run};

async fn one_call(arguments: &str) -> ModelSim {
    let sim = start().await;
    sim.script(Script::tool_call("probe", arguments));
    sim.script(Script::Answer("done".into()));
    sim
}

#[tokio::test]
async fn a_call_is_made_only_when_somebody_agrees() {
    let cases = [
        (Approval::Allowed, 1, "ran 1", "a s t a"),
        (Approval::Denied, 0, "said no", "a t a"),
        (Approval::TimedOut, 0, "did not answer in time", "a t a"),
        (Approval::Unavailable, 0, "nobody can be asked", "a t a"),
    ];
    for (approval, runs, told, steps) in cases {
        let sim = one_call("{}").await;
        let people = People::who_say([approval]);
        let mut run = Run::with_probe("go");
        run.approvals = ApprovalRules::from_iter(["pro*"]);
        run.chat = Arc::<People>::clone(&people);
        run.limits.turn_timeout = Duration::from_secs(60);
        run.limits.tool_timeout = Duration::from_secs(1);
        let outcome = run.run(&sim).await.unwrap();
        assert_eq!(run.probe_runs(), runs, "{approval:?}");
        let result = outcome.new_messages[2].content();
        assert!(result.contains(told), "{approval:?}: {result}");
        assert_eq!(run.seen.steps(), steps, "{approval:?}");
        assert!(
            run.seen
                .saw(|p| matches!(p, Progress::WaitingForApproval { tool } if tool == "probe"))
        );
    }
}

#[tokio::test]
async fn a_person_is_told_what_would_be_done_and_where() {
    let directory = tempfile::tempdir().unwrap();
    let sim = one_call(r#"{"do":"danger"}"#).await;
    let people = People::who_say([Approval::Denied]);
    let mut run = Run::with_probe("go");
    run.chat = Arc::<People>::clone(&people);
    let workspace = Workspace::open(directory.path()).unwrap();
    run.workspace = Some(workspace.clone());
    run.run(&sim).await.unwrap();
    let asked = people.asked.lock().unwrap();
    assert_eq!(
        asked.len(),
        1,
        "the tool itself wants it, whatever the rules say"
    );
    assert_eq!(asked[0].tool, "probe");
    assert_eq!(asked[0].what, r#"{"do":"danger"}"#);
    assert_eq!(asked[0].place, workspace.root().display().to_string());
    assert_eq!(run.probe_runs(), 0);
}

#[tokio::test]
async fn without_a_chat_what_needs_agreement_is_not_done() {
    let sim = one_call(r#"{"do":"danger"}"#).await;
    let mut run = Run::with_probe("go");
    let outcome = run.run(&sim).await.unwrap();
    assert_eq!(run.probe_runs(), 0);
    assert!(outcome.new_messages[2].content().contains("was not made"));
}

#[tokio::test]
async fn a_question_waits_for_its_answer_and_the_turn_with_it() {
    let ask = r#"{"question":"Which?","options":["a","b"]}"#;
    let cases = [
        (Some("b".to_owned()), "b"),
        (None, "nobody answered in time"),
    ];
    for (answer, told) in cases {
        let sim = start().await;
        sim.script(Script::tool_call("ask_user", ask));
        sim.script(Script::Answer("done".into()));
        let mut run = Run::new("go");
        run.tools = ToolSet::new().with(AskUser::new(2 * People::SLOW)).unwrap();
        run.chat = Arc::new(People {
            answer,
            ..People::default()
        });
        run.limits.turn_timeout = Duration::from_secs(60);
        run.limits.tool_timeout = Duration::from_secs(1);
        let outcome = run.run(&sim).await.unwrap();
        let result = outcome.new_messages[2].content();
        assert!(result.contains(told), "{result}");
        assert!(
            run.seen
                .saw(|p| matches!(p, Progress::WaitingForPerson { .. }))
        );
        // Asked again after a restart, it goes on waiting: nothing is to be noted.
        assert_eq!(run.seen.steps(), "a t a");
    }
}

#[tokio::test]
async fn a_turn_has_its_time_and_no_more() {
    let sim = start().await;
    sim.script(Script::tool_call("probe", r#"{"do":"hang"}"#));
    let mut run = Run::with_probe("go");
    run.limits.turn_timeout = Duration::from_millis(500);
    let began = Instant::now();
    let limit = run.limits.turn_timeout;
    assert_eq!(run.run(&sim).await, Err(TurnError::TimedOut { limit }));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn tools_get_the_chat_and_the_workspace_of_the_turn() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start().await;
    sim.script(Script::tool_call("probe", r#"{"do":"members"}"#));
    sim.script(Script::tool_call("chat_members", "{}"));
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.tools = run.tools.with(ChatMembers).unwrap();
    run.chat = Arc::new(People::default());
    let workspace = Workspace::open(directory.path()).unwrap();
    let root = workspace.root().display().to_string();
    run.workspace = Some(workspace);
    let outcome = run.run(&sim).await.unwrap();
    let told = outcome.new_messages[2].content();
    assert!(told.contains("小明") && told.contains(&root), "{told}");
    assert_eq!(
        outcome.new_messages[4].content(),
        r#"{"id":"ou_1","name":"小明"}"#
    );
}
