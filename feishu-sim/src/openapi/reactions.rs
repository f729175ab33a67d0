//! Reactions of the bot.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::messages::known;
use super::routes::{Call, Reply};
use crate::lock::lock;
use crate::people;
use crate::render::is_emoji_type;
use crate::world::ReactionState;

#[derive(Deserialize)]
struct Create {
    reaction_type: ReactionType,
}

#[derive(Deserialize)]
struct ReactionType {
    emoji_type: String,
}

/// `POST /open-apis/im/v1/messages/:message_id/reactions`. Adding the same one
/// again gives the first one back.
pub(super) fn create(call: &Call<'_>) -> Result<Reply, ApiError> {
    let body: Create = call.json()?;
    let emoji_type = body.reaction_type.emoji_type;
    if !is_emoji_type(&emoji_type) {
        return Err(ApiError::new(231_001, "reaction type is invalid."));
    }
    let (reaction, is_new) = {
        let mut world = lock(&call.shared.world);
        if known(&world, call.id(0)).is_ok_and(|message| message.deleted)
            || world.message(call.id(0)).is_err()
        {
            return Err(gone());
        }
        let bot = world.bot.clone();
        world
            .react(call.id(0), &bot, &emoji_type)
            .map_err(|why| ApiError::parameter(why.to_string()))?
    };
    if is_new {
        people::tell_reaction(Arc::clone(call.shared), call.id(0), &reaction, true);
    }
    Ok(Reply::Data(object(call, &reaction)))
}

/// `DELETE /open-apis/im/v1/messages/:message_id/reactions/:reaction_id`
pub(super) fn delete(call: &Call<'_>) -> Result<Reply, ApiError> {
    let reaction = {
        let mut world = lock(&call.shared.world);
        let bot = world.bot.clone();
        let message = world.message(call.id(0)).map_err(|_| gone())?;
        let reaction = message
            .reactions
            .iter()
            .find(|reaction| reaction.reaction_id == call.id(1))
            .ok_or_else(|| ApiError::new(231_011, "reaction_id is invalid."))?;
        if reaction.operator != bot {
            return Err(ApiError::new(
                231_007,
                "the reaction is not the operator's own.",
            ));
        }
        let reaction_id = reaction.reaction_id.clone();
        world
            .unreact(call.id(0), |one| one.reaction_id == reaction_id)
            .ok_or_else(gone)?
    };
    people::tell_reaction(Arc::clone(call.shared), call.id(0), &reaction, false);
    Ok(Reply::Data(object(call, &reaction)))
}

/// `GET /open-apis/im/v1/messages/:message_id/reactions`
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (start, size) = call.page(20, 50)?;
    let world = lock(&call.shared.world);
    let message = known(&world, call.id(0)).map_err(|_| gone())?;
    let wanted = call.param("reaction_type").filter(|kind| !kind.is_empty());
    let items: Vec<Value> = message
        .reactions
        .iter()
        .filter(|reaction| wanted.is_none_or(|kind| kind == reaction.emoji_type))
        .map(|reaction| object(call, reaction))
        .collect();
    Ok(Reply::Data(Reply::page(&items, start, size)))
}

fn gone() -> ApiError {
    ApiError::new(231_003, "message not found or recalled.")
}

fn object(call: &Call<'_>, reaction: &ReactionState) -> Value {
    let config = &call.shared.config;
    let operator = if reaction.operator == config.bot_open_id {
        json!({"operator_id": config.app_id, "operator_type": "app"})
    } else {
        json!({"operator_id": reaction.operator, "operator_type": "user"})
    };
    json!({
        "reaction_id": reaction.reaction_id,
        "operator": operator,
        "action_time": reaction.action_time.to_string(),
        "reaction_type": {"emoji_type": reaction.emoji_type},
    })
}
