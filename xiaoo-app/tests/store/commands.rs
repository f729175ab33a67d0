//! `store check`, `export` and `prune`: beside a daemon, and when it is gone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use model_sim::Script;
use serde_json::Value;
use xiaoo_store::{
    Claim, Expect, NewEvent, NewTurn, Outcome, PutNote, Store, StoreOptions, StoreUrl, TurnResult,
};

use crate::harness::{Rig, Via};
use crate::run::{Ended, in_a_namespace, store, xiaoo};

fn file(rig: &Rig) -> PathBuf {
    rig.folder.path().join("xiaoo.db")
}

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_checked_and_written_out_beside_its_daemon_and_after_it() {
    let mut rig = Rig::via(Via::Webhook).await;
    let asked = rig.says("hello");
    rig.answer_to(&asked).await;
    // This one is still being worked on.
    rig.model.script(Script::HangMidStream {
        text: "never to end".into(),
        pieces: 1,
    });
    rig.says("are you still there?");
    rig.model.wait_for_requests(2).await;

    let config = rig.folder.path().join("config.toml");
    let config = config.to_str().unwrap();
    // None of the configuration's secrets is in the environment.
    let checked = xiaoo(&["store", "check"], &["--config", config]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("1 running, 1 done"), "{checked:?}");
    assert!(
        checked.out.ends_with("The store is consistent.\n"),
        "{checked:?}"
    );

    let exported = xiaoo(&["store", "export"], &["--config", config]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let seen = lines(&exported.out);
    let turns: Vec<_> = seen.iter().filter(|line| line["type"] == "turn").collect();
    assert_eq!(turns.len(), 2, "{}", exported.out);
    assert_eq!(turns[0]["state"], "done");
    assert_eq!(turns[0]["body"], Value::Null);
    let body = &turns[1]["body"];
    assert_eq!(body["header"]["event_id"], turns[1]["event_id"]);
    assert_eq!(body["header"]["token"], "***");
    let token = &rig.sim.config().verification_token;
    assert!(!exported.out.contains(token.as_str()), "{}", exported.out);
    assert!(
        seen.iter()
            .any(|line| line["type"] == "history" && line["role"] == "user"),
        "{}",
        exported.out
    );

    let pruned = store(&["store", "prune"], &file(&rig));
    assert_eq!(pruned.code, Some(1));
    assert!(pruned.err.contains("in use by process"), "{pruned:?}");
    assert!(pruned.err.contains("by itself"), "{pruned:?}");
    let announced = store(&["store", "prune", "--dry-run"], &file(&rig));
    assert_eq!(announced.code, Some(0), "{announced:?}");

    rig.daemon.kill();
    let checked = store(&["store", "check"], &file(&rig));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    rig.start_daemon().await;
    assert!(rig.log().contains("work that was cut off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_notes_are_written_to_a_file_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoo.db");
    an_old_dead_letter(&path).await;
    two_notes(&path).await;
    let saved = folder.path().join("saved.jsonl");
    let out = ["--out", saved.to_str().unwrap()];

    let exported = store(&["store", "export", out[0], out[1]], &path);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert!(exported.err.contains("1 sends (1 of them given up)"));
    let mode = std::fs::metadata(&saved).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let letters = lines(&std::fs::read_to_string(&saved).unwrap());
    let letter = letters
        .iter()
        .find(|line| line["type"] == "dead_letter")
        .unwrap();
    assert_eq!(letter["error"], "the bot was removed");
    assert_eq!(letter["body"]["text"], "an answer");
    let notes: Vec<_> = letters
        .iter()
        .filter(|line| line["type"] == "note")
        .collect();
    assert_eq!(notes.len(), 2);
    assert_eq!(notes[0]["scope"], "feishu:oc_1");
    assert_eq!(notes[0]["key"], "model");
    assert_eq!(
        notes[0]["body"],
        serde_json::json!({ "name": "small", "token": "***" })
    );
    // A note need not be JSON.
    assert_eq!(notes[1]["body_base64"], "MTIzNDV4");
    assert_eq!(notes[1]["expires_ms"], 1);

    let again = store(&["store", "export", out[0], out[1]], &path);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("saved.jsonl"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_announced_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoo.db");
    an_old_dead_letter(&path).await;
    let announced = store(&["store", "prune", "--dry-run"], &path);
    assert_eq!(announced.code, Some(0), "{announced:?}");
    assert!(announced.out.contains("3  in all"), "{announced:?}");
    for removed in ["3 rows were removed", "0 rows were removed"] {
        let pruned = store(&["store", "prune"], &path);
        assert_eq!(pruned.code, Some(0), "{pruned:?}");
        assert!(pruned.out.contains(removed), "{pruned:?}");
    }
    let checked = store(&["store", "check"], &path);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn what_breaks_a_promise_is_named_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoo.db");
    drop(Store::open(&StoreUrl::sqlite(&path), StoreOptions::default()).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("INSERT INTO turn_body VALUES (7, x'00')")
        .unwrap();
    let checked = store(&["store", "check"], &path);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.out.contains(
            "FAILED   no body is left of what is done: not so 1 times\n           turn 7\n"
        ),
        "{checked:?}"
    );
    assert!(checked.out.contains("please report it"), "{checked:?}");
    assert!(checked.err.contains("failed 1 of its checks"));
}

#[test]
fn a_store_that_is_not_there_and_a_configuration_that_is_wrong_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    for words in [
        &["store", "check"][..],
        &["store", "export"],
        &["store", "prune"],
    ] {
        let ended = store(words, &missing);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("there is no store at"), "{ended:?}");
        assert!(ended.err.contains("none.db"), "{ended:?}");
    }
    assert!(!missing.exists());

    let config = folder.path().join("config.toml");
    for (text, told) in [
        ("[store]\nurl = 7", "config.toml:2: store.url"),
        ("[store]\nurl = \"mysql://h\"", "unknown kind of store"),
        ("[store", "not TOML"),
    ] {
        std::fs::write(&config, text).unwrap();
        let ended = xiaoo(&["store", "check", "--config"], &[config.to_str().unwrap()]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(told), "{ended:?}");
    }
}

/// A disk that fails is often mounted anew, for reading alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_a_disk_that_can_not_be_written_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoo.db");
    an_old_dead_letter(&path).await;
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs tmpfs \"$0\" && cp \"$1\" \"$0/a b.db\" &&
        mount -o remount,ro \"$0\" && \"$2\" store check --store \"sqlite:$0/a b.db\"";
    let mut command = std::process::Command::new("unshare");
    command.args(in_a_namespace()).args(["sh", "-c", script]);
    command.args([&disk, &path]);
    command.arg(env!("CARGO_BIN_EXE_xiaoo-app"));
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("1 dead"), "{ended:?}");
}

/// One that stays and is JSON, and one that has expired and is not.
async fn two_notes(path: &std::path::Path) {
    let (store, guard) = Store::open(&StoreUrl::sqlite(path), StoreOptions::default()).unwrap();
    let notes = [
        ("model", r#"{"name":"small","token":"planted"}"#, None),
        ("pairing", "12345x", Some(1)),
    ];
    for (key, body, expires_ms) in notes {
        let note = PutNote {
            scope: "feishu:oc_1".into(),
            key: key.into(),
            body: body.into(),
            expires_ms,
            expect: Expect::Absent,
            now_ms: 0,
        };
        store.put_note(note).await.unwrap();
    }
    guard.close();
}

/// A turn from long ago whose only send was given up.
async fn an_old_dead_letter(path: &std::path::Path) {
    let url = StoreUrl::sqlite(path);
    let (store, guard) = Store::open(&url, StoreOptions::default()).unwrap();
    let event = NewEvent {
        app: "cli_a".into(),
        event_id: "e1".into(),
        message_id: None,
        received_ms: 1,
        work: Some(NewTurn {
            conversation: "feishu:oc_1".into(),
            kind: "message".into(),
            body: "{}".into(),
            urgent: false,
        }),
    };
    store.admit(event).await.unwrap();
    let turn = store.claim(1, Claim::Any).await.unwrap()[0].key;
    let result = TurnResult {
        outcome: Outcome::Answered,
        detail: None,
        finished_ms: 1,
        history: vec![],
        outbox: vec![xiaoo_store::NewOutbox {
            uuid: "u1".into(),
            kind: "reply".into(),
            body: r#"{"text":"an answer"}"#.into(),
        }],
    };
    store.finish(turn, result).await.unwrap();
    let row = store.outbox_take(1, 1).await.unwrap()[0].key;
    store.outbox_dead(row, "the bot was removed").await.unwrap();
    guard.close();
}
