//! Who a placeholder in a text stands for.

use super::Identity;
use crate::event::{Mention, Message};
use crate::json::JsonStr;

/// How many mentions of a message are looked up for its text. A message that
/// mentions more people by hand is not known; the placeholders of those beyond
/// stay as they are.
const MENTIONS_MAX: usize = 128;

pub(super) const ALL: &str = "@_all";
const USER: &str = "@_user_";
/// Digits that a placeholder's number may have.
const NUMBER_DIGITS_MAX: usize = 10;
/// The longest placeholder.
pub(super) const PLACEHOLDER_BYTES_MAX: usize = USER.len() + NUMBER_DIGITS_MAX;

/// The mentions of a message, found by their placeholder.
#[derive(Debug, Default)]
pub(super) struct Mentions<'a> {
    people: heapless::Vec<Person<'a>, MENTIONS_MAX>,
    /// Whether this bot is mentioned.
    pub(super) bot: bool,
    /// Whether everyone is mentioned. Everyone is no person.
    pub(super) all: bool,
}

/// Somebody mentioned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person<'a> {
    key: JsonStr<'a>,
    /// The name to show.
    pub(super) name: Option<JsonStr<'a>>,
    /// Whether it is this bot.
    pub(super) is_bot: bool,
}

impl<'a> Mentions<'a> {
    pub(super) fn of(message: &Message<'a>, identity: Identity<'_>) -> Self {
        let mut mentions = Self::default();
        for mention in message.mentions() {
            let Some(key) = mention.key else { continue };
            if key == ALL {
                mentions.all = true;
                continue;
            }
            let is_bot = is_bot(&mention, identity);
            mentions.bot |= is_bot;
            // Those beyond the limit are documented to stay as they are.
            let _ = mentions.people.push(Person {
                key,
                name: mention.name,
                is_bot,
            });
        }
        mentions
    }

    pub(super) fn find(&self, key: impl Key) -> Option<&Person<'a>> {
        self.people.iter().find(|person| key.is(person.key))
    }
}

/// Whether the bot itself is mentioned. Its open_id tells; names are not unique.
pub(super) fn is_bot(mention: &Mention<'_>, identity: Identity<'_>) -> bool {
    mention
        .open_id
        .is_some_and(|open_id| open_id == *identity.open_id)
}

/// A placeholder as it is found in a text or in an element.
pub(super) trait Key: Copy {
    fn is(self, key: JsonStr<'_>) -> bool;
}

impl Key for &str {
    fn is(self, key: JsonStr<'_>) -> bool {
        key == *self
    }
}

impl Key for JsonStr<'_> {
    fn is(self, key: JsonStr<'_>) -> bool {
        key == self
    }
}

/// What a text that begins with `@` begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A placeholder of so many bytes, for certain.
    Placeholder(usize),
    /// Perhaps a placeholder: what follows the text decides.
    Open,
    /// No placeholder.
    Other,
}

impl Start {
    /// `@_user_1` is not found inside `@_user_10`, and `@_all` not inside
    /// `@_all_staff`.
    pub(super) fn of(text: &str) -> Self {
        if let Some(rest) = text.strip_prefix(USER) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            return match digits {
                _ if digits > NUMBER_DIGITS_MAX => Self::Other,
                _ if digits == rest.len() => Self::Open,
                0 => Self::Other,
                _ => Self::Placeholder(USER.len() + digits),
            };
        }
        if let Some(rest) = text.strip_prefix(ALL) {
            return match rest.bytes().next() {
                None => Self::Open,
                Some(next) if next.is_ascii_alphanumeric() || next == b'_' => Self::Other,
                Some(_) => Self::Placeholder(ALL.len()),
            };
        }
        if USER.starts_with(text) || ALL.starts_with(text) {
            return Self::Open;
        }
        Self::Other
    }

    /// The same, where nothing follows the text.
    pub(super) fn of_whole(text: &str) -> Self {
        let complete = text == ALL
            || text
                .strip_prefix(USER)
                .is_some_and(|digits| !digits.is_empty());
        match Self::of(text) {
            Self::Open if complete => Self::Placeholder(text.len()),
            Self::Open => Self::Other,
            certain @ (Self::Placeholder(_) | Self::Other) => certain,
        }
    }
}
