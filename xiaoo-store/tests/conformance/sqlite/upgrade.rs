//! A file that an earlier version made.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tokio::task::spawn_blocking;
use xiaoo_store::{Admission, Claim, NotePut, Record, StoreOptions, StoreReader, StoreUrl};

use crate::notes::put;
use crate::rig::{ids, message, open, path_in, result};

/// As version 1 made them. It was released, so this never changes.
const V1: &str = include_str!("v1.sql");

/// Turns in the file: so many that its pages are not all where a new file has them.
const TURNS: u32 = 300;

const PAGE: usize = 4_096;

#[tokio::test]
async fn a_file_of_version_1_goes_on_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    make_v1(&path);
    let (store, _guard) = open(&path, &StoreOptions::default()).unwrap();
    let known = store.admit(message("oc_1", 1)).await;
    assert!(
        matches!(known, Ok(Admission::Duplicate { .. })),
        "{known:?}"
    );
    assert_eq!(store.stats().await.unwrap().queued, u64::from(TURNS));
    assert_eq!(store.claim(9, Claim::Urgent).await.unwrap(), []);
    let turns = store.claim(2, Claim::Any).await.unwrap();
    assert_eq!(ids(&turns), ["e0", "e1"]);
    assert!(
        turns
            .iter()
            .all(|turn| !turn.urgent && turn.body.len() == 2_000)
    );
    store
        .finish(turns[0].key, result(1, &["u1"]))
        .await
        .unwrap();

    let mut urgent = message("now", TURNS);
    urgent.work.as_mut().unwrap().urgent = true;
    store.admit(urgent).await.unwrap();
    let turns = store.claim(9, Claim::Urgent).await.unwrap();
    assert_eq!(ids(&turns), [format!("e{TURNS}")]);
    let written = store.put_note(put("a", "k", "t")).await.unwrap();
    assert!(matches!(written, NotePut::Done { .. }));
    look(&path, 2, TURNS as usize + 1).await;
}

#[tokio::test]
async fn a_file_of_version_1_can_be_read_before_its_daemon_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    make_v1(&path);
    let before = fs::read(&path).unwrap();
    look(&path, 1, TURNS as usize).await;
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// The first page leads to pages that are not where a new file has them.
#[tokio::test]
async fn an_upgraded_file_whose_first_page_is_lost_gives_all_that_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    for is_upgraded in [true, false] {
        let path = directory.path().join(format!("{is_upgraded}.db"));
        make_v1(&path);
        if is_upgraded {
            let (store, guard) = open(&path, &StoreOptions::default()).unwrap();
            store.put_note(put("a", "k", "t")).await.unwrap();
            guard.close();
        }
        let mut bytes = fs::read(&path).unwrap();
        bytes[..PAGE].fill(0);
        fs::write(&path, bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let read = spawn_blocking(move || {
            let url = StoreUrl::sqlite(&path);
            let reader = StoreReader::salvage(&url, folder.path()).unwrap();
            reader.export().collect::<Result<Vec<_>, _>>().unwrap()
        });
        let records = read.await.unwrap();
        let (mut turns, mut notes) = (0, 0);
        for record in records {
            match record {
                Record::Turn(turn) => {
                    assert_eq!(turn.body.unwrap().len(), 2_000);
                    turns += 1;
                }
                Record::Note(note) => {
                    assert_eq!(
                        (note.key.as_str(), &**note.body.as_ref().unwrap()),
                        ("k", &b"t"[..])
                    );
                    notes += 1;
                }
                other @ (Record::Send(_) | Record::History(_) | Record::Unreadable { .. }) => {
                    panic!("{other:?}")
                }
            }
        }
        assert_eq!((turns, notes), (TURNS, u32::from(is_upgraded)));
    }
}

/// A file as version 1 left it, with turns that wait.
fn make_v1(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(&format!(
        "BEGIN; {V1}
         PRAGMA application_id = {};
         PRAGMA user_version = 1;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {TURNS} - 1)
         INSERT INTO turn (state, app, event_id, message_id, received_ms, conversation, kind)
         SELECT 'ready', 'cli_a', 'e' || i, 'om_' || i, i, 'oc_' || i, 'message' FROM n;
         INSERT INTO event (app, event_id, message_id, received_ms, turn_id)
         SELECT app, event_id, message_id, received_ms, id FROM turn;
         INSERT INTO turn_body SELECT id, zeroblob(2000) FROM turn;
         COMMIT",
        0x786f_4f53
    ))
    .unwrap();
}

/// All promises hold, and it is all there.
async fn look(path: &Path, schema: i64, turns: usize) {
    let url = StoreUrl::sqlite(path);
    let look = spawn_blocking(move || {
        let reader = StoreReader::open(&url).unwrap();
        for check in reader.checks() {
            let finding = reader.check(&check).unwrap();
            assert_eq!(finding.count, 0, "{}: {finding:?}", check.promise);
        }
        let inventory = reader.inventory().unwrap();
        assert_eq!(inventory.schema, schema);
        assert_eq!(reader.prunable(0).unwrap().rows(), 0);
        let records = reader.export().collect::<Result<Vec<_>, _>>().unwrap();
        let read = records
            .iter()
            .filter(|record| matches!(record, Record::Turn(_)))
            .count();
        assert_eq!(read, turns);
    });
    look.await.unwrap();
}
