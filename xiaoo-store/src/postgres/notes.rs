//! Notes: read and written by one who may have to prove what he has read.
//!
//! Whoever changes one holds the lock of its scope, see `batch`: so between the
//! statements of one change no other is made, and what is given out as versions of one
//! note grows. What has expired may be pruned by others at any moment, who pass by what
//! is locked.

use tokio_postgres::{Error, Row};

use super::commands::{Ran, read_body};
use super::link::Link;
use crate::command::{Answer, size};
use crate::error::StoreError;
use crate::limits::{NOTES_PER_SCOPE_MAX, PRUNE_BATCH_MAX};
use crate::note::{Note, NotePut, PutNote};

/// How many new notes there is room for in the store, as far as we know.
pub(super) struct Room {
    pub(super) left: u64,
    pub(super) max: u64,
}

/// Writes a note, if what is there is what is expected.
pub(super) async fn put(link: &Link, put: &PutNote, room: &mut Room) -> Ran {
    let sql = "SELECT id, expires_ms, body FROM note WHERE scope = $1 AND key = $2 FOR UPDATE";
    let found = link.maybe_row(sql, &[&put.scope, &put.key]).await?;
    let is_new = found.is_none();
    let current = found
        .map(|row| read_note(&row))
        .filter(|note| note.is_live(put.now_ms));
    if !put.expect.is_met(current.as_ref()) {
        return Ok(Ok(Answer::NotePut(NotePut::Conflict { current })));
    }
    if is_new {
        if let Err(refused) = make_room(link, put, room).await? {
            return Ok(Err(refused));
        }
        room.left = room.left.saturating_sub(1);
    }
    let sql = "INSERT INTO note (scope, key, expires_ms, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (scope, key) DO UPDATE
         SET id = DEFAULT, expires_ms = excluded.expires_ms, body = excluded.body
         RETURNING id";
    let row = link
        .row(sql, &[&put.scope, &put.key, &put.expires_ms, &&*put.body])
        .await?;
    let version = row.get(0);
    Ok(Ok(Answer::NotePut(NotePut::Done { version })))
}

/// Takes a note away; what had expired is taken away, too, but was not there.
pub(super) async fn delete(
    link: &Link,
    scope: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<Note>, Error> {
    let sql = "DELETE FROM note WHERE scope = $1 AND key = $2 RETURNING id, expires_ms, body";
    let removed = link.maybe_row(sql, &[&scope, &key]).await?;
    let removed = removed.map(|row| read_note(&row));
    Ok(removed.filter(|note| note.is_live(now_ms)))
}

/// The note of that name.
pub(super) async fn note(
    link: &Link,
    scope: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<Note>, Error> {
    let sql = "SELECT id, expires_ms, body FROM note WHERE scope = $1 AND key = $2";
    let found = link.maybe_row(sql, &[&scope, &key]).await?;
    let found = found.map(|row| read_note(&row));
    Ok(found.filter(|note| note.is_live(now_ms)))
}

/// The notes of a scope, by their keys.
pub(super) async fn notes(
    link: &Link,
    scope: &str,
    max: usize,
    now_ms: i64,
) -> Result<Vec<(String, Note)>, Error> {
    let sql = "SELECT id, expires_ms, body, key FROM note
         WHERE scope = $1 AND (expires_ms IS NULL OR expires_ms > $2)
         ORDER BY key COLLATE \"C\" LIMIT $3";
    let max = i64::try_from(max.min(NOTES_PER_SCOPE_MAX)).unwrap_or(i64::MAX);
    let rows = link.rows(sql, &[&scope, &now_ms, &max]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(3), read_note(row)))
        .collect())
}

/// Removes notes that have expired, those that did so first.
pub(super) async fn remove_expired(link: &Link, now_ms: i64, batch: i64) -> Result<u64, Error> {
    // By their version: who was written anew in this moment stays.
    let sql = "DELETE FROM note WHERE id IN
         (SELECT id FROM note WHERE expires_ms <= $1 ORDER BY expires_ms, id LIMIT $2
          FOR UPDATE SKIP LOCKED)";
    link.run(sql, &[&now_ms, &batch]).await
}

/// Sees to it that there is room for one more; what has expired has to go if need be.
async fn make_room(
    link: &Link,
    put: &PutNote,
    room: &mut Room,
) -> Result<Result<(), StoreError>, Error> {
    let max = NOTES_PER_SCOPE_MAX;
    let sql = "SELECT count(*) FROM note WHERE scope = $1";
    let in_scope = link.row(sql, &[&put.scope]).await?;
    if size(in_scope.get(0)) >= max {
        let sql = "DELETE FROM note WHERE scope = $1 AND expires_ms <= $2";
        let removed = link.run(sql, &[&put.scope, &put.now_ms]).await?;
        if removed == 0 {
            return Ok(Err(StoreError::ScopeFull { max }));
        }
        room.left = room.left.saturating_add(removed);
    }
    if room.left == 0 {
        let batch = i64::try_from(PRUNE_BATCH_MAX).unwrap_or(i64::MAX);
        room.left = remove_expired(link, put.now_ms, batch).await?;
    }
    if room.left == 0 {
        return Ok(Err(StoreError::NotesFull { max: room.max }));
    }
    Ok(Ok(()))
}

fn read_note(row: &Row) -> Note {
    Note {
        version: row.get(0),
        expires_ms: row.get(1),
        body: read_body(row, 2),
    }
}
