//! An event's JSON to a message, by other parsers. All share the last step,
//! [`say`], and the typed ones the same borrowed shape.

pub mod serde_typed;
pub mod serde_value;
pub mod simd;
pub mod sonic;

use std::borrow::Cow;

use benches::inputs::BOT_OPEN_ID;
use benches::task::Normal;
use serde::Deserialize;

/// `im.message.receive_v1`, as far as a bot needs it.
#[derive(Debug, Deserialize)]
pub struct Document<'a> {
    #[serde(borrow)]
    header: Header<'a>,
    #[serde(borrow)]
    event: Event<'a>,
}

#[derive(Debug, Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    app_id: Cow<'a, str>,
    #[serde(borrow)]
    tenant_key: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    sender: Sender<'a>,
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Debug, Deserialize)]
struct Sender<'a> {
    #[serde(borrow)]
    sender_id: Id<'a>,
    #[serde(borrow)]
    sender_type: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    open_id: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    create_time: Cow<'a, str>,
    #[serde(borrow)]
    chat_id: Cow<'a, str>,
    #[serde(borrow)]
    chat_type: Cow<'a, str>,
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(borrow, default)]
    mentions: Vec<Mention<'a>>,
}

#[derive(Debug, Deserialize)]
struct Mention<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The content of a text message.
#[derive(Debug, Deserialize)]
pub struct Content<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// The last step of the typed parsers.
fn finish<R>(
    document: &Document<'_>,
    content: &Content<'_>,
    text: &mut String,
    take: impl FnOnce(&Normal<'_>) -> R,
) -> R {
    let Document { header, event } = document;
    let message = &event.message;
    let mentions = message
        .mentions
        .iter()
        .map(|mention| (&*mention.key, &*mention.id.open_id, &*mention.name));
    say(&content.text, mentions.clone(), text);
    take(&Normal {
        event_id: &header.event_id,
        event_type: &header.event_type,
        token: &header.token,
        app_id: &header.app_id,
        tenant_key: &header.tenant_key,
        message_id: &message.message_id,
        create_time_ms: message.create_time.parse().unwrap_or_default(),
        chat_id: &message.chat_id,
        chat_type: &message.chat_type,
        message_type: &message.message_type,
        sender_open_id: &event.sender.sender_id.open_id,
        sender_type: &event.sender.sender_type,
        mentions_bot: mentions.into_iter().any(|(_, id, _)| id == BOT_OPEN_ID),
        text: text.trim(),
    })
}

/// Writes what is said, with names for placeholders and without the bot's own.
fn say<'a>(
    said: &str,
    mentions: impl Iterator<Item = (&'a str, &'a str, &'a str)> + Clone,
    out: &mut String,
) {
    out.clear();
    let mut rest = said;
    while let Some((before, from)) = rest.split_once('@') {
        out.push_str(before);
        let mut known = mentions.clone().filter_map(|(key, id, name)| {
            let after = from.strip_prefix(key.strip_prefix('@')?)?;
            let ends = !after.starts_with(|next: char| next.is_ascii_digit());
            ends.then_some((id, name, after))
        });
        match known.next() {
            Some((BOT_OPEN_ID, _, after)) => rest = after.strip_prefix(' ').unwrap_or(after),
            Some((_, name, after)) => {
                out.push('@');
                out.push_str(name);
                rest = after;
            }
            None => {
                out.push('@');
                rest = from;
            }
        }
    }
    out.push_str(rest);
}
