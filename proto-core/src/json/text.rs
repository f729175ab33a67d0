//! Strings of a JSON document, unescaped as they are read.

use core::fmt;

use super::block::find;
use crate::{Buffer, BufferFull, TextBuffer};

/// A string of a checked document, as it stands there.
///
/// Most strings of an event have no escapes and are compared and copied as
/// they are; the others are unescaped while they are read.
///
/// One with escapes still has its opening quote, which tells it from one
/// without: that way it takes no more room than a `str`.
#[derive(Clone, Copy)]
pub struct JsonStr<'a>(&'a str);

impl<'a> JsonStr<'a> {
    pub(crate) const EMPTY: Self = Self("");

    /// A string without escapes: all between its quotes.
    pub(super) const fn plain(text: &'a str) -> Self {
        Self(text)
    }

    /// A text that was in no document. One that begins with a quote counts as
    /// empty: that is the mark of escapes, and nothing of Feishu's begins so.
    pub(crate) fn verbatim(text: &'a str) -> Self {
        Self(if text.starts_with('"') { "" } else { text })
    }

    /// A string with escapes: its opening quote and all before the closing one.
    pub(super) const fn escaped(text: &'a str) -> Self {
        Self(text)
    }

    /// The text between the quotes, escapes and all.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.0.strip_prefix('"').unwrap_or(self.0)
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, if it stands there without escapes.
    #[must_use]
    pub const fn as_plain(self) -> Option<&'a str> {
        match self.0.as_bytes() {
            [b'"', ..] => None,
            _ => Some(self.0),
        }
    }

    /// The characters. Half a surrogate pair becomes U+FFFD.
    pub fn chars(self) -> impl Iterator<Item = char> + use<'a> {
        Chars {
            run: "".chars(),
            pieces: self.pieces(),
        }
    }

    /// Appends the unescaped text.
    ///
    /// # Errors
    /// [`BufferFull`] when it does not fit; a part of it is then in `out`.
    pub fn unescape(self, out: &mut impl TextBuffer) -> Result<(), BufferFull> {
        for piece in self.pieces() {
            match piece {
                Piece::Run(run) => out.push_str(run)?,
                Piece::Char(character) => out.push_str(character.encode_utf8(&mut [0; 4]))?,
            }
        }
        Ok(())
    }

    /// The text, copied only if it has escapes.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_text(self) -> alloc::borrow::Cow<'a, str> {
        self.as_plain().map_or_else(
            || {
                let mut text = alloc::string::String::with_capacity(self.0.len());
                // A String has no bound.
                let _ = self.unescape(&mut text);
                alloc::borrow::Cow::Owned(text)
            },
            alloc::borrow::Cow::Borrowed,
        )
    }

    /// The text as an owned string.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_owned_text(self) -> alloc::string::String {
        self.to_text().into_owned()
    }

    /// The text as runs without escapes and what the escapes between them mean.
    pub(crate) fn pieces(self) -> Pieces<'a> {
        Pieces {
            rest: self.raw(),
            escaped: self.as_plain().is_none(),
        }
    }

    #[cold]
    fn spells(self, text: &str) -> bool {
        self.chars().eq(text.chars())
    }

    /// The text for a `match` with names of at most [`NAME_BYTES_MAX`] bytes; a
    /// longer one that has escapes is none of them and is empty here.
    #[inline]
    pub(crate) fn name<'s>(self, scratch: &'s mut Name) -> &'s str
    where
        'a: 's,
    {
        if let Some(plain) = self.as_plain() {
            return plain;
        }
        if self.unescape(scratch).is_err() {
            scratch.clear();
        }
        scratch
    }
}

/// The longest name that anything here asks for has 19 bytes.
const NAME_BYTES_MAX: usize = 24;

/// Where a name with escapes is spelled out.
pub(crate) type Name = heapless::String<NAME_BYTES_MAX>;

impl PartialEq<str> for JsonStr<'_> {
    #[inline]
    fn eq(&self, text: &str) -> bool {
        match self.as_plain() {
            Some(plain) => plain == text,
            None => self.spells(text),
        }
    }
}

impl PartialEq<&str> for JsonStr<'_> {
    #[inline]
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl PartialEq for JsonStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_plain(), other.as_plain()) {
            (_, Some(plain)) => self == plain,
            (Some(plain), None) => other == plain,
            (None, None) => self.chars().eq(other.chars()),
        }
    }
}

impl Eq for JsonStr<'_> {}

impl fmt::Debug for JsonStr<'_> {
    /// What people write is not shown: only the length is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonStr({} bytes)", self.raw().len())
    }
}

/// A stretch of a [`JsonStr`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// Text that stands for itself; never empty.
    Run(&'a str),
    /// What one escape, or a pair of surrogates, means.
    Char(char),
}

/// Iterator over the [`Piece`]s of a string.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<'a> {
    rest: &'a str,
    escaped: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let run_len = if self.escaped {
            find(self.rest.as_bytes(), b'\\').unwrap_or(self.rest.len())
        } else {
            self.rest.len()
        };
        if run_len > 0 {
            let (run, rest) = self.rest.split_at_checked(run_len)?;
            self.rest = rest;
            return Some(Piece::Run(run));
        }
        let (character, len) = unescape(self.rest.as_bytes());
        self.rest = self.rest.get(len..).unwrap_or_default();
        Some(Piece::Char(character))
    }
}

/// Iterator over the characters of a string.
struct Chars<'a> {
    run: core::str::Chars<'a>,
    pieces: Pieces<'a>,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            if let Some(character) = self.run.next() {
                return Some(character);
            }
            match self.pieces.next()? {
                Piece::Run(run) => self.run = run.chars(),
                Piece::Char(character) => return Some(character),
            }
        }
    }
}

/// The length of the escape that `bytes` begin with, if there is such a one. A
/// pair of surrogates counts as two.
pub(super) fn escape_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\\', b'u', ..] => code_unit(bytes).map(|_| 6),
        [b'\\', letter, ..] => short_escape(*letter).map(|_| 2),
        _ => None,
    }
}

/// What the escape that `bytes` begin with means, and its length. It was
/// checked when it was scanned; anything else reads as U+FFFD.
#[inline]
pub(crate) fn unescape(bytes: &[u8]) -> (char, usize) {
    let character = match bytes.get(1) {
        Some(b'u') => return unescape_unicode(bytes),
        Some(other) => match short_escape(*other) {
            Some(meant) => char::from(meant),
            None => char::REPLACEMENT_CHARACTER,
        },
        None => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (character, 2)
}

/// What a backslash followed by this letter means.
#[inline]
pub(crate) fn short_escape(letter: u8) -> Option<u8> {
    let meant = SHORT_ESCAPES.get(usize::from(letter)).copied();
    meant.filter(|meant| *meant != 0)
}

static SHORT_ESCAPES: [u8; 256] = short_escapes();

#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
const fn short_escapes() -> [u8; 256] {
    let mut table = [0; 256];
    let meanings = [
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
        (b'n', b'\n'),
        (b't', b'\t'),
        (b'r', b'\r'),
        (b'b', 8),
        (b'f', 12),
    ];
    let mut place = 0;
    while place < meanings.len() {
        let (letter, meant) = meanings[place];
        table[letter as usize] = meant;
        place += 1;
    }
    table
}

fn unescape_unicode(bytes: &[u8]) -> (char, usize) {
    let Some(first) = code_unit(bytes) else {
        return (char::REPLACEMENT_CHARACTER, bytes.len());
    };
    if let Some(character) = char::from_u32(first.into()) {
        return (character, 6);
    }
    let second = bytes.get(6..).filter(|rest| rest.starts_with(b"\\u"));
    let pair = [Some(first), second.and_then(code_unit)];
    match char::decode_utf16(pair.into_iter().flatten()).next() {
        Some(Ok(character)) => (character, 12),
        // A surrogate without its partner: what follows is read for itself.
        Some(Err(_)) | None => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The four hex digits behind `\u`.
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits: &[u8; 4] = bytes.get(2..)?.first_chunk()?;
    digits.iter().try_fold(0, |unit, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some(unit << 4 | u16::from(value))
    })
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn write_escaped(
    text: impl Iterator<Item = char>,
    out: &mut impl Buffer,
) -> Result<(), BufferFull> {
    out.append(b"\"")?;
    for character in text {
        match character {
            '"' => out.append(b"\\\"")?,
            '\\' => out.append(b"\\\\")?,
            '\n' => out.append(b"\\n")?,
            '\r' => out.append(b"\\r")?,
            '\t' => out.append(b"\\t")?,
            control @ '\0'..='\u{1f}' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let code = control as usize;
                let digit = |at: usize| HEX.get(at & 15).copied().unwrap_or(b'0');
                out.append(&[b'\\', b'u', b'0', b'0', digit(code >> 4), digit(code)])?;
            }
            other => {
                let mut bytes = [0_u8; 4];
                out.append(other.encode_utf8(&mut bytes).as_bytes())?;
            }
        }
    }
    out.append(b"\"")
}
