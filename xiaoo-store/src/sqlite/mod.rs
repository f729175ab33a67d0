//! The SQLite engine: files and threads here, transactions in the modules below.
//!
//! `admission`, `turns`, `outbox`, `history` and `upkeep` are plain functions
//! over a connection that is inside a transaction: they neither begin nor commit
//! one, know no thread and no clock, and each leaves the invariants of `schema`
//! intact.

mod admission;
mod checkpoint;
mod files;
mod history;
mod outbox;
mod reader;
mod schema;
mod turns;
mod upkeep;
mod writer;

#[cfg(test)]
mod cost_tests;

use core::sync::atomic::AtomicU64;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, watch};

use crate::error::{OpenError, StoreError};
use crate::limits::{COMMANDS_MAX, READS_MAX};
use crate::types::Health;

pub(crate) use admission::{Bounds, admit, check_event};
pub(crate) use history::{clear_history, history};
pub(crate) use outbox::{
    outbox_dead, outbox_done, outbox_next_ms, outbox_retry, outbox_take, outbox_untake,
};
pub(crate) use turns::{
    check_result, check_sign, check_step, claim, finish, note_sign, note_step, release, steps,
};
pub(crate) use upkeep::{prune, stats};
pub(crate) use writer::{Delivery, Gauges, Needed, Undo};

use checkpoint::Checkpointer;
use files::Lock;
use reader::Query;
use writer::{Job, Orphans, Writer};

/// How long SQLite waits for a lock that another program holds, a backup or a
/// shell; below the patience of an admission.
const BUSY_TIMEOUT_MS: u32 = 500;

/// Page cache of each connection. What the store touches is at the ends of its
/// tables; a larger cache would hold old rows that nobody asks for.
const CACHE_KIB: u32 = 1_024;

/// Prepared statements kept by a connection: all there are.
const STATEMENTS_MAX: usize = 64;

/// Size to which the write-ahead log is cut back when it starts anew.
const WAL_KEPT_BYTES: u32 = 8 << 20;

/// The ways to the threads; weak, so that the guard's end is the store's end.
#[derive(Clone)]
pub(crate) struct Engine {
    commands: mpsc::WeakSender<Box<dyn Job>>,
    reads: mpsc::WeakSender<Query>,
    orphans: Arc<Orphans>,
    counters: Arc<Counters>,
    health: watch::Receiver<Health>,
}

/// What the threads count since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) commands: AtomicU64,
}

/// The threads and what keeps them alive.
pub(crate) struct Threads {
    commands: Option<mpsc::Sender<Box<dyn Job>>>,
    reads: Option<mpsc::Sender<Query>>,
    handles: Vec<JoinHandle<()>>,
    health: watch::Receiver<Health>,
    /// Released last, when nothing touches the file any more.
    _lock: Lock,
}

/// Opens the file and starts the threads.
pub(crate) fn open(
    path: &Path,
    file_bytes_max: Option<u64>,
) -> Result<(Engine, Threads), OpenError> {
    let lock = files::prepare(path)?;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);

    let mut db = connect(path).map_err(sqlite)?;
    schema::prepare(path, &mut db)?;
    if let Some(bytes) = file_bytes_max {
        schema::bound_size(&db, bytes).map_err(sqlite)?;
    }
    let gauges = upkeep::recover(&mut db).map_err(sqlite)?;
    let read_db = connect(path).map_err(sqlite)?;
    read_db
        .pragma_update(None, "query_only", true)
        .map_err(sqlite)?;
    let checkpoint_db = connect(path).map_err(sqlite)?;

    let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
    let (reads, read_queue) = mpsc::channel(READS_MAX);
    let (health, health_seen) = watch::channel(Health::Good);
    let orphans = Arc::new(Orphans::new(commands.downgrade()));
    let counters = Arc::new(Counters::default());

    let (checkpointer, nudge) = Checkpointer::new(checkpoint_db, &mut db).map_err(sqlite)?;
    let writer = Writer {
        db,
        queue: command_queue,
        orphans: Arc::clone(&orphans),
        gauges,
        counters: Arc::clone(&counters),
        health,
        nudge,
    };
    let mut threads = Threads {
        commands: None,
        reads: None,
        handles: Vec::with_capacity(3),
        health: health_seen.clone(),
        _lock: lock,
    };
    let engine = Engine {
        commands: commands.downgrade(),
        reads: reads.downgrade(),
        orphans,
        counters,
        health: health_seen,
    };
    let started: io::Result<()> = [
        spawn("store-write", move || writer.run()),
        spawn("store-read", move || reader::run(&read_db, read_queue)),
        spawn("store-checkpoint", move || checkpointer.run()),
    ]
    .into_iter()
    .try_for_each(|handle| {
        threads.handles.push(handle?);
        Ok(())
    });
    threads.commands = Some(commands);
    threads.reads = Some(reads);
    started.map_err(|source| OpenError::Files {
        path: path.to_path_buf(),
        source,
    })?;
    Ok((engine, threads))
}

impl Engine {
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        needed: Needed,
        undo: Option<Undo<T>>,
        operation: impl FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Delivery<T>, StoreError> {
        let (job, answer) = writer::call(needed, undo, &self.orphans, operation);
        {
            let commands = self.commands.upgrade().ok_or(StoreError::Closed)?;
            commands.send(job).await.map_err(|_| StoreError::Closed)?;
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (query, answer) = reader::call(query);
        {
            let reads = self.reads.upgrade().ok_or(StoreError::Closed)?;
            reads.send(query).await.map_err(|_| StoreError::Closed)?;
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }
}

#[cfg(test)]
impl Engine {
    pub(crate) fn test_commands(&self) -> mpsc::Sender<Box<dyn Job>> {
        self.commands.upgrade().unwrap()
    }
}

#[cfg(test)]
pub(crate) fn test_call<T: Send + 'static>(
    engine: &Engine,
    operation: impl FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError> + Send + 'static,
) -> (
    Box<dyn Job>,
    tokio::sync::oneshot::Receiver<writer::Answer<T>>,
) {
    writer::call(Needed::Always, None, &engine.orphans, operation)
}

impl Threads {
    /// Ends the threads when they have done what waits for them.
    pub(crate) fn join(&mut self) -> Health {
        self.commands = None;
        self.reads = None;
        for handle in self.handles.drain(..) {
            // A panic there has already been told: see `Writer::run`.
            drop(handle.join());
        }
        self.health.borrow().clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.join();
    }
}

/// Shortens a text to at most `bytes_max` bytes, at a character's edge.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    // A character has at most 4 bytes, so one of the last 4 positions is an edge.
    (0..4)
        .filter_map(|back| text.get(..bytes_max.checked_sub(back)?))
        .next()
        .unwrap_or(text)
}

/// Refuses a value that is longer than its bound.
fn bounded(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max {
        return Err(StoreError::TooLarge { what, size, max });
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // No CREATE: the file is made with its mode beforehand. No URI: a path with a
    // question mark is a path. No mutex: each connection stays in one thread.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    db.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    db.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // Every commit is synced, and on macOS really so.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(db)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
