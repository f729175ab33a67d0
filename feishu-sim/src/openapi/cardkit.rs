//! `CardKit`: card entities, streamed text, single elements.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cards;
use super::error::ApiError;
use super::routes::{Call, Reply};
use crate::config::bound;
use crate::lock::lock;
use crate::render::str_of;
use crate::world::{CardEntity, StreamingState, World};

/// Largest card, bytes.
const CARD_BYTES_MAX: usize = 30 * 1024;
/// Longest streamed text, characters.
const STREAM_CHARS_MAX: usize = 100_000;
/// Streaming closes by itself.
const STREAMING_FOR: Duration = Duration::from_secs(600);
/// Life of a card entity.
const CARD_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// Longest idempotency key.
const UUID_CHARS_MAX: usize = 64;
/// Idempotency keys remembered of one card.
const UUIDS_MAX: usize = 256;
/// Depth that elements are looked for in.
const DEPTH_MAX: usize = 32;

#[derive(Deserialize)]
struct TypedCard {
    r#type: String,
    data: Value,
}

impl TypedCard {
    fn parse(&self, world: &World) -> Result<Value, ApiError> {
        let text = self.data.as_str().unwrap_or_default();
        if self.r#type != "card_json" {
            return Err(ApiError::new(10_002, "type must be card_json here"));
        }
        if text.len() > CARD_BYTES_MAX {
            return Err(too_big());
        }
        let card: Value = serde_json::from_str(text)
            .map_err(|why| ApiError::new(200_220, format!("card JSON cannot be built: {why}")))?;
        if !cards::is_v2(&card) {
            return Err(ApiError::new(
                200_220,
                "a card entity must be of schema 2.0",
            ));
        }
        cards::check(world, &card)?;
        Ok(card)
    }
}

/// `POST /open-apis/cardkit/v1/cards`
pub(super) fn create(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: TypedCard = call.json()?;
    let mut world = lock(&call.shared.world);
    let content = body.parse(&world)?;
    if world.cards.len() >= bound::CARDS_MAX {
        let life = call.shared.config.scaled(CARD_LIFE);
        world.cards.retain(|_, card| card.made.elapsed() < life);
        if world.cards.len() >= bound::CARDS_MAX {
            return Err(ApiError::new(2200, "the simulator keeps no more cards"));
        }
    }
    let card_id = world.rng.u64(10_u64.pow(18)..10_u64.pow(19)).to_string();
    let mut card = CardEntity {
        card_id: card_id.clone(),
        content,
        sequence: 0,
        streaming: StreamingState::Off,
        streaming_for: call.shared.config.scaled(STREAMING_FOR),
        made: Instant::now(),
        message_id: None,
        uuids: Vec::new(),
    };
    card.follow_mode();
    world.cards.insert(card_id.clone(), card);
    Ok(Reply::Data(json!({"card_id": card_id})))
}

/// `sequence` and `uuid` of every change.
#[derive(Deserialize)]
struct Turn {
    sequence: i64,
    uuid: Option<String>,
}

/// Opens a card for one change: limits, age, idempotency, sequence.
fn open<'w>(
    call: &Call<'_>,
    world: &'w mut World,
    turn: &Turn,
) -> Result<&'w mut CardEntity, ApiError> {
    lock(&call.shared.limits).card(call.id(0))?;
    let life = call.shared.config.scaled(CARD_LIFE);
    let card = world
        .cards
        .get_mut(call.id(0))
        .ok_or_else(|| ApiError::new(200_740, "cardid is invalid or card does not exist"))?;
    if card.made.elapsed() >= life {
        return Err(ApiError::new(200_750, "card is expired"));
    }
    if let Some(uuid) = &turn.uuid {
        if uuid.chars().count() > UUID_CHARS_MAX {
            return Err(ApiError::new(10_002, "uuid is longer than 64 characters"));
        }
        if card.uuids.contains(uuid) {
            return Err(ApiError::new(200_770, "uuid was used before"));
        }
    }
    if i32::try_from(turn.sequence).is_err() || turn.sequence < 1 {
        return Err(ApiError::new(10_002, "sequence is an int32 from 1"));
    }
    if turn.sequence <= card.sequence {
        return Err(ApiError::new(
            300_317,
            format!("sequence {} is not above {}", turn.sequence, card.sequence),
        ));
    }
    card.sequence = turn.sequence;
    if let Some(uuid) = &turn.uuid {
        if card.uuids.len() >= UUIDS_MAX {
            card.uuids.remove(0);
        }
        card.uuids.push(uuid.clone());
    }
    Ok(card)
}

/// Puts a card's new content in place, if it is legal.
fn close(world: &mut World, card_id: &str, content: Value) -> Result<Reply, ApiError> {
    if content.to_string().len() > CARD_BYTES_MAX {
        return Err(too_big());
    }
    cards::check(world, &content)?;
    if let Some(card) = world.cards.get_mut(card_id) {
        card.content = content;
        card.follow_mode();
    }
    world.show_card(card_id);
    Ok(Reply::Data(json!({})))
}

fn too_big() -> ApiError {
    ApiError::new(200_860, "card is larger than 30 KB")
}

#[derive(Deserialize)]
struct Stream {
    content: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `PUT /open-apis/cardkit/v1/cards/:card_id/elements/:element_id/content`
pub(super) fn stream(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Stream = call.json()?;
    let chars = body.content.chars().count();
    if chars == 0 || chars > STREAM_CHARS_MAX {
        return Err(ApiError::new(10_002, "content has 1 to 100000 characters"));
    }
    let mut world = lock(&call.shared.world);
    let card = open(call, &mut world, &body.turn)?;
    match card.streaming {
        StreamingState::On(_) if card.is_streaming() => {}
        StreamingState::On(_) => {
            card.streaming = StreamingState::Closed;
            return Err(ApiError::new(200_850, "streaming mode timed out"));
        }
        StreamingState::Off | StreamingState::Closed => {
            return Err(ApiError::new(300_309, "streaming mode is closed"));
        }
    }
    let mut content = card.content.clone();
    let element = element_mut(&mut content, call.id(1)).ok_or_else(no_element)?;
    if !matches!(str_of(element, "tag"), "markdown" | "plain_text") {
        return Err(ApiError::new(
            300_310,
            "only text elements take streamed text",
        ));
    }
    if let Some(fields) = element.as_object_mut() {
        fields.insert("content".to_owned(), json!(body.content));
    }
    close(&mut world, call.id(0), content)
}

#[derive(Deserialize)]
struct Replace {
    card: TypedCard,
    #[serde(flatten)]
    turn: Turn,
}

/// `PUT /open-apis/cardkit/v1/cards/:card_id`
pub(super) fn replace(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Replace = call.json()?;
    let mut world = lock(&call.shared.world);
    let content = body.card.parse(&world)?;
    open(call, &mut world, &body.turn)?;
    close(&mut world, call.id(0), content)
}

#[derive(Deserialize)]
struct Settings {
    settings: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `PATCH /open-apis/cardkit/v1/cards/:card_id/settings`
pub(super) fn settings(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Settings = call.json()?;
    let settings = json_text(&body.settings, "settings")?;
    let mut world = lock(&call.shared.world);
    let card = open(call, &mut world, &body.turn)?;
    let mut content = card.content.clone();
    merge_settings(&mut content, &settings);
    close(&mut world, call.id(0), content)
}

fn merge_settings(content: &mut Value, settings: &Value) {
    for key in ["config", "card_link"] {
        if let (Some(new), Some(fields)) = (settings.get(key), content.as_object_mut()) {
            merge(fields.entry(key).or_insert_with(|| json!({})), new);
        }
    }
}

fn merge(old: &mut Value, new: &Value) {
    match (old.as_object_mut(), new.as_object()) {
        (Some(fields), Some(changes)) => {
            for (key, value) in changes {
                fields.insert(key.clone(), value.clone());
            }
        }
        _ => *old = new.clone(),
    }
}

#[derive(Deserialize)]
struct Batch {
    actions: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `POST /open-apis/cardkit/v1/cards/:card_id/batch_update`: all or nothing.
pub(super) fn batch_update(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Batch = call.json()?;
    let actions = json_text(&body.actions, "actions")?;
    let mut world = lock(&call.shared.world);
    let card = open(call, &mut world, &body.turn)?;
    let mut content = card.content.clone();
    for action in actions.as_array().into_iter().flatten() {
        let params = action.get("params").unwrap_or(&Value::Null);
        apply(&mut content, str_of(action, "action"), params)?;
    }
    close(&mut world, call.id(0), content)
}

fn apply(content: &mut Value, action: &str, params: &Value) -> Result<(), ApiError> {
    match action {
        "partial_update_setting" => {
            let settings = params.get("settings").unwrap_or(&Value::Null);
            merge_settings(content, settings);
            Ok(())
        }
        "add_elements" => {
            let elements = params.get("elements").and_then(Value::as_array);
            let elements = elements.cloned().unwrap_or_default();
            let place = str_of(params, "type");
            add(
                content,
                place,
                str_of(params, "target_element_id"),
                elements,
            )
        }
        "delete_elements" => {
            let ids = params.get("element_ids").and_then(Value::as_array);
            for id in ids.into_iter().flatten().filter_map(Value::as_str) {
                remove(content, id)?;
            }
            Ok(())
        }
        "partial_update_element" => {
            let change = params.get("partial_element").unwrap_or(&Value::Null);
            let element =
                element_mut(content, str_of(params, "element_id")).ok_or_else(no_element)?;
            merge(element, change);
            Ok(())
        }
        "update_element" => {
            let new = params.get("element").cloned().unwrap_or(Value::Null);
            *element_mut(content, str_of(params, "element_id")).ok_or_else(no_element)? = new;
            Ok(())
        }
        other => Err(ApiError::new(
            10_002,
            format!("action {other:?} is not known"),
        )),
    }
}

#[derive(Deserialize)]
struct AddElements {
    r#type: String,
    #[serde(default)]
    target_element_id: String,
    elements: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `POST /open-apis/cardkit/v1/cards/:card_id/elements`
pub(super) fn add_elements(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: AddElements = call.json()?;
    let elements = json_text(&body.elements, "elements")?;
    let elements = elements.as_array().cloned().unwrap_or_default();
    change(call, &body.turn, |content| {
        add(content, &body.r#type, &body.target_element_id, elements)
    })
}

#[derive(Deserialize)]
struct OneElement {
    element: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `PUT /open-apis/cardkit/v1/cards/:card_id/elements/:element_id`
pub(super) fn replace_element(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: OneElement = call.json()?;
    let new = json_text(&body.element, "element")?;
    change(call, &body.turn, |content| {
        *element_mut(content, call.id(1)).ok_or_else(no_element)? = new;
        Ok(())
    })
}

#[derive(Deserialize)]
struct PartialElement {
    partial_element: String,
    #[serde(flatten)]
    turn: Turn,
}

/// `PATCH /open-apis/cardkit/v1/cards/:card_id/elements/:element_id`
pub(super) fn patch_element(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: PartialElement = call.json()?;
    let new = json_text(&body.partial_element, "partial_element")?;
    change(call, &body.turn, |content| {
        merge(
            element_mut(content, call.id(1)).ok_or_else(no_element)?,
            &new,
        );
        Ok(())
    })
}

/// `DELETE /open-apis/cardkit/v1/cards/:card_id/elements/:element_id`
pub(super) fn delete_element(call: &Call<'_>) -> Result<Reply, ApiError> {
    let turn: Turn = call.json()?;
    change(call, &turn, |content| remove(content, call.id(1)))
}

/// One change of a card's content.
fn change(
    call: &Call<'_>,
    turn: &Turn,
    edit: impl FnOnce(&mut Value) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let mut world = lock(&call.shared.world);
    let card = open(call, &mut world, turn)?;
    let mut content = card.content.clone();
    edit(&mut content)?;
    close(&mut world, call.id(0), content)
}

fn json_text(text: &str, what: &str) -> Result<Value, ApiError> {
    serde_json::from_str(text)
        .map_err(|why| ApiError::new(10_002, format!("{what} is not a string of JSON: {why}")))
}

fn no_element() -> ApiError {
    ApiError::new(300_313, "element does not exist")
}

/// The element of that id, wherever it is nested.
fn element_mut<'c>(content: &'c mut Value, element_id: &str) -> Option<&'c mut Value> {
    let (list, place) = holder(content, element_id, 0)?;
    list.get_mut(place)
}

fn remove(content: &mut Value, element_id: &str) -> Result<(), ApiError> {
    let (list, place) = holder(content, element_id, 0).ok_or_else(no_element)?;
    list.remove(place);
    Ok(())
}

fn add(
    content: &mut Value,
    place: &str,
    target: &str,
    elements: Vec<Value>,
) -> Result<(), ApiError> {
    let (list, at) = match (place, target) {
        ("append", "") => {
            let list = content
                .pointer_mut("/body/elements")
                .and_then(Value::as_array_mut)
                .ok_or_else(no_element)?;
            let end = list.len();
            (list, end)
        }
        ("append", target) => {
            let list = element_mut(content, target)
                .and_then(|element| element.get_mut("elements"))
                .and_then(Value::as_array_mut)
                .ok_or_else(no_element)?;
            let end = list.len();
            (list, end)
        }
        ("insert_before", target) => holder(content, target, 0).ok_or_else(no_element)?,
        ("insert_after", target) => {
            let (list, at) = holder(content, target, 0).ok_or_else(no_element)?;
            (list, at + 1)
        }
        (other, _) => {
            return Err(ApiError::new(
                10_002,
                format!("type {other:?} is not known"),
            ));
        }
    };
    list.splice(at..at, elements);
    Ok(())
}

/// The list that holds an element, and its place there.
fn holder<'c>(
    value: &'c mut Value,
    element_id: &str,
    depth: usize,
) -> Option<(&'c mut Vec<Value>, usize)> {
    if depth > DEPTH_MAX || element_id.is_empty() {
        return None;
    }
    match value {
        Value::Array(list) => {
            let place = list
                .iter()
                .position(|element| str_of(element, "element_id") == element_id);
            match place {
                Some(place) => Some((list, place)),
                None => list
                    .iter_mut()
                    .find_map(|child| holder(child, element_id, depth + 1)),
            }
        }
        Value::Object(fields) => fields
            .values_mut()
            .find_map(|child| holder(child, element_id, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
