//! serde_json into a tree of `Value`s, the usual way.

use benches::inputs::BOT_OPEN_ID;
use benches::task::Normal;
use serde_json::Value;

use super::say;

/// Reads the event.
///
/// # Panics
/// When it is none.
pub fn normalise<R>(payload: &[u8], text: &mut String, take: impl FnOnce(&Normal<'_>) -> R) -> R {
    let document: Value = serde_json::from_slice(payload).expect("an event");
    let (header, event) = (&document["header"], &document["event"]);
    let (sender, message) = (&event["sender"], &event["message"]);
    let content: Value = serde_json::from_str(str(&message["content"])).expect("a content");
    let mentions = message["mentions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|mention| {
            (
                str(&mention["key"]),
                str(&mention["id"]["open_id"]),
                str(&mention["name"]),
            )
        });
    say(str(&content["text"]), mentions.clone(), text);
    take(&Normal {
        event_id: str(&header["event_id"]),
        event_type: str(&header["event_type"]),
        token: str(&header["token"]),
        app_id: str(&header["app_id"]),
        tenant_key: str(&header["tenant_key"]),
        message_id: str(&message["message_id"]),
        create_time_ms: str(&message["create_time"]).parse().unwrap_or_default(),
        chat_id: str(&message["chat_id"]),
        chat_type: str(&message["chat_type"]),
        message_type: str(&message["message_type"]),
        sender_open_id: str(&sender["sender_id"]["open_id"]),
        sender_type: str(&sender["sender_type"]),
        mentions_bot: mentions.into_iter().any(|(_, id, _)| id == BOT_OPEN_ID),
        text: text.trim(),
    })
}

fn str(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
