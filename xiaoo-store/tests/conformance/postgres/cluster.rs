//! A database for each test, on the server of this run.

use tokio_postgres::Client;
use xiaoo_store::{Store, StoreGuard, StoreOptions, StoreUrl};

pub(crate) use super::server::Cluster;

use super::server::connect;
use crate::rig::{Ground, Outside};

impl Cluster {
    pub(crate) async fn new_database(&self) -> Database {
        Database {
            url: self.new_url().await,
        }
    }
}

/// A database of a test's own.
#[derive(Clone)]
pub(crate) struct Database {
    url: String,
}

impl Database {
    pub(crate) fn url(&self) -> StoreUrl {
        self.url.parse().unwrap()
    }

    /// The URL with these parameters.
    pub(crate) fn url_with(&self, parameters: &str) -> String {
        format!("{}?{parameters}", self.url)
    }

    pub(crate) fn open(&self, options: &StoreOptions) -> (Store, StoreGuard) {
        Store::open(&self.url(), options.clone()).unwrap()
    }

    /// Past the store, in its schema.
    pub(crate) async fn client(&self) -> Client {
        let client = connect(&self.url).await;
        client
            .batch_execute("SET search_path TO xiaoo")
            .await
            .unwrap();
        client
    }

    /// As if all leases had run out.
    pub(crate) async fn end_leases(&self) {
        let sql = "UPDATE owner SET until = now() - interval '1 second'";
        self.client().await.batch_execute(sql).await.unwrap();
    }
}

impl Ground for Database {
    const CASES: u32 = 12;
    const HAS_CLOCK: bool = true;

    async fn new() -> Self {
        Cluster::shared().new_database().await
    }

    fn open(&self, options: &StoreOptions) -> (Store, StoreGuard) {
        Self::open(self, options)
    }

    /// The daemon is gone without a word, and its lease has run out.
    async fn crash(self, guard: StoreGuard) -> Self {
        guard.abandon();
        self.end_leases().await;
        self
    }
}

impl Outside for Database {
    const BREAKS: &[(&str, &str, &str)] = &[
        (
            "UPDATE turn SET owner = NULL",
            "what is under way has an owner, and nothing else has",
            "turn 4",
        ),
        (
            "UPDATE outbox SET body = 'left' WHERE state = 'done'",
            "no body is left of what is done",
            "send 1",
        ),
    ];

    fn url(&self) -> StoreUrl {
        Self::url(self)
    }

    async fn execute(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }
}
