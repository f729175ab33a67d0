//! Killed between a step and its record, at each place that there is.

use std::time::Duration;

use feishu_sim::view::{DeliveryState, Message};
use model_sim::Script;
use xiaoo_app::fail_point;

use crate::crowd::{FILE, a_file, sends_back};
use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

/// Runs of a turn that is cut off each time.
const RUNS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_named_place_the_answer_is_shown_once() {
    // Each costs a second of waiting for processes: some at a time.
    let places: Vec<_> = fail_point::NAMES
        .iter()
        .flat_map(|place| {
            let both = place.starts_with("admit.");
            let webhook = both.then_some((Via::EncryptedWebhook, *place));
            [Some((Via::LongConnection, *place)), webhook]
        })
        .flatten()
        .collect();
    for some in places.chunks(3) {
        let runs = some.iter().map(|(via, place)| survives(*via, place));
        futures_util::future::join_all(runs).await;
    }
}

async fn survives(via: Via, place: &str) {
    let mut rig = Rig::without_daemon(Setup {
        via,
        ..Setup::default()
    })
    .await;
    sends_back(&rig.model);
    rig.spawn_to_die_at(Some(place));
    rig.until_ready().await;
    let asked = rig.sim.user_says(a_file()).unwrap().message_id;
    let ended = tokio::time::timeout(PATIENCE, rig.daemon.ended()).await;
    let code = ended.unwrap_or_else(|_| panic!("{place} was never passed; log:\n{}", rig.log()));
    assert_eq!(code, None, "{place}: died of a signal");
    rig.start_daemon().await;
    let answers = rig.answers_to(&asked).await;
    assert_eq!(answers.len(), 2, "{place}: {answers:?}");
    assert_eq!(answers[0].text, "here it is", "{place}");
    let is_file = |one: &Message| one.files.iter().any(|file| file.name == FILE);
    assert!(is_file(&answers[1]), "{place}: {answers:?}");
    rig.card_of(&asked);
    // Where Feishu heard nothing, it pushes the event again.
    let acked = rig.sim.until(PATIENCE, |sim| {
        let delivery = sim.message(&asked)?.delivery?;
        (delivery.state == DeliveryState::Acked).then_some(())
    });
    assert!(acked.await.is_some(), "{place}: never acknowledged");
    // All is sent: a later message is not held up, and shows nothing twice.
    let next = rig.says("and now?");
    rig.answer_to(&next).await;
    assert_eq!(self::answers(&rig.sim, &rig.chat(), &asked).len(), 2);
    let (_, ready) = rig.ready().await;
    assert_eq!(ready["store"]["dead"], 0, "{place}: {ready}");
    let waits = rig.sim.api_calls();
    assert!(
        !waits.contains_key("GET /open-apis/im/v1/messages"),
        "{place}: within the hour nothing is looked up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_the_acknowledgement_the_answer_comes() {
    for via in [Via::LongConnection, Via::Webhook, Via::EncryptedWebhook] {
        let mut rig = Rig::via(via).await;
        let asked = rig.says("hello");
        rig.sim
            .until(PATIENCE, |sim| {
                sim.acks().iter().any(|ack| ack.code == 200).then_some(())
            })
            .await
            .unwrap();
        rig.daemon.kill();
        rig.start_daemon().await;
        assert_eq!(rig.answers_to(&asked).await.len(), 1, "{via:?}");
        assert_eq!(rig.sim.acks().len(), 1, "{via:?}: not pushed again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_that_had_started_is_not_run_again_and_the_model_is_told() {
    let mut rig = Rig::without_daemon(Setup::default()).await;
    rig.model.script(Script::tool_call("current_time", "{}"));
    rig.spawn_to_die_at(Some("tool.returned"));
    rig.until_ready().await;
    let asked = rig.says("please do it");
    assert_eq!(rig.daemon.ended().await, None);
    rig.model.script(Script::Answer("I cannot tell.".into()));
    rig.start_daemon().await;
    assert_eq!(rig.answer_to(&asked).await, "I cannot tell.");
    let requests = rig.model.requests();
    assert_eq!(requests.len(), 2);
    let messages = requests[1].body["messages"].as_array().unwrap().clone();
    let tool = messages.last().unwrap();
    assert_eq!(tool["role"], "tool", "{messages:?}");
    let told = tool["content"].to_string();
    assert!(told.contains("interrupted"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_cut_off_every_time_ends_in_an_honest_notice() {
    let mut rig = Rig::without_daemon(Setup::default()).await;
    let mut asked = None;
    for _ in 0..RUNS {
        rig.spawn_to_die_at(Some("model.replied"));
        if asked.is_none() {
            rig.until_ready().await;
            asked = Some(rig.says("please have a look"));
        }
        assert_eq!(rig.daemon.ended().await, None);
    }
    let asked = asked.unwrap();
    rig.start_daemon().await;
    let notice = rig.answer_to(&asked).await;
    assert!(notice.contains("interrupted several times"), "{notice}");
    assert_eq!(rig.card_of(&asked).card.unwrap().template, "red");
    assert_eq!(rig.model.requests().len(), RUNS);
    // Nothing more comes of it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(answers(&rig.sim, &rig.chat(), &asked).len(), 1);
}
