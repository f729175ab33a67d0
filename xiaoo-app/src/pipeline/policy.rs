//! Who is answered. Pure, and decided before any lookup or model call.

use proto_core::InboundMessage;

/// The rules of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Direct messages.
    pub direct: Access,
    /// Groups; anything that is not exactly a direct chat counts as one.
    pub group: Access,
    /// In groups, answer only when the bot is mentioned.
    pub require_mention: bool,
    /// A mention of everyone counts as a mention of the bot.
    pub respond_to_all: bool,
    /// People who may talk to the bot directly under [`Access::Allowlist`], and
    /// in groups if the list is not empty (open ids).
    pub allow_users: Vec<String>,
    /// Groups that are answered under [`Access::Allowlist`] (chat ids).
    pub allow_chats: Vec<String>,
    /// People who pass every rule but the mention (open ids).
    pub admins: Vec<String>,
    /// Exceptions for single chats.
    pub chats: Vec<ChatRule>,
}

/// An exception for one chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRule {
    /// The chat.
    pub chat_id: String,
    /// `false` switches the bot off there.
    pub enabled: Option<bool>,
    /// Overrides [`Policy::require_mention`].
    pub require_mention: Option<bool>,
    /// Overrides [`Policy::respond_to_all`].
    pub respond_to_all: Option<bool>,
}

/// Who gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    #[default]
    Open,
    /// Those on the list.
    Allowlist,
    /// Nobody.
    Disabled,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            direct: Access::Open,
            group: Access::Open,
            require_mention: true,
            respond_to_all: false,
            allow_users: Vec::new(),
            allow_chats: Vec::new(),
            admins: Vec::new(),
            chats: Vec::new(),
        }
    }
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer it.
    Answer,
    /// Leave it alone, and why.
    Ignore(&'static str),
}

impl Policy {
    /// Decides on a message. With `identity_known` false nobody can tell
    /// whether a mention is of this bot: a group message that mentions anyone
    /// passes here, to be judged again when the bot's identity is known.
    #[must_use]
    pub fn decide(&self, message: &InboundMessage, identity_known: bool) -> Decision {
        if message.self_sent {
            return Decision::Ignore("sent by this bot");
        }
        if message.sender_is_bot {
            return Decision::Ignore("sent by a bot");
        }
        if message.is_direct {
            self.decide_direct(message)
        } else {
            self.decide_group(message, identity_known)
        }
    }

    fn decide_direct(&self, message: &InboundMessage) -> Decision {
        if self.is_admin(message) {
            return Decision::Answer;
        }
        match self.direct {
            Access::Open => Decision::Answer,
            Access::Allowlist if contains(&self.allow_users, &message.sender_open_id) => {
                Decision::Answer
            }
            Access::Allowlist => Decision::Ignore("the sender is not on the allow list"),
            Access::Disabled => Decision::Ignore("direct messages are disabled"),
        }
    }

    fn decide_group(&self, message: &InboundMessage, identity_known: bool) -> Decision {
        let rule = self
            .chats
            .iter()
            .find(|rule| rule.chat_id == message.chat_id);
        let enabled = rule.and_then(|rule| rule.enabled);
        if enabled == Some(false) {
            return Decision::Ignore("the bot is switched off in this group");
        }
        if !self.is_admin(message) {
            let chat_allowed = match self.group {
                Access::Open => true,
                Access::Allowlist => {
                    enabled == Some(true) || contains(&self.allow_chats, &message.chat_id)
                }
                Access::Disabled => enabled == Some(true),
            };
            if !chat_allowed {
                return Decision::Ignore("the group is not on the allow list");
            }
            if self.group == Access::Allowlist
                && !self.allow_users.is_empty()
                && !contains(&self.allow_users, &message.sender_open_id)
            {
                return Decision::Ignore("the sender is not on the allow list");
            }
        }
        let require_mention = rule
            .and_then(|rule| rule.require_mention)
            .unwrap_or(self.require_mention);
        let respond_to_all = rule
            .and_then(|rule| rule.respond_to_all)
            .unwrap_or(self.respond_to_all);
        let mentioned = message.mentions_bot || (respond_to_all && message.mentions_all);
        let may_be_mentioned = !identity_known && !message.mentions.is_empty();
        if require_mention && !mentioned && !may_be_mentioned {
            return Decision::Ignore("the bot is not mentioned");
        }
        Decision::Answer
    }

    fn is_admin(&self, message: &InboundMessage) -> bool {
        contains(&self.admins, &message.sender_open_id)
    }
}

/// An empty id never matches: it means that the platform did not tell.
fn contains(ids: &[String], id: &str) -> bool {
    !id.is_empty() && ids.iter().any(|known| known == id)
}
