//! The file: its bound, its growth, its log.

use std::fs;

use xiaoo_store::{Admission, Claim, Health, StoreError, StoreOptions};

use crate::rig::{Rig, Sqlite, message, patient, wal};

#[tokio::test]
async fn a_full_store_refuses_and_recovers() {
    let rig = Rig::<Sqlite>::with(StoreOptions {
        file_bytes_max: Some(1 << 20),
        ..patient()
    })
    .await;
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
    let turns = rig.store.claim(64, Claim::Any).await.unwrap();
    assert_eq!(turns.len(), usize::try_from(admitted).unwrap());
    for turn in turns {
        rig.finish(turn.key, &[]).await;
    }
    rig.admit("after", 1_000).await;
}

#[tokio::test]
async fn room_that_pruning_made_goes_back_to_the_disk() {
    let mut rig = Rig::<Sqlite>::new().await;
    for n in 0..20 {
        let mut event = message(&format!("oc_{n}"), n);
        event.work.as_mut().unwrap().body = vec![7; 64 << 10].into();
        rig.store.admit(event).await.unwrap();
    }
    for turn in rig.store.claim(64, Claim::Any).await.unwrap() {
        rig.finish(turn.key, &[]).await;
    }
    let before = rig.store.stats().await.unwrap().file_bytes;
    rig.store.prune(i64::MAX, 1_000).await.unwrap();
    let after = rig.store.stats().await.unwrap().file_bytes;
    assert!(after + (900 << 10) < before, "{before} bytes, then {after}");
    rig.reopen();
    let on_disk = fs::metadata(rig.ground().path()).unwrap().len();
    assert_eq!(on_disk, after);
}

#[tokio::test]
async fn the_log_is_folded_into_the_file_while_the_store_is_open() {
    let rig = Rig::<Sqlite>::new().await;
    let rows = 120_u32;
    for n in 0..rows {
        let mut event = message(&format!("oc_{n}"), n);
        event.work.as_mut().unwrap().body = vec![7; 64 << 10].into();
        rig.store.admit(event).await.unwrap();
    }
    // More than one log's worth was written; the file has to show some of it,
    // whenever the checkpointer gets to it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while fs::metadata(rig.ground().path()).unwrap().len() < 2 << 20 {
        assert!(
            std::time::Instant::now() < deadline,
            "nothing was folded in"
        );
        rig.store.stats().await.unwrap();
    }
}

#[tokio::test]
async fn closing_leaves_no_log() {
    let mut rig = Rig::<Sqlite>::new().await;
    for n in 0..30 {
        rig.admit("a", n).await;
        // All three connections have something to close.
        rig.store.stats().await.unwrap();
        rig.shut();
        assert!(!wal(&rig.ground().path()).exists(), "close number {n}");
        rig.reopen();
    }
}

#[tokio::test]
async fn a_large_store_opens_and_claims_at_once() {
    let mut rig = Rig::<Sqlite>::new().await;
    let old = 100_000;
    rusqlite::Connection::open(rig.ground().path())
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
