//! The text of a file, and where everything in it stands.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::problem::{Problem, Report};

/// The text of a file, for positions.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        // Windows editors put one there.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            path,
            text,
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// The text as a table, or what keeps it from being one.
    pub(super) fn parse(&self, report: &mut Report) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let problem = self.syntax_problem(error, report.file());
            report.push(problem);
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// Counted from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    fn syntax_problem(&self, error: &toml::de::Error, file: &str) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let line = self.line_of(span.start);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..span.start).unwrap_or_default();
        Problem {
            file: file.to_owned(),
            line: Some(line),
            column: Some(before.chars().count() + 1),
            key: String::new(),
            message: format!("not TOML: {}", error.message().replace('\n', ", ")),
            excerpt: Some(self.excerpt(line, start, span)),
        }
    }

    /// The line with a mark under `span`. What stands behind the `=` of a line
    /// about something secret is starred out: this text ends up in logs.
    fn excerpt(&self, line: usize, start: usize, span: Range<usize>) -> String {
        let text = first_line(self.text.get(start..));
        let before = self.text.get(start..span.start).unwrap_or_default();
        let rest = text.get(before.len()..).unwrap_or_default();
        let marked = first_line(self.text.get(span));
        let width = marked.chars().count().min(rest.chars().count()).max(1);

        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the mark stands where the eye expects it.
        let indent: String = before
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mut excerpt = format!("  {number} | {}\n", starred(text));
        let _ = write!(excerpt, "  {gutter} | {indent}{}", "^".repeat(width));
        excerpt
    }
}

fn first_line(text: Option<&str>) -> &str {
    text.and_then(|text| text.lines().next())
        .unwrap_or_default()
}

fn starred(line: &str) -> String {
    const SECRET: [&str; 4] = ["token", "secret", "key", "password"];
    let Some((name, value)) = line.split_once('=') else {
        return line.to_owned();
    };
    let lower = name.to_ascii_lowercase();
    if !SECRET.iter().any(|word| lower.contains(word)) {
        return line.to_owned();
    }
    let stars = value
        .chars()
        .map(|c| if c.is_whitespace() { c } else { '*' });
    format!("{name}={}", stars.collect::<String>())
}
