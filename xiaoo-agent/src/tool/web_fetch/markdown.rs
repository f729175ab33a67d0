//! Writes Markdown from the events of a page: blocks, lists, links, tables.
//!
//! Nothing that is written is looked at again, and no line's beginning is longer than a bound.

/// Deepest list and quote that are indented; what is deeper is not moved further.
const DEPTH_MAX: usize = 8;
/// Widest heading of a table that gets a line under it.
const COLUMNS_MAX: usize = 50;

/// The text so far, and where in it the page is.
#[derive(Debug, Default)]
pub(super) struct Markdown {
    out: String,
    gap: Gap,
    lists: Vec<Option<u32>>,
    /// Lists that are open beyond the bound.
    lists_beyond: usize,
    quotes: usize,
    /// How many of them the line that is being written began with.
    line_quotes: usize,
    /// Where the last mark ends: of an item, of a heading. Its text begins on the same line.
    mark_end: Option<usize>,
    /// Where the open link goes, and where its text begins.
    link: Option<(String, usize)>,
    is_code: bool,
    /// Whether the first text of the code is still to come.
    is_fresh_code: bool,
    table: Table,
}

/// What is to come between the last text and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

#[derive(Debug, Default)]
struct Table {
    /// Tables that are open in one another; only the outermost is drawn.
    depth: usize,
    cells: usize,
    is_heading: bool,
    had_heading: bool,
}

impl Markdown {
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn finish(mut self) -> String {
        self.close_link();
        if self.is_code {
            self.close_code();
        }
        self.out
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.is_code {
            let is_fresh = core::mem::take(&mut self.is_fresh_code);
            let text = if is_fresh {
                text.strip_prefix('\n').unwrap_or(text)
            } else {
                text
            };
            self.out.push_str(text);
            return;
        }
        for (at, word) in text.split(is_space).enumerate() {
            if at > 0 {
                self.widen(Gap::Space);
            }
            if !word.is_empty() {
                self.flush();
                self.out.push_str(word);
            }
        }
    }

    pub(super) fn line(&mut self) {
        if self.is_code {
            self.out.push('\n');
        } else {
            self.widen(Gap::Line);
        }
    }

    pub(super) fn paragraph(&mut self) {
        if !self.is_code {
            self.widen(if self.lists.is_empty() {
                Gap::Paragraph
            } else {
                Gap::Line
            });
        }
    }

    pub(super) fn rule(&mut self) {
        if self.is_code || self.table.depth > 0 {
            return;
        }
        self.widen(Gap::Paragraph);
        self.push("---");
        self.widen(Gap::Paragraph);
    }

    /// `name` is `h1` to `h6`.
    pub(super) fn heading(&mut self, name: &str) {
        self.paragraph();
        if self.is_code || self.table.depth > 0 {
            return;
        }
        let level = name
            .bytes()
            .last()
            .map_or(1, |digit| digit.saturating_sub(b'0'));
        self.push(&"#".repeat(usize::from(level.clamp(1, 6))));
        self.mark();
    }

    pub(super) fn open_list(&mut self, first: Option<u32>) {
        self.paragraph();
        if self.lists.len() < DEPTH_MAX {
            self.lists.push(first);
        } else {
            self.lists_beyond += 1;
        }
    }

    pub(super) fn close_list(&mut self) {
        if self.lists_beyond > 0 {
            self.lists_beyond -= 1;
        } else {
            self.lists.pop();
        }
        self.paragraph();
    }

    pub(super) fn item(&mut self) {
        if self.is_code {
            return;
        }
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}.");
                *number = number.saturating_add(1);
                mark
            }
            Some(None) | None => "-".to_owned(),
        };
        if self.table.depth == 0 {
            self.gap = self.gap.max(Gap::Line);
            self.flush_with(self.indent().saturating_sub(2));
            self.out.push_str(&mark);
            self.mark();
        }
    }

    pub(super) fn open_quote(&mut self) {
        self.widen(Gap::Paragraph);
        self.quotes += 1;
    }

    pub(super) fn close_quote(&mut self) {
        self.quotes = self.quotes.saturating_sub(1);
        self.widen(Gap::Paragraph);
    }

    pub(super) fn open_code(&mut self) {
        if self.is_code || self.table.depth > 0 {
            return;
        }
        self.widen(Gap::Paragraph);
        self.push("```");
        self.out.push('\n');
        self.is_code = true;
        self.is_fresh_code = true;
    }

    pub(super) fn close_code(&mut self) {
        if !self.is_code {
            return;
        }
        self.is_code = false;
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out.push_str("```");
        self.widen(Gap::Paragraph);
    }

    /// Begins or ends code within a line.
    pub(super) fn code_mark(&mut self) {
        if !self.is_code {
            self.push("`");
        }
    }

    /// Links do not hold links: one that is still open ends here.
    pub(super) fn open_link(&mut self, to: Option<String>) {
        self.close_link();
        if let Some(to) = to
            && !self.is_code
        {
            self.push("[");
            self.link = Some((to, self.out.len()));
        }
    }

    pub(super) fn close_link(&mut self) {
        let Some((to, began)) = self.link.take() else {
            return;
        };
        if self.out.len() == began {
            // Nothing to read was in it.
            self.out.pop();
        } else {
            self.out.push_str("](");
            self.out.push_str(&to);
            self.out.push(')');
        }
    }

    pub(super) fn image(&mut self, alt: &str, at: Option<&str>) {
        self.push("![");
        self.out.push_str(alt);
        self.out.push(']');
        if let Some(at) = at {
            self.out.push('(');
            self.out.push_str(at);
            self.out.push(')');
        }
    }

    pub(super) fn open_table(&mut self) {
        self.widen(Gap::Paragraph);
        if self.table.depth == 0 {
            self.table = Table::default();
        }
        self.table.depth += 1;
    }

    pub(super) fn close_table(&mut self) {
        self.end_row();
        self.table.depth = self.table.depth.saturating_sub(1);
        self.widen(Gap::Paragraph);
    }

    pub(super) fn row(&mut self) {
        self.end_row();
        if self.table.depth <= 1 {
            self.gap = self.gap.max(Gap::Line);
        }
    }

    pub(super) fn cell(&mut self, is_heading: bool) {
        if self.table.depth != 1 {
            self.widen(Gap::Space);
            return;
        }
        if self.table.cells == 0 {
            self.flush();
            self.out.push('|');
        } else {
            self.out.push_str(" |");
        }
        self.gap = Gap::Space;
        self.table.cells += 1;
        self.table.is_heading |= is_heading;
    }

    pub(super) fn end_row(&mut self) {
        if self.table.depth != 1 || self.table.cells == 0 {
            return;
        }
        self.out.push_str(" |");
        if self.table.is_heading && !self.table.had_heading && self.table.cells <= COLUMNS_MAX {
            self.gap = Gap::Line;
            self.push("|");
            self.out.push_str(&" --- |".repeat(self.table.cells));
        }
        self.gap = Gap::Line;
        self.table.had_heading = true;
        self.table.cells = 0;
        self.table.is_heading = false;
    }

    /// Notes that a mark was written whose text is to come.
    fn mark(&mut self) {
        self.mark_end = Some(self.out.len());
        self.gap = Gap::Space;
    }

    fn push(&mut self, text: &str) {
        self.flush();
        self.out.push_str(text);
    }

    /// Asks for at least this much space. A cell is one line.
    fn widen(&mut self, gap: Gap) {
        let in_cell = self.table.depth > 1 || self.table.cells > 0;
        let after_mark = self.mark_end == Some(self.out.len());
        let gap = if in_cell || after_mark {
            gap.min(Gap::Space)
        } else {
            gap
        };
        self.gap = self.gap.max(gap);
    }

    fn flush(&mut self) {
        self.flush_with(self.indent());
    }

    fn flush_with(&mut self, indent: usize) {
        let gap = core::mem::take(&mut self.gap);
        let begins = self.out.is_empty();
        if gap < Gap::Line && !begins {
            if gap == Gap::Space {
                self.out.push(' ');
            }
            return;
        }
        let quotes = self.quotes.min(DEPTH_MAX);
        if !begins {
            self.out.push('\n');
        }
        if !begins && gap == Gap::Paragraph {
            let both = self.line_quotes.min(quotes);
            self.out.push_str(&">".repeat(both));
            self.out.push('\n');
        }
        self.line_quotes = quotes;
        self.out.push_str(&"> ".repeat(quotes));
        self.out.push_str(&" ".repeat(indent));
    }

    fn indent(&self) -> usize {
        2 * self.lists.len()
    }
}

/// The white space of HTML, which a no-break space is not.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}
