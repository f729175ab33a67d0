//! What became of a send whose answer was lost, once Feishu has forgotten its
//! uuid: the chat is read back, and whoever finds the message there sends
//! nothing.
//!
//! "Not there" must be certain. A list that may not be read, that does not end
//! or that misses pages proves nothing.

use runtime_tokio::openapi::{ApiError, Container, ListedMessage, OpenApi};
use serde_json::Value;

/// Pages of a list that are read, 50 messages each. A chat with more since the
/// send is too busy for certainty.
const PAGES_MAX: usize = 40;
/// How far Feishu's clock may be behind ours.
const CLOCK_SLACK_MS: i64 = 120_000;
/// Letters by which a text is known again.
const LETTERS: usize = 64;

/// What is looked for: a message of this bot about another message.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// Where it would be.
    pub chat_id: &'a str,
    /// The thread where it would be, if the other message is in one.
    pub thread_id: Option<&'a str>,
    /// The message that it is about.
    pub reply_to: &'a str,
    /// When that message came in, Unix milliseconds.
    pub asked_ms: i64,
    /// When sending was first tried, Unix milliseconds.
    pub first_try_ms: i64,
    /// What it is.
    pub what: What<'a>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// The progress card.
    Card,
    /// An answer's part.
    Part {
        /// How many parts were sent before it.
        ordinal: usize,
        /// The content's JSON.
        content: &'a str,
    },
}

/// What the chat says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent: this message.
    Sent(String),
    /// It was certainly not sent.
    Absent,
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// Who we are in lists: messages of bots carry the app's id, or the open_id.
#[derive(Clone, Copy, Debug)]
pub struct Ourselves<'a> {
    /// `cli_…`
    pub app_id: &'a str,
    /// `ou_…`, if it is known.
    pub open_id: Option<&'a str>,
}

/// Reads the chat back.
///
/// # Errors
/// What may pass: ask again later.
pub async fn fate(
    api: &OpenApi,
    ourselves: Ourselves<'_>,
    sought: &Sought<'_>,
) -> Result<Fate, ApiError> {
    // An answer that found no thread went to the chat.
    let thread = sought.thread_id.map(Container::Thread);
    for container in thread.into_iter().chain([Container::Chat(sought.chat_id)]) {
        match ours(api, ourselves, container, sought.since_ms()).await {
            Ok(ours) => match known_again(&ours, sought, container) {
                Known::As(message_id) => return Ok(Fate::Sent(message_id)),
                Known::Not => {}
                Known::Perhaps => {
                    let reason = "there are others since then that it may be";
                    return Ok(Fate::Unknown(reason.into()));
                }
            },
            Err(Unread::Later(error)) => return Err(error),
            Err(Unread::Never(reason)) => return Ok(Fate::Unknown(reason)),
        }
    }
    Ok(Fate::Absent)
}

/// Why a list was not read to its end.
enum Unread {
    Later(ApiError),
    Never(String),
}

/// Our messages in a container since then, the oldest first.
async fn ours(
    api: &OpenApi,
    ourselves: Ourselves<'_>,
    container: Container<'_>,
    since_ms: i64,
) -> Result<Vec<ListedMessage>, Unread> {
    let mut found = Vec::new();
    let mut page_token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = api
            .list_messages(container, since_ms.div_euclid(1000), page_token.as_deref())
            .await
            .map_err(|error| {
                if error.is_retryable() || error.outcome_is_unknown() {
                    Unread::Later(error)
                } else {
                    Unread::Never(format!("the chat cannot be read: {error}"))
                }
            })?;
        let is_older =
            |message: &ListedMessage| message.create_time_ms().is_some_and(|at| at < since_ms);
        // The newest come first.
        let is_last = !page.has_more || page.items.iter().any(is_older);
        found.extend(page.items.into_iter().filter(|message| {
            let sender = message.sender.id.as_str();
            let is_ours = sender == ourselves.app_id || Some(sender) == ourselves.open_id;
            is_ours && !is_older(message)
        }));
        if is_last {
            found.reverse();
            return Ok(found);
        }
        page_token = page.page_token.filter(|token| !token.is_empty());
        if page_token.is_none() {
            return Err(Unread::Never("the chat's list misses pages".into()));
        }
    }
    Err(Unread::Never(format!(
        "the chat has more than {PAGES_MAX} pages of messages since then"
    )))
}

impl Sought<'_> {
    fn since_ms(&self) -> i64 {
        let asked = if self.asked_ms > 0 {
            self.asked_ms
        } else {
            self.first_try_ms
        };
        asked.min(self.first_try_ms).saturating_sub(CLOCK_SLACK_MS)
    }
}

/// Whether a message is known again.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// It is this one.
    As(String),
    /// It is none of them.
    Not,
    /// It may be one of several.
    Perhaps,
}

impl Known {
    fn if_any(message: Option<&ListedMessage>) -> Self {
        message.map_or(Self::Not, |message| Self::As(message.message_id.clone()))
    }
}

/// The message that is sought, among ours, which are in order of time.
fn known_again(ours: &[ListedMessage], sought: &Sought<'_>, container: Container<'_>) -> Known {
    // The root of a chain of quotes is what its first message is about, not its last: a reply to
    // somebody who quotes the question is not the question's.
    let is_reply = |message: &&ListedMessage| {
        let quoted = message.parent_id.as_deref().filter(|id| !id.is_empty());
        quoted.or(message.root_id.as_deref()) == Some(sought.reply_to)
    };
    let is_card = |message: &&ListedMessage| message.msg_type == "interactive";
    let (ordinal, content) = match sought.what {
        What::Card => {
            let mut cards = ours.iter().filter(is_card);
            return match container {
                Container::Chat(_) => Known::if_any(cards.find(is_reply)),
                // Every parent is the thread's root: only a card that is alone there
                // since the question is certainly its card.
                Container::Thread(_) => match (cards.next(), cards.next()) {
                    (Some(_), Some(_)) => Known::Perhaps,
                    (card, _) => Known::if_any(card),
                },
            };
        }
        What::Part { ordinal, content } => (ordinal, content),
    };
    let texts = || ours.iter().filter(|message| !is_card(message));
    // Parts go out one after the other: the nth of our replies is the nth part,
    // whatever Feishu has made of its Markdown. Not so in a thread, where every parent is the
    // thread's root: all of ours there are replies to that.
    if let Container::Chat(_) = container
        && let Some(part) = texts().filter(is_reply).nth(ordinal)
    {
        return Known::As(part.message_id.clone());
    }
    // Where no parent tells what a message is about, its words must: a part
    // behind one that was given up, a message to the chat instead of a reply,
    // anything in a thread.
    let recent = texts().filter(|message| {
        let since = match container {
            Container::Chat(_) if is_reply(message) => sought.first_try_ms,
            Container::Chat(_) if message.parent_id.is_some() => return false,
            Container::Chat(_) | Container::Thread(_) => sought.first_try_ms - CLOCK_SLACK_MS,
        };
        message.create_time_ms().is_none_or(|at| at >= since)
    });
    if let Some(key) = file_key(content) {
        return file_known_again(recent, &key);
    }
    let letters = letters(content);
    // A notice has the same words each time: what was there before the first try is another one,
    // unless Feishu's clock is behind ours.
    let mut known = Known::Not;
    for message in recent.filter(|message| self::letters(message.content()) == letters) {
        let at = message.create_time_ms();
        if at.is_none_or(|at| at >= sought.first_try_ms) {
            return Known::if_any(Some(message));
        }
        known = Known::Perhaps;
    }
    known
}

/// A file has no words, only a key. Nothing promises that it is read back under the one it was
/// sent by: one of another key is none that is known, and may be it all the same.
fn file_known_again<'m>(messages: impl Iterator<Item = &'m ListedMessage>, key: &str) -> Known {
    let mut known = Known::Not;
    for message in messages {
        match file_key(message.content()) {
            Some(read) if read == key => return Known::if_any(Some(message)),
            Some(_) => known = Known::Perhaps,
            None => {}
        }
    }
    known
}

/// By what Feishu has the file or image that a content is.
fn file_key(content: &str) -> Option<String> {
    let value: Value = serde_json::from_str(content).ok()?;
    let mut keys = ["file_key", "image_key"].into_iter();
    let key = keys.find_map(|name| value.get(name)?.as_str())?;
    Some(key.to_owned())
}

/// What is left of a content when Feishu has taken its Markdown apart: its
/// first letters, or for a text without any all that is not blank.
fn letters(content: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(content) else {
        return String::new();
    };
    let mut text = String::new();
    words(&value, &mut text);
    let kept = |keep: fn(&char) -> bool| -> String {
        let lower = text.chars().filter(keep).flat_map(char::to_lowercase);
        lower.take(LETTERS).collect()
    };
    let letters = kept(|character| character.is_alphabetic());
    if letters.is_empty() {
        kept(|character| !character.is_whitespace())
    } else {
        letters
    }
}

/// The words of a text or post, in order. A fence's line is no word: read back
/// it is an attribute.
fn words(value: &Value, into: &mut String) {
    match value {
        Value::Object(members) => {
            for name in ["title", "text", "href"] {
                let text = members.get(name).and_then(Value::as_str);
                for line in text.unwrap_or_default().lines() {
                    if !line.trim_start().starts_with("```") {
                        into.push_str(line);
                    }
                }
            }
            for nested in members.values() {
                words(nested, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                words(item, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOUGHT: Sought<'static> = Sought {
        chat_id: "oc_1",
        thread_id: None,
        reply_to: "om_q",
        asked_ms: 1_000_000,
        first_try_ms: 1_010_000,
        what: What::Card,
    };

    fn message(id: &str, kind: &str, parent: Option<&str>, at: i64, text: &str) -> ListedMessage {
        let content = json!({ "text": text }).to_string();
        serde_json::from_value(json!({
            "message_id": id, "msg_type": kind, "create_time": at.to_string(),
            "parent_id": parent, "sender": {"id": "cli_a"}, "body": {"content": content}
        }))
        .unwrap()
    }

    #[test]
    fn a_message_is_known_again_by_what_it_is_about_or_by_its_words() {
        let text = json!({"text": "the **answer**"}).to_string();
        let part = |ordinal| What::Part {
            ordinal,
            content: &text,
        };
        let card = message("om_card", "interactive", Some("om_q"), 1_001_000, "");
        let one = message("om_one", "post", Some("om_q"), 1_011_000, "first part");
        let two = message("om_two", "post", Some("om_q"), 1_012_000, "The answer");
        let other = message("om_x", "post", Some("om_z"), 1_012_000, "the answer");
        let plain = message("om_p", "text", None, 1_012_000, "the answer");
        let before = message("om_b", "text", None, 800_000, "the answer");
        // About a message that quotes the question.
        let mut chained = message("om_c", "post", Some("om_z"), 1_012_000, "the status");
        chained.root_id = Some("om_q".into());
        let mut chained_card = message("om_cc", "interactive", Some("om_z"), 1_012_000, "");
        chained_card.root_id = Some("om_q".into());
        let chat = Container::Chat("oc_1");
        let thread = Container::Thread("omt_1");
        for (name, ours, what, container, found) in [
            ("of a chain", vec![&chained], part(0), chat, None),
            (
                "card of a chain",
                vec![&chained_card],
                What::Card,
                chat,
                None,
            ),
            ("of the thread's root", vec![&one], part(0), thread, None),
            ("card", vec![&one, &card], What::Card, chat, Some("om_card")),
            ("no card", vec![&one], What::Card, chat, None),
            ("first", vec![&card, &one], part(0), chat, Some("om_one")),
            ("second", vec![&one, &two], part(1), chat, Some("om_two")),
            ("only first", vec![&card, &one], part(1), chat, None),
            ("first given up", vec![&two], part(1), chat, Some("om_two")),
            ("of another", vec![&other], part(0), chat, None),
            ("created", vec![&plain], part(0), chat, Some("om_p")),
            ("created before", vec![&before], part(0), chat, None),
            ("in a thread", vec![&other], part(0), thread, Some("om_x")),
            ("nothing", vec![], part(0), chat, None),
            (
                "thread's only card",
                vec![&card, &one],
                What::Card,
                thread,
                Some("om_card"),
            ),
            ("no card there", vec![&one], What::Card, thread, None),
        ] {
            let ours: Vec<_> = ours.into_iter().cloned().collect();
            let sought = Sought { what, ..SOUGHT };
            let found = found.map_or(Known::Not, |id| Known::As(id.to_owned()));
            assert_eq!(known_again(&ours, &sought, container), found, "{name}");
        }
    }

    #[test]
    fn the_same_words_from_before_the_first_try_are_perhaps_anothers() {
        let content = json!({"text": "Sorry."}).to_string();
        let what = What::Part {
            ordinal: 0,
            content: &content,
        };
        let sought = Sought { what, ..SOUGHT };
        let notice = |id, at| message(id, "post", Some("om_root"), at, "Sorry.");
        let (before, after) = (notice("om_1", 1_009_000), notice("om_2", 1_010_000));
        let thread = Container::Thread("omt_1");
        for (ours, known) in [
            (vec![before.clone()], Known::Perhaps),
            (vec![before, after.clone()], Known::As("om_2".into())),
            (vec![after], Known::As("om_2".into())),
        ] {
            assert_eq!(known_again(&ours, &sought, thread), known);
        }
    }

    #[test]
    fn of_several_cards_in_a_thread_none_is_certain() {
        let card = |id| message(id, "interactive", Some("om_root"), 1_001_000, "");
        let cards = [card("om_1"), card("om_2")];
        let known = known_again(&cards, &SOUGHT, Container::Thread("omt_1"));
        assert_eq!(known, Known::Perhaps);
    }

    #[test]
    fn a_file_is_known_again_by_its_key_and_taken_for_no_other() {
        let sent = |key: &str| json!({ "file_key": key }).to_string();
        let file = |id: &str, parent: Option<&str>, at: i64, content: Value| {
            let body = json!({ "content": content.to_string() });
            let mut message = message(id, "file", parent, at, "");
            message.body = serde_json::from_value(body).unwrap();
            message
        };
        let named = |key: &str| json!({ "file_key": key, "file_name": "a.csv" });
        let root = Some("om_root");
        let text = message("om_t", "post", root, 1_009_000, "both files");
        // The one before it went out in the same moment.
        let first = file("om_1", root, 1_009_900, named("file_1"));
        let second = file("om_2", root, 1_010_500, named("file_2"));
        let image = file("om_3", root, 1_010_500, json!({ "image_key": "img_1" }));
        let long_ago = file("om_0", root, 800_000, named("file_0"));
        let reply = file("om_4", Some("om_q"), 1_010_500, named("file_2"));
        let chat = Container::Chat("oc_1");
        let thread = Container::Thread("omt_1");
        let as_known = |id: &str| Known::As(id.to_owned());
        for (name, ours, key, container, known) in [
            (
                "itself",
                vec![&text, &first, &second],
                "file_2",
                thread,
                as_known("om_2"),
            ),
            (
                "an image",
                vec![&text, &image],
                "img_1",
                thread,
                as_known("om_3"),
            ),
            (
                "the one before it",
                vec![&text, &first],
                "file_2",
                thread,
                Known::Perhaps,
            ),
            (
                "one of long ago",
                vec![&text, &long_ago],
                "file_2",
                thread,
                Known::Not,
            ),
            ("a text", vec![&text], "file_2", thread, Known::Not),
            (
                "behind one given up",
                vec![&reply],
                "file_2",
                chat,
                as_known("om_4"),
            ),
        ] {
            let ours: Vec<_> = ours.into_iter().cloned().collect();
            let content = match key.strip_prefix("img") {
                Some(_) => json!({ "image_key": key }).to_string(),
                None => sent(key),
            };
            let what = What::Part {
                ordinal: 2,
                content: &content,
            };
            let sought = Sought { what, ..SOUGHT };
            assert_eq!(known_again(&ours, &sought, container), known, "{name}");
        }
    }

    #[test]
    fn words_outlive_what_feishu_makes_of_markdown() {
        let sent = json!({"zh_cn": {"title": "", "content": [
            [{"tag": "md", "text": "#### Title\n- a **bold** [link](https://x.y)\n```rust\nlet a = 1;\n```"}]
        ]}});
        let read = json!({"title": "", "content": [
            [{"tag": "text", "text": "Title", "style": ["bold"]}],
            [{"tag": "text", "text": "- a "}, {"tag": "text", "text": "bold "}, {"tag": "a", "href": "https://x.y", "text": "link"}],
            [{"tag": "code_block", "language": "RUST", "text": "let a = 1;"}]
        ]});
        assert_eq!(letters(&sent.to_string()), letters(&read.to_string()));
        let text = |text: &str| letters(&json!({ "text": text }).to_string());
        assert_ne!(text("one"), text("two"));
        assert_eq!(text("**42**"), "**42**");
        assert_eq!(letters("not JSON"), "");
    }
}
