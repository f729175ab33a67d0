//! Messages of every type as one shape: who, where, what it says, what hangs
//! on it.
//!
//! These functions are total: strange content gives a marked text, never a
//! panic and never a lost message. What a message says is rendered as plain
//! text with a few tags of ours (`<file …/>`, `<vote>…</vote>`). Values inside
//! tags are escaped; a person's own words are passed on as they were typed, so
//! whoever shows them to a model must mark them as a person's words.

mod card;
mod content;
mod inspect;
mod mention;
mod post;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

pub use inspect::inspect_event_json;
pub use mention::Mention;

use crate::event::{Event, EventKind};
use crate::json::{Json, JsonStr};
use content::Rendered;
use mention::Mentions;

/// Who the bot is. Mentions are judged by its open_id, never by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The bot's open_id; empty while it is not known.
    pub open_id: String,
    /// The app's id.
    pub app_id: String,
}

/// A message as a bot needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundMessage {
    /// The event's id; the same when Feishu pushes it again.
    pub event_id: String,
    /// What to remember to drop repeats.
    pub dedup_key: String,
    /// `om_…`
    pub message_id: String,
    /// `oc_…`, also of a direct chat.
    pub chat_id: String,
    /// As the event says it; schema 1.0's `private` is `p2p`.
    pub chat_type: String,
    /// Whether it is a direct chat. Everything that is not exactly one counts
    /// as a group, unknown types included.
    pub is_direct: bool,
    /// The first message of the chain that it replies in.
    pub root_id: Option<String>,
    /// The message that it replies to.
    pub parent_id: Option<String>,
    /// `omt_…`, in a thread.
    pub thread_id: Option<String>,
    /// When it was sent, in ms since 1970; 0 if the event does not say.
    pub create_time_ms: i64,
    /// `ou_…`; empty if the event does not say.
    pub sender_open_id: String,
    /// Whether a bot sent it.
    pub sender_is_bot: bool,
    /// Whether this bot sent it.
    pub self_sent: bool,
    /// As the event says it.
    pub message_type: String,
    /// What it says.
    pub text: String,
    /// Whether this bot is mentioned.
    pub mentions_bot: bool,
    /// Whether everyone is mentioned.
    pub mentions_all: bool,
    /// Who is mentioned, in order.
    pub mentions: Vec<Mention>,
    /// Whether it came without content: it was recalled before it was pushed.
    pub recalled: bool,
    /// Whether what it says can only be had by asking for the message.
    pub needs_fetch: bool,
    /// Whether it is for this bot by the default policy.
    pub addressed: bool,
    /// Files and images, in order.
    pub resources: Vec<Resource>,
}

/// Something that can be downloaded with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// `img_…` or `file_…`: opaque.
    pub file_key: String,
    /// Its name.
    pub file_name: Option<String>,
    /// How long it plays, in ms.
    pub duration_ms: Option<i64>,
    /// The image shown for a video.
    pub cover_image_key: Option<String>,
}

/// Kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// Downloaded with `type=image`; all others with `type=file`.
    Image,
    /// A file.
    File,
    /// Opus audio.
    Audio,
    /// A video.
    Video,
    /// Can be sent again and never downloaded.
    Sticker,
}

impl ResourceKind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::File => "file",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Sticker => "sticker",
        }
    }

    /// The `type` of the download call.
    #[must_use]
    pub const fn download_type(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::File | Self::Audio | Self::Video | Self::Sticker => "file",
        }
    }
}

impl InboundMessage {
    /// Reads a message event; `None` for events of other kinds and for a
    /// message event without a message.
    #[must_use]
    pub fn from_event(event: &Event<'_>, identity: &Identity) -> Option<Self> {
        let EventKind::Message(object) = event.kind else {
            return None;
        };
        let mut message = match object.get("message") {
            Some(message) => Self::schema_2(object, message, identity),
            None if object.get("open_message_id").is_some() => Self::schema_1(object, identity),
            None => return None,
        };
        message.event_id = owned(event.event_id);
        message.dedup_key = owned(event.dedup_key());
        message.addressed =
            (message.is_direct || message.mentions_bot) && !message.self_sent && !message.recalled;
        Some(message)
    }

    fn schema_2(event: Json<'_>, message: Json<'_>, identity: &Identity) -> Self {
        let sender = event.get("sender");
        let sender_id = sender.and_then(|sender| sender.get("sender_id"));
        let sender_open_id = owned(sender_id.and_then(|id| id.get_str("open_id")));
        let sender_app_id = sender_id.and_then(|id| id.get_str("app_id"));
        let sender_is_bot = sender
            .and_then(|sender| sender.get_str("sender_type"))
            .is_some_and(|kind| kind == "bot" || kind == "app");
        let self_sent = is_own(&sender_open_id, &identity.open_id)
            || is_own(&sender_open_id, &identity.app_id)
            || sender_app_id.is_some_and(|id| !id.is_empty() && id == *identity.app_id);
        let chat_type = owned(message.get_str("chat_type"));
        let message_type = owned(message.get_str("message_type"));
        let content = message.get_str("content");
        let mentions = Mentions::of(message.get("mentions"), identity);
        let rendered = Rendered::of(&message_type, content, &mentions);
        Self {
            message_id: owned(message.get_str("message_id")),
            chat_id: owned(message.get_str("chat_id")),
            is_direct: chat_type == "p2p",
            chat_type,
            root_id: filled(message.get_str("root_id")),
            parent_id: filled(message.get_str("parent_id")),
            thread_id: filled(message.get_str("thread_id")),
            create_time_ms: message
                .get("create_time")
                .and_then(Json::as_i64)
                .unwrap_or(0),
            sender_open_id,
            sender_is_bot,
            self_sent,
            message_type,
            text: rendered.text,
            mentions_bot: mentions.has_bot(),
            mentions_all: mentions.has_all() || rendered.mentions_all,
            mentions: mentions.into_list(),
            recalled: content.is_none_or(JsonStr::is_empty),
            needs_fetch: rendered.needs_fetch,
            resources: rendered.resources,
            ..Self::default()
        }
    }

    /// Schema 1.0: flat, with other names, and the content's members beside
    /// the message's.
    fn schema_1(event: Json<'_>, identity: &Identity) -> Self {
        let sender_open_id = owned(event.get_str("open_id"));
        let chat_type = owned(event.get_str("chat_type"));
        let message_type = owned(event.get_str("msg_type"));
        let mentions_bot = event.get("is_mention").and_then(Json::as_bool) == Some(true);
        let mentions = Mentions::default();
        let mut rendered = Rendered::of_object(&message_type, event, &mentions);
        if message_type == "text"
            && mentions_bot
            && let Some(text) = event.get_str("text_without_at_bot")
        {
            rendered.text = text.to_text().trim().to_string();
        }
        Self {
            message_id: owned(event.get_str("open_message_id")),
            chat_id: owned(event.get_str("open_chat_id")),
            is_direct: is_direct_1(&chat_type),
            chat_type: if chat_type == "private" {
                "p2p".into()
            } else {
                chat_type
            },
            root_id: filled(event.get_str("root_id")),
            parent_id: filled(event.get_str("parent_id")),
            self_sent: is_own(&sender_open_id, &identity.open_id),
            sender_open_id,
            message_type,
            text: rendered.text,
            mentions_bot,
            mentions_all: rendered.mentions_all,
            resources: rendered.resources,
            needs_fetch: rendered.needs_fetch,
            ..Self::default()
        }
    }
}

/// Schema 1.0 calls a direct chat `private`; in 2.0 only `p2p` is one, since a
/// group that is not public is called private elsewhere. A type that nobody
/// knows must not slip past the rules for groups.
fn is_direct_1(chat_type: &str) -> bool {
    matches!(chat_type, "p2p" | "private")
}

fn is_own(id: &str, own: &str) -> bool {
    !id.is_empty() && id == own
}

fn owned(text: Option<JsonStr<'_>>) -> String {
    text.map(JsonStr::to_owned_text).unwrap_or_default()
}

fn filled(text: Option<JsonStr<'_>>) -> Option<String> {
    text.filter(|text| !text.is_empty())
        .map(JsonStr::to_owned_text)
}
