//! The world as observers see it.

use serde_json::{Value, json};

use super::messages::{MessageState, ReactionState, VersionState, mentions_everyone};
use super::{ChatState, World};
use crate::render;
use crate::view::{Card, Chat, File, Message, Person, PersonKind, Reaction, Version};

impl World {
    pub(crate) fn person_view(&self, open_id: &str) -> Person {
        self.people.get(open_id).cloned().unwrap_or_else(|| Person {
            open_id: open_id.to_owned(),
            name: open_id.to_owned(),
            en_name: String::new(),
            kind: PersonKind::User,
            is_self: false,
        })
    }

    pub(crate) fn chat_view(&self, chat: &ChatState) -> Chat {
        Chat {
            chat_id: chat.chat_id.clone(),
            chat_type: chat.chat_type,
            name: chat.name.clone(),
            members: chat.members.iter().map(|id| self.person_view(id)).collect(),
            message_count: chat.messages.len(),
            last_message: chat
                .messages
                .back()
                .and_then(|id| self.messages.get(id))
                .map(|message| self.message_view(message)),
        }
    }

    /// The newest `limit` messages of a chat, oldest first.
    pub(crate) fn chat_messages(&self, chat: &ChatState, limit: usize) -> Vec<Message> {
        let skip = chat.messages.len().saturating_sub(limit);
        chat.messages
            .iter()
            .skip(skip)
            .filter_map(|id| self.messages.get(id))
            .map(|message| self.message_view(message))
            .collect()
    }

    pub(crate) fn message_view(&self, message: &MessageState) -> Message {
        let shown = self.shown(message, &message.content);
        let (content, (text, html, card)) = if message.deleted {
            (String::new(), (String::new(), String::new(), None))
        } else {
            (message.content.clone(), shown)
        };
        Message {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            sender: self.person_view(&message.sender),
            msg_type: message.msg_type.clone(),
            content,
            text,
            html,
            card,
            mentions: message.mentions.clone(),
            mentions_all: !message.deleted && mentions_everyone(&message.content),
            files: self.files_view(message),
            reactions: self.reactions_view(message),
            root_id: message.root_id.clone(),
            parent_id: message.parent_id.clone(),
            thread_id: message.thread_id.clone(),
            create_time: message.create_time,
            update_time: message.update_time,
            edited: message.version > 1,
            deleted: message.deleted,
            version: message.version,
            delivery: message.delivery,
        }
    }

    pub(crate) fn version_views(&self, message: &MessageState) -> Vec<Version> {
        message
            .versions
            .iter()
            .map(|version| self.version_view(message, version))
            .collect()
    }

    fn version_view(&self, message: &MessageState, version: &VersionState) -> Version {
        let (text, html, card) = self.shown(message, &version.content);
        Version {
            version: version.version,
            at: version.at,
            content: version.content.clone(),
            text,
            html,
            card,
        }
    }

    /// Files and images in a message, as far as they are still kept.
    fn files_view(&self, message: &MessageState) -> Vec<File> {
        let value = serde_json::from_str(&message.content).unwrap_or(Value::Null);
        let mut keys = Vec::new();
        if !message.deleted {
            collect_keys(&value, &mut keys);
        }
        keys.into_iter()
            .filter_map(|key| Some((key, self.resources.get(key)?)))
            .map(|(key, resource)| File {
                key: key.to_owned(),
                name: resource.name.clone(),
                mime: resource.mime.clone(),
                bytes: resource.bytes.len(),
            })
            .collect()
    }

    /// What a bundle shows: a line for each message in it.
    fn bundle_shown(&self, message: &MessageState) -> (String, String) {
        let mut text = String::from("[聊天记录]");
        let mut html = String::from("<div class=\"note\">");
        for (upper, inner) in self.with_forwarded(message) {
            // Those of a bundle inside are seen when it is opened.
            if upper != Some(message.message_id.as_str()) {
                continue;
            }
            let (said, _, card) = self.shown(inner, &inner.content);
            let said = card.map_or(said, |card| card.title);
            let line = format!("{}: {said}", self.person_view(&inner.sender).name);
            html.push_str(&format!("<p>{}</p>", render::escape(&line)));
            text.push('\n');
            text.push_str(&line);
        }
        html.push_str("</div>");
        (text, html)
    }

    /// A file's content names it only when a person sent it.
    fn with_name(&self, content: &str) -> String {
        let mut value: Value = serde_json::from_str(content).unwrap_or(Value::Null);
        let name = self
            .resources
            .get(render::str_of(&value, "file_key"))
            .map(|resource| resource.name.clone());
        if let (Some(fields), Some(name)) = (value.as_object_mut(), name)
            && !name.is_empty()
        {
            fields.entry("file_name").or_insert_with(|| json!(name));
        }
        value.to_string()
    }

    /// Text, HTML and card of a content.
    fn shown(&self, message: &MessageState, content: &str) -> (String, String, Option<Card>) {
        match message.msg_type.as_str() {
            "merge_forward" => {
                let (text, html) = self.bundle_shown(message);
                return (text, html, None);
            }
            "file" | "audio" | "media" => {
                let content = self.with_name(content);
                let (text, html) =
                    render::message(&message.msg_type, &content, &message.mentions, self);
                return (text, html, None);
            }
            _ => {}
        }
        if message.msg_type != "interactive" {
            let (text, html) = render::message(&message.msg_type, content, &message.mentions, self);
            return (text, html, None);
        }
        let value = serde_json::from_str(content).unwrap_or(Value::Null);
        let mut card = render::card(&value, self, message.card_id.as_deref());
        if let Some(entity) = message.card_id.as_ref().and_then(|id| self.cards.get(id)) {
            card.streaming = card.streaming && entity.is_streaming();
        }
        let html = card.html.clone();
        (render::card_text(&value, self), html, Some(card))
    }

    pub(crate) fn reactions_view(&self, message: &MessageState) -> Vec<Reaction> {
        let mut groups: Vec<Reaction> = Vec::new();
        for one in &message.reactions {
            let operator = self.person_view(&one.operator);
            let known = groups
                .iter_mut()
                .find(|group| group.emoji_type == one.emoji_type);
            if let Some(group) = known {
                group.count += 1;
                group.operators.push(operator);
            } else {
                groups.push(Reaction {
                    emoji_type: one.emoji_type.clone(),
                    emoji: render::emoji(&one.emoji_type),
                    count: 1,
                    operators: vec![operator],
                });
            }
        }
        groups
    }

    pub(super) fn announce_message(&self, kind: &'static str, message_id: &str) {
        self.changes
            .announce(kind, || match self.messages.get(message_id) {
                Some(message) => {
                    json!({"chat_id": message.chat_id, "message": self.message_view(message)})
                }
                None => json!({}),
            });
    }

    pub(super) fn announce_reaction(
        &self,
        kind: &'static str,
        message_id: &str,
        reaction: &ReactionState,
    ) {
        self.changes
            .announce(kind, || match self.messages.get(message_id) {
                Some(message) => json!({
                    "chat_id": message.chat_id,
                    "message_id": message_id,
                    "emoji_type": reaction.emoji_type,
                    "operator": self.person_view(&reaction.operator),
                    "reactions": self.reactions_view(message),
                }),
                None => json!({}),
            });
    }
}

/// Keys of images and files, wherever in a content they stand.
fn collect_keys<'v>(value: &'v Value, keys: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(key) if matches!(name.as_str(), "image_key" | "file_key" | "img_key") => {
                        keys.push(key);
                    }
                    _ => collect_keys(value, keys),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
