//! Taking events in, once.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::Gauges;
use crate::command::Bounds;
use crate::error::StoreError;
use crate::types::{Admission, DuplicateKey, NewEvent, NewTurn, TurnId};

/// One part in so many of the file is kept for finishing what was admitted:
/// answers and history need room too, and without them nothing ever leaves.
const RESERVE_PART: u64 = 8;

/// Records the event, and queues its turn behind those of its conversation.
pub(super) fn admit(
    tx: &Connection,
    gauges: &mut Gauges,
    bounds: &Bounds,
    event: &NewEvent,
) -> Result<Admission, StoreError> {
    // Whether it is known comes before whether there is room: a duplicate needs
    // none, and its sender must learn that it can stop.
    let recorded = tx
        .prepare_cached(
            "INSERT INTO event (app, event_id, message_id, received_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            event.app,
            event.event_id,
            event.message_id,
            event.received_ms
        ])?;
    if recorded == 0 {
        return known(tx, event);
    }
    if let Some(file_bytes_max) = bounds.file_bytes_max {
        check_room(tx, file_bytes_max)?;
    }
    let Some(turn) = &event.work else {
        return Ok(Admission::Recorded);
    };
    let row = tx.last_insert_rowid();
    let id = enqueue(tx, gauges, bounds, event, turn)?;
    tx.prepare_cached("UPDATE event SET turn_id = ?2 WHERE id = ?1")?
        .execute(params![row, id.0])?;
    Ok(Admission::New(id))
}

fn known(tx: &Connection, event: &NewEvent) -> Result<Admission, StoreError> {
    let by_event_id: Option<Option<i64>> = tx
        .prepare_cached("SELECT turn_id FROM event WHERE app = ?1 AND event_id = ?2")?
        .query_row(params![event.app, event.event_id], |row| row.get(0))
        .optional()?;
    if let Some(turn) = by_event_id {
        return Ok(Admission::Duplicate {
            by: DuplicateKey::EventId,
            turn: turn.map(TurnId),
        });
    }
    let turn: Option<i64> = tx
        .prepare_cached("SELECT turn_id FROM event WHERE app = ?1 AND message_id = ?2")?
        .query_row(params![event.app, event.message_id], |row| row.get(0))?;
    Ok(Admission::Duplicate {
        by: DuplicateKey::MessageId,
        turn: turn.map(TurnId),
    })
}

fn enqueue(
    tx: &Connection,
    gauges: &mut Gauges,
    bounds: &Bounds,
    event: &NewEvent,
    turn: &NewTurn,
) -> Result<TurnId, StoreError> {
    if gauges.queued >= bounds.queued_max {
        return Err(StoreError::QueueFull {
            max: bounds.queued_max,
        });
    }
    let is_head = !tx
        .prepare_cached(
            "SELECT 1 FROM turn WHERE conversation = ?1 AND state IN ('ready', 'running')",
        )?
        .exists([&turn.conversation])?;
    if !is_head {
        let max = bounds.queued_per_conversation_max;
        let waiting: i64 = tx
            .prepare_cached(
                "SELECT count(*) FROM
                 (SELECT 1 FROM turn WHERE conversation = ?1 AND state = 'waiting' LIMIT ?2)",
            )?
            .query_row(params![turn.conversation, sql_limit(max)], |row| row.get(0))?;
        if waiting >= sql_limit(max) {
            return Err(StoreError::ConversationFull { max });
        }
    }
    tx.prepare_cached(
        "INSERT INTO turn
         (state, app, event_id, message_id, received_ms, conversation, kind, urgent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        if is_head { "ready" } else { "waiting" },
        event.app,
        event.event_id,
        event.message_id,
        event.received_ms,
        turn.conversation,
        turn.kind,
        turn.urgent,
    ])?;
    let id = tx.last_insert_rowid();
    tx.prepare_cached("INSERT INTO turn_body (turn_id, body) VALUES (?1, ?2)")?
        .execute(params![id, &*turn.body])?;
    gauges.queued = gauges.queued.saturating_add(1);
    Ok(TurnId(id))
}

/// Refuses an event when only the room that finishing needs is left.
fn check_room(tx: &Connection, file_bytes_max: u64) -> Result<(), StoreError> {
    let number = |sql: &str| -> rusqlite::Result<u64> {
        let number: i64 = tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    let used = pages.saturating_mul(number("PRAGMA page_size")?);
    if used > file_bytes_max.saturating_sub(file_bytes_max / RESERVE_PART) {
        return Err(StoreError::Full {
            detail: format!("{used} bytes are used of {file_bytes_max}"),
        });
    }
    Ok(())
}

fn sql_limit(max: u64) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}
