//! What people do: say, react, recall, press; and how the bot is told.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::delivery::{self, CallbackResult};
use crate::events::{self, Event};
use crate::lock::lock;
use crate::openapi;
use crate::shared::Shared;
use crate::view::{ChatType, Mention};
use crate::world::{ActionToken, Draft, ReactionState, World};
use crate::{SimError, webhook};

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
    let config = &shared.config;
    let (sent, event) = {
        let mut world = lock(&shared.world);
        let draft = draft(&world, message)?;
        let chat_id = draft.chat_id.clone();
        let message_id = world.post(draft)?;
        let event_id = world.id("");
        let message = world.message(&message_id)?;
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

fn draft(world: &World, message: UserMessage) -> Result<Draft, SimError> {
    let chat_id = match (&message.chat, &message.reply_to) {
        (Some(chat_id), _) => chat_id.clone(),
        (None, Some(target)) => world.message(target)?.chat_id.clone(),
        (None, None) => crate::world::P2P_CHAT.to_owned(),
    };
    let chat = world.chat(&chat_id)?;
    let sender = match message.sender {
        Some(sender) => sender,
        None => chat.members.first().cloned().unwrap_or_default(),
    };
    world.person(&sender)?;
    if !chat.members.contains(&sender) {
        return Err(SimError::Invalid(format!("{sender} is not in {chat_id}")));
    }
    let (msg_type, content, mentions) = match (message.text, message.content) {
        (Some(text), None) => {
            let names = Naming {
                world,
                members: &chat.members,
                mention_bot: message.mention_bot,
                is_group: chat.chat_type == ChatType::Group,
            };
            let (text, mentions) = names.resolve(&text, &message.mentions)?;
            (
                "text".to_owned(),
                json!({"text": text}).to_string(),
                mentions,
            )
        }
        (None, Some(content)) => {
            let msg_type = message.msg_type.ok_or_else(|| {
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
            (msg_type, content, mentions)
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(SimError::Invalid(
                "either text, or content with msg_type".to_owned(),
            ));
        }
    };
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

/// Turns `@Name`s of a text into placeholders.
struct Naming<'w> {
    world: &'w World,
    members: &'w [String],
    mention_bot: Option<bool>,
    is_group: bool,
}

impl Naming<'_> {
    fn resolve(&self, text: &str, extra: &[String]) -> Result<(String, Vec<Mention>), SimError> {
        let mut mentions = Vec::new();
        let body = self.named(text, &mut mentions)?;
        let mentions_bot_itself = mentions
            .iter()
            .any(|mention: &Mention| mention.open_id == self.world.bot);
        let wants_bot = self
            .mention_bot
            .unwrap_or_else(|| self.is_group && mentions.is_empty() && !text.contains("@_all"));
        let bot = (wants_bot && !mentions_bot_itself).then(|| self.world.bot.clone());
        let mut front = String::new();
        for open_id in bot.iter().chain(extra) {
            let key = add_mention(self.world, open_id, &mut mentions)?;
            front.push_str(&key);
            front.push(' ');
        }
        Ok((front + &body, mentions))
    }

    /// The longest name that fits wins, so that `@Li Lei` is not `@Li`.
    fn named(&self, text: &str, mentions: &mut Vec<Mention>) -> Result<String, SimError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            let hit = self
                .members
                .iter()
                .filter_map(|id| self.world.people.get(id))
                .flat_map(|person| [(&person.name, person), (&person.en_name, person)])
                .filter(|(name, _)| !name.is_empty() && after.starts_with(name.as_str()))
                .max_by_key(|(name, _)| name.len());
            match hit {
                Some((name, person)) => {
                    out.push_str(&add_mention(self.world, &person.open_id, mentions)?);
                    rest = after.get(name.len()..).unwrap_or_default();
                }
                None => {
                    out.push('@');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Gives the placeholder of a person, old or new.
fn add_mention(
    world: &World,
    open_id: &str,
    mentions: &mut Vec<Mention>,
) -> Result<String, SimError> {
    if let Some(known) = mentions.iter().find(|known| known.open_id == open_id) {
        return Ok(known.key.clone());
    }
    let person = world.person(open_id)?;
    let key = format!("@_user_{}", mentions.len() + 1);
    mentions.push(Mention {
        key: key.clone(),
        open_id: open_id.to_owned(),
        name: person.name.clone(),
    });
    Ok(key)
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

/// Somebody presses a button.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardAction {
    /// Message that shows the card.
    pub message_id: String,
    /// Who presses; default: first person of the chat.
    pub sender: Option<String>,
    /// Place of the button.
    pub button: usize,
    /// Values of a form around it.
    pub form_value: Option<Value>,
    /// As an old callback (`card.action.trigger_v1`): webhook only.
    pub old: bool,
}

/// What pressing a button led to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Pressed {
    /// `answered`, `refused`, `timeout` or `no_connection`.
    pub status: &'static str,
    /// What the bot answered: toast, card.
    pub response: Option<Value>,
}

/// Presses, waits for the bot's answer, and shows its card.
pub(crate) async fn press(shared: &Arc<Shared>, action: CardAction) -> Result<Pressed, SimError> {
    let (callback, token) = {
        let mut world = lock(&shared.world);
        callback(&mut world, &action)?
    };
    let result = if action.old {
        press_old(shared, &action, &callback).await?
    } else {
        let event_id = lock(&shared.world).id("");
        let event_type = events::CARD_ACTION;
        let event = Event::new(&shared.config, event_id, event_type, None, &callback);
        delivery::call_back(shared, &event).await
    };
    let pressed = match result {
        CallbackResult::Answered(response) => Pressed {
            status: "answered",
            response,
        },
        CallbackResult::Refused(code) => Pressed {
            status: "refused",
            response: Some(json!({"code": code})),
        },
        CallbackResult::Timeout => Pressed {
            status: "timeout",
            response: None,
        },
        CallbackResult::NoConnection => Pressed {
            status: "no_connection",
            response: None,
        },
    };
    if pressed.status == "answered" {
        let mut world = lock(&shared.world);
        if let Some(token) = world.action_tokens.get_mut(&token) {
            token.answered = true;
        }
        show_answer(
            shared,
            &mut world,
            &action.message_id,
            pressed.response.as_ref(),
        );
    }
    Ok(pressed)
}

/// The callback's `event` and its token.
fn callback(world: &mut World, action: &CardAction) -> Result<(Value, String), SimError> {
    let token = world.id("c-");
    let message = world.message(&action.message_id)?;
    let chat = world.chat(&message.chat_id)?;
    let first = chat.members.first().cloned().unwrap_or_default();
    let sender = action.sender.clone().unwrap_or(first);
    world.person(&sender)?;
    let content: Value = serde_json::from_str(&message.content).unwrap_or(Value::Null);
    let buttons = crate::render::buttons(&content);
    let button = buttons.get(action.button).ok_or_else(|| {
        SimError::Invalid(format!(
            "the card has {} buttons, none at {}",
            buttons.len(),
            action.button
        ))
    })?;
    let mut pressed = json!({"tag": "button", "value": button.value, "timezone": "Asia/Shanghai"});
    if let Some(fields) = pressed.as_object_mut() {
        if !button.name.is_empty() {
            fields.insert("name".to_owned(), json!(button.name));
        }
        if let Some(form) = &action.form_value {
            fields.insert("form_value".to_owned(), form.clone());
        }
    }
    let mut operator = events::user_ids(&sender);
    if let Some(fields) = operator.as_object_mut() {
        fields.insert("tenant_key".to_owned(), json!(crate::world::TENANT_KEY));
    }
    let event = json!({
        "operator": operator,
        "token": token,
        "action": pressed,
        "host": "im_message",
        "context": {
            "open_message_id": message.message_id,
            "open_chat_id": message.chat_id,
        },
    });
    if world.action_tokens.len() >= ACTION_TOKENS_MAX {
        world.action_tokens.clear();
    }
    world.action_tokens.insert(
        token.clone(),
        ActionToken {
            message_id: action.message_id.clone(),
            made: tokio::time::Instant::now(),
            uses: 0,
            answered: false,
        },
    );
    Ok((event, token))
}

/// The flat form, by webhook alone.
async fn press_old(
    shared: &Shared,
    action: &CardAction,
    event: &Value,
) -> Result<CallbackResult, SimError> {
    let url = lock(&shared.webhook_url).clone().ok_or_else(|| {
        SimError::Invalid("old card callbacks go to a webhook URL, and none is set".to_owned())
    })?;
    let of = |pointer: &str| event.pointer(pointer).cloned().unwrap_or(Value::Null);
    let body = json!({
        "open_id": of("/operator/open_id"),
        "user_id": of("/operator/user_id"),
        "tenant_key": crate::world::TENANT_KEY,
        "token": of("/token"),
        "open_message_id": action.message_id,
        "open_chat_id": of("/context/open_chat_id"),
        "action": {"value": of("/action/value"), "tag": "button"},
    });
    Ok(match webhook::send_old_card(shared, &url, &body).await {
        None => CallbackResult::Timeout,
        Some(reply) if reply.status == 200 => {
            CallbackResult::Answered(serde_json::from_slice(&reply.body).ok())
        }
        Some(reply) => CallbackResult::Refused(i64::from(reply.status)),
    })
}

/// Puts the card of a callback's answer in place of the one pressed.
fn show_answer(shared: &Shared, world: &mut World, message_id: &str, response: Option<&Value>) {
    let card = response
        .and_then(|response| response.get("card"))
        .filter(|card| card.get("type").and_then(Value::as_str) == Some("raw"))
        .and_then(|card| card.get("data"));
    let old = world
        .message(message_id)
        .map(|message| message.content.clone());
    let (Some(card), Ok(old)) = (card, old) else {
        return;
    };
    match openapi::replacement(world, &old, card) {
        Ok(content) => world.change(message_id, content),
        Err(why) => shared.violation("callback_card", why.msg),
    }
}

/// Tokens of card actions kept; a press uses one, and they age anyway.
const ACTION_TOKENS_MAX: usize = 10_000;
