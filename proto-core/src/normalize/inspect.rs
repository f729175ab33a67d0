//! One event as one flat JSON object: for bug reports, and for anyone who
//! wants to check this decoder from outside.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Identity, InboundMessage};
use crate::Buffer as _;
use crate::decimal::push_padded;
use crate::event::{Event, EventKind};
use crate::json::{Json, JsonStr, write_escaped};

/// Reads an event and tells what was understood: `{"ok":true,"kind":…}` with
/// null where the event has nothing, or `{"ok":false,"error":"…"}`.
#[must_use]
pub fn inspect_event_json(body: &[u8], identity: Identity<'_>) -> String {
    let mut out = Object::default();
    match Event::parse(body) {
        Ok(event) => write_event(&event, identity, &mut out),
        Err(error) => {
            out.raw("ok", "false");
            out.text("error", Some(&error.to_string()));
        }
    }
    out.finish()
}

fn write_event(event: &Event<'_>, identity: Identity<'_>, out: &mut Object) {
    out.raw("ok", "true");
    out.text("kind", Some(kind_name(&event.kind)));
    out.text("schema", event.schema);
    out.string("event_id", event.event_id);
    out.string("event_type", event.event_type);
    out.string("tenant_key", event.tenant_key);
    out.string("app_id", event.app_id);
    out.string("dedup_key", event.dedup_key());
    if !matches!(event.kind, EventKind::Message(_)) {
        out.number("create_time_ms", event.create_time_ms);
    }
    match event.kind {
        EventKind::Message(_) => match InboundMessage::from_event(event, identity) {
            Some(message) => write_message(&message, event.create_time_ms, out),
            None => out.raw("message_id", "null"),
        },
        EventKind::UrlVerification(challenge) => {
            out.string("token", event.token);
            let mut response = Object::default();
            response.string("challenge", Some(challenge));
            out.raw("response", &response.finish());
        }
        EventKind::CardAction(object) => write_card_action(object, out),
        EventKind::ReactionAdded(object) | EventKind::ReactionRemoved(object) => {
            write_reaction(object, identity, out);
        }
        EventKind::MessageRead(object) => {
            out.value("message_ids", object.get("message_id_list"));
            out.string(
                "reader_open_id",
                at(object, &["reader", "reader_id", "open_id"]),
            );
            not_a_message(out);
        }
        EventKind::Menu(object) => {
            out.string("event_key", object.get_str("event_key"));
            let operator = at(object, &["operator", "operator_id", "open_id"]);
            out.string("operator_open_id", operator);
            not_a_message(out);
        }
        EventKind::BotAdded(object)
        | EventKind::BotRemoved(object)
        | EventKind::MembersAdded(object)
        | EventKind::P2pEntered(object)
        | EventKind::Recalled(object)
        | EventKind::ChatDisbanded(object)
        | EventKind::ChatUpdated(object)
        | EventKind::Unknown(object) => {
            out.string("message_id", object.get_str("message_id"));
            out.string("chat_id", object.get_str("chat_id"));
            let operator = at(object, &["operator_id", "open_id"]);
            out.string("operator_open_id", operator);
            out.string("chat_name", object.get_str("name"));
            out.string("recall_type", object.get_str("recall_type"));
            not_a_message(out);
        }
    }
}

fn write_message(message: &InboundMessage, event_time: Option<i64>, out: &mut Object) {
    out.text("message_id", Some(&message.message_id));
    out.text("chat_id", Some(&message.chat_id));
    out.text("chat_type", Some(&message.chat_type));
    out.text("root_id", message.root_id.as_deref());
    out.text("parent_id", message.parent_id.as_deref());
    out.text("thread_id", message.thread_id.as_deref());
    out.number(
        "create_time_ms",
        Some(message.create_time_ms)
            .filter(|time| *time != 0)
            .or(event_time),
    );
    out.text("sender_open_id", Some(&message.sender_open_id));
    out.flag("sender_is_bot", message.sender_is_bot);
    out.flag("self_sent", message.self_sent);
    out.text("message_type", Some(&message.message_type));
    out.text("text", Some(&message.text));
    out.flag("mentions_bot", message.mentions_bot);
    out.flag("mentions_all", message.mentions_all);
    out.list(
        "mentioned_open_ids",
        message
            .mentions
            .iter()
            .filter(|mention| !mention.open_id.is_empty())
            .map(|mention| quoted(&mention.open_id)),
    );
    out.flag("addressed", message.addressed);
    out.flag("needs_fetch", message.needs_fetch);
    out.list(
        "resources",
        message.resources.iter().map(|resource| {
            let mut object = Object::default();
            object.text("type", Some(resource.kind.name()));
            object.text("file_key", Some(&resource.file_key));
            object.text("file_name", resource.file_name.as_deref());
            object.number("duration_ms", resource.duration_ms);
            object.text("cover_image_key", resource.cover_image_key.as_deref());
            object.text("download_type", Some(resource.kind.download_type()));
            object.finish()
        }),
    );
}

fn write_card_action(object: Json<'_>, out: &mut Object) {
    let context = object.get("context");
    let place = |new: &str, old: &str| {
        context
            .and_then(|context| context.get_str(new))
            .or_else(|| object.get_str(old))
    };
    out.string("message_id", place("open_message_id", "open_message_id"));
    out.string("chat_id", place("open_chat_id", "open_chat_id"));
    let operator = object.get("operator").unwrap_or(object);
    out.string("operator_open_id", operator.get_str("open_id"));
    let action = object.get("action");
    let member = |key: &str| action.and_then(|action| action.get(key));
    for (key, name) in [
        ("action_tag", "tag"),
        ("action_name", "name"),
        ("action_option", "option"),
    ] {
        out.string(key, member(name).and_then(Json::as_str));
    }
    // Some clients send the value with the behaviour that was triggered.
    let behaviour = member("behaviors").and_then(|list| list.items().next()?.get("value"));
    out.value("action_value", member("value").or(behaviour));
    out.value("form_value", member("form_value"));
    out.string("card_token", object.get_str("token"));
    not_a_message(out);
}

fn write_reaction(object: Json<'_>, identity: Identity<'_>, out: &mut Object) {
    out.string("message_id", object.get_str("message_id"));
    out.string("emoji_type", at(object, &["reaction_type", "emoji_type"]));
    out.string("operator_type", object.get_str("operator_type"));
    let operator = at(object, &["user_id", "open_id"]);
    out.string("operator_open_id", operator);
    let app = object.get_str("app_id");
    out.string("operator_app_id", app);
    let own =
        |id: Option<JsonStr<'_>>, own: &str| id.is_some_and(|id| !id.is_empty() && id == *own);
    out.flag(
        "self_sent",
        own(operator, identity.open_id) || own(app, identity.app_id),
    );
    out.flag("mentions_bot", false);
}

fn not_a_message(out: &mut Object) {
    out.flag("self_sent", false);
    out.flag("mentions_bot", false);
}

/// The string at the end of a path of members.
fn at<'a>(object: Json<'a>, path: &[&str]) -> Option<JsonStr<'a>> {
    path.iter()
        .try_fold(object, |object, key| object.get(key))?
        .as_str()
}

const fn kind_name(kind: &EventKind<'_>) -> &'static str {
    match kind {
        EventKind::Message(_) => "message",
        EventKind::CardAction(_) => "card_action",
        EventKind::ReactionAdded(_) => "reaction_added",
        EventKind::ReactionRemoved(_) => "reaction_removed",
        EventKind::BotAdded(_) => "bot_added",
        EventKind::BotRemoved(_) => "bot_removed",
        EventKind::MembersAdded(_) => "members_added",
        EventKind::P2pEntered(_) => "p2p_entered",
        EventKind::Recalled(_) => "recalled",
        EventKind::MessageRead(_) => "message_read",
        EventKind::Menu(_) => "menu",
        EventKind::ChatDisbanded(_) => "chat_disbanded",
        EventKind::ChatUpdated(_) => "chat_updated",
        EventKind::UrlVerification(_) => "url_verification",
        EventKind::Unknown(_) => "unknown",
    }
}

/// A JSON object that is being written.
#[derive(Default)]
struct Object(Vec<u8>);

impl Object {
    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.quote(key);
        self.0.push(b':');
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(text) => {
                self.key(key);
                self.quote(text);
            }
            None => self.raw(key, "null"),
        }
    }

    fn quote(&mut self, text: &str) {
        // A Vec has no bound.
        let _ = write_escaped(text.chars(), &mut self.0);
    }

    fn string(&mut self, key: &str, value: Option<JsonStr<'_>>) {
        self.text(key, value.map(JsonStr::to_text).as_deref());
    }

    fn value(&mut self, key: &str, value: Option<Json<'_>>) {
        self.key(key);
        match value {
            Some(value) => write_value(value, &mut self.0),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    fn number(&mut self, key: &str, value: Option<i64>) {
        match value {
            Some(number) => {
                let mut text = String::new();
                // A String has no bound.
                let _ = push_padded(&mut text, number, 1);
                self.raw(key, &text);
            }
            None => self.raw(key, "null"),
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        self.key(key);
        self.0.push(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            self.0.extend_from_slice(item.as_bytes());
        }
        self.0.push(b']');
    }

    fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        // Written from strings alone.
        String::from_utf8(self.0).unwrap_or_default()
    }
}

/// Appends a value as it was sent, without blanks between its tokens. Half a
/// surrogate pair becomes U+FFFD, as everywhere: many readers refuse it.
fn write_value(value: Json<'_>, out: &mut Vec<u8>) {
    if let Some(text) = value.as_str() {
        write_text(text, out);
    } else if value.is_object() {
        let mut before = b'{';
        for (name, member) in value.members() {
            out.push(before);
            write_text(name, out);
            out.push(b':');
            write_value(member, out);
            before = b',';
        }
        close(before, b"{}", out);
    } else if value.is_array() {
        let mut before = b'[';
        for item in value.items() {
            out.push(before);
            write_value(item, out);
            before = b',';
        }
        close(before, b"[]", out);
    } else {
        out.extend_from_slice(value.raw().as_bytes());
    }
}

fn write_text(text: JsonStr<'_>, out: &mut Vec<u8>) {
    // A Vec has no bound.
    let _ = write_escaped(text.chars(), out);
}

/// Ends what stands between brackets; with nothing in it, they are yet to come.
fn close(before: u8, [open, close]: &[u8; 2], out: &mut Vec<u8>) {
    if before == *open {
        out.push(*open);
    }
    out.push(*close);
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    // A Vec has no bound.
    let _ = write_escaped(text.chars(), &mut out);
    debug_assert!(!out.as_bytes().is_empty());
    String::from_utf8(out).unwrap_or_default()
}
