//! What an observer sees of the world: the shapes of the `/sim` API.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A human or a bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `ou_…`
    pub open_id: String,
    /// Name as shown in chats.
    pub name: String,
    /// English name.
    pub en_name: String,
    /// Human or bot.
    pub kind: PersonKind,
    /// Whether it is the bot under test.
    #[serde(rename = "self")]
    pub is_self: bool,
}

/// Human or bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonKind {
    /// A human.
    User,
    /// A bot, ours or another.
    Bot,
}

/// Kind of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatType {
    /// One person and the bot.
    P2p,
    /// A group.
    Group,
}

impl ChatType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::P2p => "p2p",
            Self::Group => "group",
        }
    }
}

/// A chat and its latest message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chat {
    /// `oc_…`
    pub chat_id: String,
    /// One-to-one or group.
    pub chat_type: ChatType,
    /// Group's name, or the person's.
    pub name: String,
    /// Everybody in it, bots too.
    pub members: Vec<Person>,
    /// Messages kept.
    pub message_count: usize,
    /// The newest.
    pub last_message: Option<Message>,
}

/// A message as a person sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// `om_…`
    pub message_id: String,
    /// `oc_…`
    pub chat_id: String,
    /// Who wrote it.
    pub sender: Person,
    /// `text`, `post`, `interactive`, …
    pub msg_type: String,
    /// Content as it was sent, JSON in a string; empty when recalled.
    pub content: String,
    /// Plain text.
    pub text: String,
    /// Safe HTML.
    pub html: String,
    /// The card, of an `interactive` message.
    pub card: Option<Card>,
    /// People named in it.
    pub mentions: Vec<Mention>,
    /// Whether it names everyone.
    pub mentions_all: bool,
    /// Files and images in it.
    pub files: Vec<File>,
    /// Reactions, by emoji.
    pub reactions: Vec<Reaction>,
    /// First message of the reply chain.
    pub root_id: Option<String>,
    /// Message answered to.
    pub parent_id: Option<String>,
    /// `omt_…` in a thread.
    pub thread_id: Option<String>,
    /// Unix ms.
    pub create_time: i64,
    /// Unix ms.
    pub update_time: i64,
    /// Whether it was changed after sending.
    pub edited: bool,
    /// Whether it was recalled.
    pub deleted: bool,
    /// Counts from 1; one more with each change.
    pub version: u32,
    /// What became of the event that it caused.
    pub delivery: Option<Delivery>,
}

/// A card as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Header's title, or empty.
    pub title: String,
    /// Header's subtitle, or empty.
    pub subtitle: String,
    /// Header's colour name.
    pub template: String,
    /// Safe HTML of the body.
    pub html: String,
    /// Buttons in reading order.
    pub buttons: Vec<Button>,
    /// All that can be used, buttons too, in reading order.
    pub controls: Vec<Control>,
    /// Whether text is being streamed into it.
    pub streaming: bool,
    /// Its `CardKit` entity, if it has one.
    pub card_id: Option<String>,
}

/// A card's button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Position, for `POST /sim/card_action`.
    pub index: usize,
    /// Label.
    pub text: String,
    /// `default`, `primary`, `danger`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// Something of a card that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What it is.
    pub kind: ControlKind,
    /// Its name, or empty.
    pub name: String,
    /// What is written on it, or in it while it is empty.
    pub label: String,
    /// A button's `default`, `primary`, `danger`, …
    pub style: String,
    /// What can be chosen.
    pub options: Vec<Choice>,
    /// What is in it at first.
    pub default: String,
    /// The form that it is in.
    pub form: Option<String>,
    /// Whether it sends its form.
    pub submits: bool,
    /// Whether the form can't be sent without it.
    pub required: bool,
    /// Whether it can't be used now.
    pub disabled: bool,
    /// Whether it takes more than a line.
    pub multiline: bool,
}

/// Kinds of controls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// A button.
    #[default]
    Button,
    /// A field for text.
    Input,
    /// A list to choose from.
    Select,
    /// A menu behind three dots.
    Overflow,
}

/// One option of a list or menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is shown.
    pub text: String,
    /// What is sent.
    pub value: String,
}

/// A file or image that a message shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// `img_…` or `file_…`
    pub key: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type, such as `image/png`.
    pub mime: String,
    /// Its length in bytes.
    pub bytes: usize,
}

/// Somebody named in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// `@_user_1`
    pub key: String,
    /// `ou_…`
    pub open_id: String,
    /// Name at the time.
    pub name: String,
}

/// One emoji on a message and who put it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Feishu's name of it, such as `Get`.
    pub emoji_type: String,
    /// A Unicode look-alike.
    pub emoji: String,
    /// Number of operators.
    pub count: usize,
    /// Who, oldest first.
    pub operators: Vec<Person>,
}

/// One state that a message had.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// From 1.
    pub version: u32,
    /// Unix ms.
    pub at: i64,
    /// Content as sent.
    pub content: String,
    /// Plain text.
    pub text: String,
    /// Safe HTML.
    pub html: String,
    /// The card.
    pub card: Option<Card>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// How far it is.
    pub state: DeliveryState,
    /// Pushes so far.
    pub attempts: u32,
    /// Of the ack that counted, ms.
    pub latency_ms: Option<u64>,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Pushed, or about to be; not answered.
    Waiting,
    /// Answered with success.
    Acked,
    /// Not answered; will be pushed again.
    Failed,
    /// Not answered; no pushes are left.
    GivenUp,
}

/// The way events take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The long connection.
    Websocket,
    /// HTTP to the app's URL.
    Webhook,
}

/// State of the way to the bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whether events can reach it: a connection is open, or a URL is set.
    pub up: bool,
    /// Open long connections.
    pub connections: usize,
    /// Which way events take.
    pub transport: Transport,
}

/// One answer to a push.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ack {
    /// Unix ms.
    pub at: i64,
    /// Event pushed.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Chat message that it tells of.
    pub message_id: Option<String>,
    /// Ack code (200, 500) or HTTP status; 0 when no answer could be read.
    pub code: i64,
    /// From push to ack, ms.
    pub latency_ms: u64,
    /// From 1.
    pub attempt: u32,
    /// The way it took.
    pub transport: Transport,
    /// What it answered: `data` of the ack, or the HTTP body when it is JSON.
    pub answer: Option<Value>,
}

/// A rule of the protocol that the client broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Unix ms.
    pub at: i64,
    /// Short name of the rule.
    pub rule: String,
    /// What was seen. Never a secret.
    pub detail: String,
}

/// One long connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `device_id` of its URL.
    pub connection_id: String,
    /// `service_id` of its URL; pings carry it.
    pub service_id: i32,
    /// `User-Agent` of the handshake.
    pub user_agent: String,
    /// Unix ms.
    pub opened_at: i64,
    /// Unix ms; null while open.
    pub closed_at: Option<i64>,
    /// Why it ended.
    pub close_reason: Option<String>,
    /// From opening to first ping, ms.
    pub first_ping_ms: Option<u64>,
    /// Pings received.
    pub pings: u64,
    /// Pushes sent on it.
    pub pushes: u64,
    /// Acks received on it, valid or not.
    pub acks: u64,
}

/// One `OpenAPI` call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Unix ms.
    pub at: i64,
    /// HTTP method.
    pub method: String,
    /// Path as documented, such as `/open-apis/im/v1/messages/:message_id`.
    pub path: String,
    /// HTTP status; 0 when the answer was withheld.
    pub status: u16,
    /// `code` of the body.
    pub code: i64,
    /// Time taken, ms.
    pub ms: u64,
}
