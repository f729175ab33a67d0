//! Messages that were asked for or listed, read as those that are pushed: one normaliser for all.

use proto_core::InboundMessage;
use runtime_tokio::openapi::ListedMessage;
use serde_json::{Value, json};

use super::Settings;
use crate::render::context::ReadBack;

/// A listed message as the event that would have told of it.
pub(super) fn as_event(
    app_id: &str,
    chat_id: &str,
    chat_mode: &str,
    listed: &ListedMessage,
) -> Value {
    let chat_type = if chat_mode == "p2p" { "p2p" } else { "group" };
    json!({
        "schema": "2.0",
        "header": {
            "event_id": format!("recovered_{}", listed.message_id),
            "event_type": "im.message.receive_v1",
            "create_time": listed.create_time,
            "app_id": app_id,
        },
        "event": {
            "sender": {
                "sender_id": {"open_id": listed.sender.id},
                "sender_type": listed.sender.sender_type,
            },
            "message": {
                "message_id": listed.message_id,
                "root_id": listed.root_id,
                "parent_id": listed.parent_id,
                "thread_id": listed.thread_id,
                "create_time": listed.create_time,
                "chat_id": chat_id,
                "chat_type": chat_type,
                "message_type": listed.msg_type,
                "content": listed.content(),
                "mentions": listed.mentions,
            },
        },
    })
}

/// What a listed message says, and what it brings.
pub(super) fn read_back(
    settings: &Settings,
    bot_open_id: Option<&str>,
    listed: &ListedMessage,
) -> ReadBack {
    let identity = settings.identity(bot_open_id);
    let mentions = Value::from(listed.mentions.clone()).to_string();
    let read = InboundMessage::from_listed(
        &listed.msg_type,
        listed.content(),
        mentions.as_bytes(),
        identity,
    );
    let sender = listed.sender.id.as_str();
    let message = InboundMessage {
        message_id: listed.message_id.clone(),
        sender_open_id: listed.sender.id.clone(),
        sender_is_bot: listed.sender.sender_type != "user",
        self_sent: sender == settings.app_id || Some(sender) == bot_open_id,
        create_time_ms: listed.create_time_ms().unwrap_or_default(),
        ..read
    };
    ReadBack {
        message,
        inside: listed.upper_message_id.clone().filter(|id| !id.is_empty()),
        is_gone: listed.deleted,
    }
}

#[cfg(test)]
mod tests {
    use proto_core::{Event, Identity};

    use super::*;

    #[test]
    fn a_listed_message_reads_as_the_event_would() {
        let listed: ListedMessage = serde_json::from_value(json!({
            "message_id": "om_1", "root_id": "om_0", "parent_id": "om_0", "thread_id": "omt_1",
            "msg_type": "text", "create_time": "1795000000123", "deleted": false,
            "chat_id": "oc_1",
            "sender": {"id": "ou_1", "id_type": "open_id", "sender_type": "user"},
            "body": {"content": "{\"text\":\"@_user_1 are you there?\"}"},
            "mentions": [{"key": "@_user_1", "id": "ou_bot", "id_type": "open_id", "name": "bot"}],
        }))
        .unwrap();
        let body = as_event("cli_a", "oc_1", "group", &listed).to_string();
        let event = Event::parse(body.as_bytes()).unwrap();
        let identity = Identity {
            open_id: "ou_bot",
            app_id: "cli_a",
        };
        let message = InboundMessage::from_event(&event, identity).unwrap();
        assert_eq!(message.text, "are you there?");
        assert!(message.mentions_bot && !message.is_direct);
        assert_eq!(message.create_time_ms, 1_795_000_000_123);
        assert_eq!(message.sender_open_id, "ou_1");
        assert_eq!(
            (message.message_id.as_str(), message.thread_id.as_deref()),
            ("om_1", Some("omt_1"))
        );
        let body = as_event("cli_a", "oc_1", "p2p", &listed).to_string();
        let event = Event::parse(body.as_bytes()).unwrap();
        let message = InboundMessage::from_event(&event, identity).unwrap();
        assert!(message.is_direct);
    }
}
