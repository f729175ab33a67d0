//! The content of a text message in one pass.
//!
//! It is JSON in a JSON string, so its text is escaped twice. Nearly always the
//! content is `{"text":"…"}` and nothing else; then both layers are taken off
//! at once. Whatever looks different is left to the general way.

use super::words::{Blanks, Words, Writer, Written};
use crate::json::{JsonStr, marks_of, short_escape, unescape};
use crate::json::{WORD, before_first, word_at};
use crate::{BufferFull, TextBuffer};

/// Writes the text of a content. False: it looks different, and what was
/// written is to be taken back.
pub(super) fn write<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    content: JsonStr<'_>,
) -> Result<bool, BufferFull> {
    let Some(twice_escaped) = content.raw().strip_prefix(r#"{\"text\":\""#) else {
        return Ok(false);
    };
    let mut words = Words::new(out, Blanks::Trimmed);
    let mut rest = twice_escaped;
    loop {
        let run = run_len(rest.as_bytes());
        let Some((plain, escaped)) = rest.split_at_checked(run) else {
            return Ok(false);
        };
        words.run(plain)?;
        let (step, len) = Step::at(escaped.as_bytes());
        rest = escaped.get(len..).unwrap_or_default();
        match step {
            Step::Char(character) => words.char(character)?,
            Step::End => {
                words.finish()?;
                return Ok(rest == "}");
            }
            Step::Other => return Ok(false),
        }
    }
}

/// What an escape in the outer string means for the text inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Char(char),
    /// The closing quote of the inner string.
    End,
    /// Broken inside, or written in a way that nobody writes.
    Other,
}

impl Step {
    /// Reads what `bytes` begin with: the step and its length.
    #[inline]
    fn at(bytes: &[u8]) -> (Self, usize) {
        match bytes {
            [b'\\', b'"', ..] => (Self::End, 2),
            // The inner escape of a quote or backslash is escaped as well.
            [b'\\', b'\\', b'\\', meant @ (b'"' | b'\\'), ..] => (Self::Char((*meant).into()), 4),
            [b'\\', b'\\', b'u', ..] => Self::inner_unicode(bytes),
            [b'\\', b'\\', letter, ..] if *letter != b'\\' => match short_escape(*letter) {
                Some(meant) => (Self::Char(meant.into()), 3),
                None => (Self::Other, 3),
            },
            [b'\\', b'/', ..] => (Self::Char('/'), 2),
            // A character that only the outer string escapes.
            [b'\\', b'u', ..] => match unescape(bytes) {
                ('\0'..='\u{1f}' | '"' | '\\', len) => (Self::Other, len),
                (character, len) => (Self::Char(character), len),
            },
            _ => (Self::Other, bytes.len()),
        }
    }

    /// `\\uXXXX`, and its second half where there is one.
    fn inner_unicode(bytes: &[u8]) -> (Self, usize) {
        // The escapes of a pair, without the outer backslashes.
        let mut pair = [0; 12];
        let (first, second) = pair.split_at_mut(6);
        let take = |half: &mut [u8], from: usize| {
            let escape = bytes.get(from..from + 7)?;
            let inner = escape.strip_prefix(b"\\").filter(|inner| {
                let digits = inner.get(2..).unwrap_or_default();
                inner.starts_with(b"\\u") && digits.iter().all(u8::is_ascii_hexdigit)
            })?;
            half.copy_from_slice(inner);
            Some(())
        };
        if take(first, 0).is_none() {
            return (Self::Other, bytes.len());
        }
        let _ = take(second, 7);
        let (character, len) = unescape(&pair);
        (Self::Char(character), len / 6 * 7)
    }
}

/// How many bytes stand before the first backslash.
#[inline]
fn run_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let marks = marks_of(word_at(bytes, at), b'\\');
        if marks != 0 {
            return at + before_first(marks);
        }
        at += WORD;
    }
    bytes.len()
}

/// The general way: the content's `text`.
pub(super) fn write_words<T: TextBuffer>(
    out: &mut Writer<'_, '_, T>,
    text: Option<JsonStr<'_>>,
) -> Written {
    let mut words = Words::new(out, Blanks::Trimmed);
    if let Some(text) = text {
        words.string(text)?;
    }
    words.finish()
}
