//! Models that stand in for one that is down.

use std::time::Duration;

use model_sim::{ModelSim, Script};
use xiaoo_agent::{Message, Model, ModelChain, ModelError, Progress, TurnError};

use crate::common::{model_at, start};
use crate::harness::Run;

#[tokio::test]
async fn the_next_model_answers_when_the_first_is_down() {
    let limited = || Script::Status {
        status: 429,
        headers: vec![("retry-after".into(), "3600".into())],
        body: String::new(),
    };
    let cases = [
        ("provider", Script::error(500, "x"), 3),
        ("overloaded", Script::error(503, "x"), 3),
        ("rate_limited", limited(), 1),
        ("unauthorized", Script::error(401, "x"), 1),
        ("no_credit", Script::error(402, "x"), 1),
        ("forbidden", Script::error(403, "x"), 1),
        ("not_found", Script::error(404, "x"), 1),
        ("truncated", Script::stream(""), 3),
    ];
    for (why, fault, tries) in cases {
        let (first, second) = (start().await, start().await);
        first.always_for("", fault);
        second.script(Script::Answer("here".into()));
        let models = chain([named(&first, "one"), named(&second, "two")]);
        let mut run = Run::new("go");
        let outcome = run.run_on(&models).await.unwrap();
        assert_eq!(
            (outcome.answer.as_str(), outcome.model.as_str()),
            ("here", "two")
        );
        assert_eq!(first.requests().len(), tries, "{why}");
        assert!(run.seen.saw(
            |p| matches!(p, Progress::FellBack { model, why: told } if model == "two" && *told == why)
        ));
        assert_eq!(outcome.by_model.len(), 1);
    }
}

#[tokio::test]
async fn a_fault_of_the_question_is_nobodys_else() {
    let filtered = Script::stream(
        "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"sensitive\"}]}\n\ndata: [DONE]\n\n",
    );
    for (class, fault) in [
        ("bad_request", Script::error(400, "x")),
        ("filtered", filtered),
    ] {
        let (first, second) = (start().await, start().await);
        first.script(fault);
        let models = chain([named(&first, "one"), named(&second, "two")]);
        let failed = Run::new("go").run_on(&models).await.unwrap_err();
        assert_eq!(failed.error.class(), class);
        assert_eq!(second.requests().len(), 0);
    }
}

#[tokio::test]
async fn after_text_was_shown_nobody_else_is_asked() {
    let (first, second) = (start().await, start().await);
    first.script(Script::CutAfter {
        text: "这是一个足够长的回答，会被分成许多小块".into(),
        bytes: 1000,
    });
    let models = chain([named(&first, "one"), named(&second, "two")]);
    let failed = Run::new("go").run_on(&models).await.unwrap_err();
    assert_eq!(failed.error.class(), "transport");
    assert_eq!(second.requests().len(), 0);
}

#[tokio::test]
async fn a_turn_stays_with_the_model_that_answered() {
    let (first, second) = (start().await, start().await);
    first.script(Script::error(401, "x"));
    second.script(Script::tool_call("probe", "{}"));
    second.script(Script::Answer("done".into()));
    let models = chain([named(&first, "one"), named(&second, "two")]);
    let mut run = Run::with_probe("go");
    run.run_on(&models).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}

#[tokio::test]
async fn what_one_turn_found_out_the_next_one_knows() {
    let (first, second) = (start().await, start().await);
    first.script(Script::error(401, "x"));
    let (one, two) = (named(&first, "one"), named(&second, "two"));
    let models = chain([one.clone(), two.clone()]);
    Run::new("go").run_on(&models).await.unwrap();
    // Another chain with the same model knows it too, and who follows the turn hears of it.
    let mut run = Run::new("go");
    let outcome = run.run_on(&chain([one, two])).await.unwrap();
    assert_eq!(outcome.model, "two");
    assert!(
        run.seen
            .saw(|p| matches!(p, Progress::FellBack { model, why: "known" } if model == "two"))
    );
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let outcome = Run::new("go").run_on(&models).await.unwrap();
    assert_eq!(outcome.model, "one");
    let outcome = Run::new("go").run_on(&models).await.unwrap();
    assert_eq!(outcome.model, "one");
}

#[tokio::test]
async fn when_all_are_down_the_turn_says_so_and_the_next_one_asks_again() {
    let (first, second) = (start().await, start().await);
    for sim in [&first, &second] {
        sim.script(Script::error(401, "x"));
    }
    let models = chain([named(&first, "one"), named(&second, "two")]);
    let failed = Run::new("go").run_on(&models).await.unwrap_err();
    assert!(matches!(
        failed.error,
        TurnError::Model(ModelError::Unauthorized { .. })
    ));
    let outcome = Run::new("go").run_on(&models).await.unwrap();
    assert_eq!(outcome.model, "one");

    // With nobody to stand in for it a model is asked every time.
    let alone = start().await;
    let models = ModelChain::new(named(&alone, "alone"));
    for _ in 0..2 {
        alone.script(Script::error(401, "x"));
        Run::new("go").run_on(&models).await.unwrap_err();
    }
    assert_eq!(alone.requests().len(), 2);
}

#[tokio::test]
async fn a_smaller_window_behind_a_larger_one_is_kept_to() {
    let (first, second) = (start().await, start().await);
    first.script(Script::error(401, "x"));
    second.script(Script::Answer("THE SUMMARY".into()));
    second.script(Script::Answer("done".into()));
    let small = model_at(&second.base_url(), |config| {
        config.context_window = Some(2_000);
        config.model = "small".into();
    });
    let models = chain([named(&first, "large"), small]);
    let mut run = Run::new("go");
    let text = "and so on ".repeat(100);
    run.history = (0..10)
        .flat_map(|_| [Message::user(&text), Message::assistant(&text)])
        .collect();
    let outcome = run.run_on(&models).await.unwrap();
    assert_eq!(outcome.answer, "done");
    let question = second.requests().pop().unwrap().body.to_string();
    assert!(question.contains("THE SUMMARY"));
    assert!(question.len() < 2_000 * 4 * 8 / 10, "{}", question.len());
    assert_eq!(outcome.by_model[0].requests, 2);
}

fn chain<const N: usize>(models: [Model; N]) -> ModelChain {
    let mut models = models.into_iter();
    let first = ModelChain::new(models.next().unwrap());
    models.fold(first, ModelChain::or)
}

fn named(sim: &ModelSim, name: &str) -> Model {
    model_at(&sim.base_url(), |config| name.clone_into(&mut config.model))
}
