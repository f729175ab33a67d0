//! Events, and what is to be read in them.

use serde_json::Value;

use super::{bytes, list, text};

/// What an envelope says, whatever the event.
const ENVELOPE: [&str; 7] = [
    "kind",
    "schema",
    "event_id",
    "event_type",
    "tenant_key",
    "dedup_key",
    "token",
];
/// Null in these means any value.
const ANY: [&str; 4] = ["addressed", "chat_type", "mentioned_open_ids", "resources"];
/// Null in these means absent or empty.
const EMPTY: [&str; 5] = [
    "root_id",
    "parent_id",
    "thread_id",
    "action_value",
    "schema",
];
/// Not for comparing.
const REMARKS: [&str; 4] = [
    "note",
    "alternative",
    "text_should_contain",
    "resources_optional",
];
/// Members of other events than messages. The core tells them from a document
/// (`inspect_event_json`), which takes an allocator; they are held against
/// their vectors on the other targets.
const INSPECTED: [&str; 18] = [
    "action_tag",
    "action_value",
    "card_token",
    "chat_id",
    "chat_name",
    "create_time_ms",
    "emoji_type",
    "event_key",
    "form_value",
    "mentions_bot",
    "message_id",
    "message_ids",
    "operator_app_id",
    "operator_open_id",
    "operator_type",
    "reader_open_id",
    "recall_type",
    "self_sent",
];

pub(crate) fn constants(vectors: &[Value]) -> String {
    format!(
        "pub(crate) static EVENTS: &[EventVector] = {};\n",
        list(vectors.iter().map(event))
    )
}

fn event(vector: &Value) -> String {
    let expect = vector["expect"].as_object().expect("expectations");
    let is_message = expect["kind"] == "message";
    let checks = expect.iter().filter_map(|(key, value)| {
        let key = key.as_str();
        if REMARKS.contains(&key) || key == "text" && expect.contains_key("text_any_of") {
            return None;
        }
        if !is_message && INSPECTED.contains(&key) {
            return None;
        }
        assert!(
            is_message || ENVELOPE.contains(&key) || key == "response",
            "{}: {key}",
            vector["name"]
        );
        check(key, value)
    });
    format!(
        "EventVector {{ name: {:?}, body: {}, checks: {} }}",
        text(vector, "name"),
        bytes(vector["body"].to_string().as_bytes()),
        list(checks)
    )
}

fn check(key: &str, value: &Value) -> Option<String> {
    let strings = || {
        let texts = value.as_array().expect("a list").iter();
        list(texts.map(|text| format!("{:?}", text.as_str().expect("a text"))))
    };
    Some(match (key, value) {
        (_, Value::Null) if ANY.contains(&key) => return None,
        (_, Value::Null) if EMPTY.contains(&key) => format!("Check::Text({key:?}, \"\")"),
        ("text_any_of", _) => format!("Check::AnyOf({})", strings()),
        ("text_contains", _) => format!("Check::Contains({})", strings()),
        ("text_not_contains", _) => format!("Check::ContainsNone({})", strings()),
        ("text_sha256", _) => format!("Check::Sha256({value})"),
        ("mentioned_open_ids", _) => format!("Check::Mentioned({})", strings()),
        ("resources", Value::Array(all)) => {
            format!("Check::Resources({})", list(all.iter().map(resource)))
        }
        ("response", _) => format!("Check::Text(\"challenge\", {:?})", text(value, "challenge")),
        (_, Value::String(text)) => format!("Check::Text({key:?}, {text:?})"),
        (_, Value::Bool(flag)) => format!("Check::Flag({key:?}, {flag})"),
        (_, Value::Number(number)) => format!("Check::Number({key:?}, {number})"),
        _ => panic!("{key} is {value}: nobody compares that"),
    })
}

fn resource(expected: &Value) -> String {
    let members = expected.as_object().expect("a resource").iter();
    list(members.map(|(key, value)| match value {
        Value::String(text) => format!("Check::Text({key:?}, {text:?})"),
        Value::Number(number) => format!("Check::Number({key:?}, {number})"),
        _ => panic!("{key} of a resource is {value}"),
    }))
}
