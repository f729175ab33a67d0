//! What has ended must cost nothing: the work of each hot call, counted in steps
//! of SQLite's machine, is the same beside ten finished rows and beside twenty
//! thousand.

use core::sync::atomic::{AtomicU64, Ordering};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::admission::admit;
use super::history::history;
use super::outbox::{outbox_done, outbox_next_ms, outbox_take};
use super::turns::{claim, finish};
use super::upkeep::{prune, stats};
use super::*;
use crate::note::{Expect, PutNote};
use crate::types::{Claim, NewEvent, NewHistory, NewOutbox, NewTurn, Outcome, TurnResult};

#[test]
fn finished_rows_do_not_slow_anything_down() {
    let few = costs(10);
    let many = costs(20_000);
    for ((name, few), (_, many)) in few.into_iter().zip(many) {
        // Trees grow by a level or two; a scan would add tens of thousands.
        assert!(many <= few + 64, "{name}: {few} steps, then {many}");
    }
}

/// The steps that each call takes, with so many finished rows of each table.
fn costs(finished: u32) -> Vec<(&'static str, u64)> {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(Path::new(":memory:"), &mut db).unwrap();
    fill(&db, finished);
    let steps = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&steps);
    db.progress_handler(
        1,
        Some(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        }),
    )
    .unwrap();

    let mut costs = Vec::new();
    let mut cost = |name: &'static str| costs.push((name, steps.swap(0, Ordering::Relaxed)));
    let mut gauges = upkeep::recover(&mut db).unwrap();
    cost("recover");
    let bounds = Bounds {
        queued_max: 100,
        queued_per_conversation_max: 100,
        notes_max: 100,
        file_bytes_max: Some(1 << 40),
    };
    for n in 0..3 {
        admit(&db, &mut gauges, &bounds, &event(n)).unwrap();
    }
    cost("admit");
    admit(&db, &mut gauges, &bounds, &event(0)).unwrap();
    cost("admit a duplicate");
    let turns = claim(&db, &mut gauges, 1, Claim::Any).unwrap();
    assert_eq!(turns.len(), 1);
    cost("claim");
    assert_eq!(claim(&db, &mut gauges, 1, Claim::Urgent).unwrap(), []);
    cost("claim what is urgent");
    let result = TurnResult {
        outcome: Outcome::Answered,
        detail: None,
        finished_ms: 10,
        history: vec![NewHistory {
            role: "user".to_owned(),
            body: "hi".into(),
        }],
        outbox: vec![NewOutbox {
            uuid: "new".to_owned(),
            kind: "text".to_owned(),
            body: "hi".into(),
        }],
    };
    assert_eq!(finish(&db, turns[0].key, &result), Ok(crate::Fenced::Done));
    cost("finish");
    let rows = outbox_take(&db, 20, 10).unwrap();
    assert_eq!(rows.len(), 1);
    cost("outbox_take");
    assert_eq!(
        outbox_done(&db, rows[0].key, "om_x"),
        Ok(crate::Fenced::Done)
    );
    cost("outbox_done");
    outbox_next_ms(&db).unwrap();
    cost("outbox_next_ms");
    assert_eq!(history(&db, "lane", 10, 1_000).unwrap().len(), 1);
    cost("history");
    stats(&db).unwrap();
    cost("stats");
    fill_notes(&db, finished);
    steps.store(0, Ordering::Relaxed);
    let note = |key: &str| PutNote {
        scope: "lane".to_owned(),
        key: key.to_owned(),
        body: "t".into(),
        expires_ms: None,
        expect: Expect::Anything,
        now_ms: 0,
    };
    for key in ["new", "another", "new"] {
        notes::put(&db, &mut gauges, &bounds, &note(key)).unwrap();
    }
    cost("put notes");
    assert_eq!(notes::notes(&db, "lane", 9, 0).unwrap().len(), 2);
    cost("list notes");
    assert!(notes::note(&db, "lane", "new", 0).unwrap().is_some());
    cost("a note");
    let deleted = notes::delete(&db, &mut gauges, "lane", "new", 0).unwrap();
    assert!(deleted.is_some());
    cost("delete a note");
    turns::conversation_stats(&db, "lane").unwrap();
    cost("conversation stats");
    // All is younger than two days.
    assert_eq!(prune(&db, &mut gauges, 1_000, 100), Ok(0));
    cost("prune nothing");
    costs
}

fn fill(db: &Connection, finished: u32) {
    db.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {finished})
         INSERT INTO turn (state, app, event_id, received_ms, conversation, kind, finished_ms)
         SELECT 'done', 'app', 'old-' || i, i, 'old-' || (i % 100), 'k', i FROM n;
         INSERT INTO event (app, event_id, message_id, received_ms, turn_id)
         SELECT app, event_id, event_id, received_ms, id FROM turn;
         INSERT INTO history (conversation, turn_id, created_ms, role, body)
         SELECT conversation, id, id, 'user', x'' FROM turn;
         INSERT INTO outbox
         (state, conversation, turn_id, created_ms, uuid, kind, not_before_ms)
         SELECT 'done', conversation, id, id, event_id, 'k', 0 FROM turn;"
    ))
    .unwrap();
}

/// Of other scopes, and none has expired.
fn fill_notes(db: &Connection, notes: u32) {
    db.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {notes})
         INSERT INTO note (scope, key, expires_ms, body)
         SELECT 'scope-' || (i % 100), i, 1000000 + i, x'00' FROM n"
    ))
    .unwrap();
}

fn event(n: u32) -> NewEvent {
    NewEvent {
        app: "app".to_owned(),
        event_id: format!("new-{n}"),
        message_id: Some(format!("om_{n}")),
        received_ms: 1,
        work: Some(NewTurn {
            conversation: "lane".to_owned(),
            kind: "k".to_owned(),
            body: "b".into(),
            urgent: false,
        }),
    }
}
