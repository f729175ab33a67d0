//! What a real kill and a torn log leave in the file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use xiaoo_store::{Admission, Claim, Fenced, StoreOptions};

use crate::rig::{Rig, Sqlite, copy_files, ids, message, open, path_in, result, wal};

#[tokio::test]
async fn a_torn_end_of_the_log_loses_only_what_was_not_answered() {
    let rig = Rig::<Sqlite>::new().await;
    rig.admit("a", 1).await;
    let answered = fs::metadata(wal(&rig.ground().path())).unwrap().len();
    rig.admit("b", 2).await;
    let all = fs::metadata(wal(&rig.ground().path())).unwrap().len();
    assert!(answered < all);

    for kept in (answered..all).step_by(509) {
        let directory = tempfile::tempdir().unwrap();
        let path = path_in(&directory);
        copy_files(&rig.ground().path(), &path);
        let log = File::options().write(true).open(wal(&path)).unwrap();
        log.set_len(kept).unwrap();
        let (store, _guard) = open(&path, &StoreOptions::default()).unwrap();
        let turns = store.claim(9, Claim::Any).await.unwrap();
        assert_eq!(ids(&turns), ["e1"], "log cut to {kept} of {all} bytes");
    }
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
            .args([
                "--exact",
                "sqlite::kill::the_child_that_is_killed",
                "--nocapture",
            ])
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
        for turn in store.claim(9, Claim::Any).await.unwrap() {
            let number = turn.event_id.trim_start_matches('e');
            let uuid = format!("u{number}");
            let done = store.finish(turn.key, result(0, &[&uuid])).await;
            assert_eq!(done, Ok(Fenced::Done));
            println!("\nfinished {number}");
        }
        n += 1;
    }
}
