//! Taking events in, once: one statement for each, so that many can be under way.

use super::commands::Ran;
use super::link::Link;
use crate::command::Answer;
use crate::error::StoreError;
use crate::types::{Admission, DuplicateKey, NewEvent, TurnId};

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
    INSERT INTO turn (state, app, event_id, message_id, received_ms, conversation, kind, body,
                      urgent)
    SELECT CASE WHEN has_head THEN 'waiting' ELSE 'ready' END, $1, $2, $3, $4::bigint,
           $5, $6::text, $7::bytea, $10::boolean
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
                &work.is_some_and(|work| work.urgent),
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
