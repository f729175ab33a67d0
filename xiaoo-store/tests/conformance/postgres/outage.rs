//! A server that goes away and comes back, with all that was under way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use xiaoo_store::{
    Admission, Claim, Fenced, Health, OpenError, Step, Store, StoreError, StoreOptions,
};

use crate::postgres::cluster::Cluster;
use crate::postgres::server::connect;
use crate::rig::{ids, message, patient, result};

#[tokio::test]
async fn without_a_server_events_are_refused_and_all_goes_on_by_itself_after() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    let (store, _guard) = database.open(&patient());
    let mut health = store.health_changes();
    store.admit(message("a", 1)).await.unwrap();
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;

    cluster.tell("stop");
    let down = health
        .wait_for(|health| matches!(health, Health::Unreachable { .. }))
        .await
        .unwrap()
        .clone();
    assert!(format!("{down:?}").contains("can't be reached"), "{down:?}");
    let asked = Instant::now();
    let refused = store.admit(message("b", 2)).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreachable { .. }),
        "{refused}"
    );
    assert!(refused.is_retryable());
    assert!(store.claim(9, Claim::Any).await.unwrap_err().is_retryable());
    assert!(store.stats().await.unwrap_err().is_retryable());
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );

    // What has happened waits to be written down.
    let finishing = tokio::spawn({
        let store = store.clone();
        async move { store.finish(turn, result(1, &["u1"])).await }
    });
    tokio::task::yield_now().await;
    cluster.tell("start");
    assert_eq!(finishing.await.unwrap(), Ok(Fenced::Done));
    health
        .wait_for(|health| *health == Health::Good)
        .await
        .unwrap();
    assert!(matches!(
        store.admit(message("b", 2)).await,
        Ok(Admission::New(_))
    ));
    assert_eq!(ids(&store.claim(9, Claim::Any).await.unwrap()), ["e2"]);
    assert_eq!(store.outbox_take(1, 9).await.unwrap()[0].uuid, "u1");
}

#[tokio::test]
async fn a_store_without_a_server_does_not_open_and_says_which() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    cluster.tell("stop");
    let Err(error) = Store::open(&database.url(), StoreOptions::default()) else {
        panic!("it was opened");
    };
    assert!(matches!(error, OpenError::Server { .. }), "{error:?}");
    assert!(
        error.to_string().contains(&database.url().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_runs_into_the_deadline_and_loses_nothing() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    let (store, _guard) = database.open(&StoreOptions {
        admit_deadline: Duration::from_millis(300),
        ..patient()
    });
    // A busy machine may be slower than that without a freeze.
    while store.admit(message("a", 1)).await.is_err() {}
    let frozen = cluster.frozen();
    let refused = store.admit(message("b", 2)).await;
    assert!(
        matches!(refused, Err(StoreError::Deadline { .. })),
        "{refused:?}"
    );
    let finishing = tokio::spawn({
        let store = store.clone();
        async move { store.prune(0, 1).await }
    });
    drop(frozen);
    assert_eq!(finishing.await.unwrap(), Ok(0));
    // It may have been stored or not; the redelivery makes it one.
    loop {
        match store.admit(message("b", 2)).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    assert_eq!(
        ids(&store.claim(9, Claim::Any).await.unwrap()),
        ["e1", "e2"]
    );
}

/// What was handed to nobody is put back, also when the server refuses that at first.
#[tokio::test]
async fn what_a_cancelled_call_took_is_put_back_when_the_server_is_well_again() {
    let database = Cluster::shared().new_database().await;
    let (store, _guard) = database.open(&patient());
    let admin = database.client().await;
    store.admit(message("a", 1)).await.unwrap();
    // A number that is drawn stays drawn when its transaction is undone.
    let sql = "CREATE SEQUENCE tries;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') <= 3 THEN
                RAISE EXCEPTION 'could not write' USING ERRCODE = '58030';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON turn FOR EACH ROW
        WHEN (OLD.state = 'running' AND NEW.state = 'ready') EXECUTE FUNCTION refuse();
        CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1, 1); RETURN NEW; END';
        CREATE TRIGGER stand_still BEFORE UPDATE ON turn FOR EACH ROW
        WHEN (NEW.state = 'running') EXECUTE FUNCTION stand_still();
        SELECT pg_advisory_lock(1, 1)";
    admin.batch_execute(sql).await.unwrap();

    tokio::select! {
        claimed = store.claim(9, Claim::Any) => panic!("{claimed:?}"),
        _ = number_of_who_waits_for(&admin, "advisory") => {}
    }
    let go = "SELECT pg_advisory_unlock(1, 1)";
    admin.batch_execute(go).await.unwrap();
    let claimed_again = async {
        loop {
            match store.claim(9, Claim::Any).await {
                Ok(claimed) if claimed.is_empty() => {}
                claimed => return claimed.unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let claimed = tokio::time::timeout(Duration::from_secs(20), claimed_again).await;
    assert_eq!(ids(&claimed.unwrap()), ["e1"]);
    let tries: i64 = admin
        .query_one("SELECT last_value FROM tries", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(tries, 4, "it was refused");
}

/// The commit is on disk, its answer is not on the way: what a waiting for a standby
/// that is not there makes of every commit.
#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_answered_as_what_it_was() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    let (store, _guard) = database.open(&patient());
    let admin = database.client().await;
    for n in 1..=2 {
        store.admit(message(&format!("oc_{n}"), n)).await.unwrap();
    }
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };

    let noting = store.note_step(turn, step.clone());
    assert_eq!(with_lost_answer(&admin, noting).await, Ok(Fenced::Done));
    assert_eq!(store.steps(turn.id).await, Ok(vec![step]));
    let finishing = store.finish(turn, result(1, &["u1"]));
    assert_eq!(with_lost_answer(&admin, finishing).await, Ok(Fenced::Done));
    let claimed = with_lost_answer(&admin, store.claim(9, Claim::Any))
        .await
        .unwrap();
    assert_eq!(ids(&claimed), ["e2"]);
    let admitted = with_lost_answer(&admin, store.admit(message("c", 3))).await;
    assert!(matches!(admitted, Ok(Admission::New(_))), "{admitted:?}");
}

/// The same, but the server ends the session before it has committed.
#[tokio::test]
async fn a_commit_that_was_undone_is_done_again_or_refused() {
    let database = Cluster::shared().new_database().await;
    let (store, _guard) = database.open(&patient());
    let admin = database.client().await;
    store.admit(message("a", 1)).await.unwrap();
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;
    // Two commits that stand still at their end: the first that tries is killed, and
    // then they stand still no more.
    admin
        .batch_execute(
            "CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock(1, 1); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON step
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stand_still();
             CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON event
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stand_still()",
        )
        .await
        .unwrap();
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    let noting = store.note_step(turn, step.clone());
    assert_eq!(with_commit_undone(&admin, noting).await, Ok(Fenced::Done));
    assert_eq!(store.steps(turn.id).await, Ok(vec![step]));
    let refused = with_commit_undone(&admin, store.admit(message("b", 2))).await;
    assert!(
        matches!(refused, Err(StoreError::Unreachable { .. })),
        "{refused:?}"
    );
    let again = store.admit(message("b", 2)).await;
    assert!(matches!(again, Ok(Admission::New(_))), "{again:?}");
}

/// A crash takes what the disk did not have yet, and numbers are given anew: the one that is asked
/// for belongs to somebody else, who has committed, before the store is back.
#[tokio::test]
async fn a_number_that_is_another_s_by_now_is_not_believed() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    let (store, _guard) = database.open(&StoreOptions {
        // A renewal would bring to the disk what is to be lost.
        lease: Duration::from_secs(120),
        ..patient()
    });
    let admin = database.client().await;
    store.admit(message("a", 1)).await.unwrap();
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;
    let name: String = admin
        .query_one("SELECT current_database()::text", &[])
        .await
        .unwrap()
        .get(0);
    admin
        .batch_execute(
            "CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock(1, 1); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON step
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stand_still();
             SELECT pg_advisory_lock(1, 1)",
        )
        .await
        .unwrap();
    let shut = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    connect(&cluster.url("postgres"))
        .await
        .batch_execute(&shut)
        .await
        .unwrap();
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    let lost = async {
        let number = number_of_who_waits_for(&admin, "advisory").await;
        cluster.tell("stop");
        cluster.tell("start");
        // Whoever comes first; the store can't.
        let admin = connect(&cluster.url("postgres")).await;
        let mut given = 0;
        while given < number {
            let sql = "SELECT pg_current_xact_id()::text::bigint";
            given = admin.query_one(sql, &[]).await.unwrap().get(0);
        }
        admin
            .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            .await
            .unwrap();
        let sql = "SELECT pg_xact_status($1::bigint::text::xid8)";
        let status = admin.query_one(sql, &[&number]).await.unwrap();
        assert_eq!(status.get::<_, Option<&str>>(0), Some("committed"));
    };
    let (noted, ()) = tokio::join!(store.note_step(turn, step.clone()), lost);
    assert_eq!(noted, Ok(Fenced::Done));
    // The other connection may still be on its way.
    assert_eq!(until_done(|| store.steps(turn.id)).await, [step]);
}

/// A standby may not have come yet to what it has received: it is asked when it is promoted.
#[tokio::test]
async fn a_standby_is_believed_when_it_is_promoted() {
    let cluster = Cluster::start();
    let database = cluster.new_database().await;
    let (store, _guard) = database.open(&patient());
    let admin = database.client().await;
    store.admit(message("a", 1)).await.unwrap();
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;
    commits_wait_for(&admin, "nobody").await;

    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    let mut noting = std::pin::pin!(store.note_step(turn, step.clone()));
    let failed_over = async {
        number_of_who_waits_for(&admin, "SyncRep").await;
        cluster.will_be_a_standby();
        cluster.tell("stop");
        cluster.tell("start");
    };
    tokio::select! {
        noted = &mut noting => panic!("{noted:?}"),
        () = failed_over => {}
    }
    let early = tokio::time::timeout(Duration::from_secs(3), &mut noting).await;
    assert!(early.is_err(), "{early:?}");
    let admin = connect(&cluster.url("postgres")).await;
    let go = "ALTER SYSTEM RESET synchronous_standby_names";
    admin.batch_execute(go).await.unwrap();
    admin
        .execute("SELECT pg_reload_conf(), pg_promote()", &[])
        .await
        .unwrap();
    assert_eq!(noting.await, Ok(Fenced::Done));
    // The other connection may still be on its way.
    assert_eq!(until_done(|| store.steps(turn.id)).await, [step]);
}

#[tokio::test]
async fn connections_that_break_at_any_moment_lose_and_double_nothing() {
    let database = Cluster::shared().new_database().await;
    let (store, _guard) = database.open(&patient());
    let admin = database.client().await;
    let breaking = tokio::spawn(async move {
        for n in 0..60_u64 {
            // Not in step with anything.
            tokio::time::sleep(Duration::from_millis(7 + n * 13 % 40)).await;
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'xiaoo' AND datname = current_database()";
            admin.execute(sql, &[]).await.unwrap();
        }
    });
    let mut steps = BTreeMap::new();
    let mut n = 0;
    while !breaking.is_finished() || n < 20 {
        until_done(|| store.admit(message("a", n))).await;
        let turns = until_done(|| store.claim(1, Claim::Any)).await;
        // Not one claim got lost on the way.
        assert_eq!(ids(&turns), [format!("e{n}")]);
        let key = turns[0].key;
        for step in 0..3 {
            let step = Step {
                kind: format!("s{step}"),
                body: "{}".into(),
            };
            assert_eq!(store.note_step(key, step).await, Ok(Fenced::Done));
        }
        let noted = until_done(|| store.steps(key.id)).await;
        steps.insert(n, noted.len());
        let uuid = format!("u{n}");
        assert_eq!(
            store.finish(key, result(0, &[&uuid])).await,
            Ok(Fenced::Done)
        );
        let rows = until_done(|| store.outbox_take(0, 9)).await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].uuid, uuid);
        assert_eq!(store.outbox_done(rows[0].key, "om").await, Ok(Fenced::Done));
        n += 1;
    }
    breaking.await.unwrap();
    assert!(steps.values().all(|steps| *steps == 3), "{steps:?}");
}

/// Asks until there is an answer, as Feishu and the lanes do.
async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Every commit waits for this standby from now on; for none, if it has no name.
async fn commits_wait_for(admin: &Client, standby: &str) {
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names = '{standby}'");
    admin.batch_execute(&sql).await.unwrap();
    admin.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
    // The checkpointer tells the others.
    let sql = "SELECT current_setting('synchronous_standby_names')";
    while admin.query_one(sql, &[]).await.unwrap().get::<_, String>(0) != standby {}
    tokio::time::sleep(Duration::from_millis(200)).await;
}

async fn with_lost_answer<T>(admin: &Client, call: impl Future<Output = T>) -> T {
    commits_wait_for(admin, "nobody").await;
    let kill = async {
        kill_who_waits_for(admin, "SyncRep").await;
        commits_wait_for(admin, "").await;
    };
    tokio::join!(call, kill).0
}

async fn with_commit_undone<T>(admin: &Client, call: impl Future<Output = T>) -> T {
    let stop = "SELECT pg_advisory_lock(1, 1)";
    admin.execute(stop, &[]).await.unwrap();
    let kill = async {
        kill_who_waits_for(admin, "advisory").await;
        let go = "SELECT pg_advisory_unlock(1, 1)";
        admin.execute(go, &[]).await.unwrap();
    };
    tokio::join!(call, kill).0
}

/// The number of the transaction of ours that stands still at that.
async fn number_of_who_waits_for(admin: &Client, event: &str) -> i64 {
    let sql = "SELECT backend_xid::text::bigint FROM pg_stat_activity
         WHERE wait_event = $1 AND application_name = 'xiaoo' AND datname = current_database()";
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(row) = admin.query_opt(sql, &[&event]).await.unwrap() {
            return row.get::<_, Option<i64>>(0).unwrap_or(0);
        }
        assert!(Instant::now() < patience, "nobody waited for {event}");
        tokio::task::yield_now().await;
    }
}

async fn kill_who_waits_for(admin: &Client, event: &str) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE wait_event = $1 AND application_name = 'xiaoo' AND datname = current_database()";
    let patience = Instant::now() + Duration::from_secs(30);
    while admin
        .query_one(sql, &[&event])
        .await
        .unwrap()
        .get::<_, i64>(0)
        == 0
    {
        assert!(Instant::now() < patience, "nobody waited for {event}");
        tokio::task::yield_now().await;
    }
}
