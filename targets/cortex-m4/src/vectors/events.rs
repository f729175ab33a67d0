//! Every recorded event, read and rendered without an allocator.

use proto_core::{Event, EventKind, Identity, JsonStr, Message, Normalized, Resource};
use sha2::{Digest as _, Sha256};

include!(concat!(env!("OUT_DIR"), "/events.rs"));

const IDENTITY: Identity<'static> = Identity {
    open_id: "ou_bot_0000000000000000000000000000",
    app_id: "cli_a1b2c3d4e5f60001",
};
/// The longest text has 31 KB.
pub(crate) type Text = heapless::String<{ 32 * 1024 }>;
/// A content that is not read on the way: all but texts, and none is long.
pub(crate) type Content = heapless::String<4096>;

/// One recorded event.
pub(crate) struct EventVector {
    name: &'static str,
    body: &'static [u8],
    checks: &'static [Check],
}

/// What is to be read in it.
#[derive(Debug)]
enum Check {
    /// A member is this text; an empty one may be absent.
    Text(&'static str, &'static str),
    Flag(&'static str, bool),
    Number(&'static str, i64),
    /// The rendered text is one of these.
    AnyOf(&'static [&'static str]),
    /// It has all of these, in this order.
    Contains(&'static [&'static str]),
    ContainsNone(&'static [&'static str]),
    /// Its digest, in hex.
    Sha256(&'static str),
    Mentioned(&'static [&'static str]),
    Resources(&'static [&'static [Self]]),
}

/// Returns how many events and how many facts in them there are.
pub(crate) fn check(text: &mut Text, content: &mut Content) -> (usize, usize) {
    let mut facts = 0;
    for vector in EVENTS {
        let name = vector.name;
        let event = Event::parse(vector.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut resources = Resources::default();
        let normalized = match &event.kind {
            EventKind::Message(message) => {
                let mut keep = |resource: Resource<'_>| resources.meet(&resource, vector.checks);
                message.normalize(IDENTITY, content, text, &mut keep)
            }
            _ => {
                text.clear();
                Ok(Normalized::default())
            }
        };
        let reading = Reading {
            event: &event,
            normalized: normalized.unwrap_or_else(|full| panic!("{name}: {full}")),
            text,
            resources,
        };
        for check in vector.checks {
            assert!(reading.passes(check), "{name}: {check:?} in {reading:?}");
        }
        facts += vector.checks.len();
    }
    (EVENTS.len(), facts)
}

/// An event as it was read.
#[derive(Debug)]
struct Reading<'a> {
    event: &'a Event<'a>,
    normalized: Normalized,
    text: &'a str,
    resources: Resources,
}

impl Reading<'_> {
    fn passes(&self, check: &Check) -> bool {
        match *check {
            Check::Text("text", expected) => self.text == expected,
            Check::Text("kind", expected) => kind(&self.event.kind) == expected,
            Check::Text("schema", expected) => self.event.schema.unwrap_or("") == expected,
            Check::Text("chat_type", "p2p") => self.message().is_direct(),
            Check::Text(key, expected) => is(self.member(key), expected),
            Check::Flag(key, expected) => self.flag(key) == expected,
            Check::Number("text_chars", count) => self.text.chars().count() as i64 == count,
            Check::Number("text_utf8_bytes", count) => self.text.len() as i64 == count,
            Check::Number("create_time_ms", time) => {
                self.message().create_time_ms.or(self.event.create_time_ms) == Some(time)
            }
            Check::Number(key, _) => panic!("{key} is no number of an event"),
            Check::AnyOf(texts) => texts.contains(&self.text),
            Check::Contains(parts) => {
                let mut rest = self.text;
                parts.iter().all(|part| match rest.split_once(part) {
                    Some((_, behind)) => {
                        rest = behind;
                        true
                    }
                    None => false,
                })
            }
            Check::ContainsNone(parts) => parts.iter().all(|part| !self.text.contains(part)),
            Check::Sha256(digits) => is_hex_of(digits, &Sha256::digest(self.text)),
            Check::Mentioned(ids) => {
                let everyone = |key: JsonStr<'_>| key == "@_all";
                let message = self.message();
                let people = message
                    .mentions()
                    .filter(|one| !one.key.is_some_and(everyone));
                let given = people.filter_map(|one| one.open_id.filter(|id| !id.is_empty()));
                given.eq(ids.iter().copied())
            }
            Check::Resources(expected) => {
                !self.resources.wrong && self.resources.met.len() == expected.len()
            }
        }
    }

    fn message(&self) -> Message<'_> {
        match self.event.kind {
            EventKind::Message(message) => message,
            _ => Message::default(),
        }
    }

    fn member(&self, key: &str) -> Option<JsonStr<'_>> {
        let (event, message) = (self.event, self.message());
        match key {
            "event_id" => event.event_id,
            "event_type" => event.event_type,
            "tenant_key" => event.tenant_key,
            "token" => event.token,
            "dedup_key" => event.dedup_key(),
            "challenge" => match event.kind {
                EventKind::UrlVerification(challenge) => Some(challenge),
                _ => None,
            },
            "message_id" => message.message_id,
            "root_id" => message.root_id,
            "parent_id" => message.parent_id,
            "thread_id" => message.thread_id,
            "chat_id" => message.chat_id,
            "chat_type" => message.chat_type,
            "message_type" => message.message_type,
            "sender_open_id" => message.sender_open_id,
            _ => panic!("{key} is no text of an event"),
        }
    }

    fn flag(&self, key: &str) -> bool {
        match key {
            "sender_is_bot" => self.message().sender_is_bot(),
            "self_sent" => self.normalized.self_sent,
            "mentions_bot" => self.normalized.mentions_bot,
            "mentions_all" => self.normalized.mentions_all,
            "needs_fetch" => self.normalized.needs_fetch,
            "addressed" => self.normalized.addressed,
            _ => panic!("{key} is no flag of an event"),
        }
    }
}

/// What hangs on a message, looked at while it is told of.
#[derive(Debug, Default)]
struct Resources {
    /// The keys so far: the same resource twice counts once.
    met: heapless::Vec<heapless::String<64>, 8>,
    wrong: bool,
}

impl Resources {
    fn meet(&mut self, resource: &Resource<'_>, checks: &[Check]) {
        if self.met.iter().any(|key| is(Some(resource.file_key), key)) {
            return;
        }
        let place = self.met.len();
        let mut key = heapless::String::new();
        let kept = resource.file_key.unescape(&mut key).is_ok() && self.met.push(key).is_ok();
        assert!(kept, "{resource:?} has no room");
        for check in checks {
            if let Check::Resources(expected) = check {
                let expected = expected.get(place).copied().unwrap_or(&[]);
                self.wrong |= expected.is_empty() || !expected.iter().all(|one| has(resource, one));
            }
        }
    }
}

fn has(resource: &Resource<'_>, check: &Check) -> bool {
    match *check {
        Check::Text("type", kind) => {
            let download = if kind == "image" { "image" } else { "file" };
            resource.kind.name() == kind && resource.kind.download_type() == download
        }
        Check::Text("file_key", key) => is(Some(resource.file_key), key),
        Check::Text("file_name", name) => is(resource.file_name, name),
        Check::Text("cover_image_key", key) => is(resource.cover_image_key, key),
        Check::Number("duration_ms", time) => resource.duration_ms == Some(time),
        _ => panic!("{check:?} is not told of a resource"),
    }
}

fn is(given: Option<JsonStr<'_>>, expected: &str) -> bool {
    given.map_or(expected.is_empty(), |given| given == *expected)
}

fn is_hex_of(digits: &str, bytes: &[u8]) -> bool {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = core::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.eq(bytes.iter().map(|byte| Some(*byte)))
}

const fn kind(kind: &EventKind<'_>) -> &'static str {
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
        _ => "new",
    }
}
