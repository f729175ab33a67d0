//! Several stores in one database, each in a schema of its own.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use tokio::task::spawn_blocking;
use tokio_postgres::{AsyncMessage, NoTls};
use xiaoo_store::{Admission, Claim, Store, StoreGuard, StoreReader, StoreUrl};

use crate::postgres::cluster::{Cluster, Database};
use crate::rig::{ids, message, patient};

#[tokio::test]
async fn stores_in_two_schemas_know_nothing_of_each_other() {
    let database = Cluster::shared().new_database().await;
    let names = ["sales", "select", "小欧"];
    let mut urls = vec![database.url()];
    urls.extend(names.iter().map(|name| database.url().for_instance(name)));
    urls.push(database.url_with("schema=by_hand").parse().unwrap());
    let stores: Vec<_> = urls.iter().map(open).collect();
    for (n, (store, _)) in (1..).zip(&stores) {
        // The same keys are new in each.
        let admission = store.admit(message("oc", 0)).await;
        assert!(matches!(admission, Ok(Admission::New(_))), "{admission:?}");
        store.admit(message("ob", n)).await.unwrap();
    }
    for (n, (store, _)) in (1..).zip(&stores) {
        let turns = store.claim(9, Claim::Any).await.unwrap();
        assert_eq!(ids(&turns), ["e0".to_owned(), format!("e{n}")]);
    }
    drop(stores);
    for url in &urls {
        let (store, _guard) = open(url);
        let known = store.admit(message("oc", 0)).await;
        assert!(matches!(known, Ok(Admission::Duplicate { .. })), "{url}");
    }
    for url in urls {
        let turns = spawn_blocking(move || {
            let reader = StoreReader::open(&url).unwrap();
            for check in reader.checks() {
                let finding = reader.check(&check).unwrap();
                assert_eq!(finding.count, 0, "{url}: {}", check.promise);
            }
            reader.inventory().unwrap().turns
        });
        let expected = BTreeMap::from([("running".to_owned(), 2)]);
        assert_eq!(turns.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn what_becomes_ready_in_one_schema_is_told_there_alone() {
    let database = Cluster::shared().new_database().await;
    let elsewhere = database.url().for_instance("sales");
    let (writes, hears) = (open(&elsewhere), open(&elsewhere));
    let here = database.client().await;
    let mut changes = hears.0.changes();
    let notified = hints_on(&database, "xiaoo").await;
    for n in 0..20 {
        changes.borrow_and_update();
        let event = message(&format!("oc_{n}"), n);
        writes.0.admit(event).await.unwrap();
        changes.changed().await.unwrap();
    }
    // What was told before this one has arrived before it.
    here.batch_execute("NOTIFY xiaoo, 'last'").await.unwrap();
    assert_eq!(notified.await, ["last"]);
}

/// All hints on that channel, up to the one that says it is the last.
async fn hints_on(database: &Database, channel: &str) -> impl Future<Output = Vec<String>> {
    let url = database.url_with("");
    let (client, mut connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        let mut messages = poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(hint) = message {
                tell.send(hint.payload().to_owned()).await.unwrap();
            }
        }
    });
    client
        .batch_execute(&format!("LISTEN {channel}"))
        .await
        .unwrap();
    async move {
        let _client = client;
        let mut hints = Vec::new();
        while hints.last().is_none_or(|hint| hint != "last") {
            hints.push(told.recv().await.unwrap());
        }
        hints
    }
}

fn open(url: &StoreUrl) -> (Store, StoreGuard) {
    Store::open(url, patient()).unwrap()
}
