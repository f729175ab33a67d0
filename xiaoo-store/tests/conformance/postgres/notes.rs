//! Notes that several daemons change at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use xiaoo_store::{Expect, NotePut, PutNote, Store};

use crate::notes::put;
use crate::postgres::cluster::Cluster;
use crate::rig::patient;

#[tokio::test]
async fn of_two_daemons_that_answer_at_once_one_is_first() {
    let database = Cluster::shared().new_database().await;
    let (a, b) = (database.open(&patient()), database.open(&patient()));
    let mut versions = BTreeSet::new();
    for round in 0..40 {
        let asked = a.0.put_note(put("approval", "1", "asked")).await.unwrap();
        let NotePut::Done { version } = asked else {
            panic!("{asked:?}");
        };
        assert!(versions.last().is_none_or(|last| *last < version));
        versions.insert(version);
        let answer = |text: &str| PutNote {
            // Every second time it is the first to say anything.
            expect: if round % 2 == 0 {
                Expect::Version(version)
            } else {
                Expect::Absent
            },
            ..put("approval", "1", text)
        };
        if round % 2 == 1 {
            let deleted = b.0.delete_note("approval", "1", 0).await.unwrap();
            assert_eq!(deleted.unwrap().version, version);
        }
        let (left, right) =
            tokio::join!(a.0.put_note(answer("left")), b.0.put_note(answer("right")));
        let (first, second) = match (left.unwrap(), right.unwrap()) {
            (NotePut::Done { version }, late) => ((version, "left"), late),
            (late, NotePut::Done { version }) => ((version, "right"), late),
            neither => panic!("{neither:?}"),
        };
        let NotePut::Conflict {
            current: Some(seen),
        } = second
        else {
            panic!("both were first: {second:?}");
        };
        assert_eq!((seen.version, &*seen.body), (first.0, first.1.as_bytes()));
        assert!(versions.insert(first.0) && first.0 > version);
    }
}

/// Writers, deleters and a pruner, in several scopes in different orders: none waits
/// for another in a circle, and no count is lost.
#[tokio::test]
async fn a_count_that_two_daemons_keep_together_is_right() {
    let database = Cluster::shared().new_database().await;
    let (a, b) = (database.open(&patient()), database.open(&patient()));
    let each = 25_u32;
    let tasks: Vec<_> = [&a.0, &b.0, &a.0, &b.0]
        .into_iter()
        .zip(0..)
        .map(|(store, n)| tokio::spawn(count_up(store.clone(), n, each)))
        .collect();
    let pruning = async {
        for now_ms in 0..30 {
            a.0.prune(now_ms, 9).await.unwrap();
        }
    };
    pruning.await;
    for task in tasks {
        task.await.unwrap();
    }
    for scope in ["x", "y"] {
        let note = b.0.note(scope, "count", 0).await.unwrap().unwrap();
        assert_eq!(str::from_utf8(&note.body).unwrap(), (4 * each).to_string());
    }
}

async fn count_up(store: Store, n: u32, times: u32) {
    let scopes = if n < 2 { ["x", "y"] } else { ["y", "x"] };
    for time in 0..times {
        // Something that expires and is written again, in the pruner's way.
        let expiring = PutNote {
            expires_ms: Some(i64::from(time)),
            ..put(scopes[0], "expiring", "t")
        };
        let (written, ..) = tokio::join!(
            store.put_note(expiring),
            add_one(&store, scopes[0]),
            add_one(&store, scopes[1])
        );
        written.unwrap();
    }
}

async fn add_one(store: &Store, scope: &str) {
    loop {
        let there = store.note(scope, "count", 0).await.unwrap();
        let count: u32 = there.as_ref().map_or(0, |note| {
            str::from_utf8(&note.body).unwrap().parse().unwrap()
        });
        let next = PutNote {
            expect: there.map_or(Expect::Absent, |note| Expect::Version(note.version)),
            ..put(scope, "count", &(count + 1).to_string())
        };
        if let NotePut::Done { .. } = store.put_note(next).await.unwrap() {
            return;
        }
    }
}

#[tokio::test]
async fn who_waits_for_an_answer_hears_at_once_of_one_at_another_daemon() {
    let database = Cluster::shared().new_database().await;
    let (waits, answers) = (database.open(&patient()), database.open(&patient()));
    let mut changes = waits.0.changes();
    // Far more often than it would ring by itself.
    let started = Instant::now();
    for n in 0..50 {
        let key = n.to_string();
        answers
            .0
            .put_note(put("approval", &key, "yes"))
            .await
            .unwrap();
        while waits.0.note("approval", &key, 0).await.unwrap().is_none() {
            changes.changed().await.unwrap();
        }
        changes.borrow_and_update();
        answers.0.delete_note("approval", &key, 0).await.unwrap();
        changes.changed().await.unwrap();
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}
