//! Every recorded event against what it means.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::{Event, Identity, InboundMessage, inspect_event_json};
use serde_json::{Value, json};

fn identity() -> Identity<'static> {
    Identity {
        open_id: "ou_bot_0000000000000000000000000000",
        app_id: "cli_a1b2c3d4e5f60001",
    }
}

fn inspect(body: &Value) -> Value {
    let line = inspect_event_json(body.to_string().as_bytes(), identity());
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn every_event_is_understood_as_its_vector_says() {
    let mut seen = 0;
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let ours = inspect(&vector["body"]);
        assert_eq!(ours["ok"], json!(true), "{name}");
        for (key, expected) in vector["expect"].as_object().unwrap() {
            compare(name, key, expected, &ours, &vector["expect"]);
        }
        seen += 1;
    }
    assert_eq!(seen, 47);
}

fn vectors() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/events");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        .collect()
}

/// The comparison rules of the vectors' README.
fn compare(name: &str, key: &str, expected: &Value, ours: &Value, expect: &Value) {
    let text = || ours["text"].as_str().unwrap_or_default();
    let strings = || {
        expected
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_str().unwrap())
    };
    match key {
        "note" | "alternative" | "text_should_contain" | "resources_optional" => {}
        "text" if expect.get("text_any_of").is_some() => {}
        "text_any_of" => {
            assert!(strings().any(|one| one == text()), "{name}: {:?}", text());
        }
        "text_contains" => {
            let mut rest = text();
            for part in strings() {
                let at = rest
                    .find(part)
                    .unwrap_or_else(|| panic!("{name}: {part:?} in {:?}", text()));
                rest = &rest[at + part.len()..];
            }
        }
        "text_not_contains" => {
            for part in strings() {
                assert!(!text().contains(part), "{name}: {part:?} in {:?}", text());
            }
        }
        "text_chars" => assert_eq!(json!(text().chars().count()), *expected, "{name}"),
        "text_utf8_bytes" => assert_eq!(json!(text().len()), *expected, "{name}"),
        "text_sha256" => {
            use sha2::{Digest as _, Sha256};
            let digest: String = Sha256::digest(text())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(json!(digest), *expected, "{name}");
        }
        "addressed" | "chat_type" | "mentioned_open_ids" if expected.is_null() => {}
        "resources" if expected.is_null() => {}
        "resources" => {
            let (ours, expected) = (
                ours["resources"].as_array().unwrap(),
                expected.as_array().unwrap(),
            );
            assert_eq!(ours.len(), expected.len(), "{name}: {ours:?}");
            for (ours, expected) in ours.iter().zip(expected) {
                for (key, value) in expected.as_object().unwrap() {
                    assert_eq!(ours[key], *value, "{name}: {key}");
                }
                let kind = if expected["type"] == "image" {
                    "image"
                } else {
                    "file"
                };
                assert_eq!(ours["download_type"], kind, "{name}");
            }
        }
        "root_id" | "parent_id" | "thread_id" | "action_value" | "schema" if expected.is_null() => {
            let empty = ours[key].is_null() || ours[key] == "";
            assert!(empty, "{name}: {key} is {}", ours[key]);
        }
        _ => assert_eq!(ours[key], *expected, "{name}: {key}"),
    }
}

#[test]
fn what_is_no_event_says_why() {
    for (body, part) in [
        ("", "too early"),
        ("{", "too early"),
        ("nonsense", "unexpected"),
        ("[1]", "no event"),
        ("{}", "no event"),
        (r#"{"header":3}"#, "no event"),
        (r#"{"type":"url_verification"}"#, "no event"),
    ] {
        let line = inspect_event_json(body.as_bytes(), identity());
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], json!(false), "{body}");
        assert!(
            answer["error"].as_str().unwrap().contains(part),
            "{body}: {answer}"
        );
    }
    let line = inspect_event_json(&[b'"', 0xff, b'"'], identity());
    assert!(line.contains("UTF-8"), "{line}");
}

#[test]
fn an_unknown_chat_type_counts_as_a_group() {
    for (chat_type, direct) in [
        ("p2p", true),
        ("private", false),
        ("group", false),
        ("topic_group", false),
        ("", false),
        ("P2P", false),
    ] {
        let body = json!({
            "schema": "2.0",
            "header": {"event_id": "e", "event_type": "im.message.receive_v1"},
            "event": {"message": {"message_id": "om_1", "chat_type": chat_type, "message_type": "text", "content": "{\"text\":\"x\"}"}}
        })
        .to_string();
        let event = Event::parse(body.as_bytes()).unwrap();
        let message = InboundMessage::from_event(&event, identity()).unwrap();
        assert_eq!(message.is_direct, direct, "{chat_type}");
        assert_eq!(message.addressed, direct, "{chat_type}");
    }
}

#[test]
fn long_input_takes_time_in_proportion_to_its_length() {
    // Work that grew with the square of the length would not end in a test's time.
    let mentions: Vec<_> = (0..20_000)
        .map(|number| json!({"key": format!("@_user_{number}"), "id": {"open_id": format!("ou_{number}")}, "name": format!("N{number}")}))
        .collect();
    let text: String = (0..200_000)
        .map(|number| format!("@_user_{} ", number % 25_000))
        .collect();
    let template = "{a}".repeat(200_000);
    let deep = format!(
        "{}{}{}",
        "{\"elements\":[".repeat(60),
        "{\"text\":\"w\"},".repeat(50_000),
        "1"
    );
    let card = deep + &"]}".repeat(60);
    for (kind, content) in [
        ("text", json!({"text": text}).to_string()),
        (
            "system",
            json!({"template": template, "a": "b"}).to_string(),
        ),
        ("interactive", card),
    ] {
        let body = json!({
            "schema": "2.0",
            "header": {"event_id": "e", "event_type": "im.message.receive_v1"},
            "event": {"message": {"message_id": "om_1", "chat_type": "p2p", "message_type": kind, "content": content, "mentions": mentions}}
        });
        assert_eq!(inspect(&body)["kind"], "message");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const TYPES: [&str; 22] = [
        "text",
        "post",
        "image",
        "file",
        "audio",
        "media",
        "video",
        "sticker",
        "folder",
        "interactive",
        "share_chat",
        "share_user",
        "hongbao",
        "location",
        "system",
        "calendar",
        "general_calendar",
        "share_calendar_event",
        "video_chat",
        "todo",
        "vote",
        "merge_forward",
    ];

    fn content() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "text",
            "title",
            "content",
            "elements",
            "tag",
            "template",
            "a",
            "file_key",
            "image_key",
            "summary",
            "options",
            "topic",
            "duration",
            "start_time",
            "style",
            "user_id",
            "header",
            "body",
            "name",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Into::into),
            "[@_a-z0-9{} <>\"\\\\中😀]{0,16}".prop_map(Into::into),
            prop::sample::select(vec!["text", "at", "img", "@_all", "@_user_1", "code_block"])
                .prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| map
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()),
            ]
        })
    }

    /// `text` as the inside of a JSON string, with some characters escaped
    /// that need not be.
    fn spelled(text: &str, escapes: &[u8]) -> String {
        let mut choices = escapes.iter().cycle();
        let mut out = String::new();
        for character in text.chars() {
            let choice = choices.next().copied().unwrap_or_default();
            let needed = character < ' ' || matches!(character, '"' | '\\');
            if choice == 2 || needed && choice == 1 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out += &format!("\\u{unit:04x}");
                }
            } else {
                let quoted = serde_json::to_string(&character.to_string()).unwrap();
                out += &quoted[1..quoted.len() - 1];
            }
        }
        out
    }

    proptest! {
        #[test]
        fn strange_content_never_loses_the_message(kind in prop::sample::select(&TYPES[..]), content in content(), raw: bool) {
            let content = if raw { content } else { Value::String(content.to_string()) };
            let body = json!({
                "schema": "2.0",
                "header": {"event_id": "e", "event_type": "im.message.receive_v1"},
                "event": {"message": {"message_id": "om_1", "chat_type": "p2p", "message_type": kind, "content": content,
                    "mentions": [{"key": "@_user_1", "id": {"open_id": "ou_bot_0000000000000000000000000000"}, "name": "b"}]}}
            });
            let ours = inspect(&body);
            prop_assert_eq!(&ours["kind"], "message");
            prop_assert_eq!(&ours["message_id"], "om_1");
        }

        /// A text that stands alone in its content is read in one pass, any
        /// other in two. Both must say the same.
        #[test]
        fn one_pass_over_a_text_says_what_two_passes_say(
            text in "(@_user_[0-9]{1,3}|@_all|@|_user_|[ \\n\"\\\\/\u{1}\u{7f}a-z\u{e9}\u{4e2d}\u{1f600}]|\\PC){0,24}",
            escapes in proptest::collection::vec(0..3_u8, 0..24),
        ) {
            let inner = spelled(&text, &escapes);
            let content = |more: &str| format!("{{\"text\":\"{inner}\"{more}}}");
            let outer = |content: &str| {
                // serde_json escapes no character that it need not; do so to some.
                let plain = serde_json::to_string(content).unwrap();
                match escapes.first() {
                    Some(0) => plain.replace('@', "\\u0040").replace('中', "\\u4e2d"),
                    Some(1) => plain.replace('/', "\\/").replace('😀', "\\ud83d\\ude00"),
                    _ => plain,
                }
            };
            let read = |content: &str| {
                let body = format!(
                    r#"{{"schema":"2.0","header":{{"event_type":"im.message.receive_v1"}},"event":{{"message":{{"message_id":"om_1","message_type":"text","content":{},"mentions":[{{"key":"@_user_1","id":{{"open_id":"{}"}},"name":"b"}},{{"key":"@_user_22","id":{{"open_id":"ou_2"}},"name":"王 \"五\""}}]}}}}}}"#,
                    outer(content),
                    identity().open_id,
                );
                let event = Event::parse(body.as_bytes()).unwrap();
                InboundMessage::from_event(&event, identity()).unwrap()
            };
            prop_assert_eq!(read(&content("")), read(&content(",\"more\":1")));
        }

        #[test]
        fn arbitrary_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let line = inspect_event_json(&bytes, identity());
            prop_assert!(serde_json::from_str::<Value>(&line).is_ok());
        }
    }
}

#[test]
fn a_message_that_was_asked_for_reads_as_the_one_that_was_pushed() {
    let mut seen = 0;
    for case in vectors() {
        let body = case["body"].to_string();
        let identity = identity();
        let event = Event::parse(body.as_bytes()).unwrap();
        let pushed = &case["body"]["event"]["message"];
        let (Some(message), Some(content)) = (
            InboundMessage::from_event(&event, identity),
            pushed["content"].as_str(),
        ) else {
            continue;
        };
        // In a message object the id is a string.
        let mut mentions = pushed["mentions"].clone();
        for mention in mentions.as_array_mut().into_iter().flatten() {
            mention["id"] = mention["id"]["open_id"].take();
        }
        let listed = InboundMessage::from_listed(
            pushed["message_type"].as_str().unwrap_or_default(),
            content,
            mentions.to_string().as_bytes(),
            identity,
        );
        assert_eq!(listed.text, message.text, "{}", case["name"]);
        assert_eq!(listed.resources, message.resources, "{}", case["name"]);
        assert_eq!(listed.mentions, message.mentions, "{}", case["name"]);
        assert_eq!(listed.recalled, message.recalled, "{}", case["name"]);
        assert_eq!(listed.needs_fetch, message.needs_fetch, "{}", case["name"]);
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
    let nothing =
        InboundMessage::from_listed("text", "\"quoted\"", b"not JSON", Identity::default());
    assert_eq!((nothing.text.as_str(), nothing.recalled), ("", true));
}
