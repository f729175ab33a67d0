//! What `kill -9` and power cuts leave: all that was answered, nothing half.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use xiaoo_store::{Admission, Fenced, Sign, Signs, Step, StoreOptions};

use crate::rig::{Rig, copy_files, ids, message, open, path_in, result, wal};

#[tokio::test]
async fn what_was_admitted_survives_in_order() {
    let rig = Rig::new();
    for n in 0..20 {
        rig.admit("a", n).await;
        let after = rig.crashed();
        assert_eq!(after.store.stats().await.unwrap().queued, u64::from(n) + 1);
        assert!(matches!(
            after.store.admit(message("a", n)).await,
            Ok(Admission::Duplicate { .. })
        ));
    }
    let after = rig.crashed();
    for n in 0..20 {
        let turns = after.store.claim(1).await.unwrap();
        assert_eq!(ids(&turns), [format!("e{n}")]);
        after.finish(turns[0].key, &[]).await;
    }
}

#[tokio::test]
async fn a_torn_end_of_the_log_loses_only_what_was_not_answered() {
    let rig = Rig::new();
    rig.admit("a", 1).await;
    let answered = fs::metadata(wal(&rig.path())).unwrap().len();
    rig.admit("b", 2).await;
    let all = fs::metadata(wal(&rig.path())).unwrap().len();
    assert!(answered < all);

    for kept in (answered..all).step_by(509) {
        let directory = tempfile::tempdir().unwrap();
        let path = path_in(&directory);
        copy_files(&rig.path(), &path);
        let log = File::options().write(true).open(wal(&path)).unwrap();
        log.set_len(kept).unwrap();
        let (store, _guard) = open(&path, &StoreOptions::default()).unwrap();
        let turns = store.claim(9).await.unwrap();
        assert_eq!(ids(&turns), ["e1"], "log cut to {kept} of {all} bytes");
    }
}

#[tokio::test]
async fn a_turn_that_was_cut_off_is_claimed_again_with_all_it_had_noted() {
    let rig = Rig::new();
    rig.admit("a", 1).await;
    rig.admit("a", 2).await;
    let old = rig.store.claim(9).await.unwrap()[0].key;
    let reaction = Sign::Reaction(Some("r1".to_owned()));
    let card = Sign::Card(Some("om_card".to_owned()));
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    rig.store.note_sign(old, reaction).await.unwrap();
    rig.store.note_sign(old, card).await.unwrap();
    rig.store
        .note_sign(old, Sign::Reaction(None))
        .await
        .unwrap();
    rig.store.note_step(old, step.clone()).await.unwrap();

    let after = rig.crashed();
    let turns = after.store.claim(9).await.unwrap();
    assert_eq!(ids(&turns), ["e1"]);
    let turn = &turns[0];
    assert_eq!((turn.attempts, turn.key.epoch), (2, old.epoch + 1));
    assert_eq!(
        turn.signs,
        Signs {
            reaction: None,
            card: Some("om_card".to_owned())
        }
    );
    assert_eq!(after.store.steps(turn.key.id).await, Ok(vec![step]));
    let late = after.store.finish(old, result(1, &[])).await;
    assert_eq!(late, Ok(Fenced::Replaced));
    after.finish(turn.key, &[]).await;
    assert_eq!(after.claim_ids(9).await, ["e2"]);
}

#[tokio::test]
async fn a_send_that_was_cut_off_comes_again_with_the_time_of_its_first_try() {
    let rig = Rig::new();
    rig.admit("a", 1).await;
    let key = rig.store.claim(1).await.unwrap()[0].key;
    rig.finish(key, &["u1", "u2"]).await;
    let before = rig.store.outbox_take(2_000, 9).await.unwrap();

    let after = rig.crashed();
    let rows = after.store.outbox_take(90_000, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].uuid, "u1");
    assert_eq!(rows[0].first_try_at_ms, 2_000);
    assert_eq!(rows[0].error, None);
    let late = after.store.outbox_done(before[0].key, "om").await;
    assert_eq!(late, Ok(Fenced::Replaced));
    let sent = after.store.outbox_done(rows[0].key, "om").await;
    assert_eq!(sent, Ok(Fenced::Done));
    assert_eq!(
        after.store.outbox_take(90_000, 9).await.unwrap()[0].uuid,
        "u2"
    );
}

#[tokio::test]
async fn a_finished_turn_stays_finished_with_everything_it_left() {
    let rig = Rig::new();
    rig.admit("a", 1).await;
    let key = rig.store.claim(1).await.unwrap()[0].key;
    rig.finish(key, &["u1"]).await;
    let after = rig.crashed();
    assert!(after.claim_ids(9).await.is_empty());
    assert_eq!(after.store.outbox_take(2_000, 9).await.unwrap().len(), 1);
}

/// Where the child of the test below works; without it, it has nothing to do.
const CHILD_STORE: &str = "XIAOO_STORE_TEST_CHILD";

#[tokio::test]
async fn killed_at_any_moment_it_has_all_that_it_had_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    let (mut admitted, mut finished) = (0, BTreeSet::new());
    let mut sent = BTreeSet::new();
    for lines in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::the_child_that_is_killed", "--nocapture"])
            .env(CHILD_STORE, format!("{admitted}:{}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        // What it still says between the signal and its end counts as well.
        while let Some(Ok(line)) = told.next() {
            if let Some(n) = line.strip_prefix("admitted ") {
                admitted = n.parse::<u32>().unwrap() + 1;
                heard += 1;
            } else if let Some(n) = line.strip_prefix("finished ") {
                finished.insert(format!("u{n}"));
                heard += 1;
            }
            if heard == lines {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(heard >= lines, "the child ended by itself");

        let (store, guard) = open(&path, &StoreOptions::default()).unwrap();
        for n in 0..admitted {
            let again = store.admit(message(&format!("oc_{n}"), n)).await;
            assert!(
                matches!(again, Ok(Admission::Duplicate { .. })),
                "{n}: {again:?}"
            );
        }
        loop {
            let rows = store.outbox_take(1, 64).await.unwrap();
            if rows.is_empty() {
                break;
            }
            for row in rows {
                store.outbox_done(row.key, "om").await.unwrap();
                assert!(sent.insert(row.uuid.clone()), "{} came twice", row.uuid);
            }
        }
        assert!(
            finished.is_subset(&sent),
            "{finished:?} finished, {sent:?} sent"
        );
        drop(guard);
    }
}

/// Admits and finishes until it is killed, and says so when it is durable.
#[tokio::test]
async fn the_child_that_is_killed() {
    let Ok(task) = std::env::var(CHILD_STORE) else {
        return;
    };
    let (first, path) = task.split_once(':').unwrap();
    let (store, _guard) = open(path.as_ref(), &StoreOptions::default()).unwrap();
    // The one before was killed before it could say so.
    let mut n: u32 = first.parse().unwrap();
    while n < 100_000 {
        store.admit(message(&format!("oc_{n}"), n)).await.unwrap();
        println!("\nadmitted {n}");
        for turn in store.claim(9).await.unwrap() {
            let number = turn.event_id.trim_start_matches('e');
            let uuid = format!("u{number}");
            let done = store.finish(turn.key, result(0, &[&uuid])).await;
            assert_eq!(done, Ok(Fenced::Done));
            println!("\nfinished {number}");
        }
        n += 1;
    }
}
