//! The faults that the engine in memory can be told to have.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use xiaoo_store::{
    Admission, Claim, Commit, Expect, Fate, Health, MemoryDisk, NotePut, PutNote, Store,
    StoreError, StoreGuard, StoreOptions,
};

use crate::notes::put;
use crate::rig::{ids, message};

#[tokio::test]
async fn a_crash_takes_what_was_not_synced_and_a_kill_does_not() {
    // After which commits the disk was honest, what a crash keeps, and what is left.
    for (synced, kept, left) in [
        (&[1_u64, 2, 3][..], 0, 3),
        (&[1], 0, 1),
        (&[1], 1, 2),
        (&[1], 9, 3),
        (&[], 0, 0),
        // A sync is for all that came before it.
        (&[3], 0, 3),
    ] {
        let (disk, store, _guard) = on_a_disk(move |commit| {
            if synced.contains(&commit.number) {
                Fate::Synced
            } else {
                Fate::Unsynced
            }
        });
        for n in 1..=3 {
            admit(&store, n).await.unwrap();
        }
        disk.kill();
        let (store, _guard) = open(&disk);
        assert_eq!(store.stats().await.unwrap().queued, 3, "after a kill");

        disk.crash_keeping(kept);
        let (store, _guard) = open(&disk);
        let stats = store.stats().await.unwrap();
        assert_eq!(stats.queued, left, "synced {synced:?}, {kept} kept");
    }
}

#[tokio::test]
async fn a_torn_commit_is_there_or_not_and_is_never_answered() {
    for stored in [true, false] {
        let (disk, store, _guard) = on_a_disk(move |_| Fate::Torn { stored });
        let mut torn = Box::pin(store.admit(message("a", 1)));
        assert!(poll(&mut torn).await.is_pending());
        disk.set_fates(|_| Fate::Synced);
        disk.crash();
        assert_eq!(torn.await, Err(StoreError::Closed));
        assert_eq!(admit(&store, 1).await, Err(StoreError::Closed));

        let (store, _guard) = open(&disk);
        let again = admit(&store, 1).await.unwrap();
        assert_eq!(matches!(again, Admission::Duplicate { .. }), stored);
    }
}

#[tokio::test]
async fn a_commit_that_fails_stores_nothing_and_some_failures_are_final() {
    let full = StoreError::Full {
        detail: "planned".to_owned(),
    };
    let io = StoreError::Io {
        detail: "planned".to_owned(),
    };
    let fates = [
        Fate::Fails(full.clone()),
        Fate::Synced,
        Fate::Fails(io.clone()),
    ];
    let (_disk, store, _guard) =
        on_a_disk(move |commit| fates[usize::try_from(commit.number - 1).unwrap()].clone());
    assert_eq!(admit(&store, 1).await, Err(full.clone()));
    let reason = full.to_string();
    assert_eq!(store.health(), Health::Full { reason });
    assert!(matches!(admit(&store, 1).await, Ok(Admission::New(_))));
    assert_eq!(store.health(), Health::Good);
    assert_eq!(admit(&store, 2).await, Err(io.clone()));
    let reason = io.to_string();
    assert_eq!(
        store.health(),
        Health::Failed {
            reason: reason.clone()
        }
    );
    assert_eq!(admit(&store, 2).await, Err(StoreError::Failed { reason }));
    assert_eq!(store.stats().await.unwrap().queued, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_waits_in_order_until_it_may_go_on_or_its_caller_gives_up() {
    let (disk, store, _guard) = on_a_disk(|_| Fate::Held);
    let mut first = Box::pin(store.admit(message("a", 1)));
    let mut second = Box::pin(store.admit(message("b", 2)));
    assert!(poll(&mut first).await.is_pending() && poll(&mut second).await.is_pending());
    let given_up = admit(&store, 3).await;
    assert!(matches!(given_up, Err(StoreError::Deadline { .. })));
    let mut third = Box::pin(store.admit(message("c", 4)));
    assert!(poll(&mut third).await.is_pending());

    disk.resume();
    assert!(poll(&mut third).await.is_pending(), "it is held again");
    disk.set_fates(|_| Fate::Synced);
    disk.resume();
    assert!(matches!(
        poll(&mut third).await,
        Poll::Ready(Ok(Admission::New(_)))
    ));
    let turns = store.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&turns), ["e1", "e2", "e4"]);
}

#[tokio::test]
async fn a_held_claim_that_nobody_waits_for_takes_nothing() {
    let (disk, store, _guard) = on_a_disk(|commit| match commit.call {
        "claim" => Fate::Held,
        _ => Fate::Synced,
    });
    admit(&store, 1).await.unwrap();
    {
        let mut claim = Box::pin(store.claim(9, Claim::Any));
        assert!(poll(&mut claim).await.is_pending());
        // And one that goes away when it has its answer but has not looked at it.
        disk.set_fates(|_| Fate::Synced);
        disk.resume();
    }
    let turns = store.claim(9, Claim::Any).await.unwrap();
    assert_eq!((turns[0].attempts, turns[0].key.epoch), (1, 2));
}

#[tokio::test]
async fn fates_are_asked_once_for_each_commit_with_its_name() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (_disk, store, _guard) = on_a_disk(move |commit| {
        log.lock().unwrap().push((commit.number, commit.call));
        Fate::Synced
    });
    admit(&store, 1).await.unwrap();
    store.claim(9, Claim::Any).await.unwrap();
    store.prune(0, 9).await.unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [(1, "admit"), (2, "claim"), (3, "prune")]
    );
}

/// Two who wait for each other's notes, and try again, would not rest otherwise.
#[tokio::test]
async fn a_note_that_was_not_written_wakes_nobody() {
    let (_disk, store, _guard) = on_a_disk(|_| Fate::Synced);
    let absent = |text| PutNote {
        expect: Expect::Absent,
        ..put("a", "k", text)
    };
    store.put_note(absent("first")).await.unwrap();
    let mut changes = store.changes();
    changes.mark_unchanged();
    let late = store.put_note(absent("second")).await.unwrap();
    assert!(matches!(late, NotePut::Conflict { .. }), "{late:?}");
    let missing = store.delete_note("a", "other", 0).await.unwrap();
    assert_eq!(missing, None);
    assert!(!changes.has_changed().unwrap());
    store.delete_note("a", "k", 0).await.unwrap();
    assert!(changes.has_changed().unwrap());
}

fn on_a_disk(
    fates: impl FnMut(Commit) -> Fate + Send + 'static,
) -> (MemoryDisk, Store, StoreGuard) {
    let disk = MemoryDisk::new();
    disk.set_fates(fates);
    let (store, guard) = open(&disk);
    (disk, store, guard)
}

fn open(disk: &MemoryDisk) -> (Store, StoreGuard) {
    Store::in_memory(disk, &StoreOptions::default())
}

async fn admit(store: &Store, n: u32) -> Result<Admission, StoreError> {
    store.admit(message(&format!("oc_{n}"), n)).await
}

/// Looks once.
async fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
