//! What a conversation remembers.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::turns::read_body;
use crate::command::newest_that_fit;
use crate::error::StoreError;
use crate::limits::CONVERSATION_HISTORY_MAX;
use crate::types::{HistoryRow, TurnId, TurnResult, Whereabouts};

/// The newest rows that fit both bounds, without a gap, oldest first.
pub(super) fn history(
    db: &Connection,
    conversation: &str,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT turn_id, created_ms, role, body FROM history
         WHERE conversation = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(rows_max.min(CONVERSATION_HISTORY_MAX)).unwrap_or(i64::MAX);
    let newest_first = statement.query_map(params![conversation, limit], |row| {
        Ok(HistoryRow {
            turn: TurnId(row.get(0)?),
            created_ms: row.get(1)?,
            role: row.get(2)?,
            body: read_body(row, 3)?,
        })
    })?;
    newest_that_fit(
        newest_first.map(|row| row.map_err(StoreError::from)),
        bytes_max,
    )
}

/// The app's last event, and the conversations that spoke last.
pub(super) fn whereabouts(
    db: &Connection,
    app: &str,
    conversations_max: usize,
) -> Result<Whereabouts, StoreError> {
    let last = "SELECT received_ms FROM event WHERE app = ?1 ORDER BY received_ms DESC LIMIT 1";
    let last_received_ms = db.query_row(last, [app], |row| row.get(0)).optional()?;
    let mut statement = db.prepare(
        "SELECT conversation FROM history GROUP BY conversation
         ORDER BY max(created_ms) DESC, conversation LIMIT ?1",
    )?;
    let limit = i64::try_from(conversations_max).unwrap_or(i64::MAX);
    let conversations = statement.query_map([limit], |row| row.get(0))?;
    Ok(Whereabouts {
        last_received_ms,
        conversations: conversations.collect::<Result<_, _>>()?,
    })
}

/// Adds what a turn leaves to be remembered; what is too old falls off.
pub(super) fn append(
    tx: &Connection,
    conversation: &str,
    turn: TurnId,
    result: &TurnResult,
) -> Result<(), StoreError> {
    if result.history.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO history (conversation, turn_id, created_ms, role, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for row in &result.history {
        insert.execute(params![
            conversation,
            turn.0,
            result.finished_ms,
            row.role,
            &*row.body
        ])?;
    }
    let kept = i64::try_from(CONVERSATION_HISTORY_MAX).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "DELETE FROM history WHERE conversation = ?1 AND id <=
         (SELECT id FROM history WHERE conversation = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![conversation, kept])?;
    Ok(())
}

/// Forgets a conversation.
pub(super) fn clear_history(tx: &Connection, conversation: &str) -> Result<usize, StoreError> {
    let rows = tx
        .prepare_cached("DELETE FROM history WHERE conversation = ?1")?
        .execute([conversation])?;
    Ok(rows)
}
