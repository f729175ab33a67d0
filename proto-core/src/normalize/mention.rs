//! Who a placeholder in a text stands for.

use core::cell::Cell;

use super::Identity;
use crate::event::{Mention, Message};
use crate::json::JsonStr;

/// How many walks over its mentions a message may cost: one for each
/// placeholder of somebody who is not at hand. Beyond, placeholders stay as
/// they are; no message that people write gets there.
const WALKS_MAX: u32 = 256;

pub(super) const ALL: &str = "@_all";
const USER: &str = "@_user_";
/// Digits that a placeholder's number may have.
const NUMBER_DIGITS_MAX: usize = 10;
/// The longest placeholder.
pub(super) const PLACEHOLDER_BYTES_MAX: usize = USER.len() + NUMBER_DIGITS_MAX;

/// The mentions of a message, found by their placeholder.
#[derive(Debug)]
pub(super) struct Mentions<'m> {
    message: &'m Message<'m>,
    identity: Identity<'m>,
    walks_left: Cell<u32>,
    /// Whether this bot is mentioned.
    pub(super) bot: bool,
    /// Whether everyone is mentioned. Everyone is no person.
    pub(super) all: bool,
}

/// Somebody mentioned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person<'a> {
    /// The name to show.
    pub(super) name: Option<JsonStr<'a>>,
    /// Whether it is this bot.
    pub(super) is_bot: bool,
}

impl<'m> Mentions<'m> {
    pub(super) fn of(message: &'m Message<'m>, identity: Identity<'m>) -> Self {
        let mut mentions = Self {
            message,
            identity,
            walks_left: Cell::new(WALKS_MAX),
            bot: false,
            all: false,
        };
        for mention in message.mentions() {
            mentions.bot |= is_bot(&mention, identity);
            mentions.all |= mention.key.is_some_and(|key| key == ALL);
        }
        mentions
    }

    pub(super) fn find(&self, key: impl Key) -> Option<Person<'m>> {
        let is_meant = |mention: &Mention<'_>| mention.key.is_some_and(|known| key.is(known));
        let at_hand = self.message.mentions_at_hand().iter().copied();
        let mention = at_hand.clone().find(is_meant).or_else(|| {
            let mut beyond = self.message.mentions().skip(at_hand.len()).peekable();
            beyond.peek()?;
            self.walks_left.set(self.walks_left.get().checked_sub(1)?);
            beyond.find(is_meant)
        })?;
        Some(Person {
            name: mention.name,
            is_bot: is_bot(&mention, self.identity),
        })
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
