//! The Feishu platform on loopback: endpoint, websocket, webhook sender,
//! `OpenAPI`, chat page, and faults on demand.

mod config;
mod faults;
mod lock;
pub mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

pub use config::{ClientConfig, SimConfig};
pub use faults::{Fault, FaultKind, Faults};

/// Skeleton: signatures are final, bodies follow.
#[derive(Debug)]
pub struct Sim {
    faults: Faults,
}

/// Why the simulator can't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// Address asked for.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No such chat, person or message.
    #[error("no {what} {id:?} in this world")]
    Unknown {
        /// `chat`, `person` or `message`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A bound of the simulator is reached.
    #[error("the simulator keeps at most {max} {what}")]
    Full {
        /// Things.
        what: &'static str,
        /// Bound.
        max: usize,
    },
}

/// What a person says. `Default` plus `text` is a one-to-one message.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct UserMessage {
    /// Chat; default: the one-to-one chat.
    #[serde(alias = "chat_id")]
    pub chat: Option<String>,
    /// Sender's open_id; default: first person of the chat.
    pub sender: Option<String>,
    /// Text, with `@Name` for members of the chat.
    pub text: Option<String>,
    /// With `content`, instead of `text`: any message type.
    pub msg_type: Option<String>,
    /// Content, as an object or as a string of JSON.
    pub content: Option<Value>,
    /// Whether it mentions the bot; default: in groups, unless it names somebody.
    pub mention_bot: Option<bool>,
    /// More open_ids that it mentions.
    pub mentions: Vec<String>,
    /// Message answered to.
    pub reply_to: Option<String>,
    /// Whether the reply opens or continues a thread.
    pub in_thread: bool,
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

#[expect(clippy::unused_async, clippy::missing_errors_doc, missing_docs, clippy::unused_self, reason = "skeleton")]
impl Sim {
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let _ = config;
        Ok(Self { faults: Faults::new(fastrand::Rng::new()) })
    }
    pub fn base_url(&self) -> String { String::new() }
    pub fn chat_page_url(&self) -> String { String::new() }
    pub fn config(&self) -> &SimConfig { unimplemented!() }
    pub async fn user_says(&self, message: UserMessage) -> Result<SentEvent, SimError> { Err(SimError::Invalid(format!("{message:?}"))) }
    pub fn p2p_chat_id(&self) -> String { String::new() }
    pub fn group_chat_id(&self) -> String { String::new() }
    pub fn people(&self) -> Vec<view::Person> { Vec::new() }
    pub fn add_p2p_chat(&self, name: &str) -> Result<String, SimError> { Err(SimError::Invalid(name.into())) }
    pub fn messages(&self, chat_id: &str) -> Vec<view::Message> { let _ = chat_id; Vec::new() }
    pub fn message(&self, message_id: &str) -> Option<view::Message> { let _ = message_id; None }
    pub fn reactions(&self, message_id: &str) -> Vec<view::Reaction> { let _ = message_id; Vec::new() }
    pub fn card_versions(&self, message_id: &str) -> Vec<view::Version> { let _ = message_id; Vec::new() }
    /// Calls so far, by `METHOD /documented/path`.
    pub fn api_calls(&self) -> BTreeMap<String, u64> { BTreeMap::new() }
    pub fn api_log(&self) -> Vec<view::ApiCall> { Vec::new() }
    pub fn acks(&self) -> Vec<view::Ack> { Vec::new() }
    pub fn connections(&self) -> Vec<view::Connection> { Vec::new() }
    pub fn link(&self) -> view::Link { unimplemented!() }
    pub fn violations(&self) -> Vec<view::Violation> { Vec::new() }
    pub fn quirks(&self) -> Vec<view::Violation> { Vec::new() }
    pub fn faults(&self) -> &Faults { &self.faults }
    pub async fn push_event(&self, body: Value) -> Result<String, SimError> { Err(SimError::Invalid(body.to_string())) }
    pub async fn recall(&self, message_id: &str) -> Result<(), SimError> { Err(SimError::Invalid(message_id.into())) }
    /// Waits until `check` gives something, looking again after each change of the world.
    pub async fn until<T>(&self, within: Duration, check: impl FnMut(&Self) -> Option<T>) -> Option<T> { let _ = (within, check); None }
    pub async fn shutdown(self) {}
}
