//! What skills that are in force let a turn use.

use std::sync::Arc;

use model_sim::Script;
use xiaoo_agent::{Approval, ApprovalRules, Message};

use crate::common::start;
use crate::harness::{People, Run, asks_for, reply};

fn skill(list: &str) -> String {
    format!("<skill name=\"s\" directory=\"/s\"{list}>\nbody\n</skill>")
}

#[tokio::test]
async fn what_a_called_skill_does_not_list_is_not_run_and_nobody_is_asked() {
    for (list, runs, told) in [
        ("", 1, "ran 1"),
        (" allowed_tools=\"probe shell\"", 1, "ran 1"),
        (" allowed_tools=\"shell\"", 0, "no other tools than shell, "),
        (" allowed_tools=\"\"", 0, "no other tools than ask_user, "),
    ] {
        let sim = start().await;
        sim.script(Script::tool_call("probe", "{}"));
        sim.script(Script::Answer("done".into()));
        let people = People::who_say([Approval::Allowed]);
        let mut run = Run::with_probe(&format!("/s\n\n{}", skill(list)));
        run.approvals = ApprovalRules::from_iter(["probe"]);
        run.chat = Arc::<People>::clone(&people);
        let outcome = run.run(&sim).await.unwrap();
        assert_eq!(run.probe_runs(), runs, "{list}");
        let result = outcome.new_messages[2].content();
        assert!(result.contains(told), "{list}: {result}");
        // Being listed is no agreement.
        let asked = people.asked.lock().unwrap().len();
        assert_eq!(asked, usize::try_from(runs).unwrap(), "{list}");
    }
}

#[tokio::test]
async fn a_skill_that_was_loaded_bounds_its_turn_also_after_a_restart_and_no_other_turn() {
    let load = |id: &str| asks_for(&[(id, "load_skill", r#"{"skill":"s"}"#)]);
    let loaded = |id: &str| Message::tool(id, skill(" allowed_tools=\"look\""));
    let of_this_turn = vec![reply(load("1")), loaded("1").into()];
    let before = vec![
        Message::user("earlier"),
        load("1"),
        loaded("1"),
        Message::assistant("done"),
    ];
    for (history, resume, runs) in [
        (Vec::new(), of_this_turn, [0, 1]),
        (before, Vec::new(), [1, 2]),
    ] {
        let sim = start().await;
        for tool in ["probe", "look"] {
            sim.script(Script::tool_call(tool, "{}"));
        }
        sim.script(Script::Answer("done".into()));
        let mut run = Run::with_probe("go");
        (run.history, run.resume) = (history, resume);
        let outcome = run.run(&sim).await.unwrap();
        let results: Vec<&str> = outcome.new_messages.iter().map(Message::content).collect();
        let [probed, _, looked, _] = results.last_chunk().unwrap();
        assert_eq!(probed.contains("not made"), runs[0] == 0, "{results:?}");
        assert_eq!(*looked, format!("ran {}", runs[1]), "{results:?}");
    }
}
