//! Writing text: plain, escaped for a tag, and people's words with names in
//! the place of placeholders.

use super::mention::{ALL, Mentions, PLACEHOLDER_BYTES_MAX, Person, Start};
use super::{Resource, TEXT_BYTES_MAX};
use crate::json::{JsonStr, Piece, find};
use crate::{BufferFull, TextBuffer};

pub(super) type Written = Result<(), BufferFull>;

/// Where the text of one message goes, and what else is found on the way.
pub(super) struct Writer<'w, 'm, T> {
    text: &'w mut T,
    pub(super) mentions: &'w Mentions<'m>,
    pub(super) resources: &'w mut dyn FnMut(Resource<'_>),
    pub(super) mentions_all: bool,
    pub(super) needs_fetch: bool,
    /// Inside a tag, where nobody's words may end it or open another.
    escaping: bool,
}

impl<'w, 'm, T: TextBuffer> Writer<'w, 'm, T> {
    pub(super) const fn new(
        text: &'w mut T,
        mentions: &'w Mentions<'m>,
        resources: &'w mut dyn FnMut(Resource<'_>),
    ) -> Self {
        Self {
            text,
            mentions,
            resources,
            mentions_all: false,
            needs_fetch: false,
            escaping: false,
        }
    }

    /// Text of ours.
    pub(super) fn raw(&mut self, text: &str) -> Written {
        self.text.push_str(text)
    }

    /// Texts of ours, one behind the other.
    pub(super) fn raws(&mut self, texts: &[&str]) -> Written {
        texts.iter().try_for_each(|text| self.raw(text))
    }

    /// Text from the message, as it stands there.
    pub(super) fn string(&mut self, text: JsonStr<'_>) -> Written {
        text.pieces().try_for_each(|piece| match piece {
            Piece::Run(run) => self.foreign(run),
            Piece::Char(character) => self.foreign(character.encode_utf8(&mut [0; 4])),
        })
    }

    /// People's words: placeholders become names.
    pub(super) fn words(&mut self, text: JsonStr<'_>) -> Written {
        let mut words = Words::new(self, Blanks::Kept);
        words.string(text)?;
        words.finish()
    }

    /// The value of an attribute: it cannot end the attribute or open a tag.
    pub(super) fn attribute(&mut self, value: JsonStr<'_>) -> Written {
        for character in value.chars() {
            match character {
                '"' => self.raw("&quot;")?,
                '\n' | '\r' => self.raw(" ")?,
                other => self.escaped(other)?,
            }
        }
        Ok(())
    }

    /// A tag around lines that nobody's words can end.
    pub(super) fn block(&mut self, tag: &str, lines: impl FnOnce(&mut Self) -> Written) -> Written {
        self.raws(&["<", tag, ">\n"])?;
        self.escaping = true;
        let written = lines(self);
        self.escaping = false;
        written?;
        self.raws(&["\n</", tag, ">"])
    }

    /// Writes what `line` writes in a line of its own, behind `break_` if
    /// anything was written since `start`. Writing nothing makes no line.
    pub(super) fn line(
        &mut self,
        start: usize,
        break_: &str,
        line: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        let before = self.len();
        let line_start = self.begin_line(start, break_)?;
        line(self)?;
        self.end_line(before, line_start);
        Ok(())
    }

    fn begin_line(&mut self, start: usize, break_: &str) -> Result<usize, BufferFull> {
        if self.len() > start {
            self.raw(break_)?;
        }
        Ok(self.len())
    }

    fn end_line(&mut self, before: usize, line_start: usize) {
        if self.len() == line_start {
            self.truncate(before);
        }
    }

    /// Takes back all that was written.
    pub(super) fn start_again(&mut self) {
        self.text.truncate(0);
        self.mentions_all = false;
    }

    pub(super) fn len(&self) -> usize {
        self.text.as_str().len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
    }

    /// What was written from `start` on.
    pub(super) fn since(&self, start: usize) -> &str {
        self.text.as_str().get(start..).unwrap_or_default()
    }

    /// Drops blanks from the end of what was written from `start` on.
    pub(super) fn trim_end(&mut self, start: usize) {
        let len = start + self.since(start).trim_end().len();
        self.truncate(len);
    }

    #[inline]
    fn foreign(&mut self, text: &str) -> Written {
        if !self.escaping {
            return self.text.push_str(text);
        }
        text.chars()
            .try_for_each(|character| self.escaped(character))
    }

    fn escaped(&mut self, character: char) -> Written {
        match character {
            '&' => self.raw("&amp;"),
            '<' => self.raw("&lt;"),
            '>' => self.raw("&gt;"),
            other => self.raw(other.encode_utf8(&mut [0; 4])),
        }
    }
}

/// What becomes of blanks before and behind people's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    Kept,
    Trimmed,
}

/// People's words, a piece at a time.
///
/// Placeholders are replaced in one pass from left to right: a replacement is
/// never looked at again. The bot's own mention goes, with one blank behind it
/// (or before it, if none is behind).
pub(super) struct Words<'x, 'w, 'm, T> {
    out: &'x mut Writer<'w, 'm, T>,
    /// What may become a placeholder with the next piece; else empty.
    open: heapless::String<{ PLACEHOLDER_BYTES_MAX }>,
    bot_was_here: bool,
    /// How long the text was before these words.
    start: usize,
    /// Whether blanks are dropped now: they would be the first.
    at_start: bool,
    /// Whether nothing that came before bears on what a run becomes.
    settled: bool,
    blanks: Blanks,
}

impl<'x, 'w, 'm, T: TextBuffer> Words<'x, 'w, 'm, T> {
    pub(super) fn new(out: &'x mut Writer<'w, 'm, T>, blanks: Blanks) -> Self {
        Self {
            open: heapless::String::new(),
            bot_was_here: false,
            start: out.len(),
            at_start: blanks == Blanks::Trimmed,
            settled: false,
            blanks,
            out,
        }
    }

    pub(super) fn string(&mut self, text: JsonStr<'_>) -> Written {
        text.pieces().try_for_each(|piece| match piece {
            Piece::Run(run) => self.run(run),
            Piece::Char(character) => self.char(character),
        })
    }

    #[inline]
    pub(super) fn char(&mut self, character: char) -> Written {
        if self.settled && character != '@' {
            return self.out.text.push(character);
        }
        self.unsettled_run(character.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    pub(super) fn run(&mut self, run: &str) -> Written {
        if self.settled && find(run.as_bytes(), b'@').is_none() {
            return self.out.text.push_str(run);
        }
        self.unsettled_run(run)
    }

    /// A run, whatever is in it and came before it.
    fn unsettled_run(&mut self, run: &str) -> Written {
        self.run_with_mentions(run)?;
        self.settled =
            self.open.is_empty() && !self.bot_was_here && !self.at_start && !self.out.escaping;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Written {
        if !self.open.is_empty() {
            let open = core::mem::take(&mut self.open);
            match Start::of_whole(&open) {
                Start::Placeholder(_) => self.replace(&open)?,
                Start::Open | Start::Other => self.plain(&open)?,
            }
        }
        if self.bot_was_here {
            self.drop_blank_before();
        }
        if self.blanks == Blanks::Trimmed {
            self.out.trim_end(self.start);
        }
        Ok(())
    }

    fn run_with_mentions(&mut self, run: &str) -> Written {
        let mut rest = run;
        while !self.open.is_empty() {
            let Some(next) = rest.chars().next() else {
                return Ok(());
            };
            let mut longer = heapless::String::<{ PLACEHOLDER_BYTES_MAX + 4 }>::new();
            // Both fit: a character has four bytes at most.
            let _ = longer.push_str(&self.open).and_then(|()| longer.push(next));
            if Start::of(&longer) == Start::Open && self.open.push(next).is_ok() {
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
                continue;
            }
            // The next character decides and is not a part of it.
            let open = core::mem::take(&mut self.open);
            match Start::of(&longer) {
                Start::Placeholder(_) => self.replace(&open)?,
                Start::Open | Start::Other => self.plain(&open)?,
            }
        }
        while let Some(at) = find(rest.as_bytes(), b'@') {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.plain(before)?;
            let taken = match Start::of(from) {
                Start::Placeholder(len) => {
                    self.replace(from.get(..len).unwrap_or_default())?;
                    len
                }
                Start::Open if self.open.push_str(from).is_ok() => return Ok(()),
                Start::Open | Start::Other => {
                    self.plain("@")?;
                    1
                }
            };
            rest = from.get(taken..).unwrap_or_default();
        }
        self.plain(rest)
    }

    /// Text without placeholders.
    #[inline]
    fn plain(&mut self, text: &str) -> Written {
        if text.is_empty() {
            return Ok(());
        }
        let mut text = text;
        if self.bot_was_here {
            self.bot_was_here = false;
            match text.strip_prefix(' ') {
                Some(rest) => text = rest,
                None => self.drop_blank_before(),
            }
        }
        if self.at_start {
            text = text.trim_start();
            self.at_start = text.is_empty();
        }
        self.out.foreign(text)
    }

    fn replace(&mut self, key: &str) -> Written {
        if key == ALL {
            self.out.mentions_all = true;
            return self.plain("@all");
        }
        match self.out.mentions.find(key) {
            Some(Person { is_bot: true, .. }) => {
                if self.bot_was_here {
                    self.drop_blank_before();
                }
                self.bot_was_here = true;
                Ok(())
            }
            Some(Person {
                name: Some(name), ..
            }) if self.out.len() < TEXT_BYTES_MAX => {
                self.plain("@")?;
                self.out.string(name)
            }
            Some(_) | None => self.plain(key),
        }
    }

    fn drop_blank_before(&mut self) {
        if self.out.since(self.start).ends_with(' ') {
            self.out.truncate(self.out.len() - 1);
        }
    }
}
