//! Messages: posting, changing, recalling, reacting.

use serde_json::{Value, json};

use super::World;
use crate::SimError;
use crate::config::bound;
use crate::view::{Delivery, Mention, PersonKind};

/// A message and all that happened to it.
#[derive(Clone, Debug)]
pub(crate) struct MessageState {
    pub(crate) message_id: String,
    pub(crate) chat_id: String,
    pub(crate) sender: String,
    pub(crate) msg_type: String,
    /// As it was sent, or as it was last changed to.
    pub(crate) content: String,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) reactions: Vec<ReactionState>,
    pub(crate) root_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) create_time: i64,
    pub(crate) update_time: i64,
    pub(crate) edits: u32,
    pub(crate) deleted: bool,
    pub(crate) version: u32,
    pub(crate) versions: Vec<VersionState>,
    pub(crate) card_id: Option<String>,
    pub(crate) delivery: Option<Delivery>,
}

/// A message of a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Forwarded {
    /// The bundle that it is in.
    pub(crate) upper_message_id: String,
    pub(crate) message: MessageState,
}

/// A content that a message had.
#[derive(Clone, Debug)]
pub(crate) struct VersionState {
    pub(crate) version: u32,
    pub(crate) at: i64,
    pub(crate) content: String,
}

/// One person's reaction.
#[derive(Clone, Debug)]
pub(crate) struct ReactionState {
    pub(crate) reaction_id: String,
    pub(crate) operator: String,
    pub(crate) emoji_type: String,
    pub(crate) action_time: i64,
}

/// A message to be.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) chat_id: String,
    pub(crate) sender: String,
    pub(crate) msg_type: String,
    pub(crate) content: String,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) reply_to: Option<String>,
    pub(crate) in_thread: bool,
    pub(crate) card_id: Option<String>,
}

/// Where a message hangs.
#[derive(Default)]
struct Place {
    root_id: Option<String>,
    parent_id: Option<String>,
    thread_id: Option<String>,
}

impl Place {
    fn in_thread(root: String, thread: String) -> Self {
        Self {
            root_id: Some(root.clone()),
            parent_id: Some(root),
            thread_id: Some(thread),
        }
    }
}

impl World {
    /// Puts a message into its chat and gives its id.
    pub(crate) fn post(&mut self, draft: Draft) -> Result<String, SimError> {
        self.chat(&draft.chat_id)?;
        let Place {
            root_id,
            parent_id,
            thread_id,
        } = self.place(&draft)?;
        let message_id = self.id("om_");
        let now = Self::now_ms();
        let message = MessageState {
            message_id: message_id.clone(),
            chat_id: draft.chat_id.clone(),
            sender: draft.sender,
            msg_type: draft.msg_type,
            versions: vec![VersionState {
                version: 1,
                at: now,
                content: draft.content.clone(),
            }],
            content: draft.content,
            mentions: draft.mentions,
            reactions: Vec::new(),
            root_id,
            parent_id,
            thread_id,
            create_time: now,
            update_time: now,
            edits: 0,
            deleted: false,
            version: 1,
            card_id: draft.card_id,
            delivery: None,
        };
        self.count_everyone(&message);
        self.messages.insert(message_id.clone(), message);
        let mut dropped = None;
        if let Some(chat) = self.chats.get_mut(&draft.chat_id) {
            chat.messages.push_back(message_id.clone());
            if chat.messages.len() > bound::MESSAGES_PER_CHAT_MAX {
                dropped = chat.messages.pop_front();
            }
        }
        if let Some(dropped) = dropped {
            self.messages.remove(&dropped);
        }
        self.announce_message("message_added", &message_id);
        Ok(message_id)
    }

    /// Root, parent and thread of a draft. Inside a thread root and parent are
    /// both the thread's first message.
    fn place(&mut self, draft: &Draft) -> Result<Place, SimError> {
        let Some(target) = &draft.reply_to else {
            return Ok(Place::default());
        };
        let parent = self.message(target)?;
        if parent.chat_id != draft.chat_id {
            return Err(SimError::Invalid(format!(
                "message {target} is in another chat"
            )));
        }
        let root = parent.root_id.clone().unwrap_or_else(|| target.clone());
        if let Some(thread) = parent.thread_id.clone() {
            return Ok(Place::in_thread(root, thread));
        }
        if !draft.in_thread {
            return Ok(Place {
                root_id: Some(root),
                parent_id: Some(target.clone()),
                thread_id: None,
            });
        }
        let thread = self.id("omt_");
        if let Some(parent) = self.messages.get_mut(target) {
            parent.thread_id = Some(thread.clone());
        }
        Ok(Place::in_thread(target.clone(), thread))
    }

    /// Gives a message new content.
    pub(crate) fn change(&mut self, message_id: &str, content: String) {
        let now = Self::now_ms();
        let Some(message) = self.messages.get_mut(message_id) else {
            return;
        };
        message.version = message.version.saturating_add(1);
        message.update_time = now;
        if message.versions.len() >= bound::VERSIONS_MAX {
            message.versions.remove(0);
        }
        message.versions.push(VersionState {
            version: message.version,
            at: now,
            content: content.clone(),
        });
        message.content = content;
        if let Some(message) = self.messages.remove(message_id) {
            self.count_everyone(&message);
            self.messages.insert(message_id.to_owned(), message);
        }
        self.announce_message("message_updated", message_id);
    }

    /// Notes that the bot under test mentions everyone.
    fn count_everyone(&mut self, message: &MessageState) {
        if message.sender == self.bot && mentions_everyone(&message.content) {
            self.everyone_mentioned += 1;
        }
    }

    /// Puts forwarded messages into their bundle.
    pub(crate) fn fill_bundle(&mut self, message_id: &str, inside: Vec<Forwarded>) {
        self.bundles.insert(message_id.to_owned(), inside);
        self.announce_message("message_updated", message_id);
    }

    /// The message and, if it is a bundle, all that is in it; each with the
    /// bundle that it is in.
    pub(crate) fn with_forwarded<'w>(
        &'w self,
        message: &'w MessageState,
    ) -> impl Iterator<Item = (Option<&'w str>, &'w MessageState)> {
        let inside = self.bundles.get(&message.message_id).into_iter().flatten();
        let inside = inside.map(|one| (Some(one.upper_message_id.as_str()), &one.message));
        std::iter::once((None, message)).chain(inside)
    }

    /// Takes a message back.
    pub(crate) fn recall(&mut self, message_id: &str) {
        if let Some(message) = self.messages.get_mut(message_id) {
            message.deleted = true;
            message.update_time = Self::now_ms();
            self.announce_message("message_deleted", message_id);
        }
    }

    /// Adds a reaction; the same one by the same operator is given back as it is.
    pub(crate) fn react(
        &mut self,
        message_id: &str,
        operator: &str,
        emoji_type: &str,
    ) -> Result<(ReactionState, bool), SimError> {
        let reaction_id = self.id("ZCaCIjUBVVWSrm5L-");
        let Some(message) = self.messages.get_mut(message_id) else {
            return Err(SimError::Unknown {
                what: "message",
                id: message_id.to_owned(),
            });
        };
        let known = message
            .reactions
            .iter()
            .find(|one| one.operator == operator && one.emoji_type == emoji_type);
        if let Some(known) = known {
            return Ok((known.clone(), false));
        }
        if message.reactions.len() >= bound::REACTIONS_MAX {
            return Err(SimError::Full {
                what: "reactions on a message",
                max: bound::REACTIONS_MAX,
            });
        }
        let reaction = ReactionState {
            reaction_id,
            operator: operator.to_owned(),
            emoji_type: emoji_type.to_owned(),
            action_time: Self::now_ms(),
        };
        message.reactions.push(reaction.clone());
        self.announce_reaction("reaction_added", message_id, &reaction);
        Ok((reaction, true))
    }

    /// Takes a reaction away; `None` when there is none such.
    pub(crate) fn unreact(
        &mut self,
        message_id: &str,
        which: impl Fn(&ReactionState) -> bool,
    ) -> Option<ReactionState> {
        let message = self.messages.get_mut(message_id)?;
        let place = message.reactions.iter().position(which)?;
        let reaction = message.reactions.remove(place);
        self.announce_reaction("reaction_removed", message_id, &reaction);
        Some(reaction)
    }

    /// Notes what became of the event about a message.
    pub(crate) fn note_delivery(&mut self, message_id: &str, delivery: Delivery) {
        if let Some(message) = self.messages.get_mut(message_id) {
            message.delivery = Some(delivery);
            self.announce_message("message_updated", message_id);
        }
    }

    /// Whether the platform tells the bot of this message: its own never, other
    /// bots' only when they mention it, a group's only when it is mentioned.
    pub(crate) fn bot_hears(&self, message: &MessageState, group_all: bool) -> bool {
        let is_p2p = self
            .chats
            .get(&message.chat_id)
            .is_some_and(|chat| chat.chat_type == crate::view::ChatType::P2p);
        let mentioned = message
            .mentions
            .iter()
            .any(|mention| mention.open_id == self.bot);
        let by_bot = self
            .people
            .get(&message.sender)
            .is_some_and(|person| person.kind == PersonKind::Bot);
        message.sender != self.bot && (mentioned || (!by_bot && (is_p2p || group_all)))
    }

    /// Content as others read it: a post's Markdown as plain elements, a card
    /// simplified.
    pub(crate) fn received_content(&self, message: &MessageState) -> String {
        if message.deleted {
            return String::new();
        }
        let Ok(value) = serde_json::from_str::<Value>(&message.content) else {
            return message.content.clone();
        };
        match message.msg_type.as_str() {
            "post" => received_post(&value).to_string(),
            "interactive" => {
                let title = value
                    .pointer("/header/title/content")
                    .and_then(Value::as_str);
                let text = crate::render::card_text(&value, self);
                let rows: Vec<Value> = text
                    .lines()
                    .skip(usize::from(title.is_some_and(|title| !title.is_empty())))
                    .map(|line| json!([{"tag": "text", "text": line}]))
                    .collect();
                json!({"title": title, "elements": rows}).to_string()
            }
            _ => message.content.clone(),
        }
    }
}

/// Whether a content names everyone, in whichever of its texts: by a tag in any
/// of its spellings, by an element of a post, or by the placeholder.
pub(crate) fn mentions_everyone(content: &str) -> bool {
    // Nearly no content has the word.
    content.to_ascii_lowercase().contains("all")
        && serde_json::from_str(content).is_ok_and(|value| names_everyone(&value))
}

fn names_everyone(value: &Value) -> bool {
    match value {
        Value::String(text) => tags_everyone(text),
        Value::Array(items) => items.iter().any(names_everyone),
        Value::Object(fields) => {
            let is_at = crate::render::str_of(value, "tag") == "at"
                && matches!(crate::render::str_of(value, "user_id"), "all" | "@_all");
            is_at || fields.values().any(names_everyone)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn tags_everyone(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let tagged = lower.split('<').skip(1).any(|tag| {
        let tag = tag.split('>').next().unwrap_or_default().trim_start();
        let attributes = tag.strip_prefix("at").unwrap_or_default();
        attributes.starts_with([' ', '\t', '\n', '/'])
            && attributes
                .split(['=', ' ', '"', '\'', '/', '\t', '\n'])
                .any(|word| word == "all")
    });
    tagged || lower.contains("@_all")
}

/// `md` never comes back: its lines become text elements.
fn received_post(value: &Value) -> Value {
    let Some(post) = crate::render::post_body(value) else {
        return value.clone();
    };
    let mut rows = Vec::new();
    for row in post
        .get("content")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let elements = row.as_array().cloned().unwrap_or_default();
        let markdown = elements
            .iter()
            .find(|element| crate::render::str_of(element, "tag") == "md");
        match markdown {
            None => rows.push(Value::Array(elements)),
            Some(element) => {
                let text = crate::render::str_of(element, "text");
                rows.extend(
                    text.lines()
                        .map(|line| json!([{"tag": "text", "text": line, "style": []}])),
                );
            }
        }
    }
    json!({"title": crate::render::str_of(post, "title"), "content": rows})
}

#[cfg(test)]
mod tests {
    use super::mentions_everyone;

    #[test]
    fn everyone_is_found_in_every_spelling() {
        for (content, expected) in [
            (r#"{"text":"<at user_id=\"all\"></at>"}"#, true),
            (r#"{"text":"a <AT  id = 'all' >x</at>"}"#, true),
            (r#"{"text":"@_all look"}"#, true),
            (
                r#"{"zh_cn":{"content":[[{"tag":"at","user_id":"all"}]]}}"#,
                true,
            ),
            (
                r#"{"zh_cn":{"content":[[{"tag":"md","text":"<at user_id=all></at>"}]]}}"#,
                true,
            ),
            (
                r#"{"elements":[{"tag":"markdown","content":"<at id=all></at>"}]}"#,
                true,
            ),
            (r#"{"text":"@all and @所有人, <atlas all>, all"}"#, false),
            (r#"{"text":"<at user_id=\"ou_1\">all</at>"}"#, false),
            (r#"{"text":"<\u200bat user_id=\"all\">"}"#, false),
        ] {
            assert_eq!(mentions_everyone(content), expected, "{content}");
        }
    }
}
