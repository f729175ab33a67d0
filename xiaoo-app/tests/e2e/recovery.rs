//! What was said while nobody was there, and what Feishu no longer pushes.

use std::time::Duration;

use feishu_sim::SimConfig;
use model_sim::Script;
use xiaoo_app::fail_point::FailPoint;

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_in_an_outage_is_read_back_if_that_is_wanted() {
    for (via, channel) in [
        (Via::LongConnection, "recover_after_secs = 2"),
        (Via::Webhook, "recover_after_secs = 2"),
        (Via::LongConnection, ""),
    ] {
        let mut rig = Rig::start(Setup {
            via,
            channel,
            // No push comes again before the test has ended.
            sim: SimConfig {
                time_scale: 100.0,
                ..SimConfig::default()
            },
            ..Setup::default()
        })
        .await;
        rig.model.script(Script::Answer("before".into()));
        let before = rig.says("are you there?");
        assert_eq!(rig.answer_to(&before).await, "before");

        rig.daemon.kill();
        let missed = [rig.says("and now?"), rig.says("anybody?")];
        // The outage.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for answer in ["first", "second", "after"] {
            rig.model.script(Script::Answer(answer.into()));
        }
        rig.start_daemon().await;
        if channel.is_empty() {
            let after = rig.says("hello?");
            assert_eq!(rig.answer_to(&after).await, "first");
            for missed in &missed {
                assert!(answers(&rig.sim, &rig.chat(), missed).is_empty());
            }
            continue;
        }
        assert_eq!(rig.answer_to(&missed[0]).await, "first");
        assert_eq!(rig.answer_to(&missed[1]).await, "second");
        let after = rig.says("hello?");
        assert_eq!(rig.answer_to(&after).await, "after");
        for asked in [&before, &missed[0], &missed[1], &after] {
            assert_eq!(answers(&rig.sim, &rig.chat(), asked).len(), 1);
        }
        let told: Vec<bool> = rig
            .model
            .requests()
            .iter()
            .map(|request| {
                let asked = request.body["messages"].as_array().unwrap().last();
                asked.unwrap().to_string().contains("could not be reached")
            })
            .collect();
        assert_eq!(told, [false, true, true, false]);
        assert!(
            rig.log()
                .contains("reads back what was said during an outage")
        );
    }
}

/// What it does before the first look must not be taken for the end of the outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_first_after_an_outage_does_not_hide_it() {
    for via in [Via::LongConnection, Via::Webhook] {
        let (mut rig, before, missed) = out_of_reach(via).await;
        rig.spawn();
        let is_there = async {
            while rig.get("/api/v1/health").await.is_none() || {
                via == Via::LongConnection && rig.sim.connections().is_empty()
            } {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_there).await.unwrap();
        let first = rig.says("are you back?");
        for asked in [&before, &first, &missed[0], &missed[1]] {
            assert_eq!(rig.answers_to(asked).await.len(), 1, "{via:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_was_cut_off_begins_again_and_ends_once() {
    let (mut rig, before, missed) = out_of_reach(Via::LongConnection).await;
    rig.spawn_to_die_at(Some(FailPoint::AdmitAfterCommit));
    let died = tokio::time::timeout(PATIENCE, rig.daemon.ended()).await;
    assert_eq!(died.unwrap(), None, "the first of them was taken in");
    rig.start_daemon().await;
    for asked in [&before, &missed[0], &missed[1]] {
        assert_eq!(rig.answers_to(asked).await.len(), 1);
    }
    let readings = rig.log().matches("was taken in").count();
    assert_eq!(readings, 1);
}

/// A daemon that is down, and what was said before and during its outage.
async fn out_of_reach(via: Via) -> (Rig, String, [String; 2]) {
    let mut rig = Rig::start(Setup {
        via,
        channel: "recover_after_secs = 2",
        // No push comes again before the test has ended.
        sim: SimConfig {
            time_scale: 100.0,
            ..SimConfig::default()
        },
        ..Setup::default()
    })
    .await;
    let before = rig.says("are you there?");
    rig.answer_to(&before).await;
    rig.daemon.kill();
    let missed = [rig.says("and now?"), rig.says("anybody?")];
    // The outage.
    tokio::time::sleep(Duration::from_secs(3)).await;
    (rig, before, missed)
}
