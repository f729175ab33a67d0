//! Chats, members, people, and the bot itself.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::routes::{Call, Reply};
use crate::events::union_id;
use crate::lock::lock;
use crate::view::{ChatType, Person, PersonKind};
use crate::world::{ChatState, TENANT_KEY, World};

/// `GET /open-apis/bot/v3/info`
#[expect(clippy::unnecessary_wraps, reason = "the shape of all handlers")]
pub(super) fn bot_info(call: &Call<'_>) -> Result<Reply, ApiError> {
    let config = &call.shared.config;
    Ok(Reply::Bare(json!({"bot": {
        "activate_status": config.activate_status,
        "app_name": config.bot_name,
        "avatar_url": "",
        "ip_white_list": [],
        "open_id": config.bot_open_id,
    }})))
}

/// `GET /open-apis/event/v1/outbound_ip`
#[expect(clippy::unnecessary_wraps, reason = "the shape of all handlers")]
pub(super) fn outbound_ip(_: &Call<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::Data(
        json!({"ip_list": ["127.0.0.1"], "has_more": false}),
    ))
}

/// `GET /open-apis/im/v1/chats`: groups only.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (start, size) = call.page(20, 100)?;
    let world = lock(&call.shared.world);
    let items: Vec<Value> = world
        .chats_in_order()
        .into_iter()
        .filter(|chat| chat.chat_type == ChatType::Group && chat.members.contains(&world.bot))
        .map(|chat| {
            json!({
                "chat_id": chat.chat_id,
                "name": chat.name,
                "avatar": "",
                "description": "",
                "external": false,
                "owner_id": chat.members.first(),
                "owner_id_type": "open_id",
                "tenant_key": TENANT_KEY,
                "chat_status": "normal",
            })
        })
        .collect();
    Ok(Reply::Data(Reply::page(&items, start, size)))
}

/// `GET /open-apis/im/v1/chats/:chat_id`
pub(super) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    let world = lock(&call.shared.world);
    let chat = member_of(&world, call.id(0))?;
    let count = |kind| members_of_kind(&world, chat, kind).len().to_string();
    Ok(Reply::Data(json!({
        "name": chat.name,
        "description": "",
        "avatar": "",
        "owner_id": chat.members.first(),
        "owner_id_type": "open_id",
        "chat_mode": chat.chat_type.as_str(),
        "chat_type": "private",
        "group_message_type": "chat",
        "external": false,
        "tenant_key": TENANT_KEY,
        "user_count": count(PersonKind::User),
        "bot_count": count(PersonKind::Bot),
        "chat_status": "normal",
    })))
}

/// `GET /open-apis/im/v1/chats/:chat_id/members`: bots are left out, and the
/// first page is shorter than asked for, as pages may be.
pub(super) fn members(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (start, size) = call.page(20, 100)?;
    let world = lock(&call.shared.world);
    let chat = member_of(&world, call.id(0))?;
    let items: Vec<Value> = members_of_kind(&world, chat, PersonKind::User)
        .into_iter()
        .map(|person| {
            json!({
                "member_id_type": "open_id",
                "member_id": person.open_id,
                "name": person.name,
                "tenant_key": TENANT_KEY,
            })
        })
        .collect();
    let is_first_of_many = start == 0 && size > 1 && items.len() > 1;
    let size = size - usize::from(is_first_of_many && size <= items.len());
    let mut page = Reply::page(&items, start, size);
    if let Some(fields) = page.as_object_mut() {
        fields.insert("member_total".to_owned(), json!(items.len()));
    }
    Ok(Reply::Data(page))
}

fn member_of<'w>(world: &'w World, chat_id: &str) -> Result<&'w ChatState, ApiError> {
    let chat = world
        .chats
        .get(chat_id)
        .ok_or_else(|| ApiError::new(232_006, "Your request contains an invalid chat_id."))?;
    if chat.members.contains(&world.bot) {
        Ok(chat)
    } else {
        Err(ApiError::new(
            232_011,
            "Operator can NOT be out of the chat.",
        ))
    }
}

fn members_of_kind<'w>(world: &'w World, chat: &ChatState, kind: PersonKind) -> Vec<&'w Person> {
    chat.members
        .iter()
        .filter_map(|id| world.people.get(id))
        .filter(|person| person.kind == kind)
        .collect()
}

/// `GET /open-apis/contact/v3/users/:user_id`
pub(super) fn user(call: &Call<'_>) -> Result<Reply, ApiError> {
    let world = lock(&call.shared.world);
    let person = human(&world, call.id(0))
        .ok_or_else(|| ApiError::new(41_050, "no user authority error"))?;
    Ok(Reply::Data(json!({"user": user_json(person)})))
}

/// `GET /open-apis/contact/v3/users/batch?user_ids=a&user_ids=b`: 50 at most.
#[expect(clippy::unnecessary_wraps, reason = "the shape of all handlers")]
pub(super) fn users(call: &Call<'_>) -> Result<Reply, ApiError> {
    let world = lock(&call.shared.world);
    let items: Vec<Value> = call
        .params("user_ids")
        .take(50)
        .filter_map(|id| human(&world, id))
        .map(user_json)
        .collect();
    Ok(Reply::Data(json!({"items": items})))
}

#[derive(Deserialize)]
struct BasicBatch {
    user_ids: Vec<String>,
}

/// `POST /open-apis/contact/v3/users/basic_batch`: ten at most.
pub(super) fn basic_batch(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: BasicBatch = call.json()?;
    if body.user_ids.is_empty() || body.user_ids.len() > 10 {
        return Err(ApiError::field("user_ids has 1 to 10 ids"));
    }
    let world = lock(&call.shared.world);
    let users: Vec<Value> = body
        .user_ids
        .iter()
        .filter_map(|id| human(&world, id))
        .map(|person| {
            json!({
                "user_id": person.open_id,
                "name": person.name,
                "i18n_name": {"zh_cn": person.name, "en_us": person.en_name, "ja_jp": ""},
            })
        })
        .collect();
    Ok(Reply::Data(json!({"users": users})))
}

fn human<'w>(world: &'w World, id: &str) -> Option<&'w Person> {
    world
        .people
        .values()
        .find(|person| person.open_id == id || union_id(&person.open_id) == id)
        .filter(|person| person.kind == PersonKind::User)
}

fn user_json(person: &Person) -> Value {
    json!({
        "open_id": person.open_id,
        "union_id": union_id(&person.open_id),
        "name": person.name,
        "en_name": person.en_name,
        "avatar": {},
        "status": {"is_activated": true, "is_frozen": false, "is_resigned": false},
    })
}
