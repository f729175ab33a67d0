//! Event envelopes: schema 2.0 and 1.0, the URL check, and old card callbacks.

mod message;

pub(crate) use message::Body;
pub use message::{Mention, Message};

use core::fmt::{self, Display as _};

use crate::json::{Json, JsonError, JsonStr, Scanner, members, whole};

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
#[expect(
    clippy::large_enum_variant,
    reason = "no allocator to box with, and messages are the usual case"
)]
pub enum EventKind<'a> {
    /// `im.message.receive_v1`, or `message` of schema 1.0.
    Message(Message<'a>),
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
    /// Any other type, or a message event without a message.
    Unknown(Json<'a>),
}

/// Why a JSON document or other bytes are not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON.
    #[error(fmt = fmt_not_json)]
    Json(#[from] JsonError),
    /// JSON of another shape.
    #[error("no event: neither `header`, `event`, `action` nor a `challenge` is there")]
    Shape,
}

fn fmt_not_json(error: &JsonError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("not JSON: ")?;
    error.fmt(f)
}

impl<'a> Event<'a> {
    /// Reads an envelope. Members that nobody knows are passed over.
    ///
    /// # Errors
    /// [`EventError`] when the bytes are no event of any schema.
    pub fn parse(body: &'a [u8]) -> Result<Self, EventError> {
        let mut envelope = Envelope::default();
        envelope.read(Scanner::new(body))?;
        envelope.as_event()
    }

    /// Reads an envelope from a document that was checked before.
    ///
    /// # Errors
    /// [`EventError::Shape`].
    pub fn from_json(document: Json<'a>) -> Result<Self, EventError> {
        let mut envelope = Envelope::default();
        envelope.read(document.scanner())?;
        envelope.as_event()
    }

    /// What to remember to drop repeats: the message for messages (their page
    /// says so), the event for all else.
    #[must_use]
    pub fn dedup_key(&self) -> Option<JsonStr<'a>> {
        if let EventKind::Message(message) = self.kind {
            return message.message_id.or(self.event_id);
        }
        self.event_id
    }
}

/// The members of a body that envelopes are made of, in whatever order.
#[derive(Default)]
pub(crate) struct Envelope<'a> {
    document: Option<Json<'a>>,
    header: Option<Header<'a>>,
    event: Option<Json<'a>>,
    /// What `event` holds, if it was read on the way.
    read: Option<Content>,
    message: Message<'a>,
    has_action: bool,
    /// What is in an encrypted body.
    pub(crate) encrypt: Option<JsonStr<'a>>,
    kind: Option<JsonStr<'a>>,
    challenge: Option<JsonStr<'a>>,
    /// The token at the top level; in schema 2.0 it is in the header.
    pub(crate) token: Option<JsonStr<'a>>,
    uuid: Option<JsonStr<'a>>,
    ts: Option<JsonStr<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Message,
    Nothing,
}

#[derive(Default)]
struct Header<'a> {
    event_id: Option<JsonStr<'a>>,
    event_type: Option<JsonStr<'a>>,
    tenant_key: Option<JsonStr<'a>>,
    app_id: Option<JsonStr<'a>>,
    token: Option<JsonStr<'a>>,
    create_time_ms: Option<i64>,
}

impl<'a> Envelope<'a> {
    /// Reads a body into an empty envelope: one pass, whatever it is.
    pub(crate) fn read(&mut self, mut body: Scanner<'a>) -> Result<(), JsonError> {
        let body = &mut body;
        let mark = body.mark();
        members!(body {
            "schema" => body.skip(),
            "header" => self.header = Header::read(body),
            "event" => self.read_event(body),
            "uuid" => self.uuid = body.text(),
            "ts" => self.ts = body.text(),
            "token" => self.token = body.text(),
            "type" => self.kind = body.text(),
            "challenge" => self.challenge = body.string_value(),
            "action" => self.has_action = body.value().is_some_and(Json::is_object),
            "encrypt" => self.encrypt = body.string_value(),
        });
        self.document = Some(body.since(mark));
        body.finish()
    }

    /// The body as JSON.
    pub(crate) fn document(&self) -> Json<'a> {
        self.document.unwrap_or(Json::EMPTY_OBJECT)
    }

    /// The flat callback of old cards: it has no envelope at all.
    pub(crate) fn is_old_card(&self) -> bool {
        self.has_action && self.header.is_none() && self.event.is_none()
    }

    /// The header nearly always comes first, and then this one pass tells all.
    fn read_event(&mut self, body: &mut Scanner<'a>) {
        let mark = body.mark();
        self.read = None;
        if self.header.as_ref().is_some_and(Header::is_of_message) {
            self.message = Message::default();
            self.read = Some(if self.message.read(body) {
                Content::Message
            } else {
                Content::Nothing
            });
        } else {
            body.skip();
        }
        self.event = Some(body.since(mark)).filter(|event| !event.is_null());
    }

    pub(crate) fn as_event(&self) -> Result<Event<'a>, EventError> {
        if let Some(header) = &self.header {
            return Ok(self.schema_2(header));
        }
        if self.kind.is_some_and(|kind| kind == "url_verification") {
            let challenge = self.challenge.ok_or(EventError::Shape)?;
            return Ok(self.bare(EventKind::UrlVerification(challenge)));
        }
        if let Some(event) = self.event.filter(|event| event.is_object()) {
            return Ok(self.schema_1(event));
        }
        if self.has_action {
            let card = self.document();
            return Ok(Event {
                tenant_key: card.get_str("tenant_key"),
                app_id: card.get_str("app_id"),
                // A card's token is for changing the card; it proves nothing.
                token: None,
                ..self.bare(EventKind::CardAction(card))
            });
        }
        Err(EventError::Shape)
    }

    fn schema_2(&self, header: &Header<'a>) -> Event<'a> {
        let event = self.event.unwrap_or_else(|| self.document());
        Event {
            schema: Some("2.0"),
            event_id: header.event_id,
            event_type: header.event_type,
            tenant_key: header.tenant_key,
            app_id: header.app_id,
            token: header.token,
            create_time_ms: header.create_time_ms,
            kind: match self.read {
                _ if !header.is_of_message() => kind_of(header.event_type, event),
                Some(Content::Message) => EventKind::Message(self.message),
                Some(Content::Nothing) => EventKind::Unknown(event),
                None => message_of(event).map_or(EventKind::Unknown(event), EventKind::Message),
            },
        }
    }

    fn schema_1(&self, event: Json<'a>) -> Event<'a> {
        let event_type = event.get_str("type");
        let message = event_type
            .filter(|kind| *kind == "message")
            .and_then(|_| message_of(event));
        Event {
            schema: Some("1.0"),
            event_id: self.uuid,
            event_type,
            tenant_key: event.get_str("tenant_key"),
            app_id: event.get_str("app_id"),
            create_time_ms: self.ts.and_then(seconds_as_millis),
            ..self.bare(message.map_or(EventKind::Unknown(event), EventKind::Message))
        }
    }

    const fn bare(&self, kind: EventKind<'a>) -> Event<'a> {
        Event {
            schema: None,
            event_id: None,
            event_type: None,
            tenant_key: None,
            app_id: None,
            token: self.token,
            create_time_ms: None,
            kind,
        }
    }
}

impl<'a> Header<'a> {
    /// The header, unless something else stands in its place.
    fn read(value: &mut Scanner<'a>) -> Option<Self> {
        if value.token() != b'{' {
            value.skip();
            return None;
        }
        let mut header = Self::default();
        members!(value {
            "event_id" => header.event_id = value.text(),
            "token" => header.token = value.text(),
            "create_time" => header.create_time_ms = value.integer().map(millis),
            "event_type" => header.event_type = value.text(),
            "tenant_key" => header.tenant_key = value.text(),
            "app_id" => header.app_id = value.text(),
        });
        Some(header)
    }

    fn is_of_message(&self) -> bool {
        self.event_type
            .is_some_and(|kind| kind == "im.message.receive_v1")
    }
}

/// The message of an event that was checked before.
fn message_of(event: Json<'_>) -> Option<Message<'_>> {
    let mut message = Message::default();
    let read = message.read(&mut event.scanner());
    read.then_some(message)
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
    let text = text.raw();
    let point = text.bytes().position(|byte| byte == b'.');
    let point = point.unwrap_or(text.len());
    let mut millis = whole(text.get(..point)?)?;
    for place in 1..=3 {
        let digit = match text.as_bytes().get(point + place) {
            Some(digit @ b'0'..=b'9') => i64::from(digit - b'0'),
            Some(_) => return None,
            None => 0,
        };
        millis = millis.checked_mul(10)?.checked_add(digit)?;
    }
    Some(millis)
}

fn kind_of<'a>(event_type: Option<JsonStr<'a>>, event: Json<'a>) -> EventKind<'a> {
    // Types are plain ASCII; one with escapes is none that we know.
    match event_type.and_then(JsonStr::as_plain).unwrap_or_default() {
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
