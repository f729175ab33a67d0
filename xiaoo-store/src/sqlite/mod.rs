//! The SQLite engine: files and threads here, transactions in the modules below.
//!
//! `admission`, `turns`, `outbox`, `history`, `notes` and `upkeep` are plain functions
//! over a connection that is inside a transaction: they neither begin nor commit
//! one, know no thread and no clock, and each leaves the invariants of `schema`
//! intact.

mod admission;
mod beside;
mod checkpoint;
mod files;
mod history;
mod notes;
mod outbox;
mod reader;
mod salvage;
mod schema;
mod tail;
mod turns;
mod upkeep;
mod whole;
mod writer;

#[cfg(test)]
mod cost_tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};

use crate::command::Bounds;
use crate::desk::{self, Behind, Desk, Threads};
use crate::error::OpenError;

#[cfg(test)]
pub(crate) use writer::Gauges;

pub(crate) use beside::Beside;
pub(crate) use salvage::copy as salvage;
pub(crate) use schema::differences as schema_differences;
pub(crate) use whole::cut_off;

use checkpoint::Checkpointer;
use writer::Writer;

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

/// Opens the file and starts the threads.
pub(crate) fn open(path: &Path, bounds: Bounds) -> Result<(Desk, Threads), OpenError> {
    let closing = Closing {
        path: path.to_path_buf(),
        _lock: files::prepare(path)?,
    };
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);

    if files::exists(path)? {
        whole::verify(path)?;
    } else {
        files::make(path, |unnamed| {
            let mut db = connect(unnamed).map_err(sqlite)?;
            schema::prepare(path, &mut db)
        })?;
    }
    let mut db = connect(path).map_err(sqlite)?;
    schema::prepare(path, &mut db)?;
    if let Some(bytes) = bounds.file_bytes_max {
        schema::bound_size(&db, bytes).map_err(sqlite)?;
    }
    let gauges = upkeep::recover(&mut db).map_err(sqlite)?;
    let read_db = connect(path).map_err(sqlite)?;
    read_db
        .pragma_update(None, "query_only", true)
        .map_err(sqlite)?;
    let checkpoint_db = connect(path).map_err(sqlite)?;

    let (desk, mut threads, behind) = desk::open(Some(Box::new(closing)));
    let Behind {
        commands,
        reads,
        orphans,
        told,
    } = behind;
    let counters = Arc::clone(&told.counters);
    let room = files::beside(path, ".room");
    let (checkpointer, nudge) =
        Checkpointer::new(checkpoint_db, &mut db, told.clone(), room).map_err(sqlite)?;
    let writer = Writer {
        db,
        queue: commands,
        orphans,
        bounds,
        gauges,
        told,
        nudge,
    };
    let started: io::Result<()> = [
        spawn("store-write", move || writer.run()),
        spawn("store-read", move || {
            reader::run(&read_db, &counters, reads)
        }),
        spawn("store-checkpoint", move || checkpointer.run()),
    ]
    .into_iter()
    .try_for_each(|handle| {
        threads.add(handle?);
        Ok(())
    });
    started.map_err(|source| OpenError::Files {
        path: path.to_path_buf(),
        source,
    })?;
    Ok((desk, threads))
}

/// The end of a store, when its threads have ended.
struct Closing {
    path: PathBuf,
    _lock: files::Lock,
}

impl Drop for Closing {
    /// The last connection to close folds the log in. The threads' close at the same
    /// time, and each may take the others for still open; so there is one more. What
    /// it can't do is done at the next start.
    fn drop(&mut self) {
        if let Ok(db) = connect(&self.path) {
            drop(db.query_row("PRAGMA schema_version", [], |_| Ok(())));
        }
    }
}

/// Opens a file beside whoever has it open, and says which version its tables have.
pub(crate) fn open_read_only(path: &Path) -> Result<(Connection, i64), OpenError> {
    files::look_for(path)?;
    let open = |name: &Path, flags: OpenFlags| {
        let db = connect_with(name, flags | OpenFlags::SQLITE_OPEN_READ_ONLY);
        let db = db.map_err(|error| OpenError::from_sqlite(path, &error))?;
        let found = schema::identify(path, &db)?;
        Ok((db, found))
    };
    let (db, found) = match open(path, OpenFlags::empty()) {
        // SQLite makes a log even to read. Where none can be made nobody writes either,
        // and the file is whole without one.
        Err(OpenError::Sqlite { .. }) if !files::beside(path, "-wal").exists() => {
            let uri = files::immutable_uri(path);
            open(Path::new(&uri), OpenFlags::SQLITE_OPEN_URI)?
        }
        opened => opened?,
    };
    if found.is_new {
        return Err(OpenError::no_store(path.display()));
    }
    Ok((db, found.version))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // No CREATE: the file is made with its mode beforehand.
    let db = connect_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Every commit is synced, and on macOS really so.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(db)
}

fn connect_with(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // No URI unless it is one: a path with a question mark is a path. No mutex: each
    // connection stays in one thread.
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    db.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    db.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
