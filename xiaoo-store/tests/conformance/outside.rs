//! A store read from outside while it is in use: counted, checked, written out.

use tokio::task::spawn_blocking;
use xiaoo_store::limits::{DEAD_KEPT, KEYS_KEPT};
use xiaoo_store::{
    Claim, Expect, Inventory, NotePut, NotesBeside, Outcome, PutNote, Record, Step, StoreError,
    StoreReader, TurnResult,
};

use crate::notes::put;
use crate::rig::{Outside, Rig, message, result, said};

/// One of each: turns in all states, sends in all states, a step, some history.
async fn a_busy_store<G: Outside>() -> Rig<G> {
    let rig = Rig::<G>::new().await;
    // Three that end: what they leave is sent, given up, being sent, and waits.
    for (conversation, n) in [("a", 1), ("b", 2), ("c", 3)] {
        rig.admit(conversation, n).await;
    }
    for turn in rig.store.claim(9, Claim::Any).await.unwrap() {
        let uuids = [
            format!("{}-1", turn.event_id),
            format!("{}-2", turn.event_id),
        ];
        let ended = TurnResult {
            outcome: Outcome::Failed,
            detail: Some("why".to_owned()),
            history: vec![said("user", "hi"), said("assistant", "ho")],
            ..result(1, &[&uuids[0], &uuids[1]])
        };
        rig.store.finish(turn.key, ended).await.unwrap();
    }
    let sending = rig.store.outbox_take(1, 9).await.unwrap();
    assert_eq!(sending.len(), 3);
    rig.store.outbox_done(sending[0].key, "om").await.unwrap();
    rig.store.outbox_dead(sending[1].key, "no").await.unwrap();
    // One that runs, one behind it, one that could run.
    rig.admit("d", 4).await;
    let running = rig.store.claim(9, Claim::Any).await.unwrap();
    let step = Step {
        kind: "model".to_owned(),
        body: "{}".into(),
    };
    rig.store.note_step(running[0].key, step).await.unwrap();
    rig.admit("d", 5).await;
    rig.admit("e", 6).await;
    for (key, expires_ms) in [("k", None), ("l", Some(1))] {
        let note = PutNote {
            expires_ms,
            ..put("s", key, "noted")
        };
        rig.store.put_note(note).await.unwrap();
    }
    rig
}

/// Reads in a thread of its own, as a runtime must not be blocked.
async fn outside<G: Outside, T: Send + 'static>(
    rig: &Rig<G>,
    read: impl FnOnce(StoreReader) -> T + Send + 'static,
) -> T {
    let url = rig.ground().url();
    let read = move || read(StoreReader::open(&url).unwrap());
    spawn_blocking(read).await.unwrap()
}

pub(crate) async fn a_store_in_use_is_counted_and_consistent<G: Outside>() {
    let rig = a_busy_store::<G>().await;
    let (inventory, broken) = outside(&rig, |reader| {
        (reader.inventory().unwrap(), broken(&reader))
    })
    .await;
    assert_eq!(broken, [""; 0]);
    let states = |counts: &[(&str, u64)]| {
        let counts = counts.iter().copied();
        counts
            .map(|(state, count)| (state.to_owned(), count))
            .collect()
    };
    let expected = Inventory {
        schema: 2,
        bytes: inventory.bytes,
        events: 6,
        turns: states(&[("done", 3), ("ready", 1), ("running", 1), ("waiting", 1)]),
        steps: 1,
        sends: states(&[
            ("dead", 1),
            ("done", 1),
            ("ready", 2),
            ("sending", 1),
            ("waiting", 1),
        ]),
        history: 6,
        notes: 2,
    };
    assert_eq!(inventory, expected);
    assert!(inventory.bytes > 0);
    // The store goes on.
    rig.admit("f", 7).await;
}

pub(crate) async fn everything_that_matters_is_written_out<G: Outside>() {
    let rig = a_busy_store::<G>().await;
    let records = outside(&rig, |reader| {
        reader.export().collect::<Result<Vec<_>, _>>().unwrap()
    })
    .await;
    let told: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Turn(turn) => {
                let body = turn.body.as_ref().map(|body| body.to_vec());
                let open = turn.state != "done";
                let expected = format!("body {}", turn.event_id.trim_start_matches('e'));
                assert_eq!(body, open.then(|| expected.into_bytes()));
                assert_eq!(turn.outcome.as_deref(), (!open).then_some("failed"));
                format!("{} {}", turn.event_id, turn.state)
            }
            Record::Send(send) => {
                let expected = format!("to send: {}", send.uuid);
                assert_eq!(&**send.body.as_ref().unwrap(), expected.as_bytes());
                let error = send.error.as_deref().unwrap_or_default();
                format!("{} {} {error}", send.uuid, send.state)
            }
            Record::History(row) => {
                let body = String::from_utf8(row.body.as_ref().unwrap().to_vec()).unwrap();
                format!("{} {}: {body}", row.conversation, row.role)
            }
            Record::Note(note) => {
                assert_eq!(&**note.body.as_ref().unwrap(), b"noted");
                format!("note {} {}: {:?}", note.scope, note.key, note.expires_ms)
            }
            Record::Unreadable { .. } => panic!("{record:?}"),
        })
        .collect();
    let expected = [
        "e1 done",
        "e2 done",
        "e3 done",
        "e4 running",
        "e5 waiting",
        "e6 ready",
        "e1-2 ready ",
        "e2-1 dead no",
        "e2-2 ready ",
        "e3-1 sending ",
        "e3-2 waiting ",
        "a user: hi",
        "a assistant: ho",
        "b user: hi",
        "b assistant: ho",
        "c user: hi",
        "c assistant: ho",
        "note s k: None",
        "note s l: Some(1)",
    ];
    assert_eq!(told, expected);
}

pub(crate) async fn more_than_one_batch_is_written_out<G: Outside>() {
    let rig = Rig::<G>::new().await;
    for n in 0..150 {
        let mut event = message(&format!("oc_{n}"), n);
        if n % 50 == 7 {
            event.work.as_mut().unwrap().body = vec![b'x'; 1 << 20].into();
        }
        rig.store.admit(event).await.unwrap();
    }
    let records = outside(&rig, |reader| {
        reader.export().collect::<Result<Vec<_>, _>>().unwrap()
    })
    .await;
    let ids: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Turn(turn) => turn.event_id.clone(),
            other @ (Record::Send(_)
            | Record::History(_)
            | Record::Note(_)
            | Record::Unreadable { .. }) => {
                panic!("{other:?}")
            }
        })
        .collect();
    let expected: Vec<_> = (0..150).map(|n| format!("e{n}")).collect();
    assert_eq!(ids, expected);
}

pub(crate) async fn what_will_be_pruned_is_known_before<G: Outside>() {
    let rig = a_busy_store::<G>().await;
    let millis = |kept: std::time::Duration| i64::try_from(kept.as_millis()).unwrap();
    for now_ms in [0, millis(KEYS_KEPT) + 2, millis(DEAD_KEPT) + 2, i64::MAX] {
        let announced = outside(&rig, move |reader| reader.prunable(now_ms).unwrap()).await;
        let removed = rig.store.prune(now_ms, 100).await.unwrap();
        assert_eq!(announced.rows(), removed as u64, "{announced:?}");
    }
}

pub(crate) async fn what_must_not_be_is_found_and_named<G: Outside>() {
    let breaks = [
        (
            "UPDATE turn SET state = 'waiting' WHERE event_id = 'e6'",
            "each conversation has one turn at its head",
            "e",
        ),
        (
            "UPDATE turn SET finished_ms = 7 WHERE event_id = 'e6'",
            "turns are in legal states",
            "turn 6",
        ),
        (
            "UPDATE turn SET conversation = 'd', state = 'waiting' WHERE event_id = 'e1';
             UPDATE turn SET outcome = NULL, finished_ms = NULL WHERE event_id = 'e1'",
            "turns are worked on in the order of arrival",
            "d",
        ),
        (
            "UPDATE step SET turn_id = 1",
            "steps are of turns that are not done",
            "turn 1",
        ),
        (
            "UPDATE outbox SET error = NULL WHERE uuid = 'e2-1'",
            "sends are in legal states",
            "send 3",
        ),
        (
            "UPDATE outbox SET state = 'waiting' WHERE uuid = 'e1-2'",
            "each conversation has one send at its head",
            "a",
        ),
        (
            "UPDATE outbox SET state = 'waiting', conversation = 'b' WHERE uuid = 'e1-2'",
            "sends go out in the order in which they were written",
            "b",
        ),
        (
            "DROP INDEX note_by_key; UPDATE note SET key = 'k'",
            "no note is there twice",
            "s k",
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
             INSERT INTO note (scope, key, body)
             SELECT 'many', CAST(i AS TEXT), body FROM n, note WHERE key = 'k'",
            "no scope has more notes than it may",
            "many",
        ),
        (
            "DROP INDEX turn_head",
            "the tables and indexes are those of this version",
            "turn_head is missing",
        ),
        (
            "DROP INDEX event_by_message_id; UPDATE event SET message_id = 'om_1'",
            "no event is there twice",
            "om_1",
        ),
    ];
    for (sql, promise, example) in breaks.iter().chain(G::BREAKS).copied() {
        let rig = a_busy_store::<G>().await;
        rig.ground().execute(sql).await;
        let findings = outside(&rig, move |reader| {
            let checks = reader.checks();
            let check = checks.iter().find(|check| check.promise == promise);
            let finding = reader.check(check.unwrap()).unwrap();
            (broken(&reader), finding)
        })
        .await;
        let (broken, finding) = findings;
        assert!(broken.contains(&promise), "{sql}: {broken:?}");
        assert!(finding.count > 0);
        let named = finding
            .examples
            .iter()
            .any(|text| text.starts_with(example));
        assert!(named, "{sql}: {finding:?}");
    }
}

/// The promises that do not hold.
fn broken(reader: &StoreReader) -> Vec<&'static str> {
    let checks = reader.checks().into_iter();
    checks
        .filter(|check| reader.check(check).unwrap().count > 0)
        .map(|check| check.promise)
        .collect()
}

/// Changes notes in a thread of its own.
async fn beside<G: Outside, T: Send + 'static>(
    rig: &Rig<G>,
    change: impl FnOnce(&mut NotesBeside) -> T + Send + 'static,
) -> T {
    let url = rig.ground().url();
    let change = move || change(&mut NotesBeside::open(&url).unwrap());
    spawn_blocking(change).await.unwrap()
}

pub(crate) async fn a_note_is_changed_beside_a_store_in_use_which_sees_it_at_its_next_look<
    G: Outside,
>() {
    let rig = a_busy_store::<G>().await;
    let body = async |key: &str| {
        let note = rig.store.note("s", key, 0).await.unwrap();
        note.map(|note| (note.version, note.body))
    };
    let (first, _) = body("k").await.unwrap();
    let (done, seen, refused) = beside(&rig, |notes| {
        let done = notes.put(put("s", "k", "anew")).unwrap();
        let seen = notes.note("s", "k", 0).unwrap().unwrap();
        let absent = PutNote {
            expect: Expect::Absent,
            ..put("s", "k", "never")
        };
        (done, seen, notes.put(absent).unwrap())
    })
    .await;
    let (version, anew) = body("k").await.unwrap();
    assert_eq!(done, NotePut::Done { version });
    assert!(version > first);
    assert_eq!((&*anew, &seen.body), (&b"anew"[..], &anew));
    assert!(matches!(refused, NotePut::Conflict { .. }), "{refused:?}");
    // The store's own next writing is another version still.
    let NotePut::Done { version: own } = rig.store.put_note(put("s", "k", "own")).await.unwrap()
    else {
        panic!("not written");
    };
    assert!(own > version);
    let gone = beside(&rig, |notes| {
        let gone = notes.delete("s", "k", 0).unwrap();
        assert_eq!(notes.delete("s", "k", 0).unwrap(), None);
        gone
    })
    .await;
    assert_eq!(gone.unwrap().version, own);
    assert_eq!(body("k").await, None);
    let too_large = beside(&rig, |notes| {
        let long = "x".repeat(xiaoo_store::limits::NOTE_BYTES_MAX + 1);
        notes.put(put("s", "k", &long))
    });
    assert!(matches!(too_large.await, Err(StoreError::TooLarge { .. })));
    assert_eq!(outside(&rig, |reader| broken(&reader)).await, [""; 0]);
}

pub(crate) async fn all_notes_are_read_out_and_nothing_else<G: Outside>() {
    let rig = a_busy_store::<G>().await;
    let read = outside(&rig, |reader| {
        let records = reader.export_notes().collect::<Result<Vec<_>, _>>();
        records.unwrap()
    });
    let read = read.await;
    let notes = read.iter().filter_map(|record| match record {
        Record::Note(note) => Some((note.scope.clone(), note.key.clone())),
        Record::Turn(_) | Record::Send(_) | Record::History(_) | Record::Unreadable { .. } => None,
    });
    let mut names: Vec<_> = notes.collect();
    assert_eq!(names.len(), read.len());
    names.sort();
    let name = |key: &str| ("s".to_owned(), key.to_owned());
    assert_eq!(names, [name("k"), name("l")]);
}
