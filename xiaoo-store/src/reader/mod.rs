//! A store looked at from outside, whoever has it open: checked, written out, counted.
//!
//! Nothing here writes. A daemon goes on beside it: each check is one short read, and
//! what is written out is read in small batches, so that a slow reader of it holds
//! up nobody. It also reads what a damaged file still gives.

mod checks;
mod postgres;
mod records;
mod sqlite;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use crate::error::{OpenError, StoreError};
use crate::limits::{DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT, millis};
use crate::url::StoreUrl;

pub use checks::{Check, Finding, Kind};
pub use records::{HistoryRecord, NoteRecord, Record, SendRecord, TurnRecord};

use postgres::PostgresReader;
use records::Table;
use sqlite::SqliteReader;

/// The version that brought notes. A store whose daemon is older can be read all the
/// same.
const NOTES_SINCE: i64 = 2;

/// A store, open for reading from outside.
pub struct StoreReader {
    source: Source,
}

enum Source {
    Sqlite(SqliteReader),
    Postgres(Box<PostgresReader>),
}

/// What is in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The version of its tables.
    pub schema: i64,
    /// Size of the database.
    pub bytes: u64,
    /// Events whose keys are kept.
    pub events: u64,
    /// Turns in each state.
    pub turns: BTreeMap<String, u64>,
    /// Steps recorded of turns that run.
    pub steps: u64,
    /// Outbox rows in each state.
    pub sends: BTreeMap<String, u64>,
    /// Rows of history.
    pub history: u64,
    /// Notes, expired ones among them.
    pub notes: u64,
}

/// What is old enough to be pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    /// Keys of events.
    pub events: u64,
    /// Turns that are done.
    pub turns: u64,
    /// Outbox rows that are sent.
    pub sent: u64,
    /// Outbox rows that were given up.
    pub dead: u64,
    /// Rows of history.
    pub history: u64,
    /// Notes that have expired.
    pub notes: u64,
}

/// The contents of a store, oldest first: turns, then what is not sent, then history,
/// then notes.
///
/// What can't be read is left out and counted in a [`Record::Unreadable`]. Each row
/// is as it was when it was read, which on a store in use is not one moment.
pub struct Export {
    source: Source,
    /// The tables that are not read to their end.
    tables: VecDeque<Table>,
    after: i64,
    unreadable: u64,
    read: VecDeque<Record>,
    failed: bool,
}

/// Some rows of one table, in the order of their ids.
struct Batch {
    records: Vec<Record>,
    /// Where the next one begins; `None` at the table's end.
    next_after: Option<i64>,
    /// Ids that could not be read on the way.
    unreadable: u64,
}

impl StoreReader {
    /// Opens a store that is there; makes and changes nothing.
    ///
    /// Blocks, as all of this does, and must not be called inside a runtime.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do.
    pub fn open(url: &StoreUrl) -> Result<Self, OpenError> {
        let source = match url {
            StoreUrl::Sqlite(path) => Source::Sqlite(SqliteReader::open(path)?),
            StoreUrl::Postgres(url) => Source::Postgres(Box::new(PostgresReader::open(url)?)),
        };
        Ok(Self { source })
    }

    /// Opens what can be read of a file that [`StoreReader::open`] finds damaged: a copy
    /// of it, made in that folder, with a first page that fits.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; on a server there is nothing like it.
    pub fn salvage(url: &StoreUrl, folder: &Path) -> Result<Self, OpenError> {
        let StoreUrl::Sqlite(path) = url else {
            return Self::open(url);
        };
        let copy = crate::sqlite::salvage(path, folder)?;
        Self::open(&StoreUrl::Sqlite(copy))
    }

    /// Counts what is there.
    ///
    /// # Errors
    ///
    /// Those of the disk and the server; [`StoreError::Corrupt`] for what can't be read.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        Ok(Inventory {
            schema: self.source.schema(),
            bytes: self.source.bytes()?,
            events: self.total("event")?,
            turns: self.count("SELECT state, count(*) FROM turn GROUP BY state")?,
            steps: self.total("step")?,
            sends: self.count("SELECT state, count(*) FROM outbox GROUP BY state")?,
            history: self.total("history")?,
            notes: self.notes("")?,
        })
    }

    /// All that is to be checked, in a good order.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        let own = match &self.source {
            Source::Sqlite(_) => checks::OF_SQLITE,
            Source::Postgres(_) => checks::OF_POSTGRES,
        };
        let is_there = |check: &&Check| check.since <= self.source.schema();
        let all = own.iter().chain(checks::OF_ALL);
        all.filter(is_there).copied().collect()
    }

    /// Does one of the checks.
    ///
    /// # Errors
    ///
    /// Those of the disk and the server; [`StoreError::Corrupt`] for what can't be read.
    pub fn check(&self, check: &Check) -> Result<Finding, StoreError> {
        match &self.source {
            Source::Sqlite(reader) => reader.check(check),
            Source::Postgres(reader) => reader.check(check),
        }
    }

    /// Counts what [`crate::Store::prune`] would remove at that time.
    ///
    /// # Errors
    ///
    /// Those of the disk and the server.
    pub fn prunable(&self, now_ms: i64) -> Result<Prunable, StoreError> {
        let older = |table: &str, column: &str, kept| {
            let before_ms = now_ms.saturating_sub(millis(kept));
            self.total(&format!("{table} WHERE {column} < {before_ms}"))
        };
        Ok(Prunable {
            events: older("event", "received_ms", KEYS_KEPT)?,
            turns: older("turn", "state = 'done' AND finished_ms", KEYS_KEPT)?,
            sent: older("outbox", "state = 'done' AND created_ms", KEYS_KEPT)?,
            dead: older("outbox", "state = 'dead' AND created_ms", DEAD_KEPT)?,
            history: older("history", "created_ms", HISTORY_KEPT)?,
            notes: self.notes(&format!("WHERE expires_ms <= {now_ms}"))?,
        })
    }

    /// Reads everything out.
    #[must_use]
    pub fn export(self) -> Export {
        let tables = [Table::Turn, Table::Send, Table::History, Table::Note];
        self.read_out(tables)
    }

    /// Reads the notes out, those that have expired among them.
    #[must_use]
    pub fn export_notes(self) -> Export {
        self.read_out([Table::Note])
    }

    fn read_out(self, tables: impl IntoIterator<Item = Table>) -> Export {
        let has_notes = self.source.schema() >= NOTES_SINCE;
        let is_there = |table: &Table| *table != Table::Note || has_notes;
        Export {
            source: self.source,
            tables: tables.into_iter().filter(is_there).collect(),
            after: i64::MIN,
            unreadable: 0,
            read: VecDeque::new(),
            failed: false,
        }
    }

    /// Counts notes, if the store has any yet.
    fn notes(&self, which: &str) -> Result<u64, StoreError> {
        if self.source.schema() < NOTES_SINCE {
            return Ok(0);
        }
        self.total(&format!("note {which}"))
    }

    fn total(&self, rows: &str) -> Result<u64, StoreError> {
        let counts = self.count(&format!("SELECT '', count(*) FROM {rows}"))?;
        Ok(counts.values().sum())
    }

    /// Pairs of a name and a count.
    fn count(&self, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        match &self.source {
            Source::Sqlite(reader) => reader.count(sql),
            Source::Postgres(reader) => reader.count(sql),
        }
    }
}

impl Source {
    fn schema(&self) -> i64 {
        match self {
            Self::Sqlite(reader) => reader.schema(),
            Self::Postgres(reader) => reader.schema(),
        }
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(reader) => reader.bytes(),
            Self::Postgres(reader) => reader.bytes(),
        }
    }

    fn batch(&self, table: Table, after: i64) -> Result<Batch, StoreError> {
        match self {
            Self::Sqlite(reader) => reader.batch(table, after),
            Self::Postgres(reader) => reader.batch(table, after),
        }
    }
}

impl Prunable {
    /// Rows in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.events + self.turns + self.sent + self.dead + self.history + self.notes
    }
}

impl Iterator for Export {
    type Item = Result<Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.read.is_empty() && !self.failed {
            let table = *self.tables.front()?;
            if let Err(error) = self.read_on(table) {
                self.failed = true;
                return Some(Err(error));
            }
        }
        self.read.pop_front().map(Ok)
    }
}

impl Export {
    fn read_on(&mut self, table: Table) -> Result<(), StoreError> {
        let batch = self.source.batch(table, self.after)?;
        self.read.extend(batch.records);
        self.unreadable = self.unreadable.saturating_add(batch.unreadable);
        match batch.next_after {
            Some(after) => self.after = after,
            None => {
                self.tables.pop_front();
                self.after = i64::MIN;
                let ids = core::mem::take(&mut self.unreadable);
                if ids > 0 {
                    let table = table.name();
                    self.read.push_back(Record::Unreadable { table, ids });
                }
            }
        }
        Ok(())
    }
}
