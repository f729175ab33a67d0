//! The one pass over a document: a position, and verbs that move it on.

use super::block::{plain_len, string_marks};
use super::keys::Spelled;
use super::text::{escape_len, short_escape};
use super::{Json, JsonError, JsonErrorKind, JsonStr};
use simdutf8::compat::from_utf8;

/// How deep arrays and objects may nest: serde_json's bound. Events have about
/// six levels, cards about twelve. [`Scanner::skip`] keeps a bit per level.
const DEPTH_MAX: u32 = 127;

/// Reads a document from left to right and checks all that it passes.
///
/// Each verb consumes one value or one separator. An object is read as
///
/// ```text
/// let mut more = scanner.open(b'{')?;
/// while more {
///     let key = scanner.key()?;
///     scanner.skip()?; // or any other verb for a value
///     more = scanner.more(b'}')?;
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// # Errors
    /// [`JsonErrorKind::Utf8`].
    pub(crate) fn new(document: &'a [u8]) -> Result<Self, JsonError> {
        match from_utf8(document) {
            Ok(text) => Ok(Self::of_text(text)),
            Err(error) => Err(JsonError {
                kind: JsonErrorKind::Utf8,
                offset: error.valid_up_to(),
            }),
        }
    }

    pub(crate) const fn of_text(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// Opens the array (`[`) or object (`{`) that stands here: true if there
    /// is anything in it. A value of another kind is passed over.
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) -> Result<bool, JsonError> {
        if !self.stands(bracket)? {
            self.skip()?;
            return Ok(false);
        }
        self.enter()?;
        // A name stands here more often than the end.
        if !self.stands(b'"')? && self.peek() == Some(closing(bracket)) {
            self.leave();
            return Ok(false);
        }
        Ok(true)
    }

    /// Goes on behind a member or an item: false if `close` ends them.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, JsonError> {
        if self.stands(b',')? {
            self.at += 1;
            return Ok(true);
        }
        if self.peek() == Some(close) {
            self.leave();
            return Ok(false);
        }
        Err(self.error(JsonErrorKind::Unexpected))
    }

    /// A member's name and the colon behind it.
    #[inline(never)]
    pub(crate) fn key(&mut self) -> Result<JsonStr<'a>, JsonError> {
        if self.token()? != b'"' {
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        let key = self.string()?;
        if self.token()? != b':' {
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        self.at += 1;
        Ok(key)
    }

    /// Whether a name stands here, quotes, colon and all. It is passed over. So
    /// near the end that a block does not fit, nobody looks.
    #[inline]
    pub(super) fn pass(&mut self, name: &Spelled) -> bool {
        let rest = self.text.as_bytes().get(self.at..);
        let stands = rest
            .and_then(|rest| rest.first_chunk())
            .is_some_and(|block| name.begins(*block));
        if stands {
            self.at += name.len;
        }
        stands
    }

    /// The string that stands here, if it is one and not empty: Feishu writes
    /// absent ids as `""` as well as leaving them out.
    #[inline(never)]
    pub(crate) fn text(&mut self) -> Result<Option<JsonStr<'a>>, JsonError> {
        Ok(self.string_value()?.filter(|text| !text.is_empty()))
    }

    /// The string that stands here, if it is one.
    #[inline(always)]
    pub(crate) fn string_value(&mut self) -> Result<Option<JsonStr<'a>>, JsonError> {
        if self.stands(b'"')? {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    /// The value that stands here, `None` if it is `null`.
    pub(crate) fn value(&mut self) -> Result<Option<Json<'a>>, JsonError> {
        self.token()?;
        let from = self.at;
        self.skip()?;
        Ok(Some(self.since(from)).filter(|value| !value.is_null()))
    }

    /// The whole number that stands here, or a string of digits: Feishu sends
    /// times as strings.
    pub(crate) fn integer(&mut self) -> Result<Option<i64>, JsonError> {
        if self.stands(b'"')? {
            return Ok(whole(self.string()?.raw()));
        }
        Ok(self.value()?.and_then(|value| whole(value.raw())))
    }

    /// Where the next value begins, to be given to [`Self::since`].
    pub(crate) fn mark(&mut self) -> Result<usize, JsonError> {
        self.token().map(|_| self.at)
    }

    /// The one value that was consumed since the mark.
    pub(crate) fn since(&self, mark: usize) -> Json<'a> {
        Json(self.slice(mark))
    }

    /// Checks that nothing but blanks is left.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        match self.token() {
            Ok(_) => Err(self.error(JsonErrorKind::Trailing)),
            Err(_) => Ok(()),
        }
    }

    /// The first byte behind blanks, not consumed.
    #[inline]
    pub(crate) fn token(&mut self) -> Result<u8, JsonError> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(self.error(JsonErrorKind::Truncated)),
            }
        }
    }

    /// Whether the first byte behind blanks is this one. Feishu writes no blanks.
    #[inline]
    fn stands(&mut self, byte: u8) -> Result<bool, JsonError> {
        Ok(self.peek() == Some(byte) || self.token()? == byte)
    }

    /// Passes over one value of any kind. Nesting costs a bit, not stack.
    #[inline(never)]
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        if self.stands(b'"')? {
            return self.string().map(|_| ());
        }
        self.skip_any()
    }

    fn skip_any(&mut self) -> Result<(), JsonError> {
        let outside = self.depth;
        // The innermost container is the lowest bit: set for an object.
        let mut objects = 0_u128;
        loop {
            match self.token()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'{' | b'[') => {
                    self.enter()?;
                    objects = objects << 1 | u128::from(bracket == b'{');
                    if self.token()? != closing(bracket) {
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    self.leave();
                    objects >>= 1;
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(self.error(JsonErrorKind::Unexpected)),
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                if self.more(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                objects >>= 1;
            }
        }
    }

    /// The string whose opening quote stands here. Most have no escape.
    #[inline(always)]
    fn string(&mut self) -> Result<JsonStr<'a>, JsonError> {
        let from = self.at + 1;
        let mut rest = self.text.as_bytes().get(from..).unwrap_or_default();
        while let Some((block, tail)) = rest.split_first_chunk() {
            let marks = string_marks(*block);
            if marks == 0 {
                rest = tail;
                continue;
            }
            let at = self.text.len() - rest.len() + marks.trailing_zeros() as usize;
            if self.text.as_bytes().get(at) == Some(&b'"') {
                self.at = at + 1;
                let raw = self.text.get(from..at).unwrap_or_default();
                return Ok(JsonStr::plain(raw));
            }
            break;
        }
        self.any_string()
    }

    /// The same, whatever is in it.
    #[inline(never)]
    fn any_string(&mut self) -> Result<JsonStr<'a>, JsonError> {
        let from = self.at + 1;
        let mut escaped = false;
        let mut at = from;
        loop {
            let rest = self.text.as_bytes().get(at..).unwrap_or_default();
            let len = plain_len(rest);
            at += len;
            if rest.get(len) == Some(&b'"') {
                self.at = at + 1;
                let text = |from: usize| self.text.get(from..at).unwrap_or_default();
                return Ok(if escaped {
                    JsonStr::escaped(text(from - 1))
                } else {
                    JsonStr::plain(text(from))
                });
            }
            escaped = true;
            at += match (rest.get(len), rest.get(len + 1)) {
                (Some(b'\\'), Some(letter)) if short_escape(*letter).is_some() => 2,
                _ => self.long_escape(at)?,
            };
        }
    }

    /// The length of the escape that stands at `at`.
    #[cold]
    fn long_escape(&mut self, at: usize) -> Result<usize, JsonError> {
        self.at = at;
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        escape_len(rest).ok_or_else(|| {
            self.error(if rest.is_empty() {
                JsonErrorKind::Truncated
            } else {
                JsonErrorKind::BadString
            })
        })
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        let good = rest.iter().zip(word.bytes());
        self.at += good.take_while(|(ours, theirs)| **ours == *theirs).count();
        Err(self.unexpected())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.unexpected());
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// From an earlier position to here. Both stand beside ASCII bytes, so
    /// they are boundaries of characters.
    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    #[cold]
    fn unexpected(&self) -> JsonError {
        self.error(if self.at < self.text.len() {
            JsonErrorKind::Unexpected
        } else {
            JsonErrorKind::Truncated
        })
    }

    #[cold]
    const fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError {
            kind,
            offset: self.at,
        }
    }
}

/// The number that these digits are, with a sign at most.
pub(super) fn whole(digits: &str) -> Option<i64> {
    /// So many digits always fit. Times have thirteen.
    const DIGITS_SURE: usize = 18;
    let (eights, rest) = digits.as_bytes().as_chunks();
    let mut number = 0;
    for eight in eights {
        let Some(low) = eight_digits(*eight).filter(|_| digits.len() <= DIGITS_SURE) else {
            return digits.parse().ok();
        };
        number = number * 100_000_000 + low;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return digits.parse().ok();
        }
        number = number * 10 + i64::from(digit);
    }
    (!digits.is_empty()).then_some(number)
}

/// Joins digits to pairs, pairs to fours, fours to the number; `None` if one is
/// no digit.
const fn eight_digits(digits: [u8; 8]) -> Option<i64> {
    let digits = u64::from_le_bytes(digits);
    // '0' to '9' are 0x30 to 0x39, and six more than that are 0x3f at most.
    let high = digits & 0xf0f0_f0f0_f0f0_f0f0;
    let six_more = digits.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != 0x3030_3030_3030_3030 || six_more != high {
        return None;
    }
    let ones = digits & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((fours * 10_000 + (fours >> 32)) & 0xffff_ffff).cast_signed())
}

const fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_whole_number_is_what_it_says(digits in prop_oneof![
            "[0-9]{0,20}",
            "[+-]?[0-9]{1,12}",
            "[0-9]{0,9}[*-?][0-9]{0,9}",
        ]) {
            let digits: String = digits;
            prop_assert_eq!(whole(&digits), digits.parse().ok());
        }
    }
}
