//! `inspect` against the vectors: frames recorded from the official clients,
//! events, and encrypted bodies.
#![expect(
    clippy::unwrap_used,
    reason = "vectors that can't be read must fail the test"
)]

use std::path::{Path, PathBuf};

use proto_core::Identity;
use secrecy::SecretString;
use serde_json::Value;
use xiaoo_app::commands::inspect;

fn vectors(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors")).join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn answers(output: &[u8]) -> Vec<Value> {
    let output = std::str::from_utf8(output).unwrap();
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_recorded_frame_is_shown_as_the_official_clients_read_it() {
    let vectors = json(&vectors("ws_frames.json"));
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 61);
    let input: String = vectors
        .iter()
        .map(|vector| format!("{}\n", vector["hex"].as_str().unwrap()))
        .collect();

    let mut output = Vec::new();
    inspect::frames(input.as_bytes(), &mut output).unwrap();

    let answers = answers(&output);
    assert_eq!(answers.len(), vectors.len());
    for (vector, answer) in vectors.iter().zip(&answers) {
        let name = &vector["name"];
        assert_eq!(answer["ok"], vector["valid"], "{name}: {answer}");
        if vector["valid"] == true {
            assert_eq!(answer["frame"], vector["frame"], "{name}");
            // Left out of the file where it would be long and is the input itself.
            let canonical = if vector["canonical"] == true {
                &vector["hex"]
            } else {
                &vector["reencoded_hex"]
            };
            assert_eq!(&answer["canonical_hex"], canonical, "{name}");
        } else {
            assert!(answer["error"].is_string(), "{name}: {answer}");
        }
    }
}

#[test]
fn every_event_is_shown_with_its_kind_and_ids() {
    let identity = Identity {
        open_id: "ou_bot_0000000000000000000000000000",
        app_id: "cli_a1b2c3d4e5f60001",
    };
    let mut vectors: Vec<Value> = std::fs::read_dir(vectors("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| json(&path))
        .collect();
    vectors.push(serde_json::json!({"name": "not an event", "body": [], "expect": {}}));
    let input: String = vectors
        .iter()
        .map(|vector| format!("{}\n", vector["body"]))
        .collect();

    let mut output = Vec::new();
    inspect::events(identity, input.as_bytes(), &mut output).unwrap();

    let answers = answers(&output);
    assert_eq!(answers.len(), vectors.len());
    assert_eq!(answers.last().unwrap()["ok"], false);
    for (vector, answer) in vectors.iter().zip(&answers).take(vectors.len() - 1) {
        let (name, expect) = (&vector["name"], &vector["expect"]);
        assert_eq!(answer["ok"], true, "{name}: {answer}");
        if answer["kind"] == vector["alternative"]["kind"] {
            continue;
        }
        for key in [
            "kind",
            "event_id",
            "dedup_key",
            "message_id",
            "chat_id",
            "text",
        ] {
            if expect[key].is_null() || (key == "text" && !expect["text_any_of"].is_null()) {
                continue;
            }
            assert_eq!(answer[key], expect[key], "{name}: {key}");
        }
    }
}

#[test]
fn every_encrypted_body_is_shown_or_refused() {
    let vectors = json(&vectors("webhook_crypto.json"));
    let vectors = vectors["vectors"].as_array().unwrap();
    for vector in vectors {
        let name = &vector["name"];
        let key = SecretString::from(vector["encrypt_key"].as_str().unwrap());
        // One vector is spread over several lines; in the pipe it is one.
        let body = vector["body"].as_str().unwrap().replace('\n', " ");
        let mut output = Vec::new();
        inspect::bodies(&key, body.as_bytes(), &mut output).unwrap();

        let answer = answers(&output).remove(0);
        match vector["reject_reason"].as_str() {
            None => {
                let plain = vector["plaintext"].as_str().unwrap();
                let plain: Value = serde_json::from_str(plain).unwrap();
                let expected = serde_json::json!({"ok": true, "plain": plain});
                assert_eq!(answer, expected, "{name}");
            }
            // Signatures are the webhook's business; the text may still be good.
            Some("signature") => {}
            Some(_) => assert_eq!(answer["ok"], false, "{name}: {answer}"),
        }
    }
}
