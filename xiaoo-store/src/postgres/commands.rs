//! What each command is in SQL. All run inside a transaction that holds the locks
//! of the conversations it promotes in, see `writer`; so between the statements of
//! one command nothing of its conversation moves, but that a turn or a row at the
//! head may be claimed by another daemon, which fences by itself.
//!
//! A key is good for the owner who got it, as long as nobody has claimed the turn or
//! taken the row since: a lease that is out is still his until then.

use tokio_postgres::{Error, Row};

use super::link::Link;
use crate::command::{Answer, Command, check_steps, fenced, outcome_text, size};
use crate::error::StoreError;
use crate::limits::{
    CLAIM_MAX, CONVERSATION_HISTORY_MAX, DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT, OUTBOX_TAKE_MAX,
    PRUNE_BATCH_MAX, millis,
};
use crate::types::{
    Admission, Body, DuplicateKey, NewEvent, OutboxKey, OutboxRow, Sign, Signs, Step, Turn, TurnId,
    TurnKey, TurnResult,
};

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

/// Judges an event and takes it in, in one statement, so that many can be under way
/// at once. Two equal events in one moment on two daemons are the unique keys' to
/// find: the later transaction fails and is done again.
pub(super) const ADMIT: &str = "
WITH known AS (
    SELECT 0 AS rank, turn_id FROM event WHERE app = $1 AND event_id = $2
    UNION ALL
    SELECT 1, turn_id FROM event WHERE app = $1 AND message_id = $3
    ORDER BY rank LIMIT 1
), lane AS (
    SELECT EXISTS (SELECT FROM turn
                   WHERE conversation = $5 AND state IN ('ready', 'running')) AS has_head,
           (SELECT count(*) FROM (SELECT FROM turn WHERE conversation = $5 AND state = 'waiting'
                                  LIMIT $8) AS behind) AS waiting
), judged AS (
    SELECT has_head,
           CASE WHEN EXISTS (SELECT FROM known) THEN 'known'
                WHEN $5::text IS NULL THEN 'recorded'
                WHEN NOT $9::boolean THEN 'store full'
                WHEN has_head AND waiting >= $8 THEN 'lane full'
                ELSE 'new' END AS verdict
    FROM lane
), made AS (
    INSERT INTO turn (state, app, event_id, message_id, received_ms, conversation, kind, body)
    SELECT CASE WHEN has_head THEN 'waiting' ELSE 'ready' END, $1, $2, $3, $4::bigint,
           $5, $6::text, $7::bytea
    FROM judged WHERE verdict = 'new'
    RETURNING id
), noted AS (
    INSERT INTO event (app, event_id, message_id, received_ms, turn_id)
    SELECT $1, $2, $3, $4, (SELECT id FROM made)
    FROM judged WHERE verdict IN ('new', 'recorded')
)
SELECT verdict, (SELECT rank FROM known),
       coalesce((SELECT id FROM made), (SELECT turn_id FROM known))
FROM judged";

/// How much may wait, for one admission.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) in_store: bool,
    pub(super) store_max: u64,
    pub(super) lane_max: u64,
}

pub(super) async fn admit(link: &Link, event: &NewEvent, room: Room) -> Ran {
    let work = event.work.as_ref();
    let row = link
        .row(
            ADMIT,
            &[
                &event.app,
                &event.event_id,
                &event.message_id,
                &event.received_ms,
                &work.map(|work| &work.conversation),
                &work.map(|work| &work.kind),
                &work.map(|work| &*work.body),
                &i64::try_from(room.lane_max).unwrap_or(i64::MAX),
                &room.in_store,
            ],
        )
        .await?;
    let turn = row.get::<_, Option<i64>>(2).map(TurnId);
    Ok(match (row.get(0), turn) {
        ("new", Some(turn)) => Ok(Answer::Admission(Admission::New(turn))),
        ("store full", _) => Err(StoreError::QueueFull {
            max: room.store_max,
        }),
        ("lane full", _) => Err(StoreError::ConversationFull { max: room.lane_max }),
        ("known", turn) => Ok(Answer::Admission(Admission::Duplicate {
            by: match row.get::<_, Option<i32>>(1) {
                Some(0) => DuplicateKey::EventId,
                Some(_) | None => DuplicateKey::MessageId,
            },
            turn,
        })),
        (_, _) => Ok(Answer::Admission(Admission::Recorded)),
    })
}

/// Does any other command, for this owner.
pub(super) async fn run(link: &Link, owner: &str, command: &Command) -> Ran {
    let answer = match command {
        Command::Admit(event) => {
            let room = Room {
                in_store: true,
                store_max: u64::MAX,
                lane_max: u64::MAX,
            };
            return admit(link, event, room).await;
        }
        Command::NoteStep(key, step) => return note_step(link, owner, *key, step).await,
        Command::Claim { max } => Answer::Turns(claim(link, owner, *max).await?),
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
            Answer::Rows(take(link, owner, *now_ms, *max).await?)
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
            settle(link, owner, sql, *row, external_id).await?
        }
        Command::OutboxDead { row, reason } => {
            let sql = "UPDATE outbox SET state = 'dead', owner = NULL, error = $3
                 WHERE id = $1 AND attempts = $2 AND owner = $4 AND state = 'sending'
                 RETURNING conversation";
            settle(link, owner, sql, *row, reason).await?
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
        Command::Prune { now_ms, batch } => Answer::Count(prune(link, *now_ms, *batch).await?),
    };
    Ok(Ok(answer))
}

/// Takes the turns at the heads of their conversations, oldest first, and those
/// that a dead owner has left. Who has no lease himself takes nothing.
async fn claim(link: &Link, owner: &str, max: usize) -> Result<Vec<Turn>, Error> {
    let sql = concat!(
        "WITH head AS MATERIALIZED (
             SELECT id FROM turn
             WHERE state IN ('ready', 'running') AND (state = 'ready' OR NOT ",
        owner_lives!("turn"),
        ")   AND EXISTS (SELECT FROM owner WHERE id = $2 AND until > now())
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
         UPDATE turn SET state = 'running', owner = $2, epoch = epoch + 1, attempts = attempts + 1
         FROM head WHERE turn.id = head.id
         RETURNING turn.id, epoch, attempts, app, event_id, message_id, received_ms,
                   conversation, kind, reaction, card, body"
    );
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
    for new in &result.outbox {
        let added = link
            .run(
                "INSERT INTO outbox
                 (state, conversation, turn_id, created_ms, uuid, kind, body, not_before_ms)
                 VALUES ('waiting', $1, $2, $3, $4, $5, $6, 0) ON CONFLICT (uuid) DO NOTHING",
                &[
                    &conversation,
                    &key.id.0,
                    &result.finished_ms,
                    &new.uuid,
                    &new.kind,
                    &&*new.body,
                ],
            )
            .await?;
        if added == 0 {
            tracing::warn!(turn = %key.id, uuid = new.uuid, "a send that is in the outbox already was not added again");
        }
    }
    promote(link, &conversation).await?;
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

/// Takes the rows that are due, the longest due first, and those that a dead owner
/// was sending: nobody knows whether he had, the time of the first try says what
/// may be done.
async fn take(link: &Link, owner: &str, now_ms: i64, max: usize) -> Result<Vec<OutboxRow>, Error> {
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
             first_try_at_ms = coalesce(first_try_at_ms, $1),
             error = CASE head.state WHEN 'sending' THEN NULL ELSE error END
         FROM head WHERE outbox.id = head.id
         RETURNING outbox.id, attempts, turn_id, conversation, uuid, kind, first_try_at_ms,
                   error, body"
    );
    let max = i64::try_from(max.min(OUTBOX_TAKE_MAX)).unwrap_or(i64::MAX);
    let rows = link.rows(sql, &[&now_ms, &max, &owner]).await?;
    let mut rows: Vec<_> = rows.iter().map(read_send).collect();
    rows.sort_unstable_by_key(|row| row.key.id);
    Ok(rows)
}

/// Settles a row, and moves the conversation's next one up.
async fn settle(
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

async fn prune(link: &Link, now_ms: i64, batch: usize) -> Result<usize, Error> {
    let batch = i64::try_from(batch.min(PRUNE_BATCH_MAX)).unwrap_or(i64::MAX);
    let mut removed = 0;
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
    }
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

pub(super) fn read_body(row: &Row, column: usize) -> Body {
    row.get::<_, Vec<u8>>(column).into()
}

fn changed(rows: u64) -> Answer {
    Answer::Fenced(fenced(rows > 0))
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
