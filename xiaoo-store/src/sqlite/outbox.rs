//! What is to be sent: each conversation's rows strictly one after another.
//!
//! A settle names the row and its try, as a turn's writes name their epoch.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::turns::read_body;
use crate::command::fenced;
use crate::error::StoreError;
use crate::limits::OUTBOX_TAKE_MAX;
use crate::types::{Fenced, OutboxKey, OutboxRow, TurnId, TurnResult};

/// Adds what a turn wants sent, behind what its conversation has waiting.
pub(super) fn append(
    tx: &Connection,
    conversation: &str,
    turn: TurnId,
    result: &TurnResult,
) -> Result<(), StoreError> {
    // Due at once, whatever a clock that may be set back later says.
    let mut insert = tx.prepare_cached(
        "INSERT INTO outbox
         (state, conversation, turn_id, created_ms, uuid, kind, not_before_ms)
         VALUES ('waiting', ?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT (uuid) DO NOTHING",
    )?;
    let mut insert_body =
        tx.prepare_cached("INSERT INTO outbox_body (outbox_id, body) VALUES (?1, ?2)")?;
    for row in &result.outbox {
        let added = insert.execute(params![
            conversation,
            turn.0,
            result.finished_ms,
            row.uuid,
            row.kind,
        ])?;
        if added > 0 {
            insert_body.execute(params![tx.last_insert_rowid(), &*row.body])?;
        } else {
            tracing::warn!(%turn, uuid = row.uuid, "a send that is in the outbox already was not added again");
        }
    }
    promote(tx, conversation)
}

/// Takes the rows that are due, the longest due first.
pub(super) fn outbox_take(
    tx: &Connection,
    now_ms: i64,
    max: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let max = i64::try_from(max.min(OUTBOX_TAKE_MAX)).unwrap_or(i64::MAX);
    let mut rows = tx
        .prepare_cached(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1,
                    first_try_at_ms = coalesce(first_try_at_ms, ?1)
             WHERE id IN (SELECT id FROM outbox WHERE state = 'ready' AND not_before_ms <= ?1
                          ORDER BY not_before_ms, id LIMIT ?2)
             RETURNING id, attempts, turn_id, conversation, uuid, kind, first_try_at_ms, error,
                       (SELECT body FROM outbox_body WHERE outbox_id = outbox.id)",
        )?
        .query_map(params![now_ms, max], |row| {
            Ok(OutboxRow {
                key: OutboxKey {
                    id: row.get(0)?,
                    attempt: row.get(1)?,
                },
                turn: TurnId(row.get(2)?),
                conversation: row.get(3)?,
                uuid: row.get(4)?,
                kind: row.get(5)?,
                first_try_at_ms: row.get(6)?,
                error: row.get(7)?,
                body: read_body(row, 8)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.sort_unstable_by_key(|row| row.key.id);
    Ok(rows)
}

/// Puts back a row that nobody has begun to send.
pub(super) fn outbox_untake(tx: &Connection, key: OutboxKey) -> Result<Fenced, StoreError> {
    // The try's number stays spent, since a number names one owner. A first try
    // that was not made must not start the uuid's hour.
    let changed = tx
        .prepare_cached(
            "UPDATE outbox SET state = 'ready',
                    first_try_at_ms = CASE attempts WHEN 1 THEN NULL ELSE first_try_at_ms END
             WHERE id = ?1 AND attempts = ?2 AND state = 'sending'",
        )?
        .execute(params![key.id, key.attempt])?;
    Ok(fenced(changed > 0))
}

/// When the next row is due.
pub(super) fn outbox_next_ms(db: &Connection) -> Result<Option<i64>, StoreError> {
    let due = db
        .prepare_cached(
            "SELECT not_before_ms FROM outbox WHERE state = 'ready' ORDER BY not_before_ms LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(due)
}

/// The row is sent.
pub(super) fn outbox_done(
    tx: &Connection,
    key: OutboxKey,
    external_id: &str,
) -> Result<Fenced, StoreError> {
    let conversation = tx
        .prepare_cached(
            "UPDATE outbox SET state = 'done', external_id = ?3, error = NULL
             WHERE id = ?1 AND attempts = ?2 AND state = 'sending' RETURNING conversation",
        )?
        .query_row(params![key.id, key.attempt, external_id], |row| row.get(0))
        .optional()?;
    if conversation.is_some() {
        tx.prepare_cached("DELETE FROM outbox_body WHERE outbox_id = ?1")?
            .execute([key.id])?;
    }
    settled(tx, conversation)
}

/// The row is given up; its body stays for people to look at.
pub(super) fn outbox_dead(
    tx: &Connection,
    key: OutboxKey,
    reason: &str,
) -> Result<Fenced, StoreError> {
    let conversation = tx
        .prepare_cached(
            "UPDATE outbox SET state = 'dead', error = ?3
             WHERE id = ?1 AND attempts = ?2 AND state = 'sending' RETURNING conversation",
        )?
        .query_row(params![key.id, key.attempt, reason], |row| row.get(0))
        .optional()?;
    settled(tx, conversation)
}

/// The row is to be tried again; it stays at the head of its conversation.
pub(super) fn outbox_retry(
    tx: &Connection,
    key: OutboxKey,
    not_before_ms: i64,
    error: &str,
) -> Result<Fenced, StoreError> {
    let changed = tx
        .prepare_cached(
            "UPDATE outbox SET state = 'ready', not_before_ms = ?3, error = ?4
             WHERE id = ?1 AND attempts = ?2 AND state = 'sending'",
        )?
        .execute(params![key.id, key.attempt, not_before_ms, error])?;
    Ok(fenced(changed > 0))
}

/// Moves the conversation's next row up, if this one was settled.
fn settled(tx: &Connection, conversation: Option<String>) -> Result<Fenced, StoreError> {
    let Some(conversation) = conversation else {
        return Ok(Fenced::Replaced);
    };
    promote(tx, &conversation)?;
    Ok(Fenced::Done)
}

/// Makes the conversation's oldest waiting row its head, unless it has one.
fn promote(tx: &Connection, conversation: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE outbox SET state = 'ready' WHERE id =
         (SELECT id FROM outbox WHERE conversation = ?1 AND state = 'waiting' ORDER BY id LIMIT 1)
         AND NOT EXISTS (SELECT 1 FROM outbox
                         WHERE conversation = ?1 AND state IN ('ready', 'sending'))",
    )?
    .execute([conversation])?;
    Ok(())
}
