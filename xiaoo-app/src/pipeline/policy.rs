//! Who is answered. Pure, and decided before any lookup or model call.

use proto_core::InboundMessage;

/// The rules of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Direct messages.
    pub direct: DirectAccess,
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
    /// Whether other bots are answered, where they mention this one.
    pub allow_bots: bool,
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

/// Who may talk to the bot directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectAccess {
    /// Everyone.
    #[default]
    Open,
    /// Those on the list.
    Allowlist,
    /// Those on the list, and whoever an admin has let in.
    Pairing,
    /// Nobody.
    Disabled,
}

/// Into which groups it comes.
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
            direct: DirectAccess::Open,
            group: Access::Open,
            require_mention: true,
            respond_to_all: false,
            allow_users: Vec::new(),
            allow_chats: Vec::new(),
            admins: Vec::new(),
            allow_bots: false,
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
    /// Somebody who writes to the bot directly and may not: say so, and why.
    Refuse(Refusal),
}

/// Why somebody may not talk to the bot directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Only those on the list may.
    NotAllowed,
    /// An admin has to let them in.
    NotPaired,
    /// Nobody may.
    Disabled,
}

/// What is known when a message is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who the bot is.
    pub identity: bool,
    /// That an admin has let the sender in.
    pub paired: bool,
}

impl Policy {
    /// Decides on a message. While it is not known who the bot is, nobody can tell
    /// whether a mention is of this bot: a group message that mentions anyone
    /// passes here, to be judged again when that is known.
    #[must_use]
    pub fn decide(&self, message: &InboundMessage, known: Known) -> Decision {
        if message.self_sent {
            return Decision::Ignore("sent by this bot");
        }
        if message.sender_is_bot {
            return self.decide_bot(message, known);
        }
        if message.is_direct {
            self.decide_direct(message, known)
        } else {
            self.decide_group(message, known)
        }
    }

    /// Whether the person's standing with the admins makes a difference.
    #[must_use]
    pub fn asks_for_pairing(&self, message: &InboundMessage) -> bool {
        self.direct == DirectAccess::Pairing && message.is_direct && !message.sender_is_bot
    }

    /// Whether this person may say how the bot behaves.
    #[must_use]
    pub fn is_admin(&self, open_id: &str) -> bool {
        contains(&self.admins, open_id)
    }

    /// Whether the message would be answered if it mentioned the bot: then files that it brings
    /// belong to what its sender says next.
    #[must_use]
    pub fn lacks_only_a_mention(&self, message: &InboundMessage, known: Known) -> bool {
        let mentioning = InboundMessage {
            mentions_bot: true,
            ..message.clone()
        };
        !message.is_direct
            && !message.mentions_bot
            && self.decide(&mentioning, known) == Decision::Answer
    }

    /// A bot is answered where a person would be, and only if it means this one: the mention is
    /// asked for everywhere.
    fn decide_bot(&self, message: &InboundMessage, known: Known) -> Decision {
        if !self.allow_bots {
            return Decision::Ignore("sent by a bot");
        }
        let may_be_mentioned = !known.identity && !message.mentions.is_empty();
        if message.is_direct || !(message.mentions_bot || may_be_mentioned) {
            return Decision::Ignore("sent by a bot that does not mention this one");
        }
        self.decide_group(message, known)
    }

    fn decide_direct(&self, message: &InboundMessage, known: Known) -> Decision {
        let is_listed = contains(&self.allow_users, &message.sender_open_id);
        if self.is_admin(&message.sender_open_id) {
            return Decision::Answer;
        }
        match self.direct {
            DirectAccess::Open => Decision::Answer,
            DirectAccess::Allowlist | DirectAccess::Pairing if is_listed => Decision::Answer,
            DirectAccess::Pairing if known.paired => Decision::Answer,
            DirectAccess::Allowlist => Decision::Refuse(Refusal::NotAllowed),
            DirectAccess::Pairing => Decision::Refuse(Refusal::NotPaired),
            DirectAccess::Disabled => Decision::Refuse(Refusal::Disabled),
        }
    }

    fn decide_group(&self, message: &InboundMessage, known: Known) -> Decision {
        let rule = self
            .chats
            .iter()
            .find(|rule| rule.chat_id == message.chat_id);
        let enabled = rule.and_then(|rule| rule.enabled);
        if enabled == Some(false) {
            return Decision::Ignore("the bot is switched off in this group");
        }
        if !self.is_admin(&message.sender_open_id) {
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
        let may_be_mentioned = !known.identity && !message.mentions.is_empty();
        if require_mention && !mentioned && !may_be_mentioned {
            return Decision::Ignore("the bot is not mentioned");
        }
        Decision::Answer
    }
}

/// An empty id never matches: it means that the platform did not tell.
fn contains(ids: &[String], id: &str) -> bool {
    !id.is_empty() && ids.iter().any(|known| known == id)
}
