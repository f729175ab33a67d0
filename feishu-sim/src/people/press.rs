//! Somebody presses a button of a card, chooses from a list, or sends a form.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::delivery::{self, CallbackResult};
use crate::events::{self, Event};
use crate::lock::lock;
use crate::openapi;
use crate::render::{Element, interactive};
use crate::shared::Shared;
use crate::view::{Card, ControlKind};
use crate::world::{ActionToken, World};
use crate::{SimError, webhook};

/// Somebody uses a card. `button`, or `label`, or `control` says what is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardAction {
    /// Message that shows the card.
    pub message_id: String,
    /// Who; default: first person of the chat.
    pub sender: Option<String>,
    /// Place among the buttons.
    pub button: usize,
    /// The button with this label, instead of `button`.
    pub label: Option<String>,
    /// The control of this name, instead of `button`.
    pub control: Option<String>,
    /// What is chosen of a list or menu: the option's value.
    pub option: Option<String>,
    /// What is written into a field that stands in no form.
    pub input_value: Option<String>,
    /// What was filled into the form around it, by the fields' names; the rest
    /// of the form is empty.
    pub form_value: Option<Value>,
    /// As an old callback (`card.action.trigger_v1`): webhook only.
    pub old: bool,
}

impl CardAction {
    /// Presses the button with this label.
    #[must_use]
    pub fn label(message_id: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            message_id: message_id.into(),
            label: Some(label.into()),
            ..Self::default()
        }
    }

    /// The same by somebody else.
    #[must_use]
    pub fn by(self, sender: impl Into<String>) -> Self {
        Self {
            sender: Some(sender.into()),
            ..self
        }
    }

    /// The same with a field of the form filled.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut form = match self.form_value.take() {
            Some(Value::Object(form)) => form,
            _ => Map::new(),
        };
        form.insert(name.to_owned(), value.into());
        self.form_value = Some(Value::Object(form));
        self
    }
}

/// What using a card led to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Pressed {
    /// `answered`, `refused`, `timeout` or `no_connection`.
    pub status: &'static str,
    /// What the bot answered: toast, card.
    pub response: Option<Value>,
    /// The card as it is shown after that.
    pub card: Option<Card>,
}

impl Pressed {
    /// The note that the person sees.
    #[must_use]
    pub fn toast(&self) -> Option<&str> {
        self.response.as_ref()?.pointer("/toast/content")?.as_str()
    }

    /// Its kind: `info`, `success`, `error` or `warning`.
    #[must_use]
    pub fn toast_type(&self) -> Option<&str> {
        self.response.as_ref()?.pointer("/toast/type")?.as_str()
    }
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
    let (status, response) = match result {
        CallbackResult::Answered(response) => ("answered", response),
        CallbackResult::Refused(code) => ("refused", Some(json!({"code": code}))),
        CallbackResult::Timeout => {
            shared.violation(
                "callback_timeout",
                format!(
                    "the use of card {} was not answered in time",
                    action.message_id
                ),
            );
            ("timeout", None)
        }
        CallbackResult::NoConnection => ("no_connection", None),
    };
    let mut world = lock(&shared.world);
    if status == "answered" {
        if let Some(token) = world.action_tokens.get_mut(&token) {
            token.answered = true;
        }
        check_answer(shared, response.as_ref());
        show_answer(shared, &mut world, &action.message_id, response.as_ref());
    }
    let card = world
        .message(&action.message_id)
        .ok()
        .and_then(|message| world.message_view(message).card);
    Ok(Pressed {
        status,
        response,
        card,
    })
}

/// An answer of another form is shown to the person as an error (200672).
fn check_answer(shared: &Shared, response: Option<&Value>) {
    let wrong = |what: String| shared.violation("callback_answer", what);
    let fields = match response {
        // An ack without data, or an empty body: the card stays as it is.
        None | Some(Value::Null) => return,
        Some(Value::Object(fields)) => fields,
        Some(_) => return wrong("the answer is no object".to_owned()),
    };
    // Serialisers write what is absent as null.
    let given = |key: &str| fields.get(key).filter(|value| !value.is_null());
    for key in fields.keys() {
        if !matches!(key.as_str(), "toast" | "card" | "msg") {
            wrong(format!("unknown member {key:?}"));
        }
    }
    if let Some(toast) = given("toast") {
        let kind = crate::render::str_of(toast, "type");
        if !matches!(kind, "info" | "success" | "error" | "warning" | "") {
            wrong(format!("unknown kind of toast {kind:?}"));
        }
        if !toast.get("content").is_some_and(Value::is_string) {
            wrong("a toast needs a string as content".to_owned());
        }
    }
    if let Some(card) = given("card") {
        let kind = crate::render::str_of(card, "type");
        if !matches!(kind, "raw" | "template") {
            wrong(format!("unknown kind of card {kind:?}"));
        }
    }
}

/// The callback's `event` and its token.
fn callback(world: &mut World, action: &CardAction) -> Result<(Value, String), SimError> {
    let token = world.id("c-");
    let message = world.message(&action.message_id)?;
    let chat = world.chat(&message.chat_id)?;
    let first = chat.members.first().cloned().unwrap_or_default();
    let sender = action.sender.clone().unwrap_or(first);
    world.person(&sender)?;
    if !chat.members.contains(&sender) {
        return Err(SimError::Invalid(format!(
            "{sender} is not in {} and sees no card there",
            chat.chat_id
        )));
    }
    let content: Value = serde_json::from_str(&message.content).unwrap_or(Value::Null);
    let elements = interactive(&content);
    let used = used(&elements, action)?;
    let mut operator = events::user_ids(&sender);
    if let Some(fields) = operator.as_object_mut() {
        fields.insert("tenant_key".to_owned(), json!(crate::world::TENANT_KEY));
    }
    let event = json!({
        "operator": operator,
        "token": token,
        "action": told(&elements, used, action)?,
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

/// What of the card is used.
fn used<'e>(elements: &'e [Element], action: &CardAction) -> Result<&'e Element, SimError> {
    let mut buttons = elements
        .iter()
        .filter(|element| element.control.kind == ControlKind::Button);
    let found = match (&action.control, &action.label) {
        (Some(name), _) => elements
            .iter()
            .find(|element| element.control.name == *name),
        (None, Some(label)) => buttons.find(|button| button.control.label == *label),
        (None, None) => buttons.nth(action.button),
    };
    let found = found.ok_or_else(|| {
        let labels: Vec<&str> = elements
            .iter()
            .map(|element| element.control.label.as_str())
            .collect();
        SimError::Invalid(format!(
            "the card has no such control; it has {labels:?}, and {} was asked for",
            match (&action.control, &action.label) {
                (Some(name), _) | (None, Some(name)) => format!("{name:?}"),
                (None, None) => format!("button {}", action.button),
            }
        ))
    })?;
    if found.control.disabled {
        return Err(SimError::Invalid(format!(
            "{:?} is disabled",
            found.control.label
        )));
    }
    Ok(found)
}

/// `action` of the callback.
fn told(elements: &[Element], used: &Element, action: &CardAction) -> Result<Value, SimError> {
    let control = &used.control;
    let mut told = Map::new();
    told.insert("tag".to_owned(), json!(used.tag));
    told.insert("value".to_owned(), used.value.clone());
    told.insert("timezone".to_owned(), json!("Asia/Shanghai"));
    if !control.name.is_empty() {
        told.insert("name".to_owned(), json!(control.name));
    }
    match control.kind {
        ControlKind::Button => {
            let form = match &control.form {
                Some(form) if control.submits => Some(filled(elements, form, action)?),
                // A test may send what no client would.
                _ => action.form_value.clone(),
            };
            if let Some(form) = form {
                told.insert("form_value".to_owned(), form);
            }
        }
        ControlKind::Input => {
            let text = action.input_value.clone().unwrap_or_default();
            told.insert("input_value".to_owned(), json!(text));
        }
        ControlKind::Select | ControlKind::Overflow => {
            let option = action.option.as_deref().unwrap_or_default();
            if !control.options.iter().any(|known| known.value == option) {
                return Err(SimError::Invalid(format!(
                    "{option:?} is none of the options {:?}",
                    control.options
                )));
            }
            told.insert("option".to_owned(), json!(option));
        }
    }
    Ok(Value::Object(told))
}

/// What the form sends: each of its fields, as far as the client lets it.
fn filled(elements: &[Element], form: &str, action: &CardAction) -> Result<Value, SimError> {
    let given = action.form_value.as_ref().and_then(Value::as_object);
    let mut values = Map::new();
    for field in elements.iter().map(|element| &element.control) {
        if field.form.as_deref() != Some(form) || field.kind == ControlKind::Button {
            continue;
        }
        let value = given
            .and_then(|given| given.get(&field.name))
            .cloned()
            .unwrap_or_else(|| json!(field.default));
        if field.required && value.as_str().is_some_and(str::is_empty) {
            return Err(SimError::Invalid(format!(
                "{:?} must be filled",
                field.name
            )));
        }
        let is_option = |value: &str| field.options.iter().any(|known| known.value == value);
        if field.kind == ControlKind::Select
            && value
                .as_str()
                .is_some_and(|value| !value.is_empty() && !is_option(value))
        {
            return Err(SimError::Invalid(format!(
                "{value} is no option of {:?}",
                field.name
            )));
        }
        values.insert(field.name.clone(), value);
    }
    Ok(Value::Object(values))
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
