//! Bundles of forwarded messages. The bot is told that there is one; what is in
//! it it must ask for.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::{SentEvent, send, speaker};
use crate::SimError;
use crate::shared::Shared;
use crate::world::{Draft, Forwarded, MessageState, World};

/// Somebody forwards messages together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// Chat they go to; default: the one-to-one chat.
    #[serde(alias = "chat_id")]
    pub chat: Option<String>,
    /// Who forwards; default: first person of the chat.
    pub sender: Option<String>,
    /// The messages, of any chat. One that is a bundle itself comes with all
    /// that is in it.
    pub messages: Vec<String>,
}

/// Messages that can be chosen for one bundle, and that it holds with all that
/// is in bundles inside.
const MESSAGES_MAX: usize = 100;
const INSIDE_MAX: usize = 2_000;

pub(crate) fn forward(shared: &Arc<Shared>, forward: Forward) -> Result<SentEvent, SimError> {
    send(shared, |world| {
        let chat_id = forward
            .chat
            .unwrap_or_else(|| crate::world::P2P_CHAT.to_owned());
        let sender = speaker(world, &chat_id, forward.sender)?;
        if forward.messages.is_empty() || forward.messages.len() > MESSAGES_MAX {
            return Err(SimError::Invalid(format!(
                "1 to {MESSAGES_MAX} messages are forwarded together"
            )));
        }
        for message_id in &forward.messages {
            world.message(message_id)?;
        }
        let bundle = world.post(Draft {
            chat_id,
            sender,
            msg_type: "merge_forward".to_owned(),
            content: json!({"content": "Merged and Forwarded Message"}).to_string(),
            mentions: Vec::new(),
            reply_to: None,
            in_thread: false,
            card_id: None,
        })?;
        let mut inside = Vec::new();
        for message_id in &forward.messages {
            copy(world, message_id, &bundle, &mut inside)?;
        }
        world.fill_bundle(&bundle, inside);
        Ok(bundle)
    })
}

/// A message as one of a bundle: with an id of its own, and what is in it.
fn copy(
    world: &mut World,
    message_id: &str,
    upper: &str,
    inside: &mut Vec<Forwarded>,
) -> Result<(), SimError> {
    let id = world.id("om_");
    let message = MessageState {
        message_id: id.clone(),
        reactions: Vec::new(),
        root_id: None,
        parent_id: None,
        thread_id: None,
        delivery: None,
        ..world.message(message_id)?.clone()
    };
    inside.push(Forwarded {
        upper_message_id: upper.to_owned(),
        message,
    });
    nest(world, message_id, &id, inside);
    Ok(())
}

/// What is in a bundle that is itself forwarded: every message gets a new id,
/// and what was in `from` is now in `to`.
fn nest(world: &mut World, from: &str, to: &str, inside: &mut Vec<Forwarded>) {
    let bundle = world.bundles.get(from).cloned().unwrap_or_default();
    let mut renamed = vec![(from.to_owned(), to.to_owned())];
    for Forwarded {
        upper_message_id,
        mut message,
    } in bundle
    {
        if inside.len() >= INSIDE_MAX {
            return;
        }
        let id = world.id("om_");
        renamed.push((message.message_id.clone(), id.clone()));
        let upper = renamed.iter().find(|(old, _)| *old == upper_message_id);
        message.message_id = id;
        inside.push(Forwarded {
            upper_message_id: upper.map_or_else(|| to.to_owned(), |(_, new)| new.clone()),
            message,
        });
    }
}
