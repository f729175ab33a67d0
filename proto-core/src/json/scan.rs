//! The one pass over a document: a position, and verbs that move it on.

use super::block::{plain_len, string_marks};
use super::keys::Spelled;
use super::text::{escape_len, short_escape};
use super::{Json, JsonError, JsonErrorKind, JsonStr};
use crate::GUESS;

/// How deep arrays and objects may nest: serde_json's bound. Events have about
/// six levels, cards about twelve. [`Scanner::skip`] keeps a bit per level.
const DEPTH_MAX: u32 = 127;

/// Reads a document from left to right and checks all that it passes.
///
/// Each verb consumes one value or one separator. An object is read as
///
/// ```text
/// let mut more = scanner.open(b'{');
/// while more {
///     let key = scanner.key();
///     scanner.skip(); // or any other verb for a value
///     more = scanner.more(b'}');
/// }
/// scanner.finish()?;
/// ```
///
/// What is wrong is said once, in the end: after it the document counts as over,
/// so that every loop ends, and nothing that was read may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// The first thing that was wrong.
    error: Option<JsonError>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(document: &'a [u8]) -> Self {
        let checked = if GUESS {
            simdutf8::compat::from_utf8(document).map_err(|error| error.valid_up_to())
        } else {
            core::str::from_utf8(document).map_err(|error| error.valid_up_to())
        };
        match checked {
            Ok(text) => Self::of_text(text),
            Err(offset) => Self {
                error: Some(JsonError {
                    kind: JsonErrorKind::Utf8,
                    offset,
                }),
                ..Self::of_text("")
            },
        }
    }

    pub(crate) const fn of_text(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            error: None,
        }
    }

    /// The whole document, checked.
    ///
    /// # Errors
    /// [`JsonError`] when it is not one JSON value.
    pub(crate) fn whole(mut self) -> Result<Json<'a>, JsonError> {
        let mark = self.mark();
        self.skip();
        let value = self.since(mark);
        self.finish()?;
        Ok(value)
    }

    /// Opens the array (`[`) or object (`{`) that stands here: true if there
    /// is anything in it. A value of another kind is passed over.
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) -> bool {
        if !self.stands(bracket) {
            self.skip();
            return false;
        }
        self.enter();
        // A name stands here more often than the end.
        if !self.stands(b'"') && self.peek() == Some(closing(bracket)) {
            self.leave();
            return false;
        }
        true
    }

    /// Goes on behind a member or an item: false if `close` ends them, or
    /// something is wrong.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> bool {
        if self.stands(b',') {
            self.at += 1;
            return true;
        }
        if self.peek() == Some(close) {
            self.leave();
        } else {
            self.unexpected();
        }
        false
    }

    /// A member's name and the colon behind it.
    #[inline(never)]
    pub(crate) fn key(&mut self) -> JsonStr<'a> {
        if !self.stands(b'"') {
            self.unexpected();
            return JsonStr::EMPTY;
        }
        let key = self.string();
        if self.stands(b':') {
            self.at += 1;
        } else {
            self.unexpected();
        }
        key
    }

    /// Whether a name stands here, quotes, colon and all. It is passed over. So
    /// near the end that a block does not fit, nobody looks.
    #[inline(always)]
    pub(crate) fn pass(&mut self, name: &Spelled) -> bool {
        let rest = self.text.as_bytes().get(self.at..);
        let stands = rest
            .and_then(|rest| rest.first_chunk())
            .is_some_and(|block| name.begins(*block));
        if stands {
            self.at += name.len;
        }
        stands
    }

    /// The place of the name that stands here among `names`, or their number.
    #[cold]
    #[inline(never)]
    pub(crate) fn place_among(&mut self, names: &'static [&'static str]) -> usize {
        let key = self.key();
        let place = names.iter().position(|name| key == **name);
        place.unwrap_or(names.len())
    }

    /// The string that stands here, if it is one and not empty: Feishu writes
    /// absent ids as `""` as well as leaving them out.
    #[inline(never)]
    pub(crate) fn text(&mut self) -> Option<JsonStr<'a>> {
        self.string_value().filter(|text| !text.is_empty())
    }

    /// The string that stands here, if it is one.
    #[inline(always)]
    pub(crate) fn string_value(&mut self) -> Option<JsonStr<'a>> {
        if self.stands(b'"') {
            return Some(self.string());
        }
        self.skip();
        None
    }

    /// The value that stands here, `None` if it is `null`.
    pub(crate) fn value(&mut self) -> Option<Json<'a>> {
        let mark = self.mark();
        self.skip();
        Some(self.since(mark)).filter(|value| !value.is_null())
    }

    /// The whole number that stands here, or a string of digits: Feishu sends
    /// times as strings.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        if self.stands(b'"') {
            return whole(self.string().raw());
        }
        self.value().and_then(|value| whole(value.raw()))
    }

    /// Where the next value begins, to be given to [`Self::since`].
    pub(crate) fn mark(&mut self) -> usize {
        self.token();
        self.at
    }

    /// The one value that was consumed since the mark.
    pub(crate) fn since(&self, mark: usize) -> Json<'a> {
        Json(self.slice(mark))
    }

    /// Whether all was good, and nothing but blanks is left.
    ///
    /// # Errors
    /// The first thing that was wrong.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        self.token();
        if self.at < self.text.len() {
            self.fail(JsonErrorKind::Trailing);
        }
        self.error.map_or(Ok(()), Err)
    }

    /// The first byte behind blanks, not consumed; 0 at the end. Feishu writes
    /// no blanks.
    #[inline(always)]
    pub(crate) fn token(&mut self) -> u8 {
        match self.peek() {
            Some(byte) if byte > b' ' => byte,
            _ => self.token_behind_blanks(),
        }
    }

    #[cold]
    #[inline(never)]
    fn token_behind_blanks(&mut self) -> u8 {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.unwrap_or_default(),
            }
        }
    }

    /// Whether the first byte behind blanks is this one.
    #[inline(always)]
    fn stands(&mut self, byte: u8) -> bool {
        self.token() == byte
    }

    /// Passes over one value of any kind. Nesting costs a bit, not stack.
    #[inline(never)]
    pub(crate) fn skip(&mut self) {
        if self.stands(b'"') {
            self.string();
        } else {
            self.skip_any();
        }
    }

    fn skip_any(&mut self) {
        let outside = self.depth;
        // The innermost container is the lowest bit: set for an object.
        let mut objects = 0_u128;
        loop {
            match self.token() {
                b'"' => {
                    self.string();
                }
                bracket @ (b'{' | b'[') => {
                    self.enter();
                    objects = objects << 1 | u128::from(bracket == b'{');
                    if self.token() != closing(bracket) {
                        if bracket == b'{' {
                            self.key();
                        }
                        continue;
                    }
                    self.leave();
                    objects >>= 1;
                }
                b't' => self.word("true"),
                b'f' => self.word("false"),
                b'n' => self.word("null"),
                b'-' | b'0'..=b'9' => self.number(),
                _ => self.unexpected(),
            }
            loop {
                if self.depth == outside || self.error.is_some() {
                    return;
                }
                let in_object = objects & 1 == 1;
                if self.more(if in_object { b'}' } else { b']' }) {
                    if in_object {
                        self.key();
                    }
                    break;
                }
                objects >>= 1;
            }
        }
    }

    /// The string whose opening quote stands here. Most have no escape.
    #[inline(always)]
    fn string(&mut self) -> JsonStr<'a> {
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
                return JsonStr::plain(raw);
            }
            break;
        }
        self.any_string()
    }

    /// The same, whatever is in it.
    #[inline(never)]
    fn any_string(&mut self) -> JsonStr<'a> {
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
                return if escaped {
                    JsonStr::escaped(text(from - 1))
                } else {
                    JsonStr::plain(text(from))
                };
            }
            escaped = true;
            at += match (rest.get(len), rest.get(len + 1)) {
                (Some(b'\\'), Some(letter)) if short_escape(*letter).is_some() => 2,
                _ => match self.long_escape(at) {
                    Some(len) => len,
                    None => return JsonStr::EMPTY,
                },
            };
        }
    }

    /// The length of the escape that stands at `at`, if it is one.
    #[cold]
    fn long_escape(&mut self, at: usize) -> Option<usize> {
        self.at = at;
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let len = escape_len(rest);
        if len.is_none() {
            self.fail(if rest.is_empty() {
                JsonErrorKind::Truncated
            } else {
                JsonErrorKind::BadString
            });
        }
        len
    }

    fn word(&mut self, word: &str) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let good = rest.iter().zip(word.bytes());
        let good = good.take_while(|(ours, theirs)| **ours == *theirs).count();
        self.at += good;
        if good < word.len() {
            self.unexpected();
        }
    }

    fn number(&mut self) {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits();
        }
    }

    fn digits(&mut self) {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            self.unexpected();
        }
    }

    fn enter(&mut self) {
        if self.depth == DEPTH_MAX {
            self.fail(JsonErrorKind::TooDeep);
            return;
        }
        self.depth += 1;
        self.at += 1;
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
    fn unexpected(&mut self) {
        self.fail(if self.at < self.text.len() {
            JsonErrorKind::Unexpected
        } else {
            JsonErrorKind::Truncated
        });
    }

    #[cold]
    fn fail(&mut self, kind: JsonErrorKind) {
        let error = JsonError {
            kind,
            offset: self.at,
        };
        self.error.get_or_insert(error);
        (self.text, self.at) = ("", 0);
    }
}

/// The number that these digits are, with a sign at most.
pub(crate) fn whole(digits: &str) -> Option<i64> {
    if !GUESS {
        return digits.parse().ok();
    }
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
