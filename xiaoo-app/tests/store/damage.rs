//! Files that are really damaged: the daemon refuses to start on them and says what
//! to do, nothing of them is changed, and what can be read is written out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use xiaoo_store::{NewEvent, NewTurn, Store, StoreOptions, StoreUrl};

use crate::run::{Ended, store};

/// Turns in the file, with bodies of a few kilobytes: some hundred pages.
const TURNS: u32 = 400;
const PAGE: usize = 4_096;

/// What is done to the file, what is said of it, and how many turns can be read at
/// least: `None` when none need be.
type Damage = (&'static str, fn(&mut Vec<u8>), &'static str, Option<usize>);

const DAMAGES: &[Damage] = &[
    (
        "the header is overwritten",
        |bytes| bytes[..100].fill(0xaa),
        "its first page is destroyed",
        Some(TURNS as usize),
    ),
    (
        "the first page is zeroed",
        |bytes| bytes[..PAGE].fill(0),
        "its first page is destroyed",
        Some(TURNS as usize),
    ),
    (
        "pages in the middle are zeroed",
        |bytes| {
            let middle = bytes.len() / 2 / PAGE * PAGE;
            bytes[middle..middle + 4 * PAGE].fill(0);
        },
        "is damaged",
        Some(380),
    ),
    (
        "pages in the middle are random",
        |bytes| {
            let middle = bytes.len() / 3 / PAGE * PAGE;
            let mut rng = fastrand::Rng::with_seed(7);
            rng.fill(&mut bytes[middle..middle + 8 * PAGE]);
        },
        "is damaged",
        Some(360),
    ),
    (
        "every tenth page is random",
        |bytes| {
            let mut rng = fastrand::Rng::with_seed(8);
            for page in bytes.chunks_mut(PAGE).skip(40).step_by(10) {
                rng.fill(page);
            }
        },
        "is damaged",
        Some(200),
    ),
    (
        "it is cut off at a page's end",
        |bytes| bytes.truncate(bytes.len() / 2 / PAGE * PAGE),
        "is damaged",
        Some(150),
    ),
    (
        "it is cut off inside a page",
        |bytes| bytes.truncate(bytes.len() * 3 / 4 / PAGE * PAGE - 1_000),
        "is damaged",
        Some(250),
    ),
    ("it is empty", Vec::clear, "the file is empty", None),
    (
        "it is a text",
        |bytes| *bytes = "not a database. ".repeat(2_000).into(),
        "not a SQLite database",
        None,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_left_alone_and_written_out_as_far_as_it_can_be_read() {
    for (what, damage, told, readable) in DAMAGES {
        let folder = tempfile::tempdir().unwrap();
        let path = a_store(&folder).await;
        let mut bytes = fs::read(&path).unwrap();
        assert!(bytes.len() > 200 * PAGE, "{} pages", bytes.len() / PAGE);
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();

        let refusals = [
            daemon(&folder, &path, None),
            store(&["store", "check"], &path),
            store(&["store", "prune"], &path),
        ];
        for ended in refusals {
            assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
            let text = format!("{}{}", ended.out, ended.err);
            let file = path.display().to_string();
            for word in [
                *told,
                &file,
                "store export --store sqlite:",
                "restore a backup",
            ] {
                assert!(text.contains(word), "{what}: no {word:?} in {text}");
            }
        }
        let exported = store(&["store", "export"], &path);
        let turns = whole_turns(&exported);
        // Damage elsewhere, in the keys of events for instance, is not in its way.
        let salvaged = exported.err.contains("A copy of it is tried");
        let whole = turns.len() == TURNS as usize && !salvaged;
        assert_eq!(
            exported.code,
            Some(i32::from(!whole)),
            "{what}: {exported:?}"
        );
        let named = exported.err.contains(&path.display().to_string());
        assert_eq!(named, !whole, "{what}: {exported:?}");
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert!(left <= 5, "{what}: {left} files, the copy among them?");
        eprintln!("{what}: {} of {TURNS} turns can be read", turns.len());
        if let Some(readable) = readable {
            assert!(turns.len() >= *readable, "{what}: {}", turns.len());
        }
        assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_file_is_not_taken_for_the_log_of_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = a_store(&folder).await;
    let log = folder.path().join("xiaoo.db-wal");
    fs::write(&log, "acknowledged events").unwrap();
    fs::remove_file(&path).unwrap();
    let ended = daemon(&folder, &path, None);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("only its log"), "{ended:?}");
    assert_eq!(fs::read(&log).unwrap(), b"acknowledged events");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_or_not_ours_is_told_apart_from_damage() {
    /// Nobody, where the test is root, whom no mode binds.
    const NOBODY: u32 = 65_534;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    let user = is_root.then_some(NOBODY);

    type Change = fn(&Path);
    let cases: &[(&str, Change, &str)] = &[
        (
            "a directory",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "Is a directory",
        ),
        (
            "no rights",
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap(),
            "write access",
        ),
        (
            "of a newer version",
            |path| {
                let db = rusqlite::Connection::open(path).unwrap();
                db.pragma_update(None, "user_version", 7_000).unwrap();
            },
            "has schema 7000",
        ),
        (
            "of another program",
            |path| {
                fs::remove_file(path).unwrap();
                let db = rusqlite::Connection::open(path).unwrap();
                db.execute_batch("CREATE TABLE theirs (x)").unwrap();
            },
            "of another program",
        ),
    ];
    for (what, change, told) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = a_store(&folder).await;
        change(&path);
        if let Some(user) = user {
            for entry in fs::read_dir(folder.path()).unwrap() {
                std::os::unix::fs::chown(entry.unwrap().path(), Some(user), None).unwrap();
            }
            std::os::unix::fs::chown(folder.path(), Some(user), None).unwrap();
        }
        let ended = daemon(&folder, &path, user);
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        for word in [*told, &path.display().to_string()] {
            assert!(ended.err.contains(word), "{what}: no {word:?} in {ended:?}");
        }
        assert!(!ended.err.contains("To save what"), "{what}: {ended:?}");
    }
}

/// A file with waiting turns, closed in good order.
async fn a_store(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("xiaoo.db");
    let (store, guard) = Store::open(&StoreUrl::sqlite(&path), StoreOptions::default()).unwrap();
    let admissions = (0..TURNS).map(|n| {
        store.admit(NewEvent {
            app: "cli_a".into(),
            event_id: format!("e{n}"),
            message_id: Some(format!("om_{n}")),
            received_ms: i64::from(n),
            work: Some(NewTurn {
                conversation: format!("feishu:oc_{}", n % 50),
                kind: "message".into(),
                body: body(n).to_string().into(),
                urgent: false,
            }),
        })
    });
    for admitted in futures_util::future::join_all(admissions).await {
        admitted.unwrap();
    }
    guard.close();
    path
}

fn body(n: u32) -> Value {
    serde_json::json!({ "text": format!("{n} ").repeat(800) })
}

/// The turns that were written out whole; each must be as it was, and there once.
fn whole_turns(exported: &Ended) -> BTreeSet<u32> {
    let mut seen = BTreeSet::new();
    let mut whole = BTreeSet::new();
    for line in exported.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["type"] != "turn" {
            continue;
        }
        let event_id = line["event_id"].as_str().unwrap();
        assert!(seen.insert(event_id.to_owned()), "{event_id} twice");
        let n = event_id.trim_start_matches('e').parse().unwrap();
        if line["body"] == body(n) {
            whole.insert(n);
        }
    }
    whole
}

/// A daemon on that file, run to the end that it should come to at once.
fn daemon(folder: &TempDir, path: &Path, user: Option<u32>) -> Ended {
    let config = folder.path().join("config.toml");
    let text = format!(
        "[llm]\nprovider = \"openai-compatible\"\napi_base = \"http://127.0.0.1:9\"\nmodel = \"none\"\n\
         [channels.feishu]\nenabled = true\ntransport = \"websocket\"\napp_id = \"cli_a\"\n\
         app_secret_env = \"E2E_SECRET\"\nbase_url = \"http://127.0.0.1:9\"\n\
         [store]\nurl = \"sqlite:{}\"\n",
        path.display()
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"));
    command
        .args(["daemon", "--port", "0", "--config"])
        .arg(&config)
        .env("E2E_SECRET", "planted-secret");
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.output().unwrap().into()
}
