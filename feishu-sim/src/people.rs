//! What people do: say, react, recall, press; and how the bot is told.

mod files;
mod forward;
mod naming;
mod press;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::SimError;
use crate::delivery;
use crate::events::{self, Event};
use crate::lock::lock;
use crate::shared::Shared;
use crate::view::{ChatType, Mention};
use crate::world::{Draft, ReactionState, World};
use naming::{Naming, add_mention};

pub(crate) use files::store;
pub use files::{UserFile, UserFileKind};
pub use forward::Forward;
pub(crate) use forward::forward;
pub(crate) use press::press;
pub use press::{CardAction, Pressed};

/// What a person says. `Default` plus `text` is a one-to-one message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserMessage {
    /// Chat; default: the one-to-one chat.
    #[serde(alias = "chat_id")]
    pub chat: Option<String>,
    /// Sender's `open_id`; default: first person of the chat.
    pub sender: Option<String>,
    /// Text, with `@Name` for members of the chat.
    pub text: Option<String>,
    /// With `content`, instead of `text`: any message type.
    pub msg_type: Option<String>,
    /// Content, as an object or as a string of JSON.
    pub content: Option<Value>,
    /// Whether it mentions the bot; default: in groups, unless it names somebody.
    pub mention_bot: Option<bool>,
    /// More `open_id`s that it mentions, in front of the text.
    pub mentions: Vec<String>,
    /// Message answered to.
    pub reply_to: Option<String>,
    /// Whether the reply opens or continues a thread.
    pub in_thread: bool,
    /// What hangs on it. One file without a text is a message of its own type;
    /// images and videos with a text are a post.
    pub files: Vec<UserFile>,
}

impl UserMessage {
    /// A text in the one-to-one chat.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// A file, image, voice message or video in the one-to-one chat.
    #[must_use]
    pub fn file(file: UserFile) -> Self {
        Self::default().with_file(file)
    }

    /// The same with a file more.
    #[must_use]
    pub fn with_file(mut self, file: UserFile) -> Self {
        self.files.push(file);
        self
    }

    /// The same from somebody else.
    #[must_use]
    pub fn from(self, sender: impl Into<String>) -> Self {
        Self {
            sender: Some(sender.into()),
            ..self
        }
    }

    /// The same as an answer to a message, which it quotes.
    #[must_use]
    pub fn replying_to(self, message_id: impl Into<String>) -> Self {
        Self {
            reply_to: Some(message_id.into()),
            ..self
        }
    }

    /// The same in another chat.
    #[must_use]
    pub fn in_chat(self, chat_id: impl Into<String>) -> Self {
        Self {
            chat: Some(chat_id.into()),
            ..self
        }
    }
}

/// A message sent, and the event that tells of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SentEvent {
    /// `om_…`
    pub message_id: String,
    /// Chat it is in.
    pub chat_id: String,
    /// Event's id; none when the bot is not told.
    pub event_id: Option<String>,
}

/// A person says something; the bot is told if the platform would tell it.
pub(crate) fn say(shared: &Arc<Shared>, message: UserMessage) -> Result<SentEvent, SimError> {
    send(shared, |world| {
        let draft = draft(world, message)?;
        world.post(draft)
    })
}

/// Tells the bot of the message that `post` makes, if the platform would.
fn send(
    shared: &Arc<Shared>,
    post: impl FnOnce(&mut World) -> Result<String, SimError>,
) -> Result<SentEvent, SimError> {
    let config = &shared.config;
    let (sent, event) = {
        let mut world = lock(&shared.world);
        let message_id = post(&mut world)?;
        let event_id = world.id("");
        let message = world.message(&message_id)?;
        let chat_id = message.chat_id.clone();
        let is_heard = world.bot_hears(message, config.group_all)
            && is_subscribed(shared, events::MESSAGE_RECEIVE);
        let event = is_heard.then(|| {
            let body = events::message_receive(&world, message);
            Event::new(
                config,
                event_id.clone(),
                events::MESSAGE_RECEIVE,
                Some(&message_id),
                &body,
            )
        });
        let sent = SentEvent {
            message_id,
            chat_id,
            event_id: event.as_ref().map(|_| event_id),
        };
        (sent, event)
    };
    if let Some(event) = event {
        delivery::deliver(shared, event)?;
    }
    Ok(sent)
}

fn is_subscribed(shared: &Shared, event_type: &str) -> bool {
    shared
        .config
        .subscriptions
        .iter()
        .any(|known| known == event_type)
}

fn draft(world: &mut World, message: UserMessage) -> Result<Draft, SimError> {
    let chat_id = match (&message.chat, &message.reply_to) {
        (Some(chat_id), _) => chat_id.clone(),
        (None, Some(target)) => world.message(target)?.chat_id.clone(),
        (None, None) => crate::world::P2P_CHAT.to_owned(),
    };
    let sender = speaker(world, &chat_id, message.sender.clone())?;
    let Said {
        msg_type,
        content,
        mentions,
    } = said(world, &chat_id, &message)?;
    Ok(Draft {
        chat_id,
        sender,
        msg_type,
        content,
        mentions,
        reply_to: message.reply_to,
        in_thread: message.in_thread,
        card_id: None,
    })
}

/// Who speaks in a chat: somebody in it, its first person unless said.
fn speaker(world: &World, chat_id: &str, sender: Option<String>) -> Result<String, SimError> {
    let chat = world.chat(chat_id)?;
    let sender = sender
        .or_else(|| chat.members.first().cloned())
        .unwrap_or_default();
    world.person(&sender)?;
    if chat.members.contains(&sender) {
        Ok(sender)
    } else {
        Err(SimError::Invalid(format!("{sender} is not in {chat_id}")))
    }
}

/// What a message holds, and in which form.
struct Said {
    msg_type: String,
    content: String,
    mentions: Vec<Mention>,
}

fn said(world: &mut World, chat_id: &str, message: &UserMessage) -> Result<Said, SimError> {
    let files = files::kept(world, &message.files)?;
    let chat = world.chat(chat_id)?;
    let names = Naming {
        world,
        members: &chat.members,
        mention_bot: message.mention_bot,
        is_group: chat.chat_type == ChatType::Group,
    };
    match (&message.text, &message.content, files.as_slice()) {
        (Some(text), None, []) => {
            let (text, mentions) = names.resolve(text, &message.mentions)?;
            Ok(Said {
                msg_type: "text".to_owned(),
                content: json!({"text": text}).to_string(),
                mentions,
            })
        }
        (Some(text), None, files) => {
            let (text, mentions) = names.resolve(text, &message.mentions)?;
            let content = files::post(&text, &mentions, files)?;
            Ok(Said {
                msg_type: "post".to_owned(),
                content,
                mentions,
            })
        }
        (None, None, [file]) => Ok(Said {
            msg_type: file.kind.msg_type().to_owned(),
            content: file.content(),
            mentions: Vec::new(),
        }),
        (None, None, [_, _, ..]) => Ok(Said {
            msg_type: "post".to_owned(),
            content: files::post("", &[], &files)?,
            mentions: Vec::new(),
        }),
        (None, Some(content), []) => {
            let msg_type = message.msg_type.clone().ok_or_else(|| {
                SimError::Invalid("content needs a msg_type beside it".to_owned())
            })?;
            let content = content
                .as_str()
                .map_or_else(|| content.to_string(), str::to_owned);
            let named = message.mentions.iter().map(String::as_str);
            let bot = message
                .mention_bot
                .unwrap_or(false)
                .then_some(world.bot.as_str());
            let mut mentions = Vec::new();
            for open_id in bot.into_iter().chain(named) {
                add_mention(world, open_id, &mut mentions)?;
            }
            Ok(Said {
                msg_type,
                content,
                mentions,
            })
        }
        (Some(_), Some(_), _) | (None, Some(_), [_, ..]) | (None, None, []) => Err(
            SimError::Invalid("either text and files, or content with msg_type".to_owned()),
        ),
    }
}

/// The sender takes a message back.
pub(crate) fn recall(shared: &Arc<Shared>, message_id: &str) -> Result<(), SimError> {
    let event = {
        let mut world = lock(&shared.world);
        let event_id = world.id("");
        let message = world.message(message_id)?;
        if message.deleted {
            return Ok(());
        }
        let is_own = message.sender == world.bot;
        let body = events::message_recalled(message);
        world.recall(message_id);
        let event_type = events::MESSAGE_RECALLED;
        (!is_own && is_subscribed(shared, event_type))
            .then(|| Event::new(&shared.config, event_id, event_type, None, &body))
    };
    match event {
        Some(event) => delivery::deliver(shared, event),
        None => Ok(()),
    }
}

/// A person adds a reaction or takes it away.
pub(crate) fn react(
    shared: &Arc<Shared>,
    message_id: &str,
    sender: &str,
    emoji_type: &str,
    is_removal: bool,
) -> Result<(), SimError> {
    let changed = {
        let mut world = lock(&shared.world);
        world.person(sender)?;
        world.message(message_id)?;
        if is_removal {
            world.unreact(message_id, |one| {
                one.operator == sender && one.emoji_type == emoji_type
            })
        } else {
            let (reaction, is_new) = world.react(message_id, sender, emoji_type)?;
            is_new.then_some(reaction)
        }
    };
    if let Some(reaction) = changed {
        tell_reaction(Arc::clone(shared), message_id, &reaction, !is_removal);
    }
    Ok(())
}

/// Tells of a reaction, the bot's own too, if the app subscribed to that.
pub(crate) fn tell_reaction(
    shared: Arc<Shared>,
    message_id: &str,
    reaction: &ReactionState,
    is_new: bool,
) {
    let event_type = if is_new {
        events::REACTION_CREATED
    } else {
        events::REACTION_DELETED
    };
    if is_subscribed(&shared, event_type) {
        let event_id = lock(&shared.world).id("");
        let body = events::reaction(&shared.config, message_id, reaction);
        let event = Event::new(&shared.config, event_id, event_type, None, &body);
        if let Err(why) = delivery::deliver(&shared, event) {
            tracing::warn!(%why, "reaction not told");
        }
    }
}
