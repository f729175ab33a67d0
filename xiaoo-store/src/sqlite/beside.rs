//! Notes of a file, changed by another process than the one that has it open.
//!
//! The lock and the recovery are the daemon's. A change is one transaction, as any of the
//! writer's, and the daemon's next look at the note sees it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::writer::Gauges;
use super::{connect, notes, open_read_only, schema};
use crate::command::{Bounds, size};
use crate::error::{OpenError, StoreError};
use crate::note::{Note, NotePut, PutNote};

/// How long it waits for the daemon's commits, and for a slow disk under them.
const BUSY_TIMEOUT_MS: u32 = 10_000;

/// A file whose notes are changed.
pub(crate) struct Beside {
    db: Connection,
    bounds: Bounds,
}

impl Beside {
    /// Opens a file that is there; a daemon brings its tables up to date.
    pub(crate) fn open(path: &Path, bounds: Bounds) -> Result<Self, OpenError> {
        let (_, found) = open_read_only(path)?;
        if found != schema::newest() {
            return Err(OpenError::OlderSchema {
                path: path.to_path_buf(),
                found,
                known: schema::newest(),
            });
        }
        let open = || {
            let db = connect(path)?;
            db.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
            // The log is the daemon's to fold in.
            db.pragma_update(None, "wal_autocheckpoint", 0)?;
            Ok(db)
        };
        let db = open().map_err(|error| OpenError::from_sqlite(path, &error))?;
        Ok(Self { db, bounds })
    }

    pub(crate) fn put(&mut self, put: &PutNote) -> Result<NotePut, StoreError> {
        let bounds = self.bounds;
        self.change(|tx, gauges| notes::put(tx, gauges, &bounds, put))
    }

    pub(crate) fn delete(
        &mut self,
        scope: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<Option<Note>, StoreError> {
        self.change(|tx, gauges| notes::delete(tx, gauges, scope, key, now_ms))
    }

    pub(crate) fn note(
        &self,
        scope: &str,
        key: &str,
        now_ms: i64,
    ) -> Result<Option<Note>, StoreError> {
        notes::note(&self.db, scope, key, now_ms)
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection, &mut Gauges) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let notes = tx.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?;
        let mut gauges = Gauges {
            notes: size(notes) as u64,
            ..Gauges::default()
        };
        let changed = change(&tx, &mut gauges)?;
        tx.commit()?;
        Ok(changed)
    }
}
