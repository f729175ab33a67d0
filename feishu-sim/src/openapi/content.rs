//! Is `content` right for its `msg_type`?

use serde_json::{Value, json};

use super::cards;
use super::error::ApiError;
use crate::events::union_id;
use crate::render::{self, at_tag, post_body, str_of};
use crate::view::Mention;
use crate::world::World;

/// Largest text message, bytes of content.
const TEXT_BYTES_MAX: usize = 150 * 1024;
/// Largest post or card, bytes of content.
const RICH_BYTES_MAX: usize = 30 * 1024;

/// Content that passed, and what it refers to.
#[derive(Debug)]
pub(super) struct Checked {
    /// What is stored: the card itself if a card entity was named.
    pub(super) content: String,
    pub(super) card_id: Option<String>,
    pub(super) mentions: Vec<Mention>,
}

/// Checks what a bot wants to send.
pub(super) fn check(world: &World, msg_type: &str, content: &str) -> Result<Checked, ApiError> {
    let max = match msg_type {
        "text" => TEXT_BYTES_MAX,
        _ => RICH_BYTES_MAX,
    };
    if content.len() > max {
        return Err(ApiError::new(
            230_025,
            format!(
                "The length of the message content reaches its limit, {} of {max} bytes",
                content.len()
            ),
        ));
    }
    let value: Value = serde_json::from_str(content)
        .map_err(|why| ApiError::parameter(format!("content is not a string of JSON: {why}")))?;
    if !value.is_object() {
        return Err(ApiError::parameter("content must be a JSON object"));
    }
    let mut mentions = Vec::new();
    match msg_type {
        "text" => {
            let text = required(&value, "text")?;
            mention_tags(world, text, &mut mentions);
        }
        "post" => post(world, &value, &mut mentions)?,
        "interactive" => {
            let (value, card_id) = cards::resolve(world, &value)?;
            mention_tags(world, &render::card_text(&value, world), &mut mentions);
            return Ok(Checked {
                content: if card_id.is_some() {
                    value.to_string()
                } else {
                    content.to_owned()
                },
                card_id,
                mentions,
            });
        }
        "image" => resource(world, required(&value, "image_key")?, &["image"])?,
        "file" => resource(world, required(&value, "file_key")?, FILE_KINDS)?,
        "audio" => resource(world, required(&value, "file_key")?, &["opus"])?,
        "media" => resource(world, required(&value, "file_key")?, &["mp4"])?,
        "sticker" => {
            required(&value, "file_key")?;
        }
        "share_chat" => {
            required(&value, "chat_id")?;
        }
        "share_user" => {
            required(&value, "user_id")?;
        }
        "system" if value.get("type").is_some() => {}
        other => {
            return Err(ApiError::parameter(format!(
                "msg_type {other:?} cannot be sent with this content"
            )));
        }
    }
    Ok(Checked {
        content: content.to_owned(),
        card_id: None,
        mentions,
    })
}

/// Audio and videos have types of their own.
const FILE_KINDS: &[&str] = &["pdf", "doc", "xls", "ppt", "stream"];

fn required<'v>(value: &'v Value, key: &str) -> Result<&'v str, ApiError> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ApiError::parameter(format!("content needs a string {key:?}")))
}

fn resource(world: &World, key: &str, kinds: &[&str]) -> Result<(), ApiError> {
    let uploaded = world.resources.get(key).filter(|resource| resource.by_app);
    match uploaded {
        None => Err(ApiError::parameter(format!(
            "{key} was not uploaded by this app"
        ))),
        Some(resource) if kinds.contains(&resource.kind.as_str()) => Ok(()),
        Some(resource) => Err(ApiError::new(
            230_055,
            format!(
                "The type of file upload ({}) does not match the type of message being sent",
                resource.kind
            ),
        )),
    }
}

/// `{"zh_cn":{"title","content":[[element…]…]}}`; a post wrapped in `post`, or
/// without a locale, is refused.
fn post(world: &World, value: &Value, mentions: &mut Vec<Mention>) -> Result<(), ApiError> {
    let has_locale = value
        .as_object()
        .is_some_and(|fields| !fields.is_empty() && fields.keys().all(|key| is_locale(key)));
    let body = post_body(value)
        .filter(|_| has_locale)
        .ok_or_else(|| ApiError::parameter("post needs a locale with title and content"))?;
    let rows = body.get("content").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        let elements = row
            .as_array()
            .ok_or_else(|| ApiError::parameter("a paragraph of a post is a list"))?;
        for element in elements {
            post_element(world, element, elements.len(), mentions)?;
        }
    }
    Ok(())
}

fn post_element(
    world: &World,
    element: &Value,
    neighbours: usize,
    mentions: &mut Vec<Mention>,
) -> Result<(), ApiError> {
    match str_of(element, "tag") {
        "text" | "a" | "code_block" if element.get("text").is_some_and(Value::is_string) => Ok(()),
        "md" if element.get("text").is_some_and(Value::is_string) => {
            if neighbours > 1 {
                return Err(ApiError::parameter("md stands alone in its paragraph"));
            }
            mention_tags(world, str_of(element, "text"), mentions);
            Ok(())
        }
        "at" => {
            mention(world, str_of(element, "user_id"), mentions);
            Ok(())
        }
        "img" => resource(world, str_of(element, "image_key"), &["image"]),
        "media" => resource(world, str_of(element, "file_key"), &["mp4"]),
        "emotion" | "hr" => Ok(()),
        other => Err(ApiError::parameter(format!(
            "post element {other:?} is not known or incomplete"
        ))),
    }
}

fn is_locale(key: &str) -> bool {
    matches!(key, "zh_cn" | "en_us" | "ja_jp" | "zh_hk" | "zh_tw")
}

fn mention_tags(world: &World, text: &str, mentions: &mut Vec<Mention>) {
    let mut rest = text;
    while let Some(start) = rest.find("<at ") {
        rest = rest.get(start..).unwrap_or_default();
        match at_tag(rest) {
            Some((id, _, len)) => {
                mention(world, id, mentions);
                rest = rest.get(len..).unwrap_or_default();
            }
            None => rest = rest.get("<at ".len()..).unwrap_or_default(),
        }
    }
}

fn mention(world: &World, id: &str, mentions: &mut Vec<Mention>) {
    let person = world
        .people
        .values()
        .find(|person| person.open_id == id || union_id(&person.open_id) == id);
    if let Some(person) = person
        && !mentions.iter().any(|known| known.open_id == person.open_id)
    {
        mentions.push(Mention {
            key: format!("@_user_{}", mentions.len() + 1),
            open_id: person.open_id.clone(),
            name: person.name.clone(),
        });
    }
}

/// `mentions` of a message object: ids are plain strings there.
pub(super) fn mentions_json(mentions: &[Mention]) -> Value {
    mentions
        .iter()
        .map(|mention| {
            json!({
                "key": mention.key,
                "id": mention.open_id,
                "id_type": "open_id",
                "name": mention.name,
                "tenant_key": crate::world::TENANT_KEY,
            })
        })
        .collect()
}
