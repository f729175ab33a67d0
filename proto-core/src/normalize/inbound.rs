//! A message with everything in it owned.

use alloc::string::String;
use alloc::vec::Vec;

use super::mention::{ALL, is_bot};
use super::{Identity, Resource, ResourceKind};
use crate::event::{Event, EventKind, Message};
use crate::json::{Json, JsonStr};

/// A message as a bot needs it, owned.
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
    /// Who is mentioned, in order; everyone is no person and not in here.
    pub mentions: Vec<InboundMention>,
    /// Whether it came without content: it was recalled before it was pushed.
    pub recalled: bool,
    /// Whether what it says can only be had by asking for the message.
    pub needs_fetch: bool,
    /// Whether it is for this bot by the default policy.
    pub addressed: bool,
    /// Files and images, in order, each once.
    pub resources: Vec<InboundResource>,
}

/// Somebody mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMention {
    /// The placeholder in the text: `@_user_1`.
    pub key: String,
    /// Who; empty if the event does not say.
    pub open_id: String,
    /// The name to show.
    pub name: String,
    /// Whether it is this bot.
    pub is_bot: bool,
}

/// Something that can be downloaded with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundResource {
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

impl InboundMessage {
    /// Reads a message event; `None` for events of other kinds.
    #[must_use]
    pub fn from_event(event: &Event<'_>, identity: Identity<'_>) -> Option<Self> {
        let EventKind::Message(message) = event.kind else {
            return None;
        };
        Some(Self {
            event_id: owned(event.event_id),
            dedup_key: owned(event.dedup_key()),
            ..Self::from_message(&message, identity)
        })
    }

    /// Reads a message that was asked for: its `msg_type`, `body.content`, and
    /// `mentions` as JSON. Ids, sender and time are left empty.
    #[must_use]
    pub fn from_listed(
        message_type: &str,
        content: &str,
        mentions: &[u8],
        identity: Identity<'_>,
    ) -> Self {
        let mentions = Json::parse(mentions).unwrap_or(Json::EMPTY_OBJECT);
        let message = Message::of_listed(message_type, content, mentions);
        Self::from_message(&message, identity)
    }

    fn from_message(message: &Message<'_>, identity: Identity<'_>) -> Self {
        let (mut scratch, mut text) = (String::new(), String::new());
        let (mut resources, mut seen) = (Vec::new(), Vec::new());
        let mut keep = |resource: Resource<'_>| {
            // The same resource twice is one to download. `seen` is sorted.
            let one = (resource.kind, resource.file_key.to_owned_text());
            if let Err(place) = seen.binary_search(&one) {
                seen.insert(place, one);
                resources.push(InboundResource::from(resource));
            }
        };
        let normalized = message
            .normalize(identity, &mut scratch, &mut text, &mut keep)
            // A String has no bound.
            .unwrap_or_default();
        let is_direct = message.is_direct();
        Self {
            event_id: String::new(),
            dedup_key: String::new(),
            message_id: owned(message.message_id),
            chat_id: owned(message.chat_id),
            chat_type: if is_direct {
                "p2p".into()
            } else {
                owned(message.chat_type)
            },
            is_direct,
            root_id: message.root_id.map(JsonStr::to_owned_text),
            parent_id: message.parent_id.map(JsonStr::to_owned_text),
            thread_id: message.thread_id.map(JsonStr::to_owned_text),
            create_time_ms: message.create_time_ms.unwrap_or_default(),
            sender_open_id: owned(message.sender_open_id),
            sender_is_bot: message.sender_is_bot(),
            self_sent: normalized.self_sent,
            message_type: owned(message.message_type),
            text,
            mentions_bot: normalized.mentions_bot,
            mentions_all: normalized.mentions_all,
            mentions: message
                .mentions()
                .filter(|mention| mention.key.is_none_or(|key| key != ALL))
                .map(|mention| InboundMention {
                    key: owned(mention.key),
                    open_id: owned(mention.open_id),
                    name: owned(mention.name),
                    is_bot: is_bot(&mention, identity),
                })
                .collect(),
            recalled: message.is_recalled(),
            needs_fetch: normalized.needs_fetch,
            addressed: normalized.addressed,
            resources,
        }
    }
}

impl From<Resource<'_>> for InboundResource {
    fn from(resource: Resource<'_>) -> Self {
        Self {
            kind: resource.kind,
            file_key: resource.file_key.to_owned_text(),
            file_name: resource.file_name.map(JsonStr::to_owned_text),
            duration_ms: resource.duration_ms,
            cover_image_key: resource.cover_image_key.map(JsonStr::to_owned_text),
        }
    }
}

fn owned(text: Option<JsonStr<'_>>) -> String {
    text.map(JsonStr::to_owned_text).unwrap_or_default()
}
