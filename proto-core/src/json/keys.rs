//! Reading the members of an object, their names guessed.
//!
//! Feishu writes the members of an object in one order. So the next name is
//! guessed, and a right guess costs two comparisons of eight bytes; a wrong one
//! costs a look at all names that are known.

use super::block::BLOCK;
use super::{JsonError, Scanner};

/// Reads an object: `members!(scanner { "name" => read its value, … })`.
///
/// Names stand in the order in which Feishu writes them. What is not named is
/// passed over, and so is a value that is no object. Each arm must consume the
/// member's value.
macro_rules! members {
    ($scanner:ident { $($name:literal => $read:expr,)* }) => {{
        const NAMES: &[&str] = &[$($name),*];
        static KNOWN: [$crate::json::Spelled; NAMES.len()] = $crate::json::spelled(NAMES);
        let mut guess = $crate::json::Guess::among(NAMES, &KNOWN);
        let mut more = $scanner.open(b'{')?;
        while more {
            match guess.place($scanner)? {
                $(Some(place) if place == const { $crate::json::place_of($name, NAMES) } => $read,)*
                _ => $scanner.skip()?,
            }
            more = $scanner.more(b'}')?;
        }
    }};
}
pub(crate) use members;

/// A name as it stands in a document: quoted, with its colon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelled {
    bytes: u128,
    mask: u128,
    /// Bytes of all that, 0 if they are too many to be compared at once.
    pub(super) len: usize,
}

/// All names as they stand in a document.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
pub(crate) const fn spelled<const N: usize>(names: &[&str]) -> [Spelled; N] {
    let mut all = [Spelled::new(b""); N];
    let mut place = 0;
    while place < N {
        all[place] = Spelled::new(names[place].as_bytes());
        place += 1;
    }
    all
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

/// How many further names are tried when a guess is wrong: some members are
/// left out now and then.
const FURTHER_GUESSES: usize = 3;

/// Where the reader of an object is among the names that it knows.
#[derive(Debug)]
pub(crate) struct Guess {
    names: &'static [&'static str],
    spelled: &'static [Spelled],
    next: usize,
}

impl Guess {
    #[inline]
    pub(crate) const fn among(names: &'static [&'static str], spelled: &'static [Spelled]) -> Self {
        Self {
            names,
            spelled,
            next: 0,
        }
    }

    /// The place of the name that stands here, its colon consumed; `None` if it
    /// is none of those known.
    #[inline]
    pub(crate) fn place(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, JsonError> {
        if let Some(name) = self.spelled.get(self.next)
            && scanner.pass(name)
        {
            self.next += 1;
            return Ok(Some(self.next - 1));
        }
        self.wrong_guess(scanner)
    }

    #[cold]
    #[inline(never)]
    fn wrong_guess(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, JsonError> {
        let further = self.spelled.get(self.next + 1..).unwrap_or_default();
        let mut further = further.iter().take(FURTHER_GUESSES);
        if let Some(skipped) = further.position(|name| scanner.pass(name)) {
            self.next += skipped + 2;
            return Ok(Some(self.next - 1));
        }
        let key = scanner.key()?;
        let place = self.names.iter().position(|name| key == **name);
        if let Some(place) = place {
            self.next = place + 1;
        }
        Ok(place)
    }
}

impl Spelled {
    #[inline]
    pub(super) fn begins(&self, block: [u8; BLOCK]) -> bool {
        self.len > 0 && u128::from_le_bytes(block) & self.mask == self.bytes
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "runs in the compiler, where a wrong index is an error"
    )]
    const fn new(name: &[u8]) -> Self {
        let len = name.len() + 3;
        let mut spelled = [0; BLOCK];
        let mut mask = [0; BLOCK];
        let mut at = 0;
        while at < len && len <= BLOCK {
            spelled[at] = if at == 0 || at == len - 2 {
                b'"'
            } else if at == len - 1 {
                b':'
            } else {
                name[at - 1]
            };
            mask[at] = 0xff;
            at += 1;
        }
        Self {
            bytes: u128::from_le_bytes(spelled),
            mask: u128::from_le_bytes(mask),
            len: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

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
            "a" => note("a", object)?,
            "chat_id" => note("chat_id", object)?,
            "thirteen_long" => note("thirteen_long", object)?,
            "fourteen__long" => note("fourteen__long", object)?,
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
