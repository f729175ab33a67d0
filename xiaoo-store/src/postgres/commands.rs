//! What each command is in SQL. All run inside a transaction that holds the locks
//! of the conversations it promotes in, see `writer`; so between the statements of
//! one command nothing of its conversation moves, but that a turn or a row at the
//! head may be claimed by another daemon, which fences by itself.
//!
//! A key is good for the owner who got it, as long as nobody has claimed the turn or
//! taken the row since: a lease that is out is still his until then.

use tokio_postgres::{Error, Row};

use super::link::Link;
use super::{admission, notes, outbox};
use crate::command::{Answer, Command, check_steps, fenced, outcome_text, size};
use crate::error::StoreError;
use crate::limits::{
    CLAIM_MAX, CONVERSATION_HISTORY_MAX, DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT, PRUNE_BATCH_MAX,
    millis,
};
use crate::types::{Body, Claim, Sign, Signs, Step, Turn, TurnId, TurnKey, TurnResult};

/// A command's answer: the outer error is the transaction's end, the inner one a
/// refusal that changed nothing.
pub(super) type Ran = Result<Result<Answer, StoreError>, Error>;

/// Says whether the owner of a row is alive. To be put behind `AND` with a table's
/// name in front; kept as a macro so that statements stay constants.
macro_rules! owner_lives {
    ($table:literal) => {
        concat!(
            "EXISTS (SELECT FROM owner WHERE owner.id = ",
            $table,
            ".owner AND owner.until > now())"
        )
    };
}
pub(super) use owner_lives;

/// Does any other command, for this owner.
pub(super) async fn run(link: &Link, owner: &str, command: &Command) -> Ran {
    let answer = match command {
        Command::Admit(event) => {
            let room = admission::Room {
                in_store: true,
                store_max: u64::MAX,
                lane_max: u64::MAX,
            };
            return admission::admit(link, event, room).await;
        }
        Command::NoteStep(key, step) => return note_step(link, owner, *key, step).await,
        Command::Claim { max, which } => Answer::Turns(claim(link, owner, *max, *which).await?),
        Command::Release(key) => changed(
            link.run(
                "UPDATE turn SET state = 'ready', owner = NULL, attempts = attempts - 1
                 WHERE id = $1 AND epoch = $2 AND owner = $3 AND state = 'running'",
                &[&key.id.0, &key.epoch, &owner],
            )
            .await?,
        ),
        Command::NoteSign(key, sign) => {
            let (sql, id) = match sign {
                Sign::Reaction(id) => (
                    "UPDATE turn SET reaction = $3
                     WHERE id = $1 AND epoch = $2 AND owner = $4 AND state = 'running'",
                    id,
                ),
                Sign::Card(id) => (
                    "UPDATE turn SET card = $3
                     WHERE id = $1 AND epoch = $2 AND owner = $4 AND state = 'running'",
                    id,
                ),
            };
            changed(link.run(sql, &[&key.id.0, &key.epoch, id, &owner]).await?)
        }
        Command::Finish(key, result) => finish(link, owner, *key, result).await?,
        Command::ClearHistory { conversation } => {
            let sql = "DELETE FROM history WHERE conversation = $1";
            Answer::Count(count(link.run(sql, &[conversation]).await?))
        }
        Command::OutboxTake { now_ms, max } => {
            Answer::Rows(outbox::take(link, owner, *now_ms, *max).await?)
        }
        Command::OutboxUntake(row) => changed(
            link.run(
                // The try's number stays spent, since a number names one owner. A
                // first try that was not made must not start the uuid's hour.
                "UPDATE outbox SET state = 'ready', owner = NULL,
                        first_try_at_ms = CASE attempts WHEN 1 THEN NULL ELSE first_try_at_ms END
                 WHERE id = $1 AND attempts = $2 AND owner = $3 AND state = 'sending'",
                &[&row.id, &i64::from(row.attempt), &owner],
            )
            .await?,
        ),
        Command::OutboxDone { row, external_id } => {
            let sql = "UPDATE outbox
                 SET state = 'done', owner = NULL, external_id = $3, error = NULL, body = ''
                 WHERE id = $1 AND attempts = $2 AND owner = $4 AND state = 'sending'
                 RETURNING conversation";
            outbox::settle(link, owner, sql, *row, external_id).await?
        }
        Command::OutboxDead { row, reason } => {
            let sql = "UPDATE outbox SET state = 'dead', owner = NULL, error = $3
                 WHERE id = $1 AND attempts = $2 AND owner = $4 AND state = 'sending'
                 RETURNING conversation";
            outbox::settle(link, owner, sql, *row, reason).await?
        }
        Command::OutboxRetry {
            row,
            not_before_ms,
            error,
        } => changed(
            link.run(
                "UPDATE outbox SET state = 'ready', owner = NULL, not_before_ms = $3, error = $4
                 WHERE id = $1 AND attempts = $2 AND owner = $5 AND state = 'sending'",
                &[
                    &row.id,
                    &i64::from(row.attempt),
                    not_before_ms,
                    error,
                    &owner,
                ],
            )
            .await?,
        ),
        Command::PutNote(put) => {
            let mut room = notes::Room {
                left: u64::MAX,
                max: u64::MAX,
            };
            return notes::put(link, put, &mut room).await;
        }
        Command::DeleteNote { scope, key, now_ms } => {
            Answer::Note(notes::delete(link, scope, key, *now_ms).await?)
        }
        Command::Prune { now_ms, batch } => Answer::Count(prune(link, *now_ms, *batch).await?),
    };
    Ok(Ok(answer))
}

/// Takes those turns that this chooses.
macro_rules! claim_those {
    ($chosen:literal) => {
        concat!(
            "WITH head AS MATERIALIZED (
                 SELECT id FROM turn
                 WHERE state IN ('ready', 'running') ",
            $chosen,
            "      AND (state = 'ready' OR NOT ",
            owner_lives!("turn"),
            ")     AND EXISTS (SELECT FROM owner WHERE id = $2 AND until > now())
                 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
             UPDATE turn
             SET state = 'running', owner = $2, epoch = epoch + 1, attempts = attempts + 1
             FROM head WHERE turn.id = head.id
             RETURNING turn.id, epoch, attempts, app, event_id, message_id, received_ms,
                       conversation, kind, reaction, card, body, urgent"
        )
    };
}

/// Takes the turns at the heads of their conversations, oldest first, and those
/// that a dead owner has left. Who has no lease himself takes nothing.
async fn claim(link: &Link, owner: &str, max: usize, which: Claim) -> Result<Vec<Turn>, Error> {
    let sql = match which {
        Claim::Any => claim_those!(""),
        Claim::Urgent => claim_those!("AND urgent"),
    };
    let max = i64::try_from(max.min(CLAIM_MAX)).unwrap_or(i64::MAX);
    let rows = link.rows(sql, &[&max, &owner]).await?;
    let mut turns: Vec<_> = rows.iter().map(read_turn).collect();
    turns.sort_unstable_by_key(|turn| turn.key.id);
    Ok(turns)
}

async fn note_step(link: &Link, owner: &str, key: TurnKey, step: &Step) -> Ran {
    let Some(_) = conversation_of(link, owner, key).await? else {
        return Ok(Ok(changed(0)));
    };
    let row = link
        .row(
            "SELECT count(*), coalesce(sum(length(body)), 0)::bigint FROM step WHERE turn_id = $1",
            &[&key.id.0],
        )
        .await?;
    if let Err(refused) = check_steps(size(row.get(0)), size(row.get(1)), step) {
        return Ok(Err(refused));
    }
    let sql = "INSERT INTO step (turn_id, kind, body) VALUES ($1, $2, $3)";
    let added = link
        .run(sql, &[&key.id.0, &step.kind, &&*step.body])
        .await?;
    Ok(Ok(changed(added)))
}

/// Ends a turn and lets the conversation's next one move up.
async fn finish(
    link: &Link,
    owner: &str,
    key: TurnKey,
    result: &TurnResult,
) -> Result<Answer, Error> {
    let Some(conversation) = conversation_of(link, owner, key).await? else {
        return Ok(changed(0));
    };
    link.run(
        "UPDATE turn SET state = 'done', owner = NULL, body = '',
                outcome = $2, detail = $3, finished_ms = $4
         WHERE id = $1",
        &[
            &key.id.0,
            &outcome_text(result.outcome),
            &result.detail,
            &result.finished_ms,
        ],
    )
    .await?;
    link.run("DELETE FROM step WHERE turn_id = $1", &[&key.id.0])
        .await?;
    link.run(
        "UPDATE turn SET state = 'ready' WHERE id =
         (SELECT id FROM turn WHERE conversation = $1 AND state = 'waiting' ORDER BY id LIMIT 1)",
        &[&conversation],
    )
    .await?;
    remember(link, &conversation, key.id, result).await?;
    outbox::append(link, &conversation, key.id, result).await?;
    Ok(changed(1))
}

async fn remember(
    link: &Link,
    conversation: &str,
    turn: TurnId,
    result: &TurnResult,
) -> Result<(), Error> {
    if result.history.is_empty() {
        return Ok(());
    }
    let roles: Vec<_> = result.history.iter().map(|row| row.role.as_str()).collect();
    let bodies: Vec<_> = result.history.iter().map(|row| &*row.body).collect();
    link.run(
        "INSERT INTO history (conversation, turn_id, created_ms, role, body)
         SELECT $1, $2, $3, role, body
         FROM unnest($4::text[], $5::bytea[]) WITH ORDINALITY AS said (role, body, n) ORDER BY n",
        &[&conversation, &turn.0, &result.finished_ms, &roles, &bodies],
    )
    .await?;
    let kept = i64::try_from(CONVERSATION_HISTORY_MAX).unwrap_or(i64::MAX);
    link.run(
        "DELETE FROM history WHERE conversation = $1 AND id <=
         (SELECT id FROM history WHERE conversation = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        &[&conversation, &kept],
    )
    .await?;
    Ok(())
}

async fn prune(link: &Link, now_ms: i64, batch: usize) -> Result<usize, Error> {
    let batch = i64::try_from(batch.min(PRUNE_BATCH_MAX)).unwrap_or(i64::MAX);
    let mut removed = notes::remove_expired(link, now_ms, batch).await?;
    for (kept, sql) in [
        (
            KEYS_KEPT,
            "DELETE FROM event WHERE id IN
             (SELECT id FROM event WHERE received_ms < $1 ORDER BY received_ms LIMIT $2)",
        ),
        (
            KEYS_KEPT,
            "DELETE FROM turn WHERE id IN
             (SELECT id FROM turn WHERE state = 'done' AND finished_ms < $1
              ORDER BY finished_ms LIMIT $2)",
        ),
        (
            KEYS_KEPT,
            "DELETE FROM outbox WHERE id IN
             (SELECT id FROM outbox WHERE state = 'done' AND created_ms < $1
              ORDER BY created_ms LIMIT $2)",
        ),
        (
            DEAD_KEPT,
            "DELETE FROM outbox WHERE id IN
             (SELECT id FROM outbox WHERE state = 'dead' AND created_ms < $1
              ORDER BY created_ms LIMIT $2)",
        ),
        (
            HISTORY_KEPT,
            "DELETE FROM history WHERE id IN
             (SELECT id FROM history WHERE created_ms < $1 ORDER BY created_ms LIMIT $2)",
        ),
    ] {
        let before_ms = now_ms.saturating_sub(millis(kept));
        removed += link.run(sql, &[&before_ms, &batch]).await?;
    }
    Ok(count(removed))
}

/// The turn's conversation, if the key is still good; the row is ours until the
/// transaction ends.
async fn conversation_of(link: &Link, owner: &str, key: TurnKey) -> Result<Option<String>, Error> {
    let row = link
        .maybe_row(
            "SELECT conversation FROM turn
             WHERE id = $1 AND epoch = $2 AND owner = $3 AND state = 'running' FOR UPDATE",
            &[&key.id.0, &key.epoch, &owner],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

fn read_turn(row: &Row) -> Turn {
    Turn {
        key: TurnKey {
            id: TurnId(row.get(0)),
            epoch: row.get(1),
        },
        attempts: u32::try_from(row.get::<_, i64>(2)).unwrap_or(u32::MAX),
        app: row.get(3),
        event_id: row.get(4),
        message_id: row.get(5),
        received_ms: row.get(6),
        conversation: row.get(7),
        kind: row.get(8),
        signs: Signs {
            reaction: row.get(9),
            card: row.get(10),
        },
        body: read_body(row, 11),
        urgent: row.get(12),
    }
}

pub(super) fn read_body(row: &Row, column: usize) -> Body {
    row.get::<_, Vec<u8>>(column).into()
}

pub(super) fn changed(rows: u64) -> Answer {
    Answer::Fenced(fenced(rows > 0))
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
