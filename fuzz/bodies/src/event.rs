//! Any bytes as an event: serde_json judges what is JSON, and an event means
//! the same however its JSON is written and however small the buffers are.

use std::collections::BTreeSet;

use proto_core::{
    BufferFull, Event, EventKind, Identity, InboundMessage, Json, JsonErrorKind, Message,
    Normalized, TextBuffer, inspect_event_json,
};
use serde::de::IgnoredAny;
use serde_json::Value;

const BOT: Identity<'_> = Identity {
    open_id: "ou_bot",
    app_id: "cli_a1b2c3d4e5f60001",
};

/// Reads an event in every way there is.
pub fn event(bytes: &[u8]) {
    is_json_alike(bytes);
    let parsed = Event::parse(bytes);
    answers_in_json(&inspect_event_json(bytes, BOT), parsed.is_ok());
    let Ok(event) = parsed else { return };

    let document = Json::parse(bytes).expect("an event is JSON");
    let again = Event::from_json(document).expect("the same event");
    assert_eq!(format!("{event:?}"), format!("{again:?}"));
    if let EventKind::Message(message) = event.kind {
        fits_or_says_so(&message);
    }
    means_the_same_rewritten(bytes, &event);
}

/// The strictest reader takes what is told of an event, but for numbers that
/// an `f64` can't hold: they are as they were sent.
fn answers_in_json(answer: &str, ok: bool) {
    match serde_json::from_str::<Value>(answer) {
        Ok(answer) => assert_eq!(answer.get("ok"), Some(&Value::Bool(ok))),
        Err(error) => assert!(
            error.to_string().starts_with("number out of range"),
            "an answer is JSON: {error}"
        ),
    }
}

/// What is JSON is decided as serde_json decides it, but for the depth.
fn is_json_alike(bytes: &[u8]) {
    let ours = Json::parse(bytes);
    let oracle = core::str::from_utf8(bytes)
        .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match ours {
        Ok(_) => assert!(oracle, "serde_json does not take it"),
        Err(error) => {
            let too_deep = error.kind == JsonErrorKind::TooDeep;
            assert!(!oracle || too_deep, "serde_json takes it: {error}");
            assert!(error.offset <= bytes.len(), "{error}");
        }
    }
}

/// Small buffers give the same text, or an error.
fn fits_or_says_so(message: &Message<'_>) {
    let large = normalized::<String>(message).expect("a String has no bound");
    for small in [
        normalized::<heapless::String<16>>(message),
        normalized::<heapless::String<200>>(message),
    ] {
        assert!(small == Err(BufferFull) || small.as_ref() == Ok(&large));
    }
    for resource in &large.resources {
        assert!(!resource.0.is_empty(), "nothing to download by");
    }
}

#[derive(Debug, PartialEq)]
struct Said {
    text: String,
    to_the_bot: Normalized,
    /// Keys and names.
    resources: Vec<(String, Option<String>)>,
}

fn normalized<B: TextBuffer + Default>(message: &Message<'_>) -> Result<Said, BufferFull> {
    let (mut scratch, mut text) = (B::default(), B::default());
    let mut resources = Vec::new();
    let to_the_bot = message.normalize(BOT, &mut scratch, &mut text, &mut |resource| {
        let name = resource.file_name.map(|name| name.chars().collect());
        resources.push((resource.file_key.chars().collect(), name));
    })?;
    Ok(Said {
        text: text.as_str().to_owned(),
        to_the_bot,
        resources,
    })
}

/// Other escapes, other blanks and another order of members change nothing.
/// serde_json doesn't read lone surrogates, rewrites fractions, and keeps the
/// last of doubled members where a message's are put together.
fn means_the_same_rewritten(bytes: &[u8], event: &Event<'_>) {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if has_fraction(&document) || Json::parse(bytes).is_ok_and(has_doubles) {
        return;
    }
    let rewritten = serde_json::to_vec_pretty(&document).expect("it was JSON before");
    let again = Event::parse(&rewritten).expect("it was an event before");
    assert_eq!(outline(&again), outline(event));
    assert_eq!(
        InboundMessage::from_event(&again, BOT),
        InboundMessage::from_event(event, BOT)
    );
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn has_doubles(value: Json<'_>) -> bool {
    let mut names = BTreeSet::new();
    value.items().any(has_doubles)
        || value.members().any(|(name, member)| {
            !names.insert(name.chars().collect::<String>()) || has_doubles(member)
        })
}

/// The envelope, its strings unescaped.
fn outline(event: &Event<'_>) -> (Vec<Option<String>>, Option<i64>) {
    let strings = [
        event.event_id,
        event.event_type,
        event.tenant_key,
        event.app_id,
        event.token,
        event.dedup_key(),
    ];
    let strings = strings.map(|text| text.map(|text| text.chars().collect()));
    (strings.to_vec(), event.create_time_ms)
}
