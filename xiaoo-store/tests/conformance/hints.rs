//! `changes`: whoever waits for it misses nothing.

use xiaoo_store::{Claim, Sign, Store};

use crate::notes::put;
use crate::rig::{Ground, Rig};

pub(crate) async fn whatever_becomes_ready_is_told<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let mut changes = rig.store.changes();
    let store = &rig.store;

    rig.admit("a", 1).await;
    rig.admit("a", 2).await;
    told(&mut changes, "an admission").await;
    let key = claim(store).await;
    store.release(key).await.unwrap();
    told(&mut changes, "a release").await;
    let key = claim(store).await;
    store.note_sign(key, Sign::Reaction(None)).await.unwrap();
    rig.finish(key, &["u1", "u2", "u3"]).await;
    told(&mut changes, "a finished turn").await;
    for how in ["retry", "done", "dead"] {
        let row = store.outbox_take(0, 1).await.unwrap()[0].key;
        match how {
            "retry" => store.outbox_retry(row, 0, "later").await.unwrap(),
            "done" => store.outbox_done(row, "om").await.unwrap(),
            _ => store.outbox_dead(row, "no").await.unwrap(),
        };
        told(&mut changes, how).await;
    }
}

pub(crate) async fn a_note_that_was_written_or_deleted_is_told<G: Ground>() {
    let rig = Rig::<G>::new().await;
    let mut changes = rig.store.changes();
    rig.store.put_note(put("a", "k", "t")).await.unwrap();
    told(&mut changes, "a new note").await;
    rig.store.put_note(put("a", "k", "u")).await.unwrap();
    told(&mut changes, "a changed note").await;
    rig.store.delete_note("a", "k", 0).await.unwrap();
    told(&mut changes, "a deleted note").await;
}

async fn told(changes: &mut tokio::sync::watch::Receiver<u64>, what: &str) {
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, changes.changed())
        .await
        .unwrap_or_else(|_| panic!("{what} was not told"))
        .unwrap();
}

async fn claim(store: &Store) -> xiaoo_store::TurnKey {
    store.claim(1, Claim::Any).await.unwrap()[0].key
}
