//! Bounds over time: pruning and numbers.

use xiaoo_store::limits::{DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT};
use xiaoo_store::{Admission, Claim, Fenced, StoreStats, TurnResult};

use crate::rig::{Ground, Rig, message, result, said};

pub(crate) async fn each_thing_is_kept_for_its_time_and_no_longer<G: Ground>() {
    let rig = Rig::<G>::new().await;
    rig.admit("a", 1).await;
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
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
        (millis(DEAD_KEPT) + 2, 1), // the row that was given up
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

pub(crate) async fn open_work_is_never_pruned<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for n in 1..=3 {
        rig.admit("a", n).await;
    }
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    rig.finish(key, &["u1", "u2"]).await;
    rig.store.claim(1, Claim::Any).await.unwrap();
    let far = i64::MAX;
    assert_eq!(rig.store.prune(far, 1_000).await, Ok(4)); // three events, one turn
    let stats = rig.store.stats().await.unwrap();
    assert_eq!((stats.running, stats.queued, stats.outbox_open), (1, 1, 2));
}

pub(crate) async fn pruning_goes_by_small_batches<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for n in 1..=25 {
        rig.admit("a", n).await;
    }
    for removed in [10, 10, 5, 0] {
        assert_eq!(rig.store.prune(i64::MAX, 10).await, Ok(removed));
    }
}

pub(crate) async fn the_numbers_are_right<G: Ground>() {
    let rig = Rig::<G>::new().await;
    for (conversation, n) in [("a", 5), ("a", 6), ("b", 7)] {
        rig.admit(conversation, n).await;
    }
    let key = rig.store.claim(1, Claim::Any).await.unwrap()[0].key;
    let stats = rig.store.stats().await.unwrap();
    let expected = StoreStats {
        queued: 2,
        running: 1,
        oldest_queued_ms: Some(6),
        commits: 4,
        commands: 4,
        file_bytes: stats.file_bytes,
        wal_bytes: stats.wal_bytes,
        commit_micros: stats.commit_micros,
        ..StoreStats::default()
    };
    assert_eq!(stats, expected);

    rig.finish(key, &["u1", "u2"]).await;
    rig.store.claim(9, Claim::Any).await.unwrap();
    let stats = rig.store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.running), (0, 2));
    assert_eq!((stats.oldest_queued_ms, stats.outbox_open), (None, 2));
}
