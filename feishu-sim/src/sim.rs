//! The library's handle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::config::{SimConfig, bound};
use crate::events::Event;
use crate::faults::Faults;
use crate::link::LinkAction;
use crate::lock::lock;
use crate::people::{self, CardAction, Forward, Pressed, SentEvent, UserMessage};
use crate::shared::Shared;
use crate::view::{
    Ack, ApiCall, ChatType, Connection, Link, Message, Person, Reaction, Version, Violation,
};
use crate::{delivery, server, webhook, world};

/// A running platform. Dropped, it stops; [`Sim::shutdown`] also waits.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// Why the simulator can't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// Address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A bound of the simulator is reached.
    #[error("the simulator keeps at most {max} {what}")]
    Full {
        /// Things.
        what: &'static str,
        /// Bound.
        max: usize,
    },
    /// A request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No such chat, person or message.
    #[error("no {what} {id:?} in this world")]
    Unknown {
        /// `chat`, `person` or `message`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
}

impl Sim {
    /// Listens, and is a platform from now on.
    ///
    /// # Errors
    /// [`SimError::Bind`] when the address is taken or not ours.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let bind = config.bind;
        let failed = |source| SimError::Bind {
            address: bind,
            source,
        };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared::new(config, address)?;
        let accepting = server::serve(Arc::clone(&shared), listener);
        shared.tasks.spawn(accepting);
        Ok(Self { shared })
    }

    /// What goes into `channels.feishu.base_url`, such as `http://127.0.0.1:19000`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Where a person can chat.
    #[must_use]
    pub fn chat_page_url(&self) -> String {
        format!("http://{}/", self.shared.address)
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &SimConfig {
        &self.shared.config
    }

    /// A person says something; the event is on its way when this returns.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a chat, person or message that isn't;
    /// [`SimError::Invalid`] for a message without content;
    /// [`SimError::Full`] with too many events on their way.
    pub fn user_says(&self, message: UserMessage) -> Result<SentEvent, SimError> {
        people::say(&self.shared, message)
    }

    /// A person forwards messages together; the event is on its way when this
    /// returns.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a chat, person or message that isn't;
    /// [`SimError::Invalid`] for none or too many messages.
    pub fn forward(&self, forward: Forward) -> Result<SentEvent, SimError> {
        people::forward(&self.shared, forward)
    }

    /// The sender takes a message back.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a message that isn't.
    pub fn recall(&self, message_id: &str) -> Result<(), SimError> {
        people::recall(&self.shared, message_id)
    }

    /// A person adds a reaction.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a message or person that isn't.
    pub fn react(&self, message_id: &str, sender: &str, emoji_type: &str) -> Result<(), SimError> {
        people::react(&self.shared, message_id, sender, emoji_type, false)
    }

    /// A person takes a reaction away.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a message or person that isn't.
    pub fn unreact(
        &self,
        message_id: &str,
        sender: &str,
        emoji_type: &str,
    ) -> Result<(), SimError> {
        people::react(&self.shared, message_id, sender, emoji_type, true)
    }

    /// A person presses a button, sends a form or chooses; waits for the bot's
    /// answer, 3 s at most. No answer in time is a violation.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a message that isn't, [`SimError::Invalid`]
    /// for a control that isn't or that the client would not let pass.
    pub async fn press(&self, action: CardAction) -> Result<Pressed, SimError> {
        people::press(&self.shared, action).await
    }

    /// Sends an event (2.0 or 1.0 envelope) as it is; gives its id.
    ///
    /// # Errors
    /// [`SimError::Invalid`] when it has no id or type.
    pub fn push_event(&self, body: &Value) -> Result<String, SimError> {
        let event = Event::from_body(body).ok_or_else(|| {
            SimError::Invalid("neither a 2.0 nor a 1.0 event: no id or no type".to_owned())
        })?;
        let event_id = event.event_id.clone();
        delivery::deliver(&self.shared, event)?;
        Ok(event_id)
    }

    /// The one-to-one chat of 李雷 and the bot.
    #[must_use]
    pub const fn p2p_chat_id(&self) -> &'static str {
        world::P2P_CHAT
    }

    /// The group.
    #[must_use]
    pub const fn group_chat_id(&self) -> &'static str {
        world::GROUP_CHAT
    }

    /// Everybody, bots too.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        lock(&self.shared.world).people.values().cloned().collect()
    }

    /// Opens a one-to-one chat with a new person of that name; gives its id.
    ///
    /// # Errors
    /// [`SimError::Full`] with too many chats.
    pub fn add_p2p_chat(&self, name: &str) -> Result<String, SimError> {
        let mut world = lock(&self.shared.world);
        let open_id = world.add_somebody(name)?;
        world.p2p_with(&open_id)
    }

    /// The one-to-one chat of a person and the bot, opened if need be; gives its id.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a person that isn't, [`SimError::Full`] with
    /// too many chats.
    pub fn p2p_chat_with(&self, open_id: &str) -> Result<String, SimError> {
        lock(&self.shared.world).p2p_with(open_id)
    }

    /// A new person of that name, in no chat yet; gives the open_id.
    ///
    /// # Errors
    /// [`SimError::Full`] with too many people.
    pub fn add_person(&self, name: &str) -> Result<String, SimError> {
        lock(&self.shared.world).add_somebody(name)
    }

    /// Somebody joins a chat.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a chat or person that isn't.
    pub fn add_member(&self, chat_id: &str, open_id: &str) -> Result<(), SimError> {
        lock(&self.shared.world).add_member(chat_id, open_id)
    }

    /// Somebody leaves a chat, or is put out of it.
    ///
    /// # Errors
    /// [`SimError::Unknown`] for a chat that isn't.
    pub fn remove_member(&self, chat_id: &str, open_id: &str) -> Result<(), SimError> {
        lock(&self.shared.world).remove_member(chat_id, open_id)
    }

    /// Opens a group of these people and the bot; gives its id.
    ///
    /// # Errors
    /// [`SimError::Full`] with too many chats, [`SimError::Unknown`] for a
    /// person that isn't.
    pub fn add_group(&self, name: &str, members: &[String]) -> Result<String, SimError> {
        lock(&self.shared.world).add_chat(None, ChatType::Group, name, members)
    }

    /// All messages of a chat, oldest first; none for a chat that isn't.
    #[must_use]
    pub fn messages(&self, chat_id: &str) -> Vec<Message> {
        let world = lock(&self.shared.world);
        world
            .chat(chat_id)
            .map(|chat| world.chat_messages(chat, usize::MAX))
            .unwrap_or_default()
    }

    /// One message.
    #[must_use]
    pub fn message(&self, message_id: &str) -> Option<Message> {
        let world = lock(&self.shared.world);
        let message = world.message(message_id).ok()?;
        Some(world.message_view(message))
    }

    /// The bytes of an image or file that a message shows.
    #[must_use]
    pub fn file(&self, key: &str) -> Option<bytes::Bytes> {
        let world = lock(&self.shared.world);
        world
            .resources
            .get(key)
            .map(|resource| resource.bytes.clone())
    }

    /// How often the bot mentioned everyone: in messages, cards and updates.
    #[must_use]
    pub fn everyone_mentioned(&self) -> u64 {
        lock(&self.shared.world).everyone_mentioned
    }

    /// Reactions on a message, by emoji.
    #[must_use]
    pub fn reactions(&self, message_id: &str) -> Vec<Reaction> {
        let world = lock(&self.shared.world);
        world
            .message(message_id)
            .map(|message| world.reactions_view(message))
            .unwrap_or_default()
    }

    /// Every state that a message (a card, mostly) had, oldest first.
    #[must_use]
    pub fn card_versions(&self, message_id: &str) -> Vec<Version> {
        let world = lock(&self.shared.world);
        world
            .message(message_id)
            .map(|message| world.version_views(message))
            .unwrap_or_default()
    }

    /// Calls so far, by `METHOD /documented/path`.
    #[must_use]
    pub fn api_calls(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.log).call_counts.clone()
    }

    /// The newest calls one by one, oldest first.
    #[must_use]
    pub fn api_log(&self) -> Vec<ApiCall> {
        lock(&self.shared.log).calls.iter().cloned().collect()
    }

    /// Answers to pushes, oldest first.
    #[must_use]
    pub fn acks(&self) -> Vec<Ack> {
        lock(&self.shared.log).acks.iter().cloned().collect()
    }

    /// Long connections, closed ones first.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.shared.links).connections()
    }

    /// State of the way to the bot.
    #[must_use]
    pub fn link(&self) -> Link {
        self.shared.link()
    }

    /// Rules that the client broke.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        lock(&self.shared.log).violations.iter().cloned().collect()
    }

    /// Oddities that the platform lets pass, as it must for its own clients.
    #[must_use]
    pub fn quirks(&self) -> Vec<Violation> {
        lock(&self.shared.log).quirks.iter().cloned().collect()
    }

    /// All counters, as `GET /sim/stats` gives them.
    #[must_use]
    pub fn stats(&self) -> Value {
        lock(&self.shared.log).to_json()
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Does it to every open connection now; gives their number.
    #[expect(clippy::needless_pass_by_value, reason = "reads better at the call")]
    pub fn act_on_links(&self, action: LinkAction) -> usize {
        lock(&self.shared.links).act(&action)
    }

    /// All tenant tokens are stale from now on.
    pub fn expire_tokens(&self) {
        lock(&self.shared.tokens).expire_all();
    }

    /// Events go to this URL from now on; with `None`, over the long connection.
    pub fn set_webhook_url(&self, url: Option<String>) {
        *lock(&self.shared.webhook_url) = url;
    }

    /// The check that the platform makes when a URL is saved.
    ///
    /// # Errors
    /// [`SimError::Invalid`] says what is wrong with the answer.
    pub async fn verify_webhook(&self, url: &str) -> Result<(), SimError> {
        webhook::verify_url(&self.shared, url)
            .await
            .map_err(|why| SimError::Invalid(format!("URL check failed: {why}")))
    }

    /// Forgets messages, statistics and faults.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Waits until `check` gives something; looks again after each change of
    /// the world. `None`: not within the time.
    pub async fn until<T>(
        &self,
        within: Duration,
        mut check: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.shared.changes.watch();
        let looking = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = check(self) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        timeout(within, looking).await.ok().flatten()
    }

    /// Closes everything and waits, two seconds at most.
    pub async fn shutdown(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        let _ = timeout(bound::SHUTDOWN_WITHIN, self.shared.tasks.wait()).await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}
