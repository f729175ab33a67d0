//! A private server for the tests of this run, and a database for each test.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use tokio_postgres::{Client, NoTls};
use xiaoo_store::{Store, StoreGuard, StoreOptions, StoreUrl};

use crate::rig::{Ground, Outside};

/// A server that this process has started, and that ends with it: it sees the end of
/// its input.
pub(crate) struct Cluster {
    directory: String,
    talk: Mutex<Talk>,
    databases: AtomicU32,
}

struct Talk {
    _child: Child,
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh");
        let mut child = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut talk = Talk {
            words: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        };
        let answer = talk.hear();
        let Some(directory) = answer.strip_prefix("ready ") else {
            panic!("these tests need a PostgreSQL server: {answer}");
        };
        Self {
            directory: directory.to_owned(),
            talk: Mutex::new(talk),
            databases: AtomicU32::new(0),
        }
    }

    /// The one for all tests that don't stop it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// "stop", "start", "freeze", "thaw".
    pub(crate) fn tell(&self, word: &str) {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.words, "{word}").unwrap();
        assert_eq!(talk.hear(), "done");
    }

    pub(crate) async fn new_database(&self) -> Database {
        let n = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{n}");
        self.client("postgres")
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        Database {
            url: self.url(&name),
        }
    }

    fn url(&self, database: &str) -> String {
        let host = self.directory.replace('/', "%2F");
        format!("postgres://xiaoo@{host}/{database}")
    }

    async fn client(&self, database: &str) -> Client {
        connect(&self.url(database)).await
    }
}

impl Talk {
    fn hear(&mut self) -> String {
        self.answers.next().unwrap().unwrap()
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

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Ground for Database {
    const CASES: u32 = 12;

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
