//! What a conversation remembers.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::turns::read_body;
use crate::command::{MENDED, newest_that_fit};
use crate::error::StoreError;
use crate::limits::CONVERSATION_HISTORY_MAX;
use crate::types::{HistoryRow, Silence, TurnId, TurnResult, Whereabouts};

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

/// When the first such silence began, and the conversations that spoke last.
pub(super) fn whereabouts(
    db: &Connection,
    app: &str,
    silence: &Silence,
    conversations_max: usize,
) -> Result<Whereabouts, StoreError> {
    let Some(silent_since_ms) = silent_since_ms(db, app, silence)? else {
        return Ok(Whereabouts::default());
    };
    let mut statement = db.prepare(
        "SELECT conversation FROM history GROUP BY conversation
         ORDER BY max(created_ms) DESC, conversation LIMIT ?1",
    )?;
    let limit = i64::try_from(conversations_max).unwrap_or(i64::MAX);
    let conversations = statement.query_map([limit], |row| row.get(0))?;
    Ok(Whereabouts {
        silent_since_ms: Some(silent_since_ms),
        conversations: conversations.collect::<Result<_, _>>()?,
    })
}

fn silent_since_ms(
    db: &Connection,
    app: &str,
    sought: &Silence,
) -> Result<Option<i64>, StoreError> {
    // With one argument min and max are over rows, with more over those; a NULL among
    // them makes it NULL.
    let sql = "WITH
         known (mended_ms, event_ms, history_ms) AS (SELECT
             (SELECT max(received_ms) FROM event WHERE app = ?1 AND event_id GLOB ?2),
             (SELECT min(received_ms) FROM event WHERE app = ?1),
             (SELECT min(created_ms) FROM history)),
         first (at) AS (SELECT max(?3, coalesce(mended_ms, ?3),
             coalesce(min(event_ms, history_ms), event_ms, history_ms, ?4)) FROM known),
         moment (at) AS (SELECT at FROM first UNION ALL
             SELECT received_ms FROM event, first WHERE app = ?1 AND received_ms > first.at),
         span (began, ended) AS (SELECT at, lead(at, 1, ?4) OVER (ORDER BY at) FROM moment)
         SELECT began FROM span WHERE ended - began > ?5 ORDER BY began LIMIT 1";
    let Silence {
        since_ms,
        until_ms,
        longer_than_ms,
    } = *sought;
    let marks = format!("{MENDED}*");
    let began = db
        .prepare(sql)?
        .query_row(
            params![app, marks, since_ms, until_ms, longer_than_ms],
            |row| row.get(0),
        )
        .optional()?;
    Ok(began)
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
