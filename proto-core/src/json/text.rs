//! Strings of a JSON document, unescaped as they are read.

use core::fmt;

use crate::{Buffer, BufferFull};

/// A string of a checked document, as it stands there.
#[derive(Clone, Copy)]
pub struct JsonStr<'a> {
    raw: &'a str,
}

impl<'a> JsonStr<'a> {
    pub(super) const fn new(raw: &'a str) -> Self {
        Self { raw }
    }

    /// The text between the quotes, escapes and all.
    #[must_use]
    pub const fn raw(self) -> &'a str {
        self.raw
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The characters. Half a surrogate pair becomes U+FFFD.
    #[must_use]
    pub const fn chars(self) -> Chars<'a> {
        Chars { rest: self.raw }
    }

    /// The text itself, if it stands there without escapes.
    #[must_use]
    pub fn as_plain(self) -> Option<&'a str> {
        (!self.raw.contains('\\')).then_some(self.raw)
    }

    /// The text, copied only if it has escapes.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_text(self) -> alloc::borrow::Cow<'a, str> {
        self.as_plain().map_or_else(
            || {
                let mut text = alloc::string::String::with_capacity(self.raw.len());
                let mut rest = self.raw;
                // Runs without escapes are copied whole.
                while let Some((run, tail)) = rest.split_once('\\') {
                    text.push_str(run);
                    let escape_at = rest.len() - tail.len() - 1;
                    let mut chars = Chars {
                        rest: rest.get(escape_at..).unwrap_or_default(),
                    };
                    text.extend(chars.next());
                    rest = chars.rest;
                }
                text.push_str(rest);
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
}

impl PartialEq<str> for JsonStr<'_> {
    fn eq(&self, text: &str) -> bool {
        match self.as_plain() {
            Some(plain) => plain == text,
            None => self.chars().eq(text.chars()),
        }
    }
}

impl PartialEq<&str> for JsonStr<'_> {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl fmt::Debug for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonStr({} bytes)", self.raw.len())
    }
}

/// Iterator over the characters of a [`JsonStr`].
#[derive(Clone)]
pub struct Chars<'a> {
    rest: &'a str,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next()?;
        if first != '\\' {
            self.rest = chars.as_str();
            return Some(first);
        }
        let escaped = chars.next()?;
        self.rest = chars.as_str();
        Some(match escaped {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode(),
            other => other,
        })
    }
}

impl Chars<'_> {
    fn unicode(&mut self) -> char {
        let unit = self.hex();
        if let Some(character) = char::from_u32(unit) {
            return character;
        }
        let before = self.rest;
        if unit < 0xdc00
            && let Some(rest) = self.rest.strip_prefix("\\u")
        {
            self.rest = rest;
            let low = self.hex();
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.rest = before;
        }
        char::REPLACEMENT_CHARACTER
    }

    fn hex(&mut self) -> u32 {
        let Some((digits, rest)) = self.rest.split_at_checked(4) else {
            self.rest = "";
            return 0xfffd;
        };
        self.rest = rest;
        u32::from_str_radix(digits, 16).unwrap_or(0xfffd)
    }
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
