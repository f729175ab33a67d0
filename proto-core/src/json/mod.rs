//! JSON without allocation: a document is checked once, then looked at where
//! it lies.
//!
//! [`Json::parse`] checks the whole document strictly (grammar of RFC 8259,
//! UTF-8, a bound on depth). After that a [`Json`] is a slice of a document
//! known to be good, and looking into it cannot fail. Of doubled keys the last
//! counts, as for serde_json and Python.

mod block;
mod keys;
mod scan;
mod text;

pub(crate) use block::{BLOCK, find, marks_of};
pub(crate) use keys::{Spelled, members, place_of};
pub(crate) use scan::{Scanner, whole};
pub use text::JsonStr;
pub(crate) use text::{Name, Piece, short_escape, unescape, write_escaped};

use core::fmt;

use crate::decimal::fmt_at;

/// A value of a checked document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// Why bytes are not a JSON document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Offset of the first byte that does not fit.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_at(f, &self.kind, self.offset)
    }
}

impl core::error::Error for JsonError {}

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
    /// More than 127 levels.
    #[error("nested too deeply")]
    TooDeep,
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

impl<'a> Json<'a> {
    /// The document `{}`.
    pub(crate) const EMPTY_OBJECT: Json<'static> = Json("{}");

    /// Checks a document.
    ///
    /// # Errors
    /// [`JsonError`] when it is not one JSON value.
    pub fn parse(document: &'a [u8]) -> Result<Self, JsonError> {
        Scanner::new(document).whole()
    }

    /// Checks a document that is known to be UTF-8.
    pub(crate) fn of_text(document: &'a str) -> Option<Self> {
        Scanner::of_text(document).whole().ok()
    }

    /// The value's own text.
    #[must_use]
    pub const fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) const fn scanner(self) -> Scanner<'a> {
        Scanner::of_text(self.0)
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
        let text = self.0.strip_suffix('"')?;
        let content = text.strip_prefix('"')?;
        Some(if find(content.as_bytes(), b'\\').is_some() {
            JsonStr::escaped(text)
        } else {
            JsonStr::plain(content)
        })
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
        whole(self.as_str().map_or(self.0, JsonStr::raw))
    }

    /// The whole number, if it is one and not a string.
    pub(crate) fn as_bare_i64(self) -> Option<i64> {
        whole(self.0)
    }

    /// The members of an object; nothing for other values.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members(Walk::open(self, b'{'))
    }

    /// The items of an array; nothing for other values.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        Items(Walk::open(self, b'['))
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
pub struct Members<'a>(Walk<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (JsonStr<'a>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .step(|scanner| (scanner.key(), next_value(scanner)), b'}')
    }
}

/// Iterator over an array's items.
#[derive(Clone, Debug)]
pub struct Items<'a>(Walk<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(next_value, b']')
    }
}

fn next_value<'a>(scanner: &mut Scanner<'a>) -> Json<'a> {
    let mark = scanner.mark();
    scanner.skip();
    scanner.since(mark)
}

/// A place in an array or object. The document was checked, so an error cannot
/// occur here; it would end the walk.
#[derive(Clone, Debug)]
struct Walk<'a> {
    scanner: Scanner<'a>,
    more: bool,
}

impl<'a> Walk<'a> {
    fn open(value: Json<'a>, bracket: u8) -> Self {
        let mut scanner = value.scanner();
        let more = value.0.as_bytes().first() == Some(&bracket) && scanner.open(bracket);
        Self { scanner, more }
    }

    fn step<T>(&mut self, read: impl FnOnce(&mut Scanner<'a>) -> T, close: u8) -> Option<T> {
        if !self.more {
            return None;
        }
        let found = read(&mut self.scanner);
        self.more = self.scanner.more(close);
        Some(found)
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
        assert!(Json::parse(nested(127).as_bytes()).is_ok());
        let error = Json::parse(nested(128).as_bytes()).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::TooDeep);
    }

    #[test]
    fn of_doubled_keys_the_last_counts() {
        let document = Json::parse(br#"{"a":1,"\u0061":2}"#).unwrap();
        assert_eq!(document.get("a").and_then(Json::as_i64), Some(2));
    }
}
