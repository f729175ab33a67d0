//! The life of a turn: claimed, its steps and signs noted, finished or released.
//!
//! Every write names the turn and the epoch of its claim; zero rows changed means
//! that somebody else owns it now.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::writer::Gauges;
use super::{history, outbox};
use crate::command::{check_steps, fenced, outcome_text, size};
use crate::error::StoreError;
use crate::limits::CLAIM_MAX;
use crate::types::{
    Body, Claim, ConversationStats, Fenced, RunningTurn, Sign, Signs, Step, Turn, TurnId, TurnKey,
    TurnResult,
};

/// Takes those turns that this chooses. A macro, so that statements stay constants.
macro_rules! claim_those {
    ($chosen:literal) => {
        concat!(
            "UPDATE turn SET state = 'running', epoch = epoch + 1, attempts = attempts + 1
             WHERE id IN (SELECT id FROM turn WHERE state = 'ready' ",
            $chosen,
            " ORDER BY id LIMIT ?1)
             RETURNING id, epoch, attempts, app, event_id, message_id, received_ms,
                       conversation, kind, reaction, card, urgent,
                       (SELECT body FROM turn_body WHERE turn_id = turn.id)"
        )
    };
}

/// Takes the turns at the heads of their conversations, oldest first.
pub(super) fn claim(
    tx: &Connection,
    gauges: &mut Gauges,
    max: usize,
    which: Claim,
) -> Result<Vec<Turn>, StoreError> {
    let sql = match which {
        Claim::Any => claim_those!(""),
        Claim::Urgent => claim_those!("AND urgent = 1"),
    };
    let max = i64::try_from(max.min(CLAIM_MAX)).unwrap_or(i64::MAX);
    let mut turns = tx
        .prepare_cached(sql)?
        .query_map([max], read_turn)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    // The order of RETURNING is not promised.
    turns.sort_unstable_by_key(|turn| turn.key.id);
    gauges.queued = gauges.queued.saturating_sub(turns.len() as u64);
    Ok(turns)
}

/// Puts a running turn back at the head, with its epoch spent and its attempt not
/// counted.
pub(super) fn release(
    tx: &Connection,
    gauges: &mut Gauges,
    key: TurnKey,
) -> Result<Fenced, StoreError> {
    let changed = tx
        .prepare_cached(
            "UPDATE turn SET state = 'ready', attempts = attempts - 1
             WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
        )?
        .execute(params![key.id.0, key.epoch])?;
    if changed > 0 {
        gauges.queued = gauges.queued.saturating_add(1);
    }
    Ok(fenced(changed > 0))
}

/// Remembers a sign of life.
pub(super) fn note_sign(tx: &Connection, key: TurnKey, sign: &Sign) -> Result<Fenced, StoreError> {
    let (sql, id) = match sign {
        Sign::Reaction(id) => (
            "UPDATE turn SET reaction = ?3 WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
            id,
        ),
        Sign::Card(id) => (
            "UPDATE turn SET card = ?3 WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
            id,
        ),
    };
    let changed = tx
        .prepare_cached(sql)?
        .execute(params![key.id.0, key.epoch, id])?;
    Ok(fenced(changed > 0))
}

/// Appends a step.
pub(super) fn note_step(tx: &Connection, key: TurnKey, step: &Step) -> Result<Fenced, StoreError> {
    if conversation_of(tx, key)?.is_none() {
        return Ok(Fenced::Replaced);
    }
    let (rows, bytes): (i64, i64) = tx
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM step WHERE turn_id = ?1",
        )?
        .query_row([key.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    check_steps(size(rows), size(bytes), step)?;
    tx.prepare_cached("INSERT INTO step (turn_id, kind, body) VALUES (?1, ?2, ?3)")?
        .execute(params![key.id.0, step.kind, &*step.body])?;
    Ok(Fenced::Done)
}

/// A turn's steps, oldest first.
pub(super) fn steps(db: &Connection, turn: TurnId) -> Result<Vec<Step>, StoreError> {
    let steps = db
        .prepare_cached("SELECT kind, body FROM step WHERE turn_id = ?1 ORDER BY id")?
        .query_map([turn.0], |row| {
            Ok(Step {
                kind: row.get(0)?,
                body: read_body(row, 1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(steps)
}

/// What a conversation has to do, by its head and those that wait.
pub(super) fn conversation_stats(
    db: &Connection,
    conversation: &str,
) -> Result<ConversationStats, StoreError> {
    // One statement, so that no turn is missed that moves up meanwhile.
    let mut statement = db.prepare_cached(
        "SELECT id, kind, received_ms, state = 'running' FROM turn
         WHERE conversation = ?1 AND state IN ('ready', 'running')
         UNION ALL
         SELECT id, kind, received_ms, 0 FROM turn
         WHERE conversation = ?1 AND state = 'waiting'",
    )?;
    let mut rows = statement.query([conversation])?;
    let mut stats = ConversationStats::default();
    while let Some(row) = rows.next()? {
        if row.get(3)? {
            stats.running = Some(RunningTurn {
                id: TurnId(row.get(0)?),
                kind: row.get(1)?,
                received_ms: row.get(2)?,
            });
        } else {
            stats.queued = stats.queued.saturating_add(1);
        }
    }
    Ok(stats)
}

/// Ends a turn and lets the conversation's next one move up.
pub(super) fn finish(
    tx: &Connection,
    key: TurnKey,
    result: &TurnResult,
) -> Result<Fenced, StoreError> {
    let Some(conversation) = conversation_of(tx, key)? else {
        return Ok(Fenced::Replaced);
    };
    tx.prepare_cached(
        "UPDATE turn SET state = 'done', outcome = ?2, detail = ?3, finished_ms = ?4
         WHERE id = ?1",
    )?
    .execute(params![
        key.id.0,
        outcome_text(result.outcome),
        result.detail,
        result.finished_ms
    ])?;
    // These have done their work; what is to be remembered is in the history.
    tx.prepare_cached("DELETE FROM turn_body WHERE turn_id = ?1")?
        .execute([key.id.0])?;
    tx.prepare_cached("DELETE FROM step WHERE turn_id = ?1")?
        .execute([key.id.0])?;
    tx.prepare_cached(
        "UPDATE turn SET state = 'ready' WHERE id =
         (SELECT id FROM turn WHERE conversation = ?1 AND state = 'waiting' ORDER BY id LIMIT 1)",
    )?
    .execute([&conversation])?;
    history::append(tx, &conversation, key.id, result)?;
    outbox::append(tx, &conversation, key.id, result)?;
    Ok(Fenced::Done)
}

/// The turn's conversation, if the key is still good.
fn conversation_of(tx: &Connection, key: TurnKey) -> Result<Option<String>, StoreError> {
    let conversation = tx
        .prepare_cached(
            "SELECT conversation FROM turn WHERE id = ?1 AND epoch = ?2 AND state = 'running'",
        )?
        .query_row(params![key.id.0, key.epoch], |row| row.get(0))
        .optional()?;
    Ok(conversation)
}

fn read_turn(row: &Row<'_>) -> rusqlite::Result<Turn> {
    Ok(Turn {
        key: TurnKey {
            id: TurnId(row.get(0)?),
            epoch: row.get(1)?,
        },
        attempts: row.get(2)?,
        app: row.get(3)?,
        event_id: row.get(4)?,
        message_id: row.get(5)?,
        received_ms: row.get(6)?,
        conversation: row.get(7)?,
        kind: row.get(8)?,
        signs: Signs {
            reaction: row.get(9)?,
            card: row.get(10)?,
        },
        urgent: row.get(11)?,
        body: read_body(row, 12)?,
    })
}

pub(super) fn read_body(row: &Row<'_>, column: usize) -> rusqlite::Result<Body> {
    row.get::<_, Vec<u8>>(column).map(Body::from)
}
