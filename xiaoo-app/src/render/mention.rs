//! Mentions: who in an answer is really mentioned, and that nothing else is.
//!
//! A mention is made by us from an id that the platform told us. What a model or
//! a person wrote as a tag is taken for one only if it names somebody of the
//! directory; everyone is nobody in it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::split::Fence;

/// People of a directory. A group of Feishu has at most so many.
const PEOPLE_MAX: usize = 5_000;
/// Bytes of a name that can be mentioned. Feishu's names are shorter.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a tag, and of what stands between it and its end.
const TAG_BYTES_MAX: usize = 256;
/// People that one answer mentions. Whoever makes the bot name a whole group one
/// by one shall not wake them all.
const MENTIONED_MAX: usize = 10;
/// Stands for the first person while a text is cut; the others follow. Private
/// characters, taken out of the text first: no text can fake one, and none is
/// ever cut.
const FIRST: u32 = 0xF_0000;
const LAST: u32 = 0xF_FFFD;
/// Put behind a bracket or an `@`, it is not seen and takes the force away.
const ZERO_WIDTH: char = '\u{200b}';

/// The people that can be mentioned.
#[derive(Clone, Debug, Default)]
pub struct Mentionable {
    people: Vec<Person>,
    by_id: BTreeMap<String, usize>,
    /// `None`: two people have this name.
    by_name: BTreeMap<String, Option<usize>>,
    /// Bytes of the longest name.
    longest: usize,
}

/// Somebody in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `ou_…`
    pub open_id: String,
    /// The name that people see.
    pub name: String,
}

impl Mentionable {
    /// These people, in this order. Whoever has no proper id is left out.
    #[must_use]
    pub fn new(people: impl IntoIterator<Item = Person>) -> Self {
        let mut directory = Self::default();
        for person in people.into_iter().take(PEOPLE_MAX) {
            let at = directory.people.len();
            if !is_open_id(&person.open_id)
                || directory.by_id.insert(person.open_id.clone(), at).is_some()
            {
                continue;
            }
            let name = person.name.trim();
            if !name.is_empty() && name.len() <= NAME_BYTES_MAX {
                directory.longest = directory.longest.max(name.len());
                directory
                    .by_name
                    .entry(name.to_owned())
                    .and_modify(|known| *known = None)
                    .or_insert(Some(at));
            }
            directory.people.push(person);
        }
        directory
    }

    /// All of them, in their order.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The name of somebody in it.
    #[must_use]
    pub fn name_of(&self, open_id: &str) -> Option<&str> {
        let person = self.people.get(*self.by_id.get(open_id)?)?;
        Some(&person.name)
    }

    /// Whose name a text begins with, the longest that fits, and its length.
    fn named(&self, text: &str) -> Option<(Option<usize>, usize)> {
        let longest = self.longest.min(text.len());
        (1..=longest).rev().find_map(|len| {
            let name = text.get(..len)?;
            let person = *self.by_name.get(name)?;
            let rest = text.get(len..).unwrap_or_default();
            (!goes_on(name, rest)).then_some((person, len))
        })
    }
}

/// Whether a text is an id as Feishu gives them out, and can stand in a tag.
pub(crate) fn is_open_id(text: &str) -> bool {
    text.strip_prefix("ou_").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    })
}

/// A person's mention in a card's Markdown; nothing for what is no id.
pub(super) fn in_card(open_id: &str) -> String {
    if is_open_id(open_id) {
        format!("<at id={open_id}></at>")
    } else {
        String::new()
    }
}

/// Whether the word at a name's end goes on behind it: `@Li` is not in `@Lisa`.
fn goes_on(name: &str, rest: &str) -> bool {
    name.ends_with(is_of_word) && rest.starts_with(is_of_word)
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Puts a private character in the place of each real mention, and takes the
/// force out of all else that could be one. [`expanded`] is the way back.
pub(super) fn marked(markdown: &str, people: &Mentionable) -> String {
    let mut marking = Marking {
        people,
        out: String::with_capacity(markdown.len() + 64),
        mentioned: Vec::new(),
    };
    let clean: Cow<'_, str> = if markdown.contains(is_private) {
        markdown.replace(is_private, "").into()
    } else {
        markdown.into()
    };
    let mut open: Option<Fence> = None;
    for line in clean.split_inclusive('\n') {
        match &open {
            Some(fence) => {
                if fence.is_closed_by(line) {
                    open = None;
                }
                marking.out.push_str(line);
            }
            None => {
                open = Fence::opened_by(line);
                if open.is_some() {
                    marking.out.push_str(line);
                } else {
                    marking.line(line);
                }
            }
        }
    }
    // Last, so that nothing that was taken out joins the pieces of a tag.
    without_mentions(&marking.out)
}

/// Tags in the place of the private characters.
pub(super) fn expanded(text: &str, people: &Mentionable) -> String {
    if !text.contains(is_private) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        let place = u32::from(character).checked_sub(FIRST);
        let person = place
            .filter(|_| is_private(character))
            .and_then(|place| people.people.get(usize::try_from(place).ok()?));
        match person {
            Some(Person { open_id, name }) => {
                // The client shows the name that it knows; this one is for the
                // list of chats. No name of ours may end the tag.
                let name = name.replace(['<', '>', '\n', '\r'], " ");
                out.push_str(&format!("<at user_id=\"{open_id}\">{}</at>", name.trim()));
            }
            None => out.push(character),
        }
    }
    out
}

fn is_private(character: char) -> bool {
    (FIRST..=LAST).contains(&u32::from(character))
}

struct Marking<'p> {
    people: &'p Mentionable,
    out: String,
    mentioned: Vec<usize>,
}

impl Marking<'_> {
    /// A line outside fences. What is between backticks stays as it is.
    fn line(&mut self, line: &str) {
        let mut rest = line;
        while let Some(at) = rest.find(['`', '@', '<']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.out.push_str(before);
            let taken = match from.chars().next() {
                Some('`') => code_span(from),
                Some('@') => self.name(from),
                Some(_) | None => self.tag(from),
            };
            match taken {
                Taken::AsItIs(len) => {
                    self.out.push_str(from.get(..len).unwrap_or_default());
                    rest = from.get(len..).unwrap_or_default();
                }
                Taken::Everyone => {
                    self.out.push('@');
                    self.out.push(ZERO_WIDTH);
                    rest = from.get(1..).unwrap_or_default();
                }
                Taken::Person(person, len) => {
                    self.mention(person, from.get(..len).unwrap_or_default());
                    rest = from.get(len..).unwrap_or_default();
                }
            }
        }
        self.out.push_str(rest);
    }

    /// `@Name`.
    fn name(&self, from: &str) -> Taken {
        let behind = from.get(1..).unwrap_or_default();
        // An address has a word before it, and `\@` is meant as it is.
        let is_word = |before: char| is_of_word(before) || matches!(before, '.' | '-' | '\\');
        if self.out.ends_with(is_word) {
            return Taken::AsItIs(1);
        }
        match self.people.named(behind) {
            Some((Some(person), len)) => Taken::Person(person, 1 + len),
            Some((None, len)) => Taken::AsItIs(1 + len),
            None => {
                if everyone(behind) {
                    Taken::Everyone
                } else {
                    Taken::AsItIs(1)
                }
            }
        }
    }

    /// `<at user_id="ou_…">Name</at>`, however it is written.
    fn tag(&self, from: &str) -> Taken {
        tag(from)
            .and_then(|(id, len)| Some(Taken::Person(*self.people.by_id.get(id)?, len)))
            .unwrap_or(Taken::AsItIs(1))
    }

    fn mention(&mut self, person: usize, written: &str) {
        if !self.mentioned.contains(&person) {
            if self.mentioned.len() >= MENTIONED_MAX {
                let name = self.people.people.get(person);
                match name {
                    Some(person) if written.starts_with('<') => {
                        self.out.push('@');
                        self.out.push_str(&person.name);
                    }
                    Some(_) | None => self.out.push_str(written),
                }
                return;
            }
            self.mentioned.push(person);
        }
        let mark = u32::try_from(person)
            .ok()
            .and_then(|place| char::from_u32(FIRST + place));
        self.out.extend(mark);
    }
}

/// What a place in a line turned out to be, and how long it is.
enum Taken {
    AsItIs(usize),
    /// An `@` before a word that means everyone.
    Everyone,
    Person(usize, usize),
}

/// Backticks and, if as many close them, all up to there.
fn code_span(from: &str) -> Taken {
    let ticks = |text: &str| text.bytes().take_while(|byte| *byte == b'`').count();
    let len = ticks(from);
    let mut at = len;
    while let Some(next) = from.get(at..).and_then(|rest| rest.find('`')) {
        at += next;
        let found = ticks(from.get(at..).unwrap_or_default());
        at += found;
        if found == len {
            return Taken::AsItIs(at);
        }
    }
    Taken::AsItIs(len)
}

/// The id in a tag at the start of a text, and the length of the tag with its
/// end.
fn tag(text: &str) -> Option<(&str, usize)> {
    let head = cut(text, TAG_BYTES_MAX);
    let close = head.find('>')?;
    let inner = head.get(1..close)?;
    let (name, attributes) = inner.split_once(char::is_whitespace)?;
    if !name.eq_ignore_ascii_case("at") || inner.contains('<') {
        return None;
    }
    let (key, value) = attributes.split_once('=')?;
    if !matches!(key.trim(), "id" | "user_id" | "open_id") {
        return None;
    }
    let id = value.trim().trim_end_matches('/').trim();
    let id = id.trim_matches(['"', '\'']);
    let mut len = close + 1;
    if !inner.ends_with('/') {
        let behind = cut(text.get(len..).unwrap_or_default(), TAG_BYTES_MAX);
        let end = behind.find('<').unwrap_or(behind.len());
        let closing = behind.get(end..).unwrap_or_default();
        let is_close = |closing: &str| closing.eq_ignore_ascii_case("</at>");
        if closing.get(..5).is_some_and(is_close) {
            len += end + 5;
        }
    }
    Some((id, len))
}

/// At most so many bytes of a text.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut len = bytes_max.min(text.len());
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    text.get(..len).unwrap_or_default()
}

/// Words behind an `@` that mean everyone somewhere.
const EVERYONE: [&str; 7] = [
    "all",
    "everyone",
    "here",
    "channel",
    "所有人",
    "全体成员",
    "全员",
];

fn everyone(behind: &str) -> bool {
    EVERYONE.iter().any(|word| {
        behind.get(..word.len()).is_some_and(|said| {
            said.eq_ignore_ascii_case(word)
                && !goes_on(said, behind.get(word.len()..).unwrap_or_default())
        })
    })
}

/// A short text of ours or another's, such as a name or a notice, in which nobody
/// can be mentioned.
pub(crate) fn plain(text: &str) -> String {
    let nobody = Mentionable::default();
    marked(text, &nobody)
}

/// Takes the force out of mention tags: `<at …>` in a text pings people, and
/// `<at user_id="all">` everyone. Feishu documents no escape, so an invisible
/// blank goes between the bracket and the name. The same for the placeholders of
/// received texts, which nobody writes by hand.
pub(crate) fn without_mentions(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '@']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        safe.push_str(before);
        let is_tag = from.starts_with('<');
        safe.push(if is_tag { '<' } else { '@' });
        rest = from.get(1..).unwrap_or_default();
        if is_tag && opens_at(rest) || !is_tag && is_placeholder(rest) {
            safe.push(ZERO_WIDTH);
        }
    }
    safe.push_str(rest);
    safe
}

/// Whether what stands behind a bracket makes it a tag called `at`.
fn opens_at(behind: &str) -> bool {
    let name = behind.trim_start_matches('/').trim_start();
    let is_at = name
        .get(..2)
        .is_some_and(|name| name.eq_ignore_ascii_case("at"));
    // `<atomic>` is a word of its own.
    is_at
        && !name
            .get(2..)
            .is_some_and(|rest| rest.starts_with(is_of_word))
}

fn is_placeholder(behind: &str) -> bool {
    ["_all", "_user_"].iter().any(|name| {
        behind
            .get(..name.len())
            .is_some_and(|said| said.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn directory() -> Mentionable {
        let people = [
            ("ou_1", "李雷"),
            ("ou_2", "Li"),
            ("ou_3", "Li Lei"),
            ("ou_4", "韩梅梅"),
            ("ou_5", "双"),
            ("ou_6", "双"),
            ("ou_7", "<b>"),
            ("ou_8", "all"),
            ("not an id", "王"),
        ];
        Mentionable::new(people.map(|(open_id, name)| Person {
            open_id: open_id.into(),
            name: name.into(),
        }))
    }

    fn shown(text: &str) -> String {
        let people = directory();
        expanded(&marked(text, &people), &people).replace(ZERO_WIDTH, "·")
    }

    #[test]
    fn names_of_the_directory_become_mentions() {
        let at = |id: &str, name: &str| format!("<at user_id=\"{id}\">{name}</at>");
        for (text, expected) in [
            ("请@李雷看一下", format!("请{}看一下", at("ou_1", "李雷"))),
            (
                "@Li Lei, @Li!",
                format!("{}, {}!", at("ou_3", "Li Lei"), at("ou_2", "Li")),
            ),
            ("@Lisa @Li_x", "@Lisa @Li_x".into()),
            ("@双 has a double", "@双 has a double".into()),
            (
                "mail bob@Li.com or \\@Li",
                "mail bob@Li.com or \\@Li".into(),
            ),
            (
                "`@李雷` ``a ` @李雷`` @李雷",
                format!("`@李雷` ``a ` @李雷`` {}", at("ou_1", "李雷")),
            ),
            (
                "an open ` and @李雷",
                format!("an open ` and {}", at("ou_1", "李雷")),
            ),
            (
                "```\n@李雷\n```\n@李雷",
                format!("```\n@李雷\n```\n{}", at("ou_1", "李雷")),
            ),
            (
                "<at user_id=\"ou_4\">whoever</at>.",
                format!("{}.", at("ou_4", "韩梅梅")),
            ),
            ("<AT id=ou_4 ></AT>", at("ou_4", "韩梅梅")),
            ("<at id='ou_4'/> x", format!("{} x", at("ou_4", "韩梅梅"))),
            (
                "<at id=ou_4> rest",
                format!("{} rest", at("ou_4", "韩梅梅")),
            ),
            (
                "<at id=ou_9>Nobody</at>",
                "<·at id=ou_9>Nobody<·/at>".into(),
            ),
            (
                "<at user_id=\"all\"></at>",
                "<·at user_id=\"all\"><·/at>".into(),
            ),
            ("@<b>", at("ou_7", "b")),
            // Somebody may be called so; it is that person who is mentioned.
            ("@all", at("ou_8", "all")),
            (
                "@ALL @everyone @所有人！",
                "@·ALL @·everyone @·所有人！".into(),
            ),
            ("@allow @hereby", "@allow @hereby".into()),
            ("@_all @_user_1", "@·_all @·_user_1".into()),
            ("`<at id=ou_4></at>`", "`<·at id=ou_4><·/at>`".into()),
            ("\u{F0000}\u{F0001}x", "x".into()),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_whole_group_is_not_woken_one_by_one() {
        let people = Mentionable::new((0..40).map(|number| Person {
            open_id: format!("ou_{number}"),
            name: format!("n{number}"),
        }));
        let text: String = (0..40)
            .map(|number| format!("@n{number} <at id=ou_{number}></at> "))
            .collect();
        let shown = expanded(&marked(&text, &people), &people);
        assert_eq!(shown.matches("<at ").count(), 2 * MENTIONED_MAX);
        assert!(shown.ends_with("@n39 @n39 "), "{shown}");
    }

    #[test]
    fn no_text_can_mention_anybody() {
        for text in [
            "<at user_id=\"all\"></at>",
            "<AT id=all>",
            "a < b <at x",
            "< at id=all>",
            "<\tat",
            "@_all",
        ] {
            let safe = without_mentions(text);
            assert!(!safe.to_lowercase().contains("<at"), "{safe:?}");
            assert!(!safe.contains("@_all"), "{safe:?}");
            assert_eq!(safe.replace(ZERO_WIDTH, ""), text);
        }
        assert_eq!(without_mentions("<atomic>"), "<atomic>");
        assert_eq!(without_mentions("a < b, <b>bold</b>"), "a < b, <b>bold</b>");
        assert_eq!(plain("to @all"), "to @\u{200b}all");
    }

    proptest! {
        #[test]
        fn only_people_of_the_directory_are_ever_mentioned(
            text in "(<at user_id=\"all\">|</at>|<AT id=all>|<at id=ou_1>|@李雷|@双|`|```\n|\u{F0001}|[a-z<>/@_ \n=\"]){0,60}",
        ) {
            let people = directory();
            let shown = expanded(&marked(&text, &people), &people).to_lowercase();
            let mut known = shown.clone();
            for Person { open_id, name } in people.people() {
                let name = name.replace(['<', '>'], " ");
                known = known.replace(&format!("<at user_id=\"{open_id}\">{}</at>", name.trim().to_lowercase()), "");
            }
            prop_assert!(!known.contains("<at ") && !known.contains("</at"), "{shown:?}");
            prop_assert!(!shown.contains("@_all"));
        }
    }
}
