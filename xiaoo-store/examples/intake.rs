//! How many events a second the store takes in, each durable before it is answered:
//! 64 producers, bodies of 1.2 KB, five events to a conversation.
//!
//! ```text
//! cargo run --release -p xiaoo-store --example intake                  both engines
//! cargo run --release -p xiaoo-store --example intake -- sqlite:PATH
//! cargo run --release -p xiaoo-store --example intake -- postgres://…
//! ```
//!
//! Without an address it takes a directory and a private PostgreSQL server of its own
//! (with fsync on), and fails below 5,000 and 2,000 events a second.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xiaoo_store::{Admission, NewEvent, NewTurn, Store, StoreOptions, StoreUrl};

/// As many as wait when Feishu pushes over many connections at once.
const PRODUCERS: usize = 64;

/// Long enough to see checkpoints of the log.
const LASTS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if let Some(url) = std::env::args().nth(1) {
        measure(&url.parse()?).await?;
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let sqlite = measure(&StoreUrl::sqlite(directory.path().join("store.db"))).await?;
    let (mut server, url) = start_server()?;
    let postgres = measure(&url.parse()?).await;
    // The end of its input is the server's end.
    drop(server.stdin.take());
    server.wait()?;
    if sqlite < 5_000.0 || postgres? < 2_000.0 {
        return Err("below 5,000 events a second on SQLite or 2,000 on PostgreSQL".into());
    }
    Ok(())
}

/// Events a second.
async fn measure(url: &StoreUrl) -> Result<f64, Box<dyn Error>> {
    let options = StoreOptions {
        queued_max: u64::MAX,
        ..StoreOptions::default()
    };
    let (store, guard) = Store::open(url, options)?;
    let started = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(produce(store.clone(), producer, started)))
        .collect();
    let mut took = Vec::new();
    for producer in producers {
        took.extend(producer.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let stats = store.stats().await?;
    drop(guard);

    took.sort_unstable();
    let at = |part: usize| {
        took.get(took.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let rate = took.len() as f64 / seconds;
    println!(
        "{url}: {rate:.0} events/s, {} to a commit; half within {:?}, 99 % within {:?}, all within {:?}",
        stats.commands / stats.commits.max(1),
        at(50),
        at(99),
        took.last().copied().unwrap_or_default(),
    );
    Ok(rate)
}

/// Admits one event after another, and says how long each took.
async fn produce(
    store: Store,
    producer: usize,
    started: Instant,
) -> Result<Vec<Duration>, xiaoo_store::StoreError> {
    let run = std::process::id();
    let mut took = Vec::new();
    while started.elapsed() < LASTS {
        let n = took.len();
        let event = NewEvent {
            app: "cli_bench".to_owned(),
            event_id: format!("e-{run}-{producer}-{n}"),
            message_id: Some(format!("om-{run}-{producer}-{n}")),
            received_ms: 1_700_000_000_000,
            work: Some(NewTurn {
                conversation: format!("oc-{run}-{producer}-{}", n / 5),
                kind: "message".to_owned(),
                body: vec![b'x'; 1_200].into(),
                urgent: false,
            }),
        };
        let asked = Instant::now();
        let admission = store.admit(event).await?;
        debug_assert!(matches!(admission, Admission::New(_)));
        took.push(asked.elapsed());
    }
    Ok(took)
}

/// A private server with fsync on, and the address of a database on it.
fn start_server() -> Result<(Child, String), Box<dyn Error>> {
    let mut server = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres.sh"))
        .env("XIAOO_TEST_FSYNC", "on")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut answer = String::new();
    if let Some(output) = server.stdout.take() {
        BufReader::new(output).read_line(&mut answer)?;
    }
    let Some(directory) = answer.trim().strip_prefix("ready ") else {
        return Err(answer.into());
    };
    let host = directory.replace('/', "%2F");
    Ok((server, format!("postgres://xiaoo@{host}/postgres")))
}
