//! The world: people, chats, messages, cards, files. All of it sits behind
//! one lock, and every change of it is announced under that lock, so that
//! observers see changes in the order they happened.

mod cards;
mod messages;
mod resources;
mod seed;
mod views;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use cards::{CardEntity, StreamingState};
pub(crate) use messages::{Draft, Forwarded, MessageState, ReactionState};
pub(crate) use resources::{Resource, Resources};
pub(crate) use seed::{GROUP_CHAT, P2P_CHAT, TENANT_KEY};

use crate::SimError;
use crate::changes::Changes;
use crate::clock::unix_ms;
use crate::config::{SimConfig, bound};
use crate::render::Names;
use crate::view::{ChatType, Person, PersonKind};

/// Everything that people and bots did.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) chats: BTreeMap<String, ChatState>,
    pub(crate) messages: HashMap<String, MessageState>,
    pub(crate) cards: HashMap<String, CardEntity>,
    pub(crate) resources: Resources,
    /// What is in bundles of forwarded messages, by the bundle's id; a bundle
    /// inside stands before what is in it.
    pub(crate) bundles: HashMap<String, Vec<Forwarded>>,
    /// How often the bot under test mentioned everyone.
    pub(crate) everyone_mentioned: u64,
    /// Tokens of card actions, for one later update each.
    pub(crate) action_tokens: HashMap<String, ActionToken>,
    uuids: HashMap<String, (String, Instant)>,
    uuid_order: VecDeque<(String, Instant)>,
    uuid_window: Duration,
    pub(crate) bot: String,
    chat_count: u64,
    pub(crate) rng: fastrand::Rng,
    changes: Arc<Changes>,
}

/// A chat and who is in it.
#[derive(Debug)]
pub(crate) struct ChatState {
    pub(crate) chat_id: String,
    pub(crate) chat_type: ChatType,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
    pub(crate) messages: VecDeque<String>,
    /// Place in lists: order of creation.
    pub(crate) number: u64,
}

/// `token` of a card action.
#[derive(Debug)]
pub(crate) struct ActionToken {
    pub(crate) message_id: String,
    pub(crate) made: Instant,
    pub(crate) uses: u32,
    pub(crate) answered: bool,
}

impl World {
    pub(crate) fn new(config: &SimConfig, rng: fastrand::Rng, changes: Arc<Changes>) -> Self {
        let mut world = Self {
            people: BTreeMap::new(),
            chats: BTreeMap::new(),
            messages: HashMap::new(),
            cards: HashMap::new(),
            resources: Resources::default(),
            bundles: HashMap::new(),
            everyone_mentioned: 0,
            action_tokens: HashMap::new(),
            uuids: HashMap::new(),
            uuid_order: VecDeque::new(),
            uuid_window: config.scaled(config.uuid_window),
            bot: config.bot_open_id.clone(),
            chat_count: 0,
            rng,
            changes,
        };
        seed::plant(&mut world, config);
        world
    }

    /// Forgets messages, cards, files; people and chats stay.
    pub(crate) fn reset(&mut self) {
        self.messages.clear();
        self.cards.clear();
        self.resources = Resources::default();
        self.bundles.clear();
        self.everyone_mentioned = 0;
        self.action_tokens.clear();
        self.uuids.clear();
        self.uuid_order.clear();
        for chat in self.chats.values_mut() {
            chat.messages.clear();
        }
        self.changes.announce("reset", || serde_json::json!({}));
    }

    pub(crate) fn add_person(
        &mut self,
        open_id: &str,
        name: &str,
        en_name: &str,
        kind: PersonKind,
    ) {
        let person = Person {
            open_id: open_id.to_owned(),
            name: name.to_owned(),
            en_name: en_name.to_owned(),
            kind,
            is_self: open_id == self.bot,
        };
        self.people.insert(open_id.to_owned(), person);
    }

    /// A new person of that name.
    pub(crate) fn add_somebody(&mut self, name: &str) -> Result<String, SimError> {
        if self.people.len() >= bound::PEOPLE_MAX {
            return Err(SimError::Full {
                what: "people",
                max: bound::PEOPLE_MAX,
            });
        }
        let open_id = self.id("ou_");
        self.add_person(&open_id, name, name, PersonKind::User);
        Ok(open_id)
    }

    /// Opens a chat of these people and the bot under test.
    pub(crate) fn add_chat(
        &mut self,
        chat_id: Option<&str>,
        chat_type: ChatType,
        name: &str,
        members: &[String],
    ) -> Result<String, SimError> {
        if self.chats.len() >= bound::CHATS_MAX {
            return Err(SimError::Full {
                what: "chats",
                max: bound::CHATS_MAX,
            });
        }
        for member in members {
            self.person(member)?;
        }
        let chat_id = chat_id.map_or_else(|| self.id("oc_"), str::to_owned);
        let mut members = members.to_vec();
        if !members.contains(&self.bot) {
            members.push(self.bot.clone());
        }
        self.chat_count += 1;
        let chat = ChatState {
            chat_id: chat_id.clone(),
            chat_type,
            name: name.to_owned(),
            members,
            messages: VecDeque::new(),
            number: self.chat_count,
        };
        self.chats.insert(chat_id.clone(), chat);
        Ok(chat_id)
    }

    /// Somebody joins a chat.
    pub(crate) fn add_member(&mut self, chat_id: &str, open_id: &str) -> Result<(), SimError> {
        self.person(open_id)?;
        self.chat(chat_id)?;
        if let Some(chat) = self.chats.get_mut(chat_id)
            && !chat.members.iter().any(|id| id == open_id)
        {
            // The bot under test stands last.
            let place = chat.members.len().saturating_sub(1);
            chat.members.insert(place, open_id.to_owned());
        }
        self.changes.announce("reset", || serde_json::json!({}));
        Ok(())
    }

    /// Somebody leaves a chat, or is put out of it.
    pub(crate) fn remove_member(&mut self, chat_id: &str, open_id: &str) -> Result<(), SimError> {
        self.chat(chat_id)?;
        if let Some(chat) = self.chats.get_mut(chat_id) {
            chat.members.retain(|id| id != open_id);
        }
        self.changes.announce("reset", || serde_json::json!({}));
        Ok(())
    }

    /// The one-to-one chat of a person and the bot, opened if need be.
    pub(crate) fn p2p_with(&mut self, open_id: &str) -> Result<String, SimError> {
        let name = self.person(open_id)?.name.clone();
        let known = self
            .chats
            .values()
            .find(|chat| {
                chat.chat_type == ChatType::P2p && chat.members.iter().any(|id| id == open_id)
            })
            .map(|chat| chat.chat_id.clone());
        match known {
            Some(chat_id) => Ok(chat_id),
            None => self.add_chat(None, ChatType::P2p, &name, &[open_id.to_owned()]),
        }
    }

    pub(crate) fn person(&self, open_id: &str) -> Result<&Person, SimError> {
        self.people.get(open_id).ok_or_else(|| SimError::Unknown {
            what: "person",
            id: open_id.to_owned(),
        })
    }

    pub(crate) fn chat(&self, chat_id: &str) -> Result<&ChatState, SimError> {
        self.chats.get(chat_id).ok_or_else(|| SimError::Unknown {
            what: "chat",
            id: chat_id.to_owned(),
        })
    }

    pub(crate) fn message(&self, message_id: &str) -> Result<&MessageState, SimError> {
        self.messages
            .get(message_id)
            .ok_or_else(|| SimError::Unknown {
                what: "message",
                id: message_id.to_owned(),
            })
    }

    /// Chats in order of creation.
    pub(crate) fn chats_in_order(&self) -> Vec<&ChatState> {
        let mut chats: Vec<&ChatState> = self.chats.values().collect();
        chats.sort_by_key(|chat| chat.number);
        chats
    }

    /// A fresh id: prefix and 32 hex digits.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}{:032x}", self.rng.u128(..))
    }

    /// The message that this uuid already made, inside the window.
    pub(crate) fn by_uuid(&mut self, uuid: &str) -> Option<String> {
        let now = Instant::now();
        while self
            .uuid_order
            .front()
            .is_some_and(|(_, made)| now.duration_since(*made) > self.uuid_window)
        {
            if let Some((old, _)) = self.uuid_order.pop_front() {
                self.uuids.remove(&old);
            }
        }
        self.uuids
            .get(uuid)
            .map(|(message_id, _)| message_id.clone())
    }

    pub(crate) fn remember_uuid(&mut self, uuid: &str, message_id: &str) {
        let now = Instant::now();
        if self.uuid_order.len() >= bound::LOG_MAX
            && let Some((oldest, _)) = self.uuid_order.pop_front()
        {
            self.uuids.remove(&oldest);
        }
        self.uuid_order.push_back((uuid.to_owned(), now));
        self.uuids
            .insert(uuid.to_owned(), (message_id.to_owned(), now));
    }

    /// Time for `create_time` and the like, milliseconds.
    pub(crate) fn now_ms() -> i64 {
        unix_ms()
    }
}

impl Names for World {
    fn name(&self, open_id: &str) -> Option<String> {
        self.people.get(open_id).map(|person| person.name.clone())
    }

    fn is_self(&self, open_id: &str) -> bool {
        open_id == self.bot
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_uuid_is_remembered_for_its_window() {
        let config = SimConfig {
            time_scale: 0.5,
            ..SimConfig::default()
        };
        let rng = fastrand::Rng::with_seed(1);
        let mut world = World::new(&config, rng, Arc::new(Changes::new()));
        world.remember_uuid("u", "om_1");
        advance(config.uuid_window / 2).await;
        assert_eq!(world.by_uuid("u").as_deref(), Some("om_1"));
        advance(Duration::from_millis(1)).await;
        assert_eq!(world.by_uuid("u"), None);
        world.remember_uuid("u", "om_2");
        assert_eq!(world.by_uuid("u").as_deref(), Some("om_2"));
    }
}
