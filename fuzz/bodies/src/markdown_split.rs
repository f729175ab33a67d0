//! Any Markdown cut into pieces, and made into messages: nothing is too long,
//! nothing is lost, no fence is broken and nobody is mentioned.

use arbitrary::{Arbitrary, Unstructured};
use serde_json::Value;
use xiaoo_app::render::answer::contents;
use xiaoo_app::render::mention::Mentionable;
use xiaoo_app::render::split::split;

/// Bytes of a message's content that the platform takes.
const CONTENT_BYTES_MAX: usize = 30_000;
const MESSAGES_MAX: usize = 20;
/// A line as long opens no fence: it would have to be repeated in each piece.
const OPENING_BYTES_MAX: usize = 64;
/// Put before a part of a cut line that would look like a fence.
const NO_FENCE: char = '\u{200b}';

#[derive(Arbitrary, Debug)]
struct Answer<'a> {
    /// Bytes of a piece beyond 256.
    room: u8,
    text: &'a [u8],
}

/// Cuts a text, and makes messages of it.
pub fn markdown_split(bytes: &[u8]) {
    let Ok(answer) = Answer::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let text = String::from_utf8_lossy(answer.text);
    pieces_stand_alone(&text, 256 + usize::from(answer.room));
    messages_are_sendable(&text);
}

fn pieces_stand_alone(text: &str, bytes_max: usize) {
    let pieces = split(text, bytes_max);
    let (words, left_open) = words(text);
    let mut found = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= bytes_max, "{} bytes: {piece:?}", piece.len());
        let (words, open) = self::words(piece);
        // The last fence may be open in the text itself.
        let may_be_open = left_open && at + 1 == pieces.len();
        assert!(!open || may_be_open, "an open fence in {piece:?}");
        found.push_str(&words);
    }
    // Fence lines are repeated and white space is left out; all else is there,
    // in its order.
    assert_eq!(found, words);
}

/// What is neither white space nor a fence's line, and whether the text ends
/// inside a fence.
fn words(text: &str) -> (String, bool) {
    let mut words = String::new();
    let mut open: Option<(char, usize)> = None;
    for line in text.split_inclusive('\n') {
        let fence = fence(line);
        match (open, fence) {
            (None, Some((mark, len, _)))
                if line.trim_end_matches('\n').len() < OPENING_BYTES_MAX =>
            {
                open = Some((mark, len));
            }
            (Some((mark, len)), Some((same, at_least, true)))
                if mark == same && at_least >= len =>
            {
                open = None;
            }
            (None | Some(_), None | Some(_)) => {
                words.extend(
                    line.chars()
                        .filter(|mark| !mark.is_whitespace() && *mark != NO_FENCE),
                );
            }
        }
    }
    (words, open.is_some())
}

/// The mark of a line that may open or close a fence, how many there are, and
/// whether nothing else is on it.
fn fence(line: &str) -> Option<(char, usize, bool)> {
    let unindented = line.trim_start_matches(' ');
    let mark = unindented.chars().next()?;
    let info = unindented.trim_start_matches(mark);
    let len = (unindented.len() - info.len()) / mark.len_utf8();
    let is_fence = matches!(mark, '`' | '~')
        && len >= 3
        && line.len() - unindented.len() <= 3
        && !(mark == '`' && info.contains('`'));
    is_fence.then_some((mark, len, info.trim().is_empty()))
}

fn messages_are_sendable(text: &str) {
    let messages = contents(text, &Mentionable::default());
    assert!((1..=MESSAGES_MAX).contains(&messages.len()));
    for message in messages {
        assert!(message.content.len() <= CONTENT_BYTES_MAX);
        for json in [Some(message.content), message.fallback]
            .into_iter()
            .flatten()
        {
            let content: Value = serde_json::from_str(&json).expect("content is JSON");
            assert!(!mentions(&content), "a mention in {json}");
        }
    }
}

/// Whether a text in it has an opening or closing `at` tag.
fn mentions(content: &Value) -> bool {
    match content {
        Value::String(text) => text.to_lowercase().split('<').skip(1).any(|tag| {
            let name = tag.trim_start_matches('/').trim_start();
            let rest = name.strip_prefix("at");
            rest.and_then(|rest| rest.chars().next())
                .is_some_and(|next| !next.is_ascii_alphanumeric() && next != '_')
        }),
        Value::Array(rows) => rows.iter().any(mentions),
        Value::Object(fields) => fields.values().any(mentions),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
