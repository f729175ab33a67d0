//! Event envelopes: schema 2.0 and 1.0, the URL check, and old card callbacks.

use crate::json::{Json, JsonError, JsonStr};

/// One event as Feishu pushes it, borrowed from its JSON.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// `2.0`, `1.0`, or `None` where the shape has no schema.
    pub schema: Option<&'static str>,
    /// `header.event_id`, or `uuid` of schema 1.0: the same when Feishu pushes
    /// the event again.
    pub event_id: Option<JsonStr<'a>>,
    /// `header.event_type`, or `event.type` of schema 1.0.
    pub event_type: Option<JsonStr<'a>>,
    /// The tenant.
    pub tenant_key: Option<JsonStr<'a>>,
    /// The app that the event is for.
    pub app_id: Option<JsonStr<'a>>,
    /// The verification token. It is a secret.
    pub token: Option<JsonStr<'a>>,
    /// When the event was made, in ms since 1970, if the envelope says so.
    pub create_time_ms: Option<i64>,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened, with the event's own object (`event`).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// `im.message.receive_v1`, or `message` of schema 1.0.
    Message(Json<'a>),
    /// `card.action.trigger`, or the flat callback of old cards.
    CardAction(Json<'a>),
    /// `im.message.reaction.created_v1`
    ReactionAdded(Json<'a>),
    /// `im.message.reaction.deleted_v1`
    ReactionRemoved(Json<'a>),
    /// `im.chat.member.bot.added_v1`
    BotAdded(Json<'a>),
    /// `im.chat.member.bot.deleted_v1`
    BotRemoved(Json<'a>),
    /// `im.chat.member.user.added_v1`
    MembersAdded(Json<'a>),
    /// `im.chat.access_event.bot_p2p_chat_entered_v1`
    P2pEntered(Json<'a>),
    /// `im.message.recalled_v1`
    Recalled(Json<'a>),
    /// `im.message.message_read_v1`
    MessageRead(Json<'a>),
    /// `application.bot.menu_v6`
    Menu(Json<'a>),
    /// `im.chat.disbanded_v1`
    ChatDisbanded(Json<'a>),
    /// `im.chat.updated_v1`
    ChatUpdated(Json<'a>),
    /// The check of a webhook's URL; holds the `challenge` to send back.
    UrlVerification(JsonStr<'a>),
    /// Any other type. It is authentic and nobody here knows it.
    Unknown(Json<'a>),
}

/// Why a JSON document or other bytes are not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] JsonError),
    /// JSON of another shape.
    #[error("no event: neither `header`, `event`, `action` nor a `challenge` is there")]
    Shape,
}

impl<'a> Event<'a> {
    /// Reads an envelope. Members that nobody knows are passed over.
    ///
    /// # Errors
    /// [`EventError`] when the bytes are no event of any schema.
    pub fn parse(body: &'a [u8]) -> Result<Self, EventError> {
        Self::from_json(Json::parse(body)?)
    }

    /// Reads an envelope from a document that was checked before.
    ///
    /// # Errors
    /// [`EventError::Shape`].
    pub fn from_json(document: Json<'a>) -> Result<Self, EventError> {
        if let Some(header) = document.get("header").filter(|header| header.is_object()) {
            return Ok(Self::schema_2(document, header));
        }
        if document
            .get_str("type")
            .is_some_and(|kind| kind == "url_verification")
        {
            let challenge = document.get_str("challenge").ok_or(EventError::Shape)?;
            return Ok(Self {
                schema: None,
                event_id: None,
                event_type: None,
                tenant_key: None,
                app_id: None,
                token: document.get_str("token"),
                create_time_ms: None,
                kind: EventKind::UrlVerification(challenge),
            });
        }
        if let Some(event) = document.get("event").filter(|event| event.is_object()) {
            return Ok(Self::schema_1(document, event));
        }
        if document.get("action").is_some_and(Json::is_object) {
            return Ok(Self::old_card(document));
        }
        Err(EventError::Shape)
    }

    /// What to remember to drop repeats: the message for messages (their page
    /// says so), the event for all else.
    #[must_use]
    pub fn dedup_key(&self) -> Option<JsonStr<'a>> {
        if let EventKind::Message(event) = self.kind {
            let message = message_id(event).filter(|id| !id.is_empty());
            return message.or(self.event_id);
        }
        self.event_id
    }

    fn schema_2(document: Json<'a>, header: Json<'a>) -> Self {
        let event_type = header.get_str("event_type");
        let event = document.get("event").unwrap_or(document);
        Self {
            schema: Some("2.0"),
            event_id: header.get_str("event_id"),
            event_type,
            tenant_key: header.get_str("tenant_key"),
            app_id: header.get_str("app_id"),
            token: header.get_str("token"),
            create_time_ms: header.get("create_time").and_then(Json::as_i64).map(millis),
            kind: kind_of(event_type, event),
        }
    }

    fn schema_1(document: Json<'a>, event: Json<'a>) -> Self {
        let event_type = event.get_str("type");
        let kind = if event_type.is_some_and(|kind| kind == "message") {
            EventKind::Message(event)
        } else {
            EventKind::Unknown(event)
        };
        Self {
            schema: Some("1.0"),
            event_id: document.get_str("uuid"),
            event_type,
            tenant_key: event.get_str("tenant_key"),
            app_id: event.get_str("app_id"),
            token: document.get_str("token"),
            create_time_ms: document.get_str("ts").and_then(seconds_as_millis),
            kind,
        }
    }

    fn old_card(document: Json<'a>) -> Self {
        Self {
            schema: None,
            event_id: None,
            event_type: None,
            tenant_key: document.get_str("tenant_key"),
            app_id: document.get_str("app_id"),
            token: None,
            create_time_ms: None,
            kind: EventKind::CardAction(document),
        }
    }
}

/// Card callbacks state their time in microseconds, all else in milliseconds.
const fn millis(time: i64) -> i64 {
    const MICROS_FROM: i64 = 100_000_000_000_000;
    if time >= MICROS_FROM {
        time / 1000
    } else {
        time
    }
}

/// Schema 1.0 states its time in seconds with a fraction: `1772446123.707071`.
fn seconds_as_millis(text: JsonStr<'_>) -> Option<i64> {
    let (seconds, fraction) = text
        .raw()
        .split_once('.')
        .unwrap_or_else(|| (text.raw(), ""));
    let mut millis = 0;
    for digit in fraction.chars().chain("000".chars()).take(3) {
        millis = millis * 10 + i64::from(digit.to_digit(10)?);
    }
    seconds
        .parse::<i64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(millis)
}

/// The id of a message event's message, in either schema.
pub(crate) fn message_id(event: Json<'_>) -> Option<JsonStr<'_>> {
    event.get("message").map_or_else(
        || event.get_str("open_message_id"),
        |message| message.get_str("message_id"),
    )
}

fn kind_of<'a>(event_type: Option<JsonStr<'a>>, event: Json<'a>) -> EventKind<'a> {
    // Types are plain ASCII; one with escapes is none that we know.
    match event_type.and_then(JsonStr::as_plain).unwrap_or_default() {
        "im.message.receive_v1" => EventKind::Message(event),
        "card.action.trigger" => EventKind::CardAction(event),
        "im.message.reaction.created_v1" => EventKind::ReactionAdded(event),
        "im.message.reaction.deleted_v1" => EventKind::ReactionRemoved(event),
        "im.chat.member.bot.added_v1" => EventKind::BotAdded(event),
        "im.chat.member.bot.deleted_v1" => EventKind::BotRemoved(event),
        "im.chat.member.user.added_v1" => EventKind::MembersAdded(event),
        "im.chat.access_event.bot_p2p_chat_entered_v1" => EventKind::P2pEntered(event),
        "im.message.recalled_v1" => EventKind::Recalled(event),
        "im.message.message_read_v1" => EventKind::MessageRead(event),
        "application.bot.menu_v6" => EventKind::Menu(event),
        "im.chat.disbanded_v1" => EventKind::ChatDisbanded(event),
        "im.chat.updated_v1" => EventKind::ChatUpdated(event),
        _ => EventKind::Unknown(event),
    }
}
