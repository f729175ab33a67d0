//! JSON without allocation: a document is checked once, then looked at where
//! it lies.
//!
//! [`Json::parse`] checks the whole document strictly (grammar of RFC 8259,
//! UTF-8, a bound on depth). After that a [`Json`] is a slice of a document
//! known to be good, and looking into it cannot fail. Of doubled keys the last
//! counts, as for serde_json and Python.

mod text;

pub use text::JsonStr;
pub(crate) use text::write_escaped;

use core::fmt;

/// How deep arrays and objects may nest: serde_json's bound. Events have about
/// six levels.
const DEPTH_MAX: u8 = 128;

/// A value of a checked document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// Why bytes are not a JSON document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Offset of the first byte that does not fit.
    pub offset: usize,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Something else was expected here.
    #[error("unexpected character")]
    Unexpected,
    /// The document ends in the middle.
    #[error("the document ends too early")]
    Truncated,
    /// Something follows the document.
    #[error("something follows the document")]
    Trailing,
    /// A string has a bare control character or an escape that does not exist.
    #[error("bad string")]
    BadString,
    /// More than 128 levels.
    #[error("nested too deeply")]
    TooDeep,
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

impl<'a> Json<'a> {
    /// The document `{}`.
    #[cfg(feature = "alloc")]
    pub(crate) const EMPTY_OBJECT: Json<'static> = Json("{}");

    /// Checks a document.
    ///
    /// # Errors
    /// [`JsonError`] when it is not one JSON value.
    pub fn parse(document: &'a [u8]) -> Result<Self, JsonError> {
        let text = core::str::from_utf8(document).map_err(|error| JsonError {
            kind: JsonErrorKind::Utf8,
            offset: error.valid_up_to(),
        })?;
        let mut check = Check {
            bytes: document,
            at: 0,
        };
        check.blanks();
        let start = check.at;
        check.value(DEPTH_MAX)?;
        let end = check.at;
        check.blanks();
        if check.at < document.len() {
            return Err(check.error(JsonErrorKind::Trailing));
        }
        Ok(Self(text.get(start..end).unwrap_or_default()))
    }

    /// The value's own text.
    #[must_use]
    pub const fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(self) -> Option<JsonStr<'a>> {
        let content = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(JsonStr::new(content))
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The whole number, if it is one, or a string of digits: Feishu sends
    /// times as strings.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        let digits = self.as_str().map_or(self.0, JsonStr::raw);
        digits.parse().ok()
    }

    /// The members of an object; nothing for other values.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members(Parts::of(self.0, '{'))
    }

    /// The items of an array; nothing for other values.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        Items(Parts::of(self.0, '['))
    }

    /// The member called `key`; `None` also where it is `null`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        let mut found = None;
        for (name, value) in self.members() {
            if name == *key {
                found = Some(value);
            }
        }
        found.filter(|value| !value.is_null())
    }

    /// The string called `key`.
    #[must_use]
    pub fn get_str(self, key: &str) -> Option<JsonStr<'a>> {
        self.get(key)?.as_str()
    }
}

impl fmt::Debug for Json<'_> {
    /// Payloads are people's messages: only the length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// Iterator over an object's members.
#[derive(Clone, Debug)]
pub struct Members<'a>(Parts<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (JsonStr<'a>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?.as_str()?;
        let value = self.0.value()?;
        Some((key, value))
    }
}

/// Iterator over an array's items.
#[derive(Clone, Debug)]
pub struct Items<'a>(Parts<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.value()
    }
}

/// What is left of an array or object, without its brackets.
#[derive(Clone)]
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    fn of(value: &'a str, open: char) -> Self {
        let inner = value.strip_prefix(open).map(|rest| {
            let mut inner = rest.chars();
            inner.next_back();
            inner.as_str()
        });
        Self(inner.unwrap_or_default())
    }

    /// The next value, past blanks and separators.
    fn value(&mut self) -> Option<Json<'a>> {
        let rest = self.0.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']);
        if rest.is_empty() {
            self.0 = rest;
            return None;
        }
        let (value, rest) = rest.split_at_checked(value_len(rest.as_bytes()))?;
        self.0 = rest;
        Some(Json(value))
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes left", self.0.len())
    }
}

/// The length of the value that these bytes of a checked document begin with.
fn value_len(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'"') => string_len(bytes),
        Some(b'{' | b'[') => container_len(bytes),
        _ => bytes
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            .unwrap_or(bytes.len()),
    }
}

fn string_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn container_len(bytes: &[u8]) -> usize {
    let (mut at, mut open) = (0_usize, 0_u32);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string_len(bytes.get(at..).unwrap_or_default());
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if open == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The strict pass over a document.
struct Check<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Check<'_> {
    const fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError {
            kind,
            offset: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth_left: u8) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.container(b'}', depth_left),
            Some(b'[') => self.container(b']', depth_left),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error(JsonErrorKind::Unexpected)),
            None => Err(self.error(JsonErrorKind::Truncated)),
        }
    }

    fn container(&mut self, close: u8, depth_left: u8) -> Result<(), JsonError> {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(self.error(JsonErrorKind::TooDeep));
        };
        self.at += 1;
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            if close == b'}' {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected());
                }
                self.string()?;
                self.blanks();
                self.byte(b':')?;
                self.blanks();
            }
            self.value(depth_left)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected()),
            }
            self.blanks();
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1
                        }
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return Err(self.error(JsonErrorKind::BadString));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.error(JsonErrorKind::BadString)),
                    }
                }
                Some(0..=0x1f) => return Err(self.error(JsonErrorKind::BadString)),
                Some(_) => self.at += 1,
                None => return Err(self.error(JsonErrorKind::Truncated)),
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.unexpected()),
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
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        for byte in word {
            self.byte(*byte)?;
        }
        Ok(())
    }

    fn byte(&mut self, expected: u8) -> Result<(), JsonError> {
        if self.peek() != Some(expected) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self) -> JsonError {
        self.error(if self.at < self.bytes.len() {
            JsonErrorKind::Unexpected
        } else {
            JsonErrorKind::Truncated
        })
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn plain(value: Json<'_>) -> serde_json::Value {
        if let Some(text) = value.as_str() {
            serde_json::Value::String(text.chars().collect())
        } else if value.is_object() {
            value
                .members()
                .map(|(key, value)| (key.chars().collect::<String>(), plain(value)))
                .collect()
        } else if value.is_array() {
            value.items().map(plain).collect()
        } else {
            serde_json::from_str(value.raw()).unwrap()
        }
    }

    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn documents_read_as_serde_json_reads_them(document in documents(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&document).unwrap()
            } else {
                serde_json::to_string(&document).unwrap()
            };
            prop_assert_eq!(plain(Json::parse(text.as_bytes()).unwrap()), document);
        }

        #[test]
        fn broken_documents_are_refused_as_serde_json_refuses_them(
            document in documents(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]\",:0.-eEtfn\\ux \n\x01\xff"[..])), 1..4),
        ) {
            let mut bytes = serde_json::to_vec(&document).unwrap();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let ours = Json::parse(&bytes);
            match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(theirs) => prop_assert_eq!(plain(ours.unwrap()), theirs),
                // serde_json also refuses lone surrogates and numbers beyond f64.
                Err(error) => prop_assert!(
                    ours.is_err()
                        || error.classify() == serde_json::error::Category::Syntax
                            && (bytes.windows(2).any(|pair| pair == b"\\u") || bytes.iter().any(|byte| matches!(byte, b'e' | b'E'))),
                    "{:?}", String::from_utf8_lossy(&bytes)
                ),
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _: Result<Vec<_>, _> = Json::parse(&bytes).map(|value| value.items().collect());
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(nested(128).as_bytes()).is_ok());
        let error = Json::parse(nested(129).as_bytes()).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::TooDeep);
    }

    #[test]
    fn of_doubled_keys_the_last_counts() {
        let document = Json::parse(br#"{"a":1,"\u0061":2}"#).unwrap();
        assert_eq!(document.get("a").and_then(Json::as_i64), Some(2));
    }
}
