//! The platform: chats and what is in them, calls, links, pushes.

pub mod api;
pub mod gateway;
pub mod limits;
pub mod network;
pub mod push;
pub mod shown;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::sync::oneshot;

use limits::Limits;
use shown::Shown;

/// The app.
pub const APP_ID: &str = "cli_simulation";
/// The bot.
pub const BOT: &str = "ou_bot";
/// What makes a webhook believable.
pub const VERIFICATION_TOKEN: &str = "verification token";

/// Everything that the platform knows.
#[derive(Default)]
pub struct Feishu {
    /// All messages, by id.
    pub messages: BTreeMap<String, Message>,
    /// Ids of each chat's or thread's messages, oldest first.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Uuids of sends, with the message they made and when.
    pub uuids: BTreeMap<String, (String, i64)>,
    /// Cards of which a late update may have the last word: the wait that would
    /// have prevented it was cut short by a jump of the clock.
    pub excused: BTreeSet<String>,
    /// The bot's reactions on messages: their ids, and which they are.
    pub reactions: BTreeMap<String, Vec<(String, String)>>,
    /// Tokens, with their ends.
    pub tokens: Vec<(String, i64)>,
    /// Links that the gateway takes for open.
    pub links: Vec<gateway::Link>,
    /// Pushes that wait for their acknowledgement.
    pub waiting: BTreeMap<String, oneshot::Sender<u16>>,
    /// Events that are not yet acknowledged or given up.
    pub pushes_open: usize,
    /// How fast it is called.
    pub limits: Limits,
    /// What people see of the bot.
    pub shown: Shown,
    made: u64,
}

/// A message in a chat.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its chat.
    pub chat: String,
    /// Its thread, if it is in one.
    pub thread: Option<String>,
    /// The message that it replies to.
    pub parent: Option<String>,
    /// Who wrote it.
    pub sender: String,
    /// `text`, `post` or `interactive`.
    pub kind: String,
    /// Its content's JSON.
    pub content: String,
    /// Who is mentioned in it, as lists say it.
    pub mentions: Value,
    /// When, Unix milliseconds.
    pub created_ms: i64,
    /// It was recalled.
    pub recalled: bool,
}

impl Feishu {
    /// A number that was not used before.
    pub fn new_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Puts a message into its chat, or its thread.
    pub fn add(&mut self, id: &str, message: Message) {
        let list = message.thread.as_ref().unwrap_or(&message.chat).clone();
        self.lists.entry(list).or_default().push(id.to_owned());
        self.messages.insert(id.to_owned(), message);
    }
}
