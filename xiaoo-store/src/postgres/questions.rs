//! What each question is in SQL.

use tokio_postgres::Error;

use super::commands::{owner_lives, read_body};
use super::link::Link;
use super::notes;
use crate::command::{Answer, MENDED, Question, newest_that_fit, size};
use crate::error::StoreError;
use crate::limits::CONVERSATION_HISTORY_MAX;
use crate::types::{
    ConversationStats, HistoryRow, RunningTurn, Silence, Step, StoreStats, TurnId, Whereabouts,
};

pub(super) async fn ask(
    link: &Link,
    question: &Question,
) -> Result<Result<Answer, StoreError>, Error> {
    Ok(Ok(match question {
        Question::Steps(turn) => {
            let sql = "SELECT kind, body FROM step WHERE turn_id = $1 ORDER BY id";
            let rows = link.rows(sql, &[&turn.0]).await?;
            let step = |row| Step {
                kind: tokio_postgres::Row::get(row, 0),
                body: read_body(row, 1),
            };
            Answer::Steps(rows.iter().map(step).collect())
        }
        Question::History {
            conversation,
            rows_max,
            bytes_max,
        } => {
            // The server sums up, so that what doesn't fit is not sent.
            let sql = "SELECT turn_id, created_ms, role, body FROM (
                     SELECT id, turn_id, created_ms, role, body,
                            sum(length(body)) OVER (ORDER BY id DESC) AS bytes
                     FROM (SELECT * FROM history WHERE conversation = $1
                           ORDER BY id DESC LIMIT $2) AS newest) AS summed
                 WHERE bytes <= $3 ORDER BY id DESC";
            let rows_max = (*rows_max).min(CONVERSATION_HISTORY_MAX);
            let bounds = [rows_max, *bytes_max].map(|max| i64::try_from(max).unwrap_or(i64::MAX));
            let [rows_max, bytes_max_sql] = bounds;
            let rows = link
                .rows(sql, &[conversation, &rows_max, &bytes_max_sql])
                .await?;
            let rows = rows.iter().map(|row| {
                Ok(HistoryRow {
                    turn: TurnId(row.get(0)),
                    created_ms: row.get(1),
                    role: row.get(2),
                    body: read_body(row, 3),
                })
            });
            return Ok(newest_that_fit(rows, *bytes_max).map(Answer::History));
        }
        Question::Note { scope, key, now_ms } => {
            Answer::Note(notes::note(link, scope, key, *now_ms).await?)
        }
        Question::Notes { scope, max, now_ms } => {
            Answer::Notes(notes::notes(link, scope, *max, *now_ms).await?)
        }
        Question::Conversation(conversation) => {
            Answer::Conversation(conversation_stats(link, conversation).await?)
        }
        Question::OutboxNext => {
            let sql = concat!(
                "SELECT min(not_before_ms) FROM outbox WHERE state IN ('ready', 'sending')
                 AND (state = 'ready' OR NOT ",
                owner_lives!("outbox"),
                ")"
            );
            Answer::Next(link.row(sql, &[]).await?.get(0))
        }
        Question::Stats => Answer::Stats(stats(link).await?),
        Question::Whereabouts {
            app,
            silence,
            conversations_max,
        } => Answer::Whereabouts(whereabouts(link, app, silence, *conversations_max).await?),
    }))
}

async fn whereabouts(
    link: &Link,
    app: &str,
    silence: &Silence,
    conversations_max: usize,
) -> Result<Whereabouts, Error> {
    let Some(silent_since_ms) = silent_since_ms(link, app, silence).await? else {
        return Ok(Whereabouts::default());
    };
    let conversations = "SELECT conversation FROM history GROUP BY conversation
         ORDER BY max(created_ms) DESC, conversation COLLATE \"C\" LIMIT $1";
    let limit = i64::try_from(conversations_max).unwrap_or(i64::MAX);
    let conversations = link.rows(conversations, &[&limit]).await?;
    Ok(Whereabouts {
        silent_since_ms: Some(silent_since_ms),
        conversations: conversations.iter().map(|row| row.get(0)).collect(),
    })
}

async fn conversation_stats(link: &Link, conversation: &str) -> Result<ConversationStats, Error> {
    let sql = concat!(
        "SELECT id, kind, received_ms, state = 'running' AND ",
        owner_lives!("turn"),
        " FROM turn WHERE conversation = $1 AND state IN ('ready', 'running')
         UNION ALL
         SELECT id, kind, received_ms, false FROM turn
         WHERE conversation = $1 AND state = 'waiting'"
    );
    let mut stats = ConversationStats::default();
    for row in link.rows(sql, &[&conversation]).await? {
        if row.get(3) {
            stats.running = Some(RunningTurn {
                id: TurnId(row.get(0)),
                kind: row.get(1),
                received_ms: row.get(2),
            });
        } else {
            stats.queued = stats.queued.saturating_add(1);
        }
    }
    Ok(stats)
}

async fn silent_since_ms(link: &Link, app: &str, sought: &Silence) -> Result<Option<i64>, Error> {
    // Greatest and least pass over a NULL.
    let sql = "WITH
         first (at) AS (SELECT greatest($3::bigint,
             (SELECT max(received_ms) FROM event WHERE app = $1 AND starts_with(event_id, $2)),
             coalesce(least((SELECT min(received_ms) FROM event WHERE app = $1),
                            (SELECT min(created_ms) FROM history)), $4::bigint))),
         moment (at) AS (SELECT at FROM first UNION ALL
             SELECT received_ms FROM event, first WHERE app = $1 AND received_ms > first.at),
         span (began, ended) AS (SELECT at, lead(at, 1, $4) OVER (ORDER BY at) FROM moment)
         SELECT began FROM span WHERE ended - began > $5 ORDER BY began LIMIT 1";
    let Silence {
        since_ms,
        until_ms,
        longer_than_ms,
    } = sought;
    let began = link
        .rows(sql, &[&app, &MENDED, since_ms, until_ms, longer_than_ms])
        .await?;
    Ok(began.first().map(|row| row.get(0)))
}

async fn stats(link: &Link) -> Result<StoreStats, Error> {
    let sql = concat!(
        "WITH open AS (
             SELECT received_ms, state = 'running' AND ",
        owner_lives!("turn"),
        "    AS runs FROM turn WHERE state IN ('ready', 'running')
             UNION ALL
             SELECT received_ms, false FROM turn WHERE state = 'waiting')
         SELECT count(*) FILTER (WHERE NOT runs), count(*) FILTER (WHERE runs),
                min(received_ms) FILTER (WHERE NOT runs),
                (SELECT count(*) FROM outbox WHERE state IN ('ready', 'sending'))
                + (SELECT count(*) FROM outbox WHERE state = 'waiting'),
                (SELECT count(*) FROM outbox WHERE state = 'dead'),
                pg_database_size(current_database())
         FROM open"
    );
    let row = link.row(sql, &[]).await?;
    let number = |column: usize| size(row.get(column)) as u64;
    Ok(StoreStats {
        queued: number(0),
        running: number(1),
        oldest_queued_ms: row.get(2),
        outbox_open: number(3),
        outbox_dead: number(4),
        file_bytes: number(5),
        ..StoreStats::default()
    })
}
