//! The content of a text message in one pass.
//!
//! It is JSON in a JSON string, so its text is escaped twice. Nearly always the
//! content is `{"text":"…"}` and nothing else; then both layers are taken off
//! at once. Whatever looks different is left to the general way.

use super::words::{Blanks, Words, Writer, Written};
use crate::json::{BLOCK, JsonStr, find, marks_of, short_escape, unescape};
use crate::{BufferFull, TextBuffer};
use simdutf8::basic::from_utf8;

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
    let mut pass = Pass::over(twice_escaped);
    loop {
        let met = pass.run();
        let piece = pass.piece();
        if !piece.is_empty() {
            words.run(piece)?;
            pass.len = 0;
        }
        match met {
            Met::FullPiece => {}
            Met::LongRun(run) => words.run(run)?,
            Met::End => {
                words.finish()?;
                return Ok(pass.text.get(pass.at..) == Some("}"));
            }
            Met::Other => return Ok(false),
        }
    }
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

/// Bytes of text that are handed on together.
const PIECE: usize = 128;
/// Bytes of the longest character.
const CHAR_BYTES_MAX: usize = 4;

/// The pass over a text that is escaped twice. Long runs without escapes are
/// handed on as they stand; what is between escapes is gathered.
struct Pass<'a> {
    text: &'a str,
    at: usize,
    /// Room for a piece, and for a block and a character that begin within it.
    piece: [u8; PIECE + BLOCK + CHAR_BYTES_MAX],
    len: usize,
}

/// Why the pass stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met<'a> {
    FullPiece,
    LongRun(&'a str),
    /// The closing quote of the inner string.
    End,
    /// Broken inside, or written in a way that nobody writes.
    Other,
}

impl<'a> Pass<'a> {
    const fn over(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            piece: [0; PIECE + BLOCK + CHAR_BYTES_MAX],
            len: 0,
        }
    }

    fn run(&mut self) -> Met<'a> {
        let mut rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        while self.len < PIECE {
            // The text is followed by a quote, and that has a backslash before
            // it. Where a block no longer fits, the few bytes are taken singly.
            let (block, marks) = match rest.first_chunk() {
                Some(block) => (*block, marks_of(*block, b'\\')),
                None => last_block(rest),
            };
            if marks == 0 {
                return self.long_run();
            }
            // The whole block is copied; what is behind its run is overwritten.
            if let Some(room) = self.piece.get_mut(self.len..self.len + BLOCK) {
                room.copy_from_slice(&block);
            }
            let run = marks.trailing_zeros() as usize;
            self.len += run;
            let escape = rest.get(run..).unwrap_or_default();
            let (step, len) = Step::at(escape);
            self.at += run + len;
            rest = escape.get(len..).unwrap_or_default();
            match step {
                Step::Ascii(byte) => self.push(&[byte]),
                Step::Char(character) => self.push(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Step::End => return Met::End,
                Step::Other => return Met::Other,
            }
        }
        Met::FullPiece
    }

    /// A run of more than a block. One that reaches the end is broken.
    fn long_run(&mut self) -> Met<'a> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(run) = find(rest.as_bytes(), b'\\') else {
            return Met::Other;
        };
        self.at += run;
        Met::LongRun(rest.get(..run).unwrap_or_default())
    }

    /// What was gathered: runs between escapes and what they mean, so it is
    /// whole characters.
    fn piece(&self) -> &str {
        let bytes = self.piece.get(..self.len).unwrap_or_default();
        from_utf8(bytes).unwrap_or_default()
    }

    #[inline]
    fn push(&mut self, character: &[u8]) {
        let room = self.piece.get_mut(self.len..self.len + character.len());
        if let Some(room) = room {
            room.copy_from_slice(character);
            self.len += character.len();
        }
    }
}

/// The last bytes as a block, and the mark of the first backslash in them.
#[cold]
fn last_block(rest: &[u8]) -> ([u8; BLOCK], u32) {
    let mut block = [0; BLOCK];
    for (place, byte) in block.iter_mut().zip(rest) {
        *place = *byte;
    }
    (block, marks_of(block, b'\\'))
}

/// What an escape in the outer string means for the text inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ascii(u8),
    Char(char),
    End,
    Other,
}

impl Step {
    /// Reads what `bytes` begin with: the step and its length.
    #[inline]
    fn at(bytes: &[u8]) -> (Self, usize) {
        if let [b'\\', b'\\', letter, ..] = bytes
            && *letter != b'\\'
            && let Some(meant) = short_escape(*letter)
        {
            return (Self::Ascii(meant), 3);
        }
        Self::long(bytes)
    }

    fn long(bytes: &[u8]) -> (Self, usize) {
        match bytes {
            [b'\\', b'"', ..] => (Self::End, 2),
            // The inner escape of a quote or backslash is escaped as well.
            [b'\\', b'\\', b'\\', meant @ (b'"' | b'\\'), ..] => (Self::Ascii(*meant), 4),
            [b'\\', b'\\', b'u', ..] => Self::inner_unicode(bytes),
            [b'\\', b'/', ..] => (Self::Ascii(b'/'), 2),
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
