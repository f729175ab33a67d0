//! Long outputs: what the model gets, and where the rest is.

use std::fs;

use model_sim::Script;
use xiaoo_agent::Workspace;

use crate::common::start;
use crate::harness::Run;

#[tokio::test]
async fn a_long_output_is_cut_and_kept_whole_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start().await;
    sim.script(Script::tool_call("probe", r#"{"do":"flood"}"#));
    sim.script(Script::Answer("done".into()));
    let mut run = Run::with_probe("go");
    run.workspace = Some(Workspace::open(directory.path()).unwrap());
    run.limits.tool_output_bytes_max = 1000;
    let outcome = run.run(&sim).await.unwrap();
    let told = outcome.new_messages[2].content();
    assert!(told.contains("4000 of 5000 bytes are left out"), "{told}");
    let (_, rest) = told.split_once("All of it is in ").unwrap();
    let (file, _) = rest.split_once(':').unwrap();
    assert!(file.starts_with(".outputs/call_"), "{file}");
    let kept = fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(kept, "x".repeat(5000));
}
