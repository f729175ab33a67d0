//! The outbox: in order within a conversation, each try owned by one sender.

use xiaoo_store::{Claim, Fenced, OutboxRow};

use crate::rig::{Ground, Rig};

pub(crate) async fn a_row_waits_until_the_one_before_it_is_settled<G: Ground>() {
    let rig = Rig::<G>::new().await;
    fill(&rig, &[("a", &["a1", "a2"]), ("b", &["b1"])]).await;
    let store = &rig.store;

    let first = store.outbox_take(2_000, 9).await.unwrap();
    assert_eq!(uuids(&first), ["a1", "b1"]);
    Rig::<G>::assert_tried(&first[0], 2_000, 2_000);
    assert_eq!(&*first[0].body, b"to send: a1");
    assert!(store.outbox_take(2_000, 9).await.unwrap().is_empty());

    // A retry keeps its place: what is behind it waits on.
    let retried = store
        .outbox_retry(first[0].key, 5_000, "rate limited")
        .await;
    assert_eq!(retried, Ok(Fenced::Done));
    assert_eq!(store.outbox_next_ms().await, Ok(Some(5_000)));
    assert!(store.outbox_take(4_999, 9).await.unwrap().is_empty());
    let second = store.outbox_take(5_000, 9).await.unwrap();
    assert_eq!(uuids(&second), ["a1"]);
    Rig::<G>::assert_tried(&second[0], 2_000, 5_000);
    assert_eq!(second[0].key.attempt, 2);
    assert_eq!(second[0].error.as_deref(), Some("rate limited"));
    assert_eq!(store.outbox_next_ms().await, Ok(None));

    // The first try's owner has nothing to say any more.
    assert_eq!(
        store.outbox_done(first[0].key, "om_x").await,
        Ok(Fenced::Replaced)
    );
    assert_eq!(
        store.outbox_dead(first[0].key, "no").await,
        Ok(Fenced::Replaced)
    );
    assert_eq!(
        store.outbox_retry(first[0].key, 0, "no").await,
        Ok(Fenced::Replaced)
    );
    assert_eq!(
        store.outbox_done(second[0].key, "om_1").await,
        Ok(Fenced::Done)
    );
    assert_eq!(
        store.outbox_done(second[0].key, "om_1").await,
        Ok(Fenced::Replaced)
    );

    let third = store.outbox_take(6_000, 9).await.unwrap();
    assert_eq!(uuids(&third), ["a2"]);
}

pub(crate) async fn a_dead_row_makes_way<G: Ground>() {
    let rig = Rig::<G>::new().await;
    fill(&rig, &[("a", &["a1", "a2"])]).await;
    let first = rig.store.outbox_take(2_000, 9).await.unwrap();
    let dead = rig.store.outbox_dead(first[0].key, "recalled").await;
    assert_eq!(dead, Ok(Fenced::Done));
    let stats = rig.store.stats().await.unwrap();
    assert_eq!((stats.outbox_open, stats.outbox_dead), (1, 1));
    let second = rig.store.outbox_take(2_000, 9).await.unwrap();
    assert_eq!(uuids(&second), ["a2"]);
}

pub(crate) async fn later_turns_send_behind_earlier_ones<G: Ground>() {
    let rig = Rig::<G>::new().await;
    fill(&rig, &[("a", &["a1"])]).await;
    fill(&rig, &[("a", &["a2"])]).await;
    let first = rig.store.outbox_take(2_000, 9).await.unwrap();
    assert_eq!(uuids(&first), ["a1"]);
    fill(&rig, &[("a", &["a3"])]).await;
    let mut sent = first;
    for next in ["a2", "a3"] {
        assert!(rig.store.outbox_take(2_000, 9).await.unwrap().is_empty());
        rig.store.outbox_done(sent[0].key, "om_1").await.unwrap();
        sent = rig.store.outbox_take(2_000, 9).await.unwrap();
        assert_eq!(uuids(&sent), [next]);
    }
}

pub(crate) async fn a_uuid_is_sent_once<G: Ground>() {
    let rig = Rig::<G>::new().await;
    fill(&rig, &[("a", &["same"]), ("b", &["same", "other"])]).await;
    let rows = rig.store.outbox_take(2_000, 9).await.unwrap();
    assert_eq!(uuids(&rows), ["same", "other"]);
}

pub(crate) async fn at_most_so_many_rows_are_taken_the_longest_due_first<G: Ground>() {
    let rig = Rig::<G>::new().await;
    fill(&rig, &[("a", &["a1"]), ("b", &["b1"]), ("c", &["c1"])]).await;
    assert!(rig.store.outbox_take(2_000, 0).await.unwrap().is_empty());
    let all = rig.store.outbox_take(2_000, 9).await.unwrap();
    for (row, due) in all.iter().zip([30, 10, 20]) {
        rig.store.outbox_retry(row.key, due, "later").await.unwrap();
    }
    assert_eq!(uuids(&rig.store.outbox_take(100, 1).await.unwrap()), ["b1"]);
    assert_eq!(uuids(&rig.store.outbox_take(100, 1).await.unwrap()), ["c1"]);
    assert_eq!(uuids(&rig.store.outbox_take(100, 1).await.unwrap()), ["a1"]);
}

fn uuids(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.uuid.as_str()).collect()
}

/// Runs one turn for each conversation, which wants these sent.
async fn fill<G: Ground>(rig: &Rig<G>, sends: &[(&str, &[&str])]) {
    for (conversation, uuids) in sends {
        let n = rig.store.stats().await.unwrap().commits;
        rig.admit(conversation, u32::try_from(n).unwrap()).await;
        let turns = rig.store.claim(1, Claim::Any).await.unwrap();
        rig.finish(turns[0].key, uuids).await;
    }
}
