//! Bounds over time: pruning, a full disk, numbers.

use std::fs;

use xiaoo_store::limits::{DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT};
use xiaoo_store::{Admission, Fenced, Health, StoreError, StoreOptions, StoreStats, TurnResult};

use crate::rig::{Rig, message, result, said};

#[tokio::test]
async fn each_thing_is_kept_for_its_time_and_no_longer() {
    let rig = Rig::new();
    rig.admit("a", 1).await;
    let key = rig.store.claim(1).await.unwrap()[0].key;
    let ended = TurnResult {
        history: vec![said("user", "hi")],
        ..result(1, &["done", "dead"])
    };
    assert_eq!(rig.store.finish(key, ended).await, Ok(Fenced::Done));
    let row = rig.store.outbox_take(1, 1).await.unwrap()[0].key;
    rig.store.outbox_done(row, "om").await.unwrap();
    let row = rig.store.outbox_take(1, 1).await.unwrap()[0].key;
    rig.store.outbox_dead(row, "no").await.unwrap();

    // All was written at 1 ms.
    let millis = |kept: std::time::Duration| i64::try_from(kept.as_millis()).unwrap();
    for (now_ms, removed) in [
        (i64::MIN, 0),
        (millis(KEYS_KEPT) + 1, 0),
        (millis(KEYS_KEPT) + 2, 3), // the event's keys, the turn, the row that was sent
        (millis(DEAD_KEPT) + 1, 0),
        (millis(DEAD_KEPT) + 2, 2), // the row that was given up, and its body
        (millis(HISTORY_KEPT) + 1, 0),
        (millis(HISTORY_KEPT) + 2, 1),
        (i64::MAX, 0),
    ] {
        assert_eq!(
            rig.store.prune(now_ms, 100).await,
            Ok(removed),
            "at {now_ms}"
        );
    }
    assert!(matches!(
        rig.store.admit(message("a", 1)).await,
        Ok(Admission::New(_))
    ));
}

#[tokio::test]
async fn open_work_is_never_pruned() {
    let rig = Rig::new();
    for n in 1..=3 {
        rig.admit("a", n).await;
    }
    let key = rig.store.claim(1).await.unwrap()[0].key;
    rig.finish(key, &["u1", "u2"]).await;
    rig.store.claim(1).await.unwrap();
    let far = i64::MAX;
    assert_eq!(rig.store.prune(far, 1_000).await, Ok(4)); // three events, one turn
    let stats = rig.store.stats().await.unwrap();
    assert_eq!((stats.running, stats.queued, stats.outbox_open), (1, 1, 2));
}

#[tokio::test]
async fn pruning_goes_by_small_batches() {
    let rig = Rig::new();
    for n in 1..=25 {
        rig.admit("a", n).await;
    }
    for removed in [10, 10, 5, 0] {
        assert_eq!(rig.store.prune(i64::MAX, 10).await, Ok(removed));
    }
}

#[tokio::test]
async fn a_full_store_refuses_and_recovers() {
    let rig = Rig::with(StoreOptions {
        file_bytes_max: Some(1 << 20),
        ..StoreOptions::default()
    });
    let mut admitted = 0;
    let refused = loop {
        let mut event = message(&format!("oc_{admitted}"), admitted);
        event.work.as_mut().unwrap().body = vec![7; 64 << 10].into();
        match rig.store.admit(event).await {
            Ok(Admission::New(_)) => admitted += 1,
            other => break other,
        }
        assert!(admitted < 20, "the bound did not act");
    };
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    assert!(admitted > 10);
    assert_eq!(rig.store.health(), Health::Good);

    // Working the queue off makes room again.
    let turns = rig.store.claim(64).await.unwrap();
    assert_eq!(turns.len(), usize::try_from(admitted).unwrap());
    for turn in turns {
        rig.finish(turn.key, &[]).await;
    }
    rig.admit("after", 1_000).await;
}

#[tokio::test]
async fn the_numbers_are_right() {
    let rig = Rig::new();
    for (conversation, n) in [("a", 5), ("a", 6), ("b", 7)] {
        rig.admit(conversation, n).await;
    }
    let key = rig.store.claim(1).await.unwrap()[0].key;
    let stats = rig.store.stats().await.unwrap();
    assert!(stats.file_bytes > 0 && stats.wal_bytes > 0);
    let expected = StoreStats {
        queued: 2,
        running: 1,
        oldest_queued_ms: Some(6),
        commits: 4,
        commands: 4,
        file_bytes: stats.file_bytes,
        wal_bytes: stats.wal_bytes,
        ..StoreStats::default()
    };
    assert_eq!(stats, expected);

    rig.finish(key, &["u1", "u2"]).await;
    rig.store.claim(9).await.unwrap();
    let stats = rig.store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.running), (0, 2));
    assert_eq!((stats.oldest_queued_ms, stats.outbox_open), (None, 2));
}

/// Not a test of a promise: prints what this machine does.
#[tokio::test]
async fn admissions_per_second() {
    let rig = Rig::new();
    let (producers, each) = (64_u32, 20_u32);
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let store = rig.store.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    let n = producer * each + n;
                    store
                        .admit(message(&format!("oc_{producer}"), n))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    let stats = rig.store.stats().await.unwrap();
    assert_eq!(stats.queued, u64::from(producers * each));
    println!(
        "{:.0} admissions/s, {} in {} commits",
        f64::from(producers * each) / seconds,
        stats.commands,
        stats.commits,
    );
}

#[tokio::test]
async fn room_that_pruning_made_goes_back_to_the_disk() {
    let mut rig = Rig::new();
    for n in 0..20 {
        let mut event = message(&format!("oc_{n}"), n);
        event.work.as_mut().unwrap().body = vec![7; 64 << 10].into();
        rig.store.admit(event).await.unwrap();
    }
    for turn in rig.store.claim(64).await.unwrap() {
        rig.finish(turn.key, &[]).await;
    }
    let before = rig.store.stats().await.unwrap().file_bytes;
    rig.store.prune(i64::MAX, 1_000).await.unwrap();
    let after = rig.store.stats().await.unwrap().file_bytes;
    assert!(after + (900 << 10) < before, "{before} bytes, then {after}");
    rig.reopen();
    let on_disk = fs::metadata(rig.path()).unwrap().len();
    assert_eq!(on_disk, after);
}

#[tokio::test]
async fn the_log_is_folded_into_the_file_while_the_store_is_open() {
    let rig = Rig::new();
    let rows = 120_u32;
    for n in 0..rows {
        let mut event = message(&format!("oc_{n}"), n);
        event.work.as_mut().unwrap().body = vec![7; 64 << 10].into();
        rig.store.admit(event).await.unwrap();
    }
    // More than one log's worth was written; the file has to show some of it,
    // whenever the checkpointer gets to it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while fs::metadata(rig.path()).unwrap().len() < 2 << 20 {
        assert!(
            std::time::Instant::now() < deadline,
            "nothing was folded in"
        );
        rig.store.stats().await.unwrap();
    }
}

#[tokio::test]
async fn a_large_store_opens_and_claims_at_once() {
    let mut rig = Rig::new();
    let old = 100_000;
    rusqlite::Connection::open(rig.path())
        .unwrap()
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {old})
             INSERT INTO turn
             (state, app, event_id, received_ms, conversation, kind, finished_ms)
             SELECT 'done', 'app', 'old-' || i, i, 'old-' || (i % 100), 'k', i FROM n"
        ))
        .unwrap();
    rig.admit("a", 1).await;
    rig.shut();
    let started = std::time::Instant::now();
    rig.reopen();
    let opened = started.elapsed();
    assert_eq!(rig.claim_ids(9).await, ["e1"]);
    println!(
        "opened in {opened:?}, claimed after {:?}",
        started.elapsed()
    );
}
