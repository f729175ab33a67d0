//! Event bodies, the same for both transports.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::unix_ms;
use crate::config::SimConfig;
use crate::view::{Mention, PersonKind};
use crate::world::{MessageState, ReactionState, TENANT_KEY, World};

/// An event ready to go.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    /// The chat message that it tells of.
    pub(crate) message_id: Option<String>,
    pub(crate) body: Bytes,
}

impl Event {
    /// Wraps `event` into the 2.0 envelope.
    pub(crate) fn new(
        config: &SimConfig,
        event_id: String,
        event_type: &str,
        message_id: Option<&str>,
        event: &Value,
    ) -> Self {
        // Card callbacks state microseconds.
        let unit = if event_type == CARD_ACTION { 1000 } else { 1 };
        let body = json!({
            "schema": "2.0",
            "header": {
                "event_id": event_id,
                "event_type": event_type,
                "create_time": (unix_ms() * unit).to_string(),
                "token": config.verification_token,
                "app_id": config.app_id,
                "tenant_key": TENANT_KEY,
            },
            "event": event,
        });
        Self {
            event_id,
            event_type: event_type.to_owned(),
            message_id: message_id.map(str::to_owned),
            body: body.to_string().into(),
        }
    }

    /// Takes a body as it is: an envelope 2.0 or 1.0. `None` if it is neither.
    pub(crate) fn from_body(body: &Value) -> Option<Self> {
        let header = body.get("header");
        let text = |value: Option<&Value>| value?.as_str().map(str::to_owned);
        let event_id = text(header.and_then(|header| header.get("event_id")))
            .or_else(|| text(body.get("uuid")))?;
        let event_type = text(header.and_then(|header| header.get("event_type")))
            .or_else(|| text(body.pointer("/event/type")))?;
        Some(Self {
            event_id,
            event_type,
            message_id: text(body.pointer("/event/message/message_id")),
            body: body.to_string().into(),
        })
    }
}

/// Callbacks are answered inside the ack and never pushed again.
pub(crate) fn is_callback(event_type: &str) -> bool {
    matches!(event_type, CARD_ACTION | "url.preview.get")
}

pub(crate) const MESSAGE_RECEIVE: &str = "im.message.receive_v1";
pub(crate) const MESSAGE_RECALLED: &str = "im.message.recalled_v1";
pub(crate) const REACTION_CREATED: &str = "im.message.reaction.created_v1";
pub(crate) const REACTION_DELETED: &str = "im.message.reaction.deleted_v1";
pub(crate) const CARD_ACTION: &str = "card.action.trigger";

/// `event` of `im.message.receive_v1`.
pub(crate) fn message_receive(world: &World, message: &MessageState) -> Value {
    let chat_type = world
        .chats
        .get(&message.chat_id)
        .map_or("group", |chat| chat.chat_type.as_str());
    let mut body = json!({
        "message_id": message.message_id,
        "create_time": message.create_time.to_string(),
        "update_time": message.update_time.to_string(),
        "chat_id": message.chat_id,
        "chat_type": chat_type,
        "message_type": message.msg_type,
        "content": world.received_content(message),
    });
    if let Some(fields) = body.as_object_mut() {
        for (key, value) in [
            ("root_id", &message.root_id),
            ("parent_id", &message.parent_id),
            ("thread_id", &message.thread_id),
        ] {
            if let Some(value) = value {
                fields.insert(key.to_owned(), json!(value));
            }
        }
        if !message.mentions.is_empty() {
            let mentions: Vec<Value> = message
                .mentions
                .iter()
                .map(|mention| mention_json(world, mention))
                .collect();
            fields.insert("mentions".to_owned(), json!(mentions));
        }
    }
    let is_bot = is_bot(world, &message.sender);
    json!({
        "sender": {
            "sender_id": user_ids(&message.sender),
            "sender_type": if is_bot { "bot" } else { "user" },
            "tenant_key": TENANT_KEY,
        },
        "message": body,
    })
}

fn mention_json(world: &World, mention: &Mention) -> Value {
    let is_bot = is_bot(world, &mention.open_id);
    json!({
        "key": mention.key,
        "id": user_ids(&mention.open_id),
        "name": mention.name,
        "tenant_key": TENANT_KEY,
        "mentioned_type": if is_bot { "bot" } else { "user" },
    })
}

fn is_bot(world: &World, open_id: &str) -> bool {
    world
        .people
        .get(open_id)
        .is_some_and(|person| person.kind == PersonKind::Bot)
}

/// The three ids of a person. `user_id` needs a scope of its own; the app has
/// it not, so it is empty, as for most bots.
pub(crate) fn user_ids(open_id: &str) -> Value {
    json!({"open_id": open_id, "union_id": union_id(open_id), "user_id": ""})
}

pub(crate) fn union_id(open_id: &str) -> String {
    format!("on_{}", open_id.trim_start_matches("ou_"))
}

/// `event` of `im.message.recalled_v1`.
pub(crate) fn message_recalled(message: &MessageState) -> Value {
    json!({
        "message_id": message.message_id,
        "chat_id": message.chat_id,
        "recall_time": unix_ms().to_string(),
        "recall_type": "message_owner",
    })
}

/// `event` of `im.message.reaction.created_v1` and `.deleted_v1`.
pub(crate) fn reaction(config: &SimConfig, message_id: &str, reaction: &ReactionState) -> Value {
    let mut event = json!({
        "message_id": message_id,
        "reaction_type": {"emoji_type": reaction.emoji_type},
        "action_time": reaction.action_time.to_string(),
    });
    if let Some(fields) = event.as_object_mut() {
        if reaction.operator == config.bot_open_id {
            fields.insert("operator_type".to_owned(), json!("app"));
            fields.insert("app_id".to_owned(), json!(config.app_id));
        } else {
            fields.insert("operator_type".to_owned(), json!("user"));
            fields.insert("user_id".to_owned(), user_ids(&reaction.operator));
        }
    }
    event
}
