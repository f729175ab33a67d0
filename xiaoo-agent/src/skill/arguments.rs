//! Arguments put into the body of a skill.

/// Whether text was put in, and the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) has_used_any: bool,
}

/// Puts `args` into `body` in one pass, so that nothing in an argument is taken for a
/// placeholder.
///
/// | placeholder | what is put in |
/// | --- | --- |
/// | `$ARGUMENTS`, `${ARGUMENTS}` | everything, as it was written |
/// | `$ARGUMENTS[0]` | one argument, counted from 0 |
/// | `$1`, `$2`, … | one argument, counted from 1; from 0 in a body that has `$0` too |
/// | `$name`, `${name}` | a declared argument; the last one takes all that is left |
///
/// A placeholder that no argument is for stays as it is, so that the model sees what is missing
/// (and so that a `$1` of a shell script survives); `$ARGUMENTS` alone becomes empty.
pub(super) fn fill(body: &str, args: &str, names: &[String]) -> Filled {
    let args = args.trim();
    let words = words(args);
    let values = Values {
        args,
        names: named(args, &words, names),
        first: usize::from(!has_zero(body)),
        words,
    };
    let mut text = String::with_capacity(body.len() + args.len());
    let mut has_used_any = false;
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        match values.at(after) {
            Some((value, length)) => {
                text.push_str(value);
                has_used_any = true;
                rest = after.get(length..).unwrap_or_default();
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Filled { text, has_used_any }
}

struct Values<'a> {
    args: &'a str,
    words: Vec<&'a str>,
    names: Vec<(&'a str, &'a str)>,
    /// What the first argument's number is.
    first: usize,
}

impl<'a> Values<'a> {
    /// The value for what follows a `$`, and how much of that it replaces.
    fn at(&self, after: &str) -> Option<(&'a str, usize)> {
        if let Some(inner) = after.strip_prefix('{') {
            let (name, _) = inner.split_once('}')?;
            return Some((self.by_name(name)?, name.len() + "{}".len()));
        }
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let number: usize = after.get(..digits)?.parse().ok()?;
            let word = self.words.get(number.checked_sub(self.first)?)?;
            return Some((word, digits));
        }
        let length = after.len() - after.trim_start_matches(is_name_part).len();
        let written = after.get(..length)?;
        if written == ALL
            && let Some(inner) = after.get(length..).and_then(|rest| rest.strip_prefix('['))
            && let Some((number, _)) = inner.split_once(']')
            && let Ok(index) = number.parse::<usize>()
        {
            let word = self.words.get(index)?;
            return Some((word, length + number.len() + "[]".len()));
        }
        // A name may be followed by a hyphen or by Chinese text that is not part of it.
        let ends = written.char_indices().map(|(at, c)| at + c.len_utf8());
        let mut ends: Vec<usize> = ends.collect();
        ends.reverse();
        ends.into_iter().find_map(|end| {
            let name = written.get(..end)?;
            let is_whole = end == length || !continues(name, written.get(end..)?);
            Some((self.by_name(name).filter(|_| is_whole)?, end))
        })
    }

    fn by_name(&self, name: &str) -> Option<&'a str> {
        if name == ALL {
            return Some(self.args);
        }
        let mut names = self.names.iter();
        names
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }
}

/// Whether `rest` reads as part of the same word as `name`: `$targets` is not `$target`, but
/// `$target的` is.
fn continues(name: &str, rest: &str) -> bool {
    let (Some(last), Some(next)) = (name.chars().next_back(), rest.chars().next()) else {
        return false;
    };
    next.is_ascii() == last.is_ascii() && next != '-'
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn has_zero(body: &str) -> bool {
    body.match_indices("$0").any(|(at, zero)| {
        let after = body.get(at + zero.len()..).unwrap_or_default();
        !after.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Each declared name with its value. The last takes everything from its word on: a person who
/// writes a sentence does not lose its end.
fn named<'a>(args: &'a str, words: &[&'a str], names: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let pairs = names.iter().zip(words).enumerate();
    pairs
        .map(|(index, (name, word))| {
            let is_last = index + 1 == names.len();
            let has_more = words.len() > names.len();
            let value = if is_last && has_more {
                from_word_on(args, index)
            } else {
                word
            };
            (name.as_str(), value)
        })
        .collect()
}

/// The text from its word number `index` on, quotes and all.
fn from_word_on(args: &str, index: usize) -> &str {
    let starts = spans(args).into_iter().map(|span| span.0);
    let start = starts.into_iter().nth(index);
    start
        .and_then(|start| args.get(start..))
        .unwrap_or_default()
}

/// The words of a text; what is in quotes is one word, without them.
fn words(text: &str) -> Vec<&str> {
    let cut = |(start, end): (usize, usize)| text.get(start..end);
    spans(text).into_iter().filter_map(cut).map(bare).collect()
}

/// Where words begin and end, quotes included. A quote that is not closed is a letter.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let trimmed = rest.trim_start();
        let start = at + (rest.len() - trimmed.len());
        if trimmed.is_empty() {
            break;
        }
        let quoted = QUOTES.iter().find_map(|(open, close)| {
            let inner = trimmed.strip_prefix(*open)?;
            let length = open.len_utf8() + inner.find(*close)? + close.len_utf8();
            let after = trimmed.get(length..)?.chars().next();
            after.is_none_or(char::is_whitespace).then_some(length)
        });
        let length = quoted
            .or_else(|| trimmed.find(char::is_whitespace))
            .unwrap_or(trimmed.len());
        at = start + length;
        spans.push((start, at));
    }
    spans
}

fn bare(word: &str) -> &str {
    let inner = |(open, close): &(char, char)| word.strip_prefix(*open)?.strip_suffix(*close);
    QUOTES.iter().find_map(inner).unwrap_or(word)
}

const ALL: &str = "ARGUMENTS";
/// Opening and closing; the curly ones are what a telephone writes.
const QUOTES: [(char, char); 3] = [('"', '"'), ('\'', '\''), ('“', '”')];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fill;

    proptest! {
        #[test]
        fn any_text_is_filled_and_what_has_no_dollar_stays(
            body in "[$a-c0-2{}\\[\\]长 A-]{0,40}",
            args in "[a-c\"'“”$ 长]{0,20}",
        ) {
            let names = ["a".to_owned(), "b-c".to_owned(), "长".to_owned()];
            let filled = fill(&body, &args, &names);
            if !body.contains('$') {
                prop_assert_eq!(&filled.text, &body);
                prop_assert!(!filled.has_used_any);
            }
        }
    }
}
