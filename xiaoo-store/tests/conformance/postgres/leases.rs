//! Several daemons on one store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use xiaoo_store::{Admission, Claim, Fenced, Sign, Step, Store, StoreGuard, StoreOptions};

use crate::postgres::cluster::{Cluster, Database};
use crate::rig::{ids, message, patient, result};

/// Long enough for a busy machine to renew it in time, short enough to wait for.
const LEASE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn two_daemons_share_one_store_and_never_a_turn() {
    let (_database, [a, b]) = two().await;
    for n in 0..40 {
        let (conversation, daemon) = (format!("oc_{}", n % 8), if n % 3 == 0 { &a } else { &b });
        let event = message(&conversation, n);
        assert!(matches!(
            daemon.0.admit(event.clone()).await,
            Ok(Admission::New(_))
        ));
        // Feishu pushes it again, to the other one.
        let other = if n % 3 == 0 { &b } else { &a };
        assert!(matches!(
            other.0.admit(event).await,
            Ok(Admission::Duplicate { .. })
        ));
    }
    let mut order: Vec<(String, u32)> = Vec::new();
    while order.len() < 40 {
        let (left, right) = tokio::join!(a.0.claim(3, Claim::Any), b.0.claim(3, Claim::Any));
        let (left, right) = (left.unwrap(), right.unwrap());
        let mut running: Vec<_> = left
            .iter()
            .chain(&right)
            .map(|turn| &turn.conversation)
            .collect();
        running.sort_unstable();
        running.dedup();
        assert_eq!(
            running.len(),
            left.len() + right.len(),
            "one conversation twice"
        );
        for (store, turns) in [(&a.0, left), (&b.0, right)] {
            for turn in turns {
                let n: u32 = turn.event_id.trim_start_matches('e').parse().unwrap();
                let uuid = format!("u{n}");
                let done = store.finish(turn.key, result(1, &[&uuid])).await;
                assert_eq!(done, Ok(Fenced::Done));
                order.push((turn.conversation, n));
            }
        }
    }
    order.sort_by(|x, y| x.0.cmp(&y.0));
    for pair in order.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].1 < pair[1].1, "{pair:?}");
    }
    let mut sent = Vec::new();
    while sent.len() < 40 {
        let (left, right) = tokio::join!(a.0.outbox_take(1, 5), b.0.outbox_take(1, 5));
        for (store, rows) in [(&a.0, left.unwrap()), (&b.0, right.unwrap())] {
            for row in rows {
                assert_eq!(store.outbox_done(row.key, "om").await, Ok(Fenced::Done));
                sent.push(row.uuid);
            }
        }
    }
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), 40);
}

#[tokio::test]
async fn the_same_events_at_two_daemons_at_once_are_new_once() {
    let (_database, [a, b]) = two().await;
    let admit = |store: &Store, turn_round: bool| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut order: Vec<u32> = (0..100).collect();
            if turn_round {
                order.reverse();
            }
            let mut tasks = Vec::new();
            for n in order {
                let store = store.clone();
                // The keys are the same, the conversation is not, and every fifth asks
                // for no work: so that the locks of conversations don't help.
                let mut event = message(&format!("oc_{turn_round}"), n);
                event.work = event.work.filter(|_| n % 5 > 0);
                tasks.push(tokio::spawn(
                    async move { store.admit(event).await.unwrap() },
                ));
            }
            let mut new = 0;
            for task in tasks {
                let admission = task.await.unwrap();
                new += u32::from(!matches!(admission, Admission::Duplicate { .. }));
            }
            new
        })
    };
    let (left, right) = tokio::join!(admit(&a.0, false), admit(&b.0, true));
    assert_eq!(left.unwrap() + right.unwrap(), 100);
}

#[tokio::test]
async fn admissions_and_endings_that_meet_leave_nothing_behind() {
    let (_database, [a, b]) = two_with(LEASE * 10).await;
    let (each, lanes) = (60, 2);
    let all_in = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for (daemon, (store, _)) in (0..).zip([&a, &b]) {
        let (admits, done) = (store.clone(), Arc::clone(&all_in));
        tasks.push(tokio::spawn(async move {
            for n in 0..each {
                let n = daemon * each + n;
                admits
                    .admit(message(&format!("oc_{}", n % lanes), n))
                    .await
                    .unwrap();
            }
            done.fetch_add(1, Ordering::Release);
        }));
        let (works, counted) = (store.clone(), Arc::clone(&all_in));
        tasks.push(tokio::spawn(async move {
            // Ends as soon as it can: a turn that is admitted at the same moment must
            // not wait behind a head that is gone.
            loop {
                let all_in = counted.load(Ordering::Acquire) == 2;
                let stats = works.stats().await.unwrap();
                for turn in works.claim(9, Claim::Any).await.unwrap() {
                    let uuid = format!("u-{}", turn.event_id);
                    works.finish(turn.key, result(1, &[&uuid])).await.unwrap();
                }
                for row in works.outbox_take(1, 9).await.unwrap() {
                    works.outbox_done(row.key, "om").await.unwrap();
                }
                if all_in && (stats.queued, stats.running, stats.outbox_open) == (0, 0, 0) {
                    return;
                }
            }
        }));
    }
    let all = async {
        for task in tasks {
            task.await.unwrap();
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, all)
        .await
        .expect("something waits for ever");
}

#[tokio::test]
async fn a_dead_daemons_work_is_taken_over_when_its_lease_is_out_and_not_before() {
    let (_database, [a, b]) = two().await;
    for n in 1..=3 {
        let event = message(&format!("oc_{n}"), n);
        a.0.admit(event).await.unwrap();
    }
    let sent = a.0.claim(1, Claim::Any).await.unwrap()[0].key;
    a.0.finish(sent, result(1, &["u1"])).await.unwrap();
    let tried = Instant::now();
    let old_row = a.0.outbox_take(5, 1).await.unwrap()[0].key;
    let old = a.0.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&old), ["e2", "e3"]);
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    a.0.note_step(old[0].key, step.clone()).await.unwrap();

    // Longer than a lease: while the owner lives, nobody takes what is his.
    let mut changes = b.0.changes();
    let until = Instant::now() + LEASE + LEASE / 2;
    while Instant::now() < until {
        assert!(b.0.claim(9, Claim::Any).await.unwrap().is_empty());
        assert!(b.0.outbox_take(5, 9).await.unwrap().is_empty());
        changes.changed().await.unwrap();
    }

    let died = Instant::now();
    a.1.abandon();
    let (mut turns, mut rows) = (Vec::new(), Vec::new());
    while turns.len() < 2 || rows.is_empty() {
        // The hint that comes by itself is enough.
        changes.changed().await.unwrap();
        turns.extend(b.0.claim(9, Claim::Any).await.unwrap());
        rows.extend(b.0.outbox_take(90, 9).await.unwrap());
    }
    let took = died.elapsed();
    println!("taken over after {took:?}, with a lease of {LEASE:?}");
    assert!(took < LEASE + Duration::from_secs(4), "{took:?}");
    assert!(took > LEASE / 2, "{took:?}: before the lease was out");

    assert_eq!(ids(&turns), ["e2", "e3"]);
    for (turn, old) in turns.iter().zip(&old) {
        assert_eq!((turn.attempts, turn.key.epoch), (2, old.key.epoch + 1));
    }
    assert_eq!(b.0.steps(turns[0].key.id).await, Ok(vec![step]));
    assert_eq!(rows[0].uuid, "u1");
    let age_ms = 90 - rows[0].first_try_at_ms;
    let tried_for = i64::try_from(tried.elapsed().as_millis()).unwrap();
    assert!((0..=tried_for).contains(&age_ms), "{age_ms} ms");
    assert_eq!(rows[0].key.attempt, old_row.attempt + 1);
}

/// The platform forgets a uuid after an hour, whatever a daemon's clock says.
#[tokio::test]
async fn daemons_whose_clocks_differ_agree_on_how_old_a_try_is() {
    const MINUTE_MS: i64 = 60_000;
    let (database, [a, b]) = two().await;
    a.0.admit(message("oc", 1)).await.unwrap();
    let key = a.0.claim(1, Claim::Any).await.unwrap()[0].key;
    a.0.finish(key, result(1, &["u1"])).await.unwrap();
    // Each by its own clock: one is right, one a quarter of an hour ahead, one behind.
    let (right, skew) = (1_000 * MINUTE_MS, 15 * MINUTE_MS);
    let clocks = [(&a.0, right + skew), (&b.0, right), (&a.0, right - skew)];
    let client = database.client().await;
    for sent_long_ago in [false, true] {
        if sent_long_ago {
            let sql = "UPDATE outbox SET first_try_at_ms = first_try_at_ms - 55 * 60000";
            client.batch_execute(sql).await.unwrap();
        }
        for (store, now_ms) in clocks {
            let row = store.outbox_take(now_ms, 1).await.unwrap().remove(0);
            let age_ms = now_ms - row.first_try_at_ms;
            let expected = if sent_long_ago { 55 * MINUTE_MS } else { 0 };
            let slack = expected..expected + MINUTE_MS;
            assert!(slack.contains(&age_ms), "{age_ms} ms at {now_ms}");
            store.outbox_retry(row.key, 0, "lost").await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_was_replaced_changes_nothing() {
    let (database, [a, b]) = two_with(LEASE * 10).await;
    a.0.admit(message("oc", 1)).await.unwrap();
    a.0.admit(message("ob", 2)).await.unwrap();
    let first = a.0.claim(1, Claim::Any).await.unwrap()[0].key;
    a.0.finish(first, result(1, &["u1", "u2"])).await.unwrap();
    let row = a.0.outbox_take(1, 1).await.unwrap()[0].key;
    let turn = a.0.claim(1, Claim::Any).await.unwrap()[0].key;

    let owner = database.owner_of_what_runs().await;

    // He only slept: he still runs, and does not know.
    let (mut turns, mut rows) = (Vec::new(), Vec::new());
    while turns.is_empty() || rows.is_empty() {
        database.set_lease(&owner, -1).await;
        turns.extend(b.0.claim(9, Claim::Any).await.unwrap());
        rows.extend(b.0.outbox_take(1, 9).await.unwrap());
    }
    let (new_turn, new_row) = (turns[0].key, rows[0].key);
    assert_eq!(new_turn.epoch, turn.epoch + 1);
    assert_eq!(new_row.attempt, row.attempt + 1);
    let step = Step {
        kind: "tool".to_owned(),
        body: "late".into(),
    };
    let sign = Sign::Card(Some("om_late".to_owned()));
    for late in [
        a.0.note_sign(turn, sign).await,
        a.0.note_step(turn, step).await,
        a.0.finish(turn, result(9, &["late"])).await,
        a.0.release(turn).await,
        a.0.outbox_done(row, "om_late").await,
        a.0.outbox_retry(row, 0, "late").await,
        a.0.outbox_dead(row, "late").await,
        // Nor does the new key help him who has not claimed it.
        a.0.finish(new_turn, result(9, &["late"])).await,
        a.0.outbox_done(new_row, "om_late").await,
    ] {
        assert_eq!(late, Ok(Fenced::Replaced));
    }
    assert!(b.0.steps(turn.id).await.unwrap().is_empty());

    // The turn comes back to him, but under another epoch.
    database.set_lease(&owner, 60).await;
    assert_eq!(b.0.release(new_turn).await, Ok(Fenced::Done));
    let again = a.0.claim(9, Claim::Any).await.unwrap()[0].key;
    assert_eq!(
        a.0.finish(turn, result(9, &["late"])).await,
        Ok(Fenced::Replaced)
    );
    assert_eq!(a.0.release(again).await, Ok(Fenced::Done));
    let new_turn = b.0.claim(9, Claim::Any).await.unwrap()[0].key;
    assert_eq!(b.0.finish(new_turn, result(2, &[])).await, Ok(Fenced::Done));
    assert_eq!(b.0.outbox_done(new_row, "om").await, Ok(Fenced::Done));
    let rows = b.0.outbox_take(99, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].uuid, "u2");
}

#[tokio::test]
async fn a_daemon_that_stops_in_good_order_leaves_its_work_at_once() {
    let (_database, [a, b]) = two().await;
    a.0.admit(message("oc", 1)).await.unwrap();
    a.0.claim(1, Claim::Any).await.unwrap();
    assert!(b.0.claim(1, Claim::Any).await.unwrap().is_empty());
    drop(a.1);
    assert_eq!(ids(&b.0.claim(1, Claim::Any).await.unwrap()), ["e1"]);
}

#[tokio::test]
async fn daemons_that_start_together_make_the_tables_once() {
    let database = Cluster::shared().new_database().await;
    let opened: Vec<_> = (0..6)
        .map(|_| {
            let database = database.clone();
            tokio::task::spawn_blocking(move || database.open(&patient()))
        })
        .collect();
    for (n, opened) in (0..).zip(opened) {
        let (store, _guard) = opened.await.unwrap();
        store.admit(message("oc", n)).await.unwrap();
    }
}

#[tokio::test]
async fn one_daemon_hears_of_the_others_work_at_once() {
    let (_database, [a, b]) = two().await;
    let mut changes = b.0.changes();
    // Far more often than it would ring by itself.
    let started = Instant::now();
    for n in 0..50 {
        changes.borrow_and_update();
        a.0.admit(message(&format!("oc_{n}"), n)).await.unwrap();
        changes.changed().await.unwrap();
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

type Daemon = (Store, StoreGuard);

async fn two() -> (Database, [Daemon; 2]) {
    two_with(LEASE).await
}

async fn two_with(lease: Duration) -> (Database, [Daemon; 2]) {
    let database = Cluster::shared().new_database().await;
    let options = StoreOptions { lease, ..patient() };
    let daemons = [database.open(&options), database.open(&options)];
    (database, daemons)
}

impl Database {
    async fn owner_of_what_runs(&self) -> String {
        let sql = "SELECT owner FROM turn WHERE state = 'running'";
        self.client()
            .await
            .query_one(sql, &[])
            .await
            .unwrap()
            .get(0)
    }

    /// As if a daemon had last been heard of so that its lease ends then.
    async fn set_lease(&self, owner: &str, seconds: i32) {
        let sql = "UPDATE owner SET until = now() + $2 * interval '1 second' WHERE id = $1";
        let client = self.client().await;
        client
            .execute(sql, &[&owner, &f64::from(seconds)])
            .await
            .unwrap();
    }
}
