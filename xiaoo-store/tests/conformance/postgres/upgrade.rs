//! Tables that an earlier version made.

use tokio::task::spawn_blocking;
use xiaoo_store::{Admission, Claim, NotePut, StoreReader};

use crate::notes::put;
use crate::postgres::cluster::{Cluster, Database};
use crate::rig::{ids, message, patient};

const V1: &str = include_str!("v1.sql");

#[tokio::test]
async fn daemons_that_start_together_upgrade_the_tables_once() {
    let database = Cluster::shared().new_database().await;
    make_v1(&database).await;
    look(&database, 1).await;
    let opened: Vec<_> = (0..6)
        .map(|_| {
            let database = database.clone();
            spawn_blocking(move || database.open(&patient()))
        })
        .collect();
    let mut daemons = Vec::new();
    for opened in opened {
        daemons.push(opened.await.unwrap());
    }
    for (n, (store, _)) in (0..).zip(&daemons) {
        let known = store.admit(message("oc_1", 1)).await;
        assert!(
            matches!(known, Ok(Admission::Duplicate { .. })),
            "{known:?}"
        );
        let mut urgent = message(&format!("now_{n}"), 100 + n);
        urgent.work.as_mut().unwrap().urgent = true;
        store.admit(urgent).await.unwrap();
        let turns = store.claim(9, Claim::Urgent).await.unwrap();
        assert_eq!(ids(&turns), [format!("e{}", 100 + n)]);
        let written = store.put_note(put("a", "k", "t")).await.unwrap();
        assert!(matches!(written, NotePut::Done { .. }));
    }
    let turns = daemons[0].0.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&turns), ["e1", "e2"]);
    look(&database, 2).await;
}

/// A daemon of the version before goes on while a new one starts: what it writes is
/// what the new one expects.
#[tokio::test]
async fn an_old_daemon_goes_on_beside_a_new_one() {
    let database = Cluster::shared().new_database().await;
    make_v1(&database).await;
    let old = database.client().await;
    let admit = "INSERT INTO turn
         (state, app, event_id, received_ms, conversation, kind, body)
         VALUES ('ready', 'cli_a', $1, 1, $1, 'message', 'b')";
    let admit = old.prepare(admit).await.unwrap();
    old.execute(&admit, &[&"before"]).await.unwrap();
    let (new, _guard) = database.open(&patient());
    old.execute(&admit, &[&"after"]).await.unwrap();
    let turns = new.claim(9, Claim::Any).await.unwrap();
    assert_eq!(ids(&turns), ["e1", "e2", "before", "after"]);
    assert!(turns.iter().all(|turn| !turn.urgent));
}

/// Tables as version 1 left them, with turns that wait.
async fn make_v1(database: &Database) {
    let client = database.client().await;
    let sql = format!(
        "CREATE SCHEMA xiaoo;
         CREATE TABLE xiaoo.version (version BIGINT NOT NULL);
         INSERT INTO xiaoo.version VALUES (1);
         {V1}
         INSERT INTO turn
         (state, app, event_id, message_id, received_ms, conversation, kind, body)
         SELECT 'ready', 'cli_a', 'e' || i, 'om_' || i, i, 'oc_' || i, 'message', 'b'
         FROM generate_series(1, 2) AS i;
         INSERT INTO event (app, event_id, message_id, received_ms, turn_id)
         SELECT app, event_id, message_id, received_ms, id FROM turn;"
    );
    client.batch_execute(&sql).await.unwrap();
}

/// All promises hold.
async fn look(database: &Database, schema: i64) {
    let url = database.url();
    let look = spawn_blocking(move || {
        let reader = StoreReader::open(&url).unwrap();
        for check in reader.checks() {
            let finding = reader.check(&check).unwrap();
            assert_eq!(finding.count, 0, "{}: {finding:?}", check.promise);
        }
        let inventory = reader.inventory().unwrap();
        assert_eq!(inventory.schema, schema);
        assert_eq!(reader.prunable(0).unwrap().rows(), 0);
        assert!(reader.export().all(|record| record.is_ok()));
    });
    look.await.unwrap();
}
