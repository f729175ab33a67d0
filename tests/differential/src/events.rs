//! Events: `{"event": {…}, "bot_open_id": "…"}` to the message as a bot gets it.

use proto_core::{Event, Identity, InboundMessage};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::{Answer, variant};

#[derive(Deserialize)]
struct Question<'a> {
    /// Kept as it was written, so that the core reads it and nobody before.
    #[serde(borrow)]
    event: &'a RawValue,
    bot_open_id: String,
}

pub(crate) fn answer(line: &str) -> Answer {
    let question: Question<'_> = serde_json::from_str(line)?;
    let event = match Event::parse(question.event.get().as_bytes()) {
        Ok(event) => event,
        Err(error) => return Ok(json!({"error": variant(&error)})),
    };
    let identity = Identity {
        open_id: &question.bot_open_id,
        app_id: "cli_differential",
    };
    let Some(message) = InboundMessage::from_event(&event, identity) else {
        return Ok(json!({"kind": variant(&event.kind)}));
    };
    let mentions = message.mentions.iter();
    let resources = message.resources.iter();
    Ok(json!({
        "kind": "Message",
        "event_id": message.event_id,
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "is_direct": message.is_direct,
        "root_id": message.root_id,
        "parent_id": message.parent_id,
        "thread_id": message.thread_id,
        "create_time": message.create_time_ms,
        "sender": message.sender_open_id,
        "sender_is_bot": message.sender_is_bot,
        "self_sent": message.self_sent,
        "text": message.text,
        "mentions_bot": message.mentions_bot,
        "mentions_all": message.mentions_all,
        "mentions": mentions.map(|who| json!([who.key, who.open_id, who.name])).collect::<Vec<_>>(),
        "resources": resources.map(|what| json!([
            what.kind.name(),
            what.file_key,
            what.file_name,
            what.duration_ms,
            what.cover_image_key,
        ])).collect::<Vec<_>>(),
    }))
}
