//! What is to be sent: each conversation's rows strictly one after another.

use tokio_postgres::{Error, Row};

use super::commands::{changed, owner_lives, read_body};
use super::link::Link;
use crate::command::Answer;
use crate::limits::OUTBOX_TAKE_MAX;
use crate::types::{OutboxKey, OutboxRow, TurnId, TurnResult};

/// Adds what a turn wants sent, behind what its conversation has waiting.
pub(super) async fn append(
    link: &Link,
    conversation: &str,
    turn: TurnId,
    result: &TurnResult,
) -> Result<(), Error> {
    for new in &result.outbox {
        let added = link
            .run(
                "INSERT INTO outbox
                 (state, conversation, turn_id, created_ms, uuid, kind, body, not_before_ms)
                 VALUES ('waiting', $1, $2, $3, $4, $5, $6, 0) ON CONFLICT (uuid) DO NOTHING",
                &[
                    &conversation,
                    &turn.0,
                    &result.finished_ms,
                    &new.uuid,
                    &new.kind,
                    &&*new.body,
                ],
            )
            .await?;
        if added == 0 {
            tracing::warn!(%turn, uuid = new.uuid, "a send that is in the outbox already was not added again");
        }
    }
    promote(link, conversation).await
}

/// The server's clock, in milliseconds since the Unix epoch.
macro_rules! server_ms {
    () => {
        "(extract(epoch FROM now()) * 1000)::bigint"
    };
}

/// Takes the rows that are due, the longest due first, and those that a dead owner
/// was sending: nobody knows whether he had, the time of the first try says what
/// may be done. That time is the server's, as its age may be another daemon's to tell;
/// who takes the row hears of it by his own clock.
pub(super) async fn take(
    link: &Link,
    owner: &str,
    now_ms: i64,
    max: usize,
) -> Result<Vec<OutboxRow>, Error> {
    let sql = concat!(
        "WITH head AS MATERIALIZED (
             SELECT id, state FROM outbox
             WHERE state IN ('ready', 'sending') AND not_before_ms <= $1
               AND (state = 'ready' OR NOT ",
        owner_lives!("outbox"),
        ")     AND EXISTS (SELECT FROM owner WHERE id = $3 AND until > now())
             ORDER BY not_before_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED)
         UPDATE outbox
         SET state = 'sending', owner = $3, attempts = attempts + 1,
             first_try_at_ms = coalesce(first_try_at_ms, ",
        server_ms!(),
        "),
             error = CASE head.state WHEN 'sending' THEN NULL ELSE error END
         FROM head WHERE outbox.id = head.id
         RETURNING outbox.id, attempts, turn_id, conversation, uuid, kind,
                   $1 - (",
        server_ms!(),
        " - first_try_at_ms), error, body"
    );
    let max = i64::try_from(max.min(OUTBOX_TAKE_MAX)).unwrap_or(i64::MAX);
    let rows = link.rows(sql, &[&now_ms, &max, &owner]).await?;
    let mut rows: Vec<_> = rows.iter().map(read_send).collect();
    rows.sort_unstable_by_key(|row| row.key.id);
    Ok(rows)
}

/// Settles a row, and moves the conversation's next one up.
pub(super) async fn settle(
    link: &Link,
    owner: &str,
    sql: &'static str,
    row: OutboxKey,
    word: &str,
) -> Result<Answer, Error> {
    let settled = link
        .maybe_row(sql, &[&row.id, &i64::from(row.attempt), &word, &owner])
        .await?;
    let Some(settled) = settled else {
        return Ok(changed(0));
    };
    promote(link, settled.get(0)).await?;
    Ok(changed(1))
}

/// Makes the conversation's oldest waiting row its head, unless it has one.
async fn promote(link: &Link, conversation: &str) -> Result<(), Error> {
    link.run(
        "UPDATE outbox SET state = 'ready' WHERE id =
         (SELECT id FROM outbox WHERE conversation = $1 AND state = 'waiting' ORDER BY id LIMIT 1)
         AND NOT EXISTS (SELECT FROM outbox
                         WHERE conversation = $1 AND state IN ('ready', 'sending'))",
        &[&conversation],
    )
    .await?;
    Ok(())
}

fn read_send(row: &Row) -> OutboxRow {
    OutboxRow {
        key: OutboxKey {
            id: row.get(0),
            attempt: u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX),
        },
        turn: TurnId(row.get(2)),
        conversation: row.get(3),
        uuid: row.get(4),
        kind: row.get(5),
        first_try_at_ms: row.get(6),
        error: row.get(7),
        body: read_body(row, 8),
    }
}
