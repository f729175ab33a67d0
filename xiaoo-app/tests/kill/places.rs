//! Killed between a step and its record, at each place that there is.

use std::time::Duration;

use feishu_sim::view::{DeliveryState, Message};
use model_sim::Script;
use xiaoo_app::fail_point::FailPoint;

use crate::crowd::{FILE, a_file, sends_back};
use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

/// Runs of a turn that is cut off each time.
const RUNS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_named_place_the_answer_is_shown_once() {
    // Each costs a second of waiting for processes: some at a time.
    let places: Vec<_> = FailPoint::ALL
        .iter()
        .filter(|place| !is_of_a_mark(**place))
        .flat_map(|place| {
            let both = place.name().starts_with("admit.");
            let webhook = both.then_some((Via::EncryptedWebhook, *place));
            [Some((Via::LongConnection, *place)), webhook]
        })
        .flatten()
        .collect();
    for some in places.chunks(3) {
        let runs = some.iter().map(|(via, place)| survives(*via, *place));
        futures_util::future::join_all(runs).await;
    }
}

/// Those are passed by a message that is marked, and not answered.
pub fn is_of_a_mark(place: FailPoint) -> bool {
    place.name().starts_with("outbox.mark.")
}

async fn survives(via: Via, fail_point: FailPoint) {
    let place = fail_point.name();
    let mut rig = Rig::without_daemon(Setup {
        via,
        ..Setup::default()
    })
    .await;
    sends_back(&rig.model);
    rig.spawn_to_die_at(Some(fail_point));
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
async fn killed_where_it_marks_a_message_the_mark_is_there_once_and_the_others_are_answered() {
    let places = FailPoint::ALL.iter().filter(|place| is_of_a_mark(**place));
    let runs: Vec<_> = places.map(|place| marks_once(*place)).collect();
    assert_eq!(runs.len(), 3);
    futures_util::future::join_all(runs).await;
}

async fn marks_once(fail_point: FailPoint) {
    let place = fail_point.name();
    let mut rig = Rig::without_daemon(Setup {
        more: "[limits]\nmax_queue_per_conversation = 1",
        ..Setup::default()
    })
    .await;
    rig.model.script(Script::HangMidStream {
        text: "until the daemon dies".into(),
        pieces: 1,
    });
    rig.spawn_to_die_at(Some(fail_point));
    rig.until_ready().await;
    // One is worked on, one waits, one is told that there are too many, one is marked.
    let mut asked = Vec::new();
    for number in 0..4 {
        asked.push(rig.says(&format!("question {number}")));
        if number == 3 {
            break;
        }
        let acked = rig
            .sim
            .until(PATIENCE, |sim| (sim.acks().len() > number).then_some(()));
        acked.await.unwrap();
        if number == 0 {
            rig.model.wait_for_requests(1).await;
        }
    }
    let ended = tokio::time::timeout(PATIENCE, rig.daemon.ended()).await;
    let code = ended.unwrap_or_else(|_| panic!("{place} was never passed; log:\n{}", rig.log()));
    assert_eq!(code, None, "{place}: died of a signal");
    rig.start_daemon().await;
    for answered in &asked[..2] {
        rig.answer_to(answered).await;
    }
    let mark = rig.sim.until(PATIENCE, |sim| {
        let marks = sim.reactions(&asked[3]);
        (!marks.is_empty()).then_some(marks)
    });
    let marks = mark
        .await
        .unwrap_or_else(|| panic!("{place}: no mark; log:\n{}", rig.log()));
    assert_eq!(marks.len(), 1, "{place}: {marks:?}");
    assert_eq!(marks[0].emoji_type, "CrossMark");
    // All is sent: a later message is not held up, and the marked one has nothing but its mark.
    let next = rig.says("and now?");
    rig.answer_to(&next).await;
    assert_eq!(rig.sim.reactions(&asked[3]).len(), 1, "{place}");
    assert!(
        answers(&rig.sim, &rig.chat(), &asked[3]).is_empty(),
        "{place}"
    );
    assert_eq!(
        answers(&rig.sim, &rig.chat(), &asked[2]).len(),
        1,
        "{place}"
    );
    let (_, ready) = rig.ready().await;
    assert_eq!(ready["store"]["dead"], 0, "{place}: {ready}");
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
    rig.spawn_to_die_at(Some(FailPoint::ToolReturned));
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
        rig.spawn_to_die_at(Some(FailPoint::ModelReplied));
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
