//! Sending, answering, editing, recalling, reading messages.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::cards;
use super::content::{self, Checked};
use super::error::ApiError;
use super::routes::{Call, Reply};
use crate::clock::unix_ms;
use crate::events::union_id;
use crate::lock::lock;
use crate::view::{ChatType, PersonKind};
use crate::world::{Draft, MessageState, TENANT_KEY, World};

/// Longest idempotency key.
const UUID_CHARS_MAX: usize = 50;
/// Edits of a text or post.
const EDITS_MAX: u32 = 20;
/// How long a card can be updated.
const CARD_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);

#[derive(Deserialize)]
struct Create {
    receive_id: String,
    msg_type: String,
    content: String,
    uuid: Option<String>,
}

#[derive(Deserialize)]
struct ReplyBody {
    msg_type: String,
    content: String,
    #[serde(default)]
    reply_in_thread: bool,
    uuid: Option<String>,
}

/// `POST /open-apis/im/v1/messages`
pub(super) fn create(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Create = call.json()?;
    let id_type = call
        .param("receive_id_type")
        .ok_or_else(|| ApiError::field("receive_id_type is required"))?;
    let mut world = lock(&call.shared.world);
    let chat_id = receiver(&mut world, id_type, &body.receive_id)?;
    let sending = Sending {
        chat_id,
        msg_type: body.msg_type,
        content: body.content,
        uuid: body.uuid,
        reply_to: None,
        in_thread: false,
    };
    send(call, &mut world, sending)
}

/// `POST /open-apis/im/v1/messages/:message_id/reply`
pub(super) fn reply(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: ReplyBody = call.json()?;
    let mut world = lock(&call.shared.world);
    let target = known(&world, call.id(0))?;
    if target.deleted {
        return Err(recalled());
    }
    let sending = Sending {
        chat_id: target.chat_id.clone(),
        msg_type: body.msg_type,
        content: body.content,
        uuid: body.uuid,
        reply_to: Some(target.message_id.clone()),
        in_thread: body.reply_in_thread,
    };
    send(call, &mut world, sending)
}

struct Sending {
    chat_id: String,
    msg_type: String,
    content: String,
    uuid: Option<String>,
    reply_to: Option<String>,
    in_thread: bool,
}

fn send(call: &Call<'_>, world: &mut World, sending: Sending) -> Result<Reply, ApiError> {
    if let Some(uuid) = &sending.uuid {
        if uuid.chars().count() > UUID_CHARS_MAX {
            return Err(ApiError::parameter("uuid is longer than 50 characters"));
        }
        if let Some(first) = world.by_uuid(uuid)
            && let Ok(message) = world.message(&first)
        {
            return Ok(Reply::Data(object(call, world, message, false)));
        }
    }
    let bot = world.bot.clone();
    let is_member = world
        .chats
        .get(&sending.chat_id)
        .is_some_and(|chat| chat.members.contains(&bot));
    if !is_member {
        return Err(ApiError::new(
            230_002,
            "Bot/User can NOT be out of the chat.",
        ));
    }
    let Checked {
        content,
        card_id,
        mentions,
    } = content::check(world, &sending.msg_type, &sending.content)?;
    lock(&call.shared.limits).chat(&sending.chat_id)?;
    let draft = Draft {
        chat_id: sending.chat_id,
        sender: bot,
        msg_type: sending.msg_type,
        content,
        mentions,
        reply_to: sending.reply_to,
        in_thread: sending.in_thread,
        card_id: card_id.clone(),
    };
    let message_id = world
        .post(draft)
        .map_err(|why| ApiError::parameter(why.to_string()))?;
    if let Some(card) = card_id.and_then(|id| world.cards.get_mut(&id)) {
        card.message_id = Some(message_id.clone());
    }
    if let Some(uuid) = &sending.uuid
        && !uuid.is_empty()
    {
        world.remember_uuid(uuid, &message_id);
    }
    let message = known(world, &message_id)?;
    Ok(Reply::Data(object(call, world, message, false)))
}

/// The chat that a `receive_id` means.
fn receiver(world: &mut World, id_type: &str, id: &str) -> Result<String, ApiError> {
    let open_id = match id_type {
        "chat_id" => {
            if !id.starts_with("oc_") {
                return Err(ApiError::new(230_034, "The receive_id is invalid"));
            }
            return Ok(id.to_owned());
        }
        "open_id" => Some(id.to_owned()),
        "union_id" => world
            .people
            .keys()
            .find(|open_id| union_id(open_id) == id)
            .cloned(),
        "user_id" | "email" => None,
        _ => {
            return Err(ApiError::parameter(
                "receive_id_type is not one of the five",
            ));
        }
    };
    let person = open_id
        .as_ref()
        .and_then(|open_id| world.people.get(open_id))
        .filter(|person| person.kind == PersonKind::User);
    let Some(person) = person else {
        return Err(ApiError::new(
            99_992_351,
            format!("not a valid {id_type}: {id}"),
        ));
    };
    let open_id = person.open_id.clone();
    world
        .p2p_with(&open_id)
        .map_err(|why| ApiError::new(230_034, why.to_string()))
}

#[derive(Deserialize)]
struct Edit {
    msg_type: String,
    content: String,
}

/// `PUT /open-apis/im/v1/messages/:message_id`: text and post, 20 times.
pub(super) fn edit(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Edit = call.json()?;
    let mut world = lock(&call.shared.world);
    let message = own(&world, call.id(0), 230_071)?;
    if !matches!(body.msg_type.as_str(), "text" | "post") || message.msg_type == "interactive" {
        return Err(ApiError::new(230_054, "This message type cannot be edited"));
    }
    if message.edits >= EDITS_MAX {
        return Err(ApiError::new(
            230_072,
            "The message has reached the number of edits",
        ));
    }
    let message_id = message.message_id.clone();
    let checked = content::check(&world, &body.msg_type, &body.content)?;
    if let Some(message) = world.messages.get_mut(&message_id) {
        message.edits += 1;
        message.msg_type = body.msg_type;
        message.mentions = checked.mentions;
    }
    world.change(&message_id, checked.content);
    let message = known(&world, &message_id)?;
    Ok(Reply::Data(object(call, &world, message, false)))
}

#[derive(Deserialize)]
struct Patch {
    content: String,
}

/// `PATCH /open-apis/im/v1/messages/:message_id`: cards.
pub(super) fn patch(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Patch = call.json()?;
    let mut world = lock(&call.shared.world);
    let message = own(&world, call.id(0), 230_027)?;
    if message.msg_type != "interactive" {
        return Err(ApiError::new(
            230_054,
            "This operation is not supported for this message type",
        ));
    }
    let age = unix_ms().saturating_sub(message.create_time);
    let life = call.shared.config.scaled(CARD_LIFE).as_millis();
    if u128::try_from(age).unwrap_or_default() > life {
        return Err(ApiError::new(230_031, "The card is older than 14 days"));
    }
    let message_id = message.message_id.clone();
    let old: Value = serde_json::from_str(&message.content).unwrap_or(Value::Null);
    let checked = content::check(&world, "interactive", &body.content)?;
    let new: Value = serde_json::from_str(&checked.content).unwrap_or(Value::Null);
    for (which, card) in [("old", &old), ("new", &new)] {
        if !cards::is_shared(card) {
            return Err(ApiError::parameter(format!(
                "config.update_multi must be true; it is not in the {which} card"
            )));
        }
    }
    lock(&call.shared.limits).message(&message_id)?;
    world.change(&message_id, checked.content);
    Ok(Reply::Data(json!({})))
}

/// `DELETE /open-apis/im/v1/messages/:message_id`
pub(super) fn delete(call: &Call<'_>) -> Result<Reply, ApiError> {
    let mut world = lock(&call.shared.world);
    let message_id = own(&world, call.id(0), 230_026)?.message_id.clone();
    world.recall(&message_id);
    Ok(Reply::Data(json!({})))
}

/// `GET /open-apis/im/v1/messages/:message_id`
pub(super) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    let world = lock(&call.shared.world);
    let message = known(&world, call.id(0))?;
    let wants_card = call.param("card_msg_content_type") == Some("user_card_content");
    let items: Vec<Value> = world
        .with_forwarded(message)
        .map(|(upper, message)| {
            let mut item = object(call, &world, message, wants_card);
            if let (Some(fields), Some(upper)) = (item.as_object_mut(), upper) {
                fields.insert("upper_message_id".to_owned(), json!(upper));
            }
            item
        })
        .collect();
    Ok(Reply::Data(json!({"items": items})))
}

/// `GET /open-apis/im/v1/messages`: history of a chat or a thread.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let container = call
        .param("container_id")
        .ok_or_else(|| ApiError::field("container_id is required"))?;
    let seconds = |key| -> Result<Option<i64>, ApiError> {
        match call.param(key) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::field(format!("{key} is Unix seconds"))),
        }
    };
    let (start, end) = (seconds("start_time")?, seconds("end_time")?);
    let (page_start, size) = call.page(20, 50)?;
    let world = lock(&call.shared.world);
    let mut found: Vec<&MessageState> = match call.param("container_id_type") {
        Some("chat") => {
            let chat = world
                .chats
                .get(container)
                .ok_or_else(|| ApiError::new(230_002, "Bot/User can NOT be out of the chat."))?;
            chat.messages
                .iter()
                .filter_map(|id| world.messages.get(id))
                .filter(|message| {
                    let second = message.create_time / 1000;
                    start.is_none_or(|start| second >= start) && end.is_none_or(|end| second <= end)
                })
                .collect()
        }
        Some("thread") if start.or(end).is_none() => {
            let mut found: Vec<&MessageState> = world
                .messages
                .values()
                .filter(|message| message.thread_id.as_deref() == Some(container))
                .collect();
            found.sort_by_key(|message| message.create_time);
            found
        }
        Some("thread") => return Err(ApiError::parameter("a thread takes no time range")),
        _ => return Err(ApiError::field("container_id_type is chat or thread")),
    };
    if call.param("sort_type") == Some("ByCreateTimeDesc") {
        found.reverse();
    }
    let items: Vec<Value> = found
        .into_iter()
        .map(|message| object(call, &world, message, false))
        .collect();
    Ok(Reply::Data(Reply::page(&items, page_start, size)))
}

pub(super) fn known<'w>(world: &'w World, message_id: &str) -> Result<&'w MessageState, ApiError> {
    let message = world
        .message(message_id)
        .map_err(|_| ApiError::parameter(format!("invalid message_id {message_id}")))?;
    let sees = world
        .chats
        .get(&message.chat_id)
        .is_some_and(|chat| chat.members.contains(&world.bot) || chat.chat_type == ChatType::P2p);
    if sees {
        Ok(message)
    } else {
        Err(ApiError::new(
            230_002,
            "Bot/User can NOT be out of the chat.",
        ))
    }
}

/// A message of the bot's own that is still there.
fn own<'w>(world: &'w World, message_id: &str, foreign: i64) -> Result<&'w MessageState, ApiError> {
    let message = known(world, message_id)?;
    if message.deleted {
        return Err(recalled());
    }
    if message.sender != world.bot {
        return Err(ApiError::new(
            foreign,
            "The message was not sent by this bot",
        ));
    }
    Ok(message)
}

fn recalled() -> ApiError {
    ApiError::new(230_011, "The message was withdrawn.")
}

/// A message as the API gives it.
fn object(call: &Call<'_>, world: &World, message: &MessageState, wants_card: bool) -> Value {
    let is_own = message.sender == world.bot;
    let sender = if is_own {
        json!({"id": call.shared.config.app_id, "id_type": "app_id", "sender_type": "app", "tenant_key": TENANT_KEY})
    } else {
        let is_bot = world
            .people
            .get(&message.sender)
            .is_some_and(|person| person.kind == PersonKind::Bot);
        let kind = if is_bot { "app" } else { "user" };
        json!({"id": message.sender, "id_type": "open_id", "sender_type": kind, "tenant_key": TENANT_KEY})
    };
    let mut object = json!({
        "message_id": message.message_id,
        "msg_type": message.msg_type,
        "create_time": message.create_time.to_string(),
        "update_time": message.update_time.to_string(),
        "deleted": message.deleted,
        "updated": message.version > 1,
        "chat_id": message.chat_id,
        "sender": sender,
    });
    if let Some(fields) = object.as_object_mut() {
        if !message.deleted {
            let content = if wants_card {
                message.content.clone()
            } else {
                world.received_content(message)
            };
            fields.insert("body".to_owned(), json!({"content": content}));
        }
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
            let mentions = content::mentions_json(&message.mentions);
            fields.insert("mentions".to_owned(), mentions);
        }
    }
    object
}
