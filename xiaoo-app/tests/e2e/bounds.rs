//! What there is too much of, and what comes too late: people are told.

use std::time::Duration;

use feishu_sim::{Fault, FaultKind};
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

fn slow(text: &str) -> Script {
    Script::Slow {
        text: text.into(),
        chunk_delay: Duration::from_millis(300),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backlog_is_told_once_in_the_language_of_who_met_it_and_then_marked() {
    for (text, notice) in [("还有一个问题", "排队"), ("one more", "Too many messages")] {
        let rig = Rig::start(Setup {
            more: "[limits]\nmax_queue_per_conversation = 2",
            ..Setup::default()
        })
        .await;
        rig.model
            .script(slow("this one takes its time, word by word by word"));
        for _ in 0..2 {
            rig.model.script(Script::Answer("answered".into()));
        }
        let mut asked = Vec::new();
        for number in 0..7 {
            asked.push(rig.says(&format!("{text} {number}")));
            // One after the other, so that it is known who meets a full house.
            rig.sim
                .until(PATIENCE, |sim| (sim.acks().len() > number).then_some(()))
                .await
                .unwrap();
            if number == 0 {
                rig.model.wait_for_requests(1).await;
            }
        }
        for answered in &asked[..3] {
            rig.answer_to(answered).await;
        }
        let told = rig
            .sim
            .until(PATIENCE, |sim| {
                answers(sim, &rig.chat(), &asked[3]).first().cloned()
            })
            .await
            .unwrap();
        assert!(told.text.contains(notice), "{}", told.text);
        for marked in &asked[4..] {
            let mark = rig
                .sim
                .until(PATIENCE, |sim| sim.reactions(marked).first().cloned());
            assert_eq!(mark.await.unwrap().emoji_type, "CrossMark");
            assert!(answers(&rig.sim, &rig.chat(), marked).is_empty());
        }
        assert!(rig.sim.reactions(&asked[3]).is_empty());
        assert!(rig.sim.acks().iter().all(|ack| ack.code == 200));
        let (_, ready) = rig.ready().await;
        let events = &ready["channels"]["feishu"]["events"];
        assert_eq!(
            (&events["busy"], &events["answered"]),
            (&4.into(), &3.into())
        );
        assert_eq!(rig.log().matches("a message is not worked on").count(), 4);
        assert_eq!(rig.model.requests().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_before_the_outage_is_told_or_left_but_never_forgotten() {
    for (more, told) in [
        ("[limits]\nmessage_age_max_secs = 4", true),
        (
            "[limits]\nmessage_age_max_secs = 4\nlate_messages = \"ignore\"",
            false,
        ),
    ] {
        let mut rig = Rig::start(Setup {
            more,
            ..Setup::default()
        })
        .await;
        rig.model.script(Script::HangMidStream {
            text: "cut off by the outage".into(),
            pieces: 1,
        });
        let early = rig.says("are you there?");
        rig.model.wait_for_requests(1).await;
        rig.sim
            .until(PATIENCE, |sim| {
                (!sim.reactions(&early).is_empty()).then_some(())
            })
            .await
            .unwrap();
        rig.daemon.kill();
        // The outage.
        tokio::time::sleep(Duration::from_secs(4)).await;
        rig.start_daemon().await;
        rig.model.script(Script::Answer("I am".into()));
        let late = rig.says("are you there now?");
        assert_eq!(rig.answer_to(&late).await, "I am");
        let notices = answers(&rig.sim, &rig.chat(), &early);
        assert_eq!(notices.len(), usize::from(told), "{notices:?}");
        assert!(
            notices
                .iter()
                .all(|notice| notice.text.contains("too late"))
        );
        // What the first run had shown is brought to its end all the same.
        assert!(rig.sim.reactions(&early).is_empty());
        assert_eq!(rig.card_of(&early).card.unwrap().template, "red");
        let (_, ready) = rig.ready().await;
        assert_eq!(ready["channels"]["feishu"]["events"]["late"], 1);
        assert!(rig.log().contains("a message is older than"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_final_state_of_a_card_is_its_last_however_slow_an_update_was() {
    let rig = Rig::via(Via::LongConnection).await;
    let patch = "PATCH /open-apis/im/v1/messages";
    // The first progress update takes longer than the turn does.
    rig.sim.faults().add(Fault {
        target: Some(patch.into()),
        ..FaultKind::ApiLatency { ms: 3000 }.times(1)
    });
    rig.model.script(slow("one two three four five six"));
    let asked = rig.says("hello");
    rig.answer_to(&asked).await;
    let card = rig.card_of(&asked);
    let versions = rig.sim.card_versions(&card.message_id);
    let templates: Vec<_> = versions
        .iter()
        .filter_map(|version| version.card.as_ref())
        .map(|card| card.template.as_str())
        .collect();
    let first_green = templates.iter().position(|color| *color == "green");
    let first_green = first_green.expect("the card is finished");
    assert!(
        templates[first_green..]
            .iter()
            .all(|color| *color == "green"),
        "{templates:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_turn_that_was_handed_back_are_not_taken_again() {
    let mut rig = Rig::start(Setup {
        more: "[limits]\nshutdown_grace_secs = 0",
        ..Setup::default()
    })
    .await;
    rig.model.script(Script::tool_call("current_time", "{}"));
    rig.model.script(Script::HangMidStream {
        text: "never to end".into(),
        pieces: 1,
    });
    let asked = rig.says("what time is it?");
    rig.model.wait_for_requests(2).await;
    rig.daemon.signal("-TERM");
    assert_eq!(rig.daemon.ended().await, Some(0));
    rig.model.script(Script::Answer("It is late.".into()));
    rig.start_daemon().await;
    assert_eq!(rig.answer_to(&asked).await, "It is late.");
    let requests = rig.model.requests();
    assert_eq!(requests.len(), 3);
    let tools = |request: usize| {
        let messages = requests[request].body["messages"].as_array().unwrap();
        let tools = messages.iter().filter(|message| message["role"] == "tool");
        tools.cloned().collect::<Vec<_>>()
    };
    assert_eq!(tools(1).len(), 1);
    assert_eq!(tools(2), tools(1), "the same result, from the record");
}
