//! Reading the members of an object, their names guessed.
//!
//! Feishu writes the members of an object in one order, and leaves some out now
//! and then. So each name that is known is looked for where it should stand, by
//! one comparison of sixteen bytes; where none of them stands, the name is read.

use super::block::{BLOCK, same_len};

/// Reads an object: `members!(scanner { "name" => read its value, … })`.
///
/// Names stand in the order in which Feishu writes them. What is not named is
/// passed over, and so is a value that is no object. Each arm must consume the
/// member's value.
macro_rules! members {
    ($scanner:ident { $($name:literal => $read:expr,)* }) => {{
        const NAMES: &[&str] = &[$($name),*];
        // The place of a name that was read; beyond all, none was.
        let mut place = usize::MAX;
        let mut more = $scanner.open(b'{');
        while more {
            $(if more
                && (place == const { $crate::json::place_of($name, NAMES) }
                    || $crate::GUESS
                        && place == usize::MAX
                        && $scanner.pass(const { &$crate::json::Spelled::new($name) }))
            {
                place = usize::MAX;
                $read;
                more = $scanner.more(b'}');
            })*
            if more {
                place = $scanner.place_among(NAMES);
                if place == NAMES.len() {
                    place = usize::MAX;
                    $scanner.skip();
                    more = $scanner.more(b'}');
                }
            }
        }
    }};
}
pub(crate) use members;

/// A name as it stands in a document: quoted, with its colon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelled {
    bytes: [u8; BLOCK],
    /// Bytes of all that; more than a block for a name that is too long to be
    /// compared at once.
    pub(super) len: usize,
}

impl Spelled {
    #[expect(
        clippy::indexing_slicing,
        reason = "runs in the compiler, where a wrong index is an error"
    )]
    pub(crate) const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        let mut bytes = [0; BLOCK];
        let len = name.len() + 3;
        if len > BLOCK {
            return Self { bytes, len };
        }
        bytes[0] = b'"';
        let mut at = 0;
        while at < name.len() {
            bytes[at + 1] = name[at];
            at += 1;
        }
        bytes[len - 2] = b'"';
        bytes[len - 1] = b':';
        Self { bytes, len }
    }

    #[inline(always)]
    pub(super) fn begins(&self, block: [u8; BLOCK]) -> bool {
        self.len <= BLOCK && same_len(block, self.bytes) as usize >= self.len
    }
}

/// The place of a name among names.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
pub(crate) const fn place_of(name: &str, names: &[&str]) -> usize {
    let mut place = 0;
    while !same(names[place].as_bytes(), name.as_bytes()) {
        place += 1;
    }
    place
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    match (one.split_first(), other.split_first()) {
        (None, None) => true,
        (Some((first, one)), Some((second, other))) => *first == *second && same(one, other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::json::{JsonError, Scanner};

    const NAMES: [&str; 4] = ["a", "chat_id", "thirteen_long", "fourteen__long"];

    /// What a reader that knows these names reads as the names of an object.
    fn names(document: &str) -> Result<Vec<&'static str>, JsonError> {
        let mut read = Vec::new();
        let mut scanner = Scanner::of_text(document);
        let object = &mut scanner;
        let mut note = |name, value: &mut Scanner<'_>| {
            read.push(name);
            value.skip()
        };
        members!(object {
            "a" => note("a", object),
            "chat_id" => note("chat_id", object),
            "thirteen_long" => note("thirteen_long", object),
            "fourteen__long" => note("fourteen__long", object),
        });
        scanner.finish()?;
        Ok(read)
    }

    #[test]
    fn a_guess_changes_nothing_about_what_is_read() {
        for (document, expected) in [
            (
                r#"{"a":1,"chat_id":2,"thirteen_long":3,"fourteen__long":4}"#,
                &NAMES[..],
            ),
            (
                r#"{ "a" : 1 , "chat_id" : 2, "thirteen_long": 3, "fourteen__long": 4}"#,
                &NAMES,
            ),
            (
                r#"{"fourteen__long":4,"thirteen_long":3}"#,
                &[NAMES[3], NAMES[2]],
            ),
            (r#"{"thirteen_long":3,"a":1}"#, &[NAMES[2], NAMES[0]]),
            (r#"{"b":0,"a":1,"c":0,"chat_id":2}"#, &["a", "chat_id"]),
            (r#"{"a":1,"a":1,"chat_idx":0,"chat_i":0}"#, &["a", "a"]),
            (r#"{"\u0061":1,"":0}"#, &["a"]),
        ] {
            assert_eq!(names(document).unwrap(), expected, "{document}");
        }
        for broken in [
            r#"{"a"1}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":"#,
        ] {
            assert!(names(broken).is_err(), "{broken}");
        }
    }
}
