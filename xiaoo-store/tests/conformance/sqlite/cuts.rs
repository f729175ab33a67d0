//! A copy of the database and its log, one of them cut off at a random length.
//!
//! What was synced before the cut is there, whole and once, or the file is refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use fastrand::Rng;
use tempfile::TempDir;
use xiaoo_store::{Claim, Fenced, Record, StoreReader, StoreUrl, TurnResult};

use crate::notes::put;
use crate::rig::{copy_files, message, open, path_in, patient, result, said, wal};

/// Lengths that are tried, over all files.
const CUTS: u64 = 500;
/// Changes that a store has seen, each acknowledged before the next: so few that all
/// are in its log, or so many that some were folded into the file meanwhile.
const FEW: u32 = 24;
const MANY: u32 = 70;

/// What a store holds: each turn, send and row of history in a word or two.
type Holds = BTreeMap<String, String>;

/// A store at one moment, and all that it ever held.
struct Grown {
    directory: TempDir,
    /// What it held after each change, and how long its log was then.
    moments: Vec<(u64, Holds)>,
    /// Whether the log was being folded in.
    is_folding: bool,
}

#[tokio::test]
async fn what_was_synced_before_a_cut_is_there_or_the_file_is_refused() {
    let mut rng = Rng::with_seed(500);
    let grown = [
        grow(&mut rng, FEW, false).await,
        grow(&mut rng, FEW, true).await,
        grow(&mut rng, MANY, false).await,
    ];
    let (mut refused, mut opened) = (0, 0);
    for n in 0..CUTS {
        let grown = &grown[usize::try_from(n % 3).unwrap()];
        let cut_log = rng.bool();
        let directory = scratch();
        let path = path_in(&directory);
        copy_files(&path_in(&grown.directory), &path);
        let cut = if cut_log { wal(&path) } else { path.clone() };
        let length = fs::metadata(&cut).unwrap().len();
        let kept = rng.u64(..length);
        File::options()
            .write(true)
            .open(&cut)
            .unwrap()
            .set_len(kept)
            .unwrap();
        let what = format!("cut {n}: {} to {kept} of {length} bytes", cut.display());
        match open(&path, &patient()) {
            Err(error) => {
                assert!(error.is_damage(), "{what}: {error}");
                // Its end alone is missing, unless it is in the file already.
                assert!(!cut_log || grown.is_folding, "{what}: {error}");
                refused += 1;
            }
            Ok((_, guard)) => {
                guard.close();
                let holds = look(&path, &what);
                // A log that was cut has what was synced before; a file that was cut has all.
                let due = if cut_log {
                    grown.moments.partition_point(|(log, _)| *log <= kept) - 1
                } else {
                    grown.moments.len() - 1
                };
                let seen = grown.moments[due..].iter().any(|(_, then)| *then == holds);
                assert!(seen, "{what}: it holds {:?}", holds.keys());
                opened += 1;
            }
        }
    }
    println!("{refused} refused, {opened} opened with all that was synced");
    assert!(refused > 100 && opened > 100);
}

/// Lets a store live for a while; with some of it folded into its file, or nothing.
async fn grow(rng: &mut Rng, changes: u32, folded: bool) -> Grown {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory);
    let (mut store, mut guard) = open(&path, &patient()).unwrap();
    let mut holds = Holds::new();
    let mut moments = vec![(0, holds.clone())];
    for n in 0..changes {
        if folded && n == changes / 2 {
            guard.close();
            (store, guard) = open(&path, &patient()).unwrap();
            moments = vec![(0, holds.clone())];
        }
        if n % 7 == 6 {
            let key = format!("{}", n % 2);
            let note = put("a", &key, &text(n, 900));
            store.put_note(note).await.unwrap();
            holds.insert(format!("note {key}"), text(n, 900));
        } else if n % 3 == 2 {
            let turn = store.claim(1, Claim::Any).await.unwrap().remove(0);
            let uuid = format!("u{n}");
            let ended = TurnResult {
                history: vec![said("user", &text(n, 6_000))],
                ..result(1, &[&uuid])
            };
            let finished = store.finish(turn.key, ended).await;
            assert_eq!(finished, Ok(Fenced::Done));
            holds.insert(format!("turn {}", turn.event_id), "done".to_owned());
            holds.insert(format!("send {uuid}"), format!("to send: {uuid}"));
            let heard = format!("history {}", turn.conversation);
            holds.insert(heard, text(n, 6_000));
        } else {
            let mut event = message(&format!("oc_{n}"), n);
            let body = text(n, rng.usize(..20_000));
            event.work.as_mut().unwrap().body = body.clone().into();
            store.admit(event).await.unwrap();
            holds.insert(format!("turn e{n}"), body);
        }
        moments.push((log_bytes(&path), holds.clone()));
    }
    let is_folding = changes == MANY;
    while is_folding && fs::metadata(&path).unwrap().len() < 300_000 {
        store.stats().await.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    copy_files(&path, &path_in(&copy));
    drop(store);
    guard.close();
    Grown {
        directory: copy,
        moments,
        is_folding,
    }
}

/// What a store holds now, each thing once; and that its promises hold.
fn look(path: &Path, what: &str) -> Holds {
    let reader = StoreReader::open(&StoreUrl::sqlite(path)).unwrap();
    for check in reader.checks() {
        let finding = reader.check(&check).unwrap();
        assert_eq!(finding.count, 0, "{what}: {}: {finding:?}", check.promise);
    }
    let text = |body: Option<xiaoo_store::Body>| {
        let bytes = body.unwrap().to_vec();
        String::from_utf8(bytes).unwrap()
    };
    let mut holds = Holds::new();
    for record in reader.export() {
        let (name, value) = match record.unwrap() {
            Record::Turn(turn) if turn.state == "done" => {
                (format!("turn {}", turn.event_id), "done".to_owned())
            }
            Record::Turn(turn) => (format!("turn {}", turn.event_id), text(turn.body)),
            Record::Send(send) => (format!("send {}", send.uuid), text(send.body)),
            Record::History(row) => (format!("history {}", row.conversation), text(row.body)),
            Record::Note(note) => (format!("note {}", note.key), text(note.body)),
            unreadable @ Record::Unreadable { .. } => panic!("{what}: {unreadable:?}"),
        };
        let twice = holds.insert(name.clone(), value);
        assert_eq!(twice, None, "{what}: {name} is there twice");
    }
    holds
}

/// In memory where there is such a place: five hundred stores are made and thrown away.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn log_bytes(path: &Path) -> u64 {
    fs::metadata(wal(path)).map_or(0, |log| log.len())
}

/// So many bytes that no other change has.
fn text(n: u32, bytes: usize) -> String {
    format!("{n}:{}", "x".repeat(bytes))
}
