//! Cutting a Markdown text into pieces of bounded size that each stand alone:
//! no character and no code fence is broken.

use unicode_segmentation::UnicodeSegmentation as _;

/// A fence whose opening line is as long is taken for prose: the line would
/// have to be repeated in every piece.
const OPENING_BYTES_MAX: usize = 64;

/// Keeps what follows from being a fence, and is not seen.
const NO_FENCE: char = '\u{200b}';

/// A code fence that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    /// The line that opened it, without its end.
    pub(super) opening: String,
    marker: char,
    len: usize,
}

impl Fence {
    /// The fence that a line opens: three or more backticks or tildes, indented
    /// by at most three blanks. Backticks may not come again behind them.
    pub(super) fn opened_by(line: &str) -> Option<Self> {
        let text = line.trim_end_matches(['\n', '\r']);
        let inner = text.trim_start_matches(' ');
        if text.len() - inner.len() > 3 {
            return None;
        }
        let marker = inner
            .chars()
            .next()
            .filter(|marker| matches!(marker, '`' | '~'))?;
        let len = inner
            .chars()
            .take_while(|character| *character == marker)
            .count();
        let info = inner.get(len..).unwrap_or_default();
        if len < 3 || (marker == '`' && info.contains('`')) {
            return None;
        }
        Some(Self {
            opening: text.to_owned(),
            marker,
            len,
        })
    }

    /// Whether a line closes this fence.
    pub(super) fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim_end();
        let inner = text.trim_start_matches(' ');
        text.len() - inner.len() <= 3
            && inner.chars().count() >= self.len
            && inner.chars().all(|character| character == self.marker)
    }

    fn closing(&self) -> String {
        self.marker.to_string().repeat(self.len)
    }
}

/// Cuts `text` into pieces of at most `bytes_max` bytes. A fence that is cut is
/// closed, and opened again in the next piece. Text outside fences is cut
/// between paragraphs where that leaves a piece at least half full, then
/// between lines, then behind sentences and words, and inside a word last.
///
/// `bytes_max` must leave room for a fence's two lines; it is raised to 256.
/// Pieces of nothing but white space are left out. Where a part of a cut line
/// would be taken for a fence, an invisible blank goes before it.
#[must_use]
pub fn split(text: &str, bytes_max: usize) -> Vec<String> {
    let mut splitter = Splitter {
        bytes_max: bytes_max.max(256),
        pieces: Vec::new(),
        piece: String::new(),
        fence: None,
        paragraph_at: None,
    };
    for line in text.split_inclusive('\n') {
        splitter.line(line);
    }
    splitter.end_piece();
    splitter.pieces
}

struct Splitter {
    bytes_max: usize,
    pieces: Vec<String>,
    piece: String,
    fence: Option<Fence>,
    /// Where the piece has its last end of a paragraph outside a fence.
    paragraph_at: Option<usize>,
}

impl Splitter {
    fn line(&mut self, line: &str) {
        if let Some(fence) = &self.fence
            && fence.is_closed_by(line)
        {
            self.close_fence(line);
            return;
        }
        let opened = match &self.fence {
            Some(_) => None,
            None if line.trim_end_matches('\n').len() < OPENING_BYTES_MAX => Fence::opened_by(line),
            None => None,
        };
        // A line that opens a fence needs room for the line that closes it.
        let closing = opened.as_ref().map_or(0, |fence| fence.len + 2);
        self.make_room(line.len() + closing);
        if line.len() <= self.room() {
            self.piece.push_str(line);
        } else {
            self.long_line(line);
        }
        self.fence = self.fence.take().or(opened);
        if self.fence.is_none() && line.trim().is_empty() {
            self.paragraph_at = Some(self.piece.len());
        }
    }

    /// Room for it was kept free, if it is no longer than it need be.
    fn close_fence(&mut self, line: &str) {
        let Some(fence) = self.fence.take() else {
            return;
        };
        if line.len() <= self.room() {
            self.piece.push_str(line);
        } else {
            self.piece.push_str(&fence.closing());
            self.piece.push('\n');
        }
    }

    /// Ends the piece if so many bytes do not fit any more.
    fn make_room(&mut self, len: usize) {
        if len <= self.room() {
            return;
        }
        if self.piece.trim().is_empty() {
            self.piece.clear();
            self.paragraph_at = None;
            return;
        }
        // Back to a paragraph's end, if most of the piece stays.
        let rest = match self.paragraph_at {
            Some(at) if self.fence.is_none() && at * 2 >= self.bytes_max => {
                self.piece.split_off(at.min(self.piece.len()))
            }
            _ => String::new(),
        };
        self.end_piece();
        self.piece.push_str(&rest);
    }

    /// A line that no piece can hold is cut itself, and no part of it is the
    /// line of a fence.
    fn long_line(&mut self, line: &str) {
        let mut rest = line;
        while !rest.is_empty() {
            let text = rest.trim_start_matches(' ');
            if text.starts_with("```") || text.starts_with("~~~") {
                self.piece.push(NO_FENCE);
            }
            let at = cut(rest, self.room());
            let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.piece.push_str(head);
            rest = tail;
            if !rest.is_empty() {
                self.end_piece();
            }
        }
    }

    /// Bytes that the piece can still take, with its fence's closing line kept free.
    fn room(&self) -> usize {
        let closing = self.fence.as_ref().map_or(0, |fence| fence.len + 2);
        self.bytes_max.saturating_sub(self.piece.len() + closing)
    }

    fn end_piece(&mut self) {
        self.paragraph_at = None;
        let mut piece = core::mem::take(&mut self.piece);
        if let Some(fence) = &self.fence {
            if !piece.ends_with('\n') {
                piece.push('\n');
            }
            piece.push_str(&fence.closing());
            self.piece.push_str(&fence.opening);
            self.piece.push('\n');
        }
        if !piece.trim().is_empty() {
            self.pieces.push(piece);
        }
    }
}

/// Where to cut a text that is longer than `room`: behind the last sentence,
/// else the last blank, in the second half of the room; else between two
/// characters as people see them.
fn cut(text: &str, room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    let (mut sentence, mut blank, mut any) = (None, None, None);
    for (at, grapheme) in text.grapheme_indices(true) {
        let end = at + grapheme.len();
        if end > room {
            break;
        }
        any = Some(end);
        match grapheme {
            "。" | "！" | "？" | "；" | "." | "!" | "?" | ";" => sentence = Some(end),
            " " | "\t" | "，" | "," | "、" => blank = Some(end),
            _ => {}
        }
    }
    let late = |end: &usize| *end * 2 >= room;
    sentence
        .filter(late)
        .or_else(|| blank.filter(late))
        .or(any)
        // One character that is longer than the room: no room is that small.
        .unwrap_or_else(|| text.chars().next().map_or(text.len(), char::len_utf8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fence_is_closed_and_opened_again() {
        for opening in ["```rust", "````c++ {.numbered}", "~~~", "  ```text"] {
            let marker: String = opening
                .trim_start()
                .chars()
                .take_while(|c| matches!(c, '`' | '~'))
                .collect();
            let code = "let x = 1;\n".repeat(60);
            let text = format!("before\n\n{opening}\n{code}{marker}\n\nafter\n");
            let pieces = split(&text, 300);
            assert!(pieces.len() > 2);
            for piece in &pieces {
                assert!(piece.len() <= 300, "{} bytes", piece.len());
                assert!(balanced(piece), "{piece}");
            }
            assert_eq!(pieces.concat().matches("let x = 1;").count(), 60);
            assert!(pieces[1].starts_with(opening), "{:?}", pieces[1]);
        }
    }

    #[test]
    fn paragraphs_stay_whole_where_they_can() {
        let text = "One sentence here.\n\n".repeat(40);
        for piece in split(&text, 300) {
            assert!(piece.trim_end().ends_with("here."), "{piece:?}");
        }
    }

    fn balanced(piece: &str) -> bool {
        let mut open: Option<Fence> = None;
        for line in piece.split_inclusive('\n') {
            open = match open {
                Some(fence) if fence.is_closed_by(line) => None,
                Some(fence) => Some(fence),
                None => Fence::opened_by(line),
            };
        }
        open.is_none()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "([a-z 中文😀👨‍👩‍👧。.,]{0,40}\n?){0,60}", limit in 256_usize..900) {
            let pieces = split(&text, limit);
            for piece in &pieces {
                prop_assert!(piece.len() <= limit);
            }
            // Only pieces of nothing but blanks are left out.
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(squeeze(&pieces.concat()), squeeze(&text));
        }

        #[test]
        fn fences_are_balanced_in_every_piece(
            lines in proptest::collection::vec(prop::sample::select(vec![
                "text", "", "```", "```rust", "~~~", "````", "  ```", "    ```", "long long long line of code or prose, it does not matter which",
            ]), 0..60),
        ) {
            let mut text = lines.join("\n");
            // An open fence at the end is the author's; close it to compare.
            let mut open: Option<Fence> = None;
            for line in text.split_inclusive('\n') {
                open = match open {
                    Some(fence) if fence.is_closed_by(line) => None,
                    Some(fence) => Some(fence),
                    None => Fence::opened_by(line),
                };
            }
            if let Some(fence) = open {
                text.push('\n');
                text.push_str(&fence.closing());
            }
            for piece in split(&text, 256) {
                prop_assert!(piece.len() <= 256, "{} in {piece:?}", piece.len());
                prop_assert!(balanced(&piece), "{piece:?}");
            }
        }
    }
}
