//! A private PostgreSQL server for the tests of one run.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use tokio_postgres::{Client, NoTls};

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
        // From this crate, and from those beside it.
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../xiaoo-store/tests/postgres.sh"
        );
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

    /// The server hangs while this lives: also a test that fails lets it go on, for whoever waits
    /// for the server to end.
    pub(crate) fn frozen(&self) -> Frozen<'_> {
        self.tell("freeze");
        Frozen(self)
    }

    /// "stop", "start".
    pub(crate) fn tell(&self, word: &str) {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.words, "{word}").unwrap();
        assert_eq!(talk.hear(), "done");
    }

    /// From the next start on the server is a standby, until it is promoted.
    pub(crate) fn will_be_a_standby(&self) {
        std::fs::write(format!("{}/data/standby.signal", self.directory), "").unwrap();
    }

    /// The URL of a new, empty database.
    pub(crate) async fn new_url(&self) -> String {
        let n = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{n}");
        connect(&self.url("postgres"))
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        self.url(&name)
    }

    /// The URL of a database, there or not.
    pub(crate) fn url(&self, database: &str) -> String {
        let host = self.directory.replace('/', "%2F");
        format!("postgres://xiaoo@{host}/{database}")
    }
}

/// See [`Cluster::frozen`].
pub(crate) struct Frozen<'a>(&'a Cluster);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.tell("thaw");
    }
}

impl Talk {
    fn hear(&mut self) -> String {
        self.answers.next().unwrap().unwrap()
    }
}

/// Past the store.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
