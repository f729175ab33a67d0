//! Notes: read and written by one who may have to prove what he has read.
//!
//! Each writing is a new row in place of the old one, so that the table's own promise,
//! no id twice, is that of the versions.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::turns::read_body;
use super::writer::Gauges;
use crate::command::Bounds;
use crate::error::StoreError;
use crate::limits::{NOTES_PER_SCOPE_MAX, PRUNE_BATCH_MAX};
use crate::note::{Note, NotePut, PutNote};

/// Writes a note, if what is there is what is expected.
pub(super) fn put(
    tx: &Connection,
    gauges: &mut Gauges,
    bounds: &Bounds,
    put: &PutNote,
) -> Result<NotePut, StoreError> {
    let found = find(tx, &put.scope, &put.key)?;
    let is_new = found.is_none();
    let current = found.filter(|note| note.is_live(put.now_ms));
    if !put.expect.is_met(current.as_ref()) {
        return Ok(NotePut::Conflict { current });
    }
    if is_new {
        make_room(tx, gauges, bounds, put)?;
        gauges.notes = gauges.notes.saturating_add(1);
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO note (scope, key, expires_ms, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![put.scope, put.key, put.expires_ms, &*put.body])?;
    Ok(NotePut::Done {
        version: tx.last_insert_rowid(),
    })
}

/// Takes a note away; what had expired is taken away, too, but was not there.
pub(super) fn delete(
    tx: &Connection,
    gauges: &mut Gauges,
    scope: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<Note>, StoreError> {
    let found = find(tx, scope, key)?;
    let removed = tx
        .prepare_cached("DELETE FROM note WHERE scope = ?1 AND key = ?2")?
        .execute([scope, key])?;
    gauges.notes = gauges.notes.saturating_sub(removed as u64);
    Ok(found.filter(|note| note.is_live(now_ms)))
}

/// The note of that name.
pub(super) fn note(
    db: &Connection,
    scope: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<Note>, StoreError> {
    Ok(find(db, scope, key)?.filter(|note| note.is_live(now_ms)))
}

/// The notes of a scope, by their keys.
pub(super) fn notes(
    db: &Connection,
    scope: &str,
    max: usize,
    now_ms: i64,
) -> Result<Vec<(String, Note)>, StoreError> {
    let max = i64::try_from(max.min(NOTES_PER_SCOPE_MAX)).unwrap_or(i64::MAX);
    let notes = db
        .prepare_cached(
            "SELECT id, expires_ms, body, key FROM note
             WHERE scope = ?1 AND (expires_ms IS NULL OR expires_ms > ?2) ORDER BY key LIMIT ?3",
        )?
        .query_map(params![scope, now_ms, max], |row| {
            Ok((row.get(3)?, read_note(row)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(notes)
}

/// Removes notes that have expired, those that did so first.
pub(super) fn remove_expired(
    tx: &Connection,
    gauges: &mut Gauges,
    now_ms: i64,
    batch: i64,
) -> Result<usize, StoreError> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM note WHERE id IN
             (SELECT id FROM note WHERE expires_ms <= ?1 ORDER BY expires_ms, id LIMIT ?2)",
        )?
        .execute([now_ms, batch])?;
    gauges.notes = gauges.notes.saturating_sub(removed as u64);
    Ok(removed)
}

/// Sees to it that there is room for one more; what has expired has to go if need be.
fn make_room(
    tx: &Connection,
    gauges: &mut Gauges,
    bounds: &Bounds,
    put: &PutNote,
) -> Result<(), StoreError> {
    let max = NOTES_PER_SCOPE_MAX;
    let in_scope: i64 = tx
        .prepare_cached("SELECT count(*) FROM note WHERE scope = ?1")?
        .query_row([&put.scope], |row| row.get(0))?;
    if crate::command::size(in_scope) >= max {
        let removed = tx
            .prepare_cached("DELETE FROM note WHERE scope = ?1 AND expires_ms <= ?2")?
            .execute(params![put.scope, put.now_ms])?;
        if removed == 0 {
            return Err(StoreError::ScopeFull { max });
        }
        gauges.notes = gauges.notes.saturating_sub(removed as u64);
    }
    let max = bounds.notes_max;
    if gauges.notes >= max {
        let batch = i64::try_from(PRUNE_BATCH_MAX).unwrap_or(i64::MAX);
        remove_expired(tx, gauges, put.now_ms, batch)?;
    }
    if gauges.notes >= max {
        return Err(StoreError::NotesFull { max });
    }
    Ok(())
}

/// The row of that name, expired or not.
fn find(db: &Connection, scope: &str, key: &str) -> Result<Option<Note>, StoreError> {
    let note = db
        .prepare_cached("SELECT id, expires_ms, body FROM note WHERE scope = ?1 AND key = ?2")?
        .query_row([scope, key], read_note)
        .optional()?;
    Ok(note)
}

fn read_note(row: &rusqlite::Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note {
        version: row.get(0)?,
        expires_ms: row.get(1)?,
        body: read_body(row, 2)?,
    })
}
