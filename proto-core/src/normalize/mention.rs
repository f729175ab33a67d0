//! Mentions, and the placeholders that stand for them in a text.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Identity, owned};
use crate::json::Json;

/// One entry of a message's `mentions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The placeholder in the text: `@_user_1`.
    pub key: String,
    /// Who; empty if the event does not say.
    pub open_id: String,
    /// The name to show.
    pub name: String,
    /// Whether it is this bot.
    pub is_bot: bool,
}

/// All mentions of a message, found by their placeholder.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    list: Vec<Mention>,
    by_key: BTreeMap<String, usize>,
    all: bool,
}

const ALL: &str = "@_all";
const USER: &str = "@_user_";
/// Bytes that a text may grow to by names and values put in: a small event must
/// not become a huge text. Feishu's own messages end at 150 KB.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;

impl Mentions {
    pub(super) fn of(mentions: Option<Json<'_>>, identity: &Identity) -> Self {
        let mut found = Self::default();
        for entry in mentions.into_iter().flat_map(Json::items) {
            if !entry.is_object() {
                continue;
            }
            // In a message that was fetched, `id` is the open_id itself.
            let id = entry.get("id");
            let open_id = owned(id.and_then(|id| id.get_str("open_id").or_else(|| id.as_str())));
            let mention = Mention {
                key: owned(entry.get_str("key")),
                is_bot: !open_id.is_empty() && open_id == identity.open_id,
                open_id,
                name: owned(entry.get_str("name")),
            };
            if mention.key == ALL {
                // Everyone is a flag, not a person.
                found.all = true;
                continue;
            }
            found
                .by_key
                .entry(mention.key.clone())
                .or_insert(found.list.len());
            found.list.push(mention);
        }
        found
    }

    pub(super) fn get(&self, key: &str) -> Option<&Mention> {
        self.list.get(*self.by_key.get(key)?)
    }

    pub(super) fn has_bot(&self) -> bool {
        self.list.iter().any(|mention| mention.is_bot)
    }

    pub(super) const fn has_all(&self) -> bool {
        self.all
    }

    pub(super) fn into_list(self) -> Vec<Mention> {
        self.list
    }

    /// Replaces placeholders in one pass from left to right: a replacement is
    /// never looked at again. The bot's own mention goes, with one blank
    /// behind it (or before it, if none is behind).
    pub(super) fn resolve(&self, text: &str) -> Resolved {
        let mut resolved = Resolved::default();
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            resolved.text.push_str(before);
            let Some(len) = placeholder_len(from) else {
                resolved.text.push('@');
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            let (key, after) = from.split_at_checked(len).unwrap_or((from, ""));
            rest = after;
            if key == ALL {
                resolved.mentions_all = true;
                resolved.text.push_str("@all");
                continue;
            }
            match self.get(key) {
                Some(mention) if mention.is_bot => {
                    if let Some(after) = rest.strip_prefix(' ') {
                        rest = after;
                    } else if resolved.text.ends_with(' ') {
                        resolved.text.pop();
                    }
                }
                Some(mention)
                    if !mention.name.is_empty() && resolved.text.len() < TEXT_BYTES_MAX =>
                {
                    resolved.text.push('@');
                    resolved.text.push_str(&mention.name);
                }
                Some(_) | None => resolved.text.push_str(key),
            }
        }
        resolved.text.push_str(rest);
        resolved
    }
}

/// A text without placeholders.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) text: String,
    /// Whether everyone's placeholder was among them.
    pub(super) mentions_all: bool,
}

/// The length of the placeholder that `text` begins with. `@_user_1` is not
/// found inside `@_user_10`, and `@_all` not inside `@_all_staff`.
fn placeholder_len(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix(USER) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        return (digits > 0).then_some(USER.len() + digits);
    }
    let rest = text.strip_prefix(ALL)?;
    let goes_on = rest
        .chars()
        .next()
        .is_some_and(|next| next.is_ascii_alphanumeric() || next == '_');
    (!goes_on).then_some(ALL.len())
}
