//! A parsed file that knows where everything in it stands.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Report};
use super::schema::{self, Key, Kind, Table};

/// The text of a file, for positions.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    file: String,
    line_starts: Vec<usize>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) key: String,
    line: Option<usize>,
}

/// One section, present or not.
#[derive(Clone)]
pub(super) struct Section<'a> {
    path: String,
    schema: &'static Table,
    entries: Option<&'a DeTable<'a>>,
    line: Option<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        // Windows editors put one there.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            path,
            text,
            file: path.display().to_string(),
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// The text as a table, or what keeps it from being one.
    pub(super) fn parse(&self, report: &mut Report) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            report.error(self.syntax_problem(error));
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// The whole file as a section.
    pub(super) fn root(table: &'a DeTable<'a>) -> Section<'a> {
        Section {
            path: String::new(),
            schema: &schema::ROOT,
            entries: Some(table),
            line: None,
        }
    }

    /// What stands in the file against the schema: unknown keys and wrong types.
    pub(super) fn walk(&self, section: &Section<'_>, report: &mut Report) {
        let Some(entries) = section.entries else {
            return;
        };
        for (name, value) in entries {
            let spot = Spot {
                key: section.child(name.get_ref()),
                line: Some(self.line_of(name.span().start)),
                value: (),
            };
            match section.schema.key(name.get_ref()) {
                Some(key) => self.walk_value(key, value.get_ref(), &spot, report),
                None => report.error(self.problem(&spot, unknown(section, name.get_ref()))),
            }
        }
    }

    fn walk_value(&self, key: &Key, value: &DeValue<'_>, spot: &Spot<()>, report: &mut Report) {
        match (&key.kind, value) {
            (Kind::Section(schema), _) => self.walk_section(schema, value, spot, report),
            (Kind::Sections(schema), DeValue::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let spot = self.item_spot(spot, index, item);
                    self.walk_section(schema, item.get_ref(), &spot, report);
                }
            }
            (Kind::NamedSections(schema), DeValue::Table(entries)) => {
                for (name, value) in entries {
                    let spot = self.named_spot(spot, name);
                    self.walk_section(schema, value.get_ref(), &spot, report);
                }
            }
            (Kind::Texts, DeValue::Array(items)) => {
                if items.len() > LIST_ITEMS_MAX {
                    let message = format!("more than {LIST_ITEMS_MAX} entries");
                    report.error(self.problem(spot, message));
                }
                for (index, item) in items.iter().enumerate() {
                    if !item.get_ref().is_str() {
                        let spot = self.item_spot(spot, index, item);
                        let message = wrong_type("a text in quotes", item.get_ref());
                        report.error(self.problem(&spot, message));
                    }
                }
            }
            (Kind::Choice { of, .. }, DeValue::String(text)) if !of.contains(&text.as_ref()) => {
                report.error(self.problem(spot, not_a_choice(text, of)));
            }
            (Kind::Count { min, max, .. }, DeValue::Integer(_)) => {
                if !count(value).is_some_and(|number| (*min..=*max).contains(&number)) {
                    let message = format!("must be between {min} and {max}");
                    report.error(self.problem(spot, message));
                }
            }
            (Kind::Ignored(why), _) => report.warn(self.problem(spot, format!("ignored: {why}"))),
            (Kind::Free, DeValue::Table(_))
            | (Kind::Flag { .. }, DeValue::Boolean(_))
            | (
                Kind::Text { .. }
                | Kind::Choice { .. }
                | Kind::Secret
                | Kind::Variable
                | Kind::Path,
                DeValue::String(_),
            ) => {}
            (kind, other) => {
                report.error(self.problem(spot, wrong_type(expected(kind), other)));
            }
        }
    }

    fn walk_section(
        &self,
        schema: &'static Table,
        value: &DeValue<'_>,
        spot: &Spot<()>,
        report: &mut Report,
    ) {
        match value.as_table() {
            Some(entries) => self.walk(&Section::at(spot, schema, entries), report),
            None => report.error(self.problem(spot, wrong_type("a section", value))),
        }
    }

    /// The required keys that a section in use lacks.
    pub(super) fn demand_required(&self, section: &Section<'_>, report: &mut Report) {
        for key in section.schema.keys.iter().filter(|key| key.required) {
            if !section.has_or_means(key.name) {
                let example = match (&key.kind, key.example) {
                    (Kind::Section(_), _) => "; the section is required".to_owned(),
                    (_, "") => String::new(),
                    (_, example) => format!("; for example `{} = {example}`", key.name),
                };
                let spot = section.missing(key.name);
                report.error(self.problem(&spot, format!("missing{example}")));
            }
        }
    }

    pub(super) fn problem<T>(&self, spot: &Spot<T>, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: spot.line,
            column: None,
            key: spot.key.clone(),
            message: message.into(),
            excerpt: None,
        }
    }

    fn item_spot(&self, list: &Spot<()>, index: usize, item: &Spanned<DeValue<'_>>) -> Spot<()> {
        Spot {
            value: (),
            key: format!("{}[{index}]", list.key),
            line: Some(self.line_of(item.span().start)),
        }
    }

    fn named_spot(&self, parent: &Spot<()>, name: &Spanned<toml::de::DeString<'_>>) -> Spot<()> {
        Spot {
            value: (),
            key: format!("{}.{}", parent.key, quoted_if_needed(name.get_ref())),
            line: Some(self.line_of(name.span().start)),
        }
    }

    fn syntax_problem(&self, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let line = self.line_of(span.start);
        Problem {
            file: self.file.clone(),
            line: Some(line),
            column: Some(self.column_of(span.start)),
            key: String::new(),
            message: format!("not TOML: {}", error.message().replace('\n', ", ")),
            excerpt: Some(self.excerpt(line, span)),
        }
    }

    /// The line with a mark under `span`. What stands behind the `=` of a line
    /// about something secret is starred out: this text ends up in logs.
    fn excerpt(&self, line: usize, span: Range<usize>) -> String {
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let text = self.text.get(start..).unwrap_or_default();
        let text = text.lines().next().unwrap_or_default();
        let before = self.text.get(start..span.start).unwrap_or_default();
        let rest = text.get(before.len()..).unwrap_or_default();
        let marked = self.text.get(span).unwrap_or_default();
        let marked = marked.lines().next().unwrap_or_default();
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

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    fn column_of(&self, offset: usize) -> usize {
        let line = self.line_of(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        before.chars().count() + 1
    }
}

impl<'a> Section<'a> {
    fn at<T>(spot: &Spot<T>, schema: &'static Table, entries: &'a DeTable<'a>) -> Self {
        Self {
            path: spot.key.clone(),
            schema,
            entries: Some(entries),
            line: spot.line,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the key is there, or one that is probably a misspelling of it:
    /// that is reported already, and enough.
    pub(super) fn has_or_means(&self, name: &str) -> bool {
        self.has(name)
            || self.entries.is_some_and(|entries| {
                let mut unknown = entries
                    .keys()
                    .filter(|key| self.schema.key(key.get_ref()).is_none());
                unknown.any(|key| self.schema.nearest(key.get_ref()) == Some(name))
            })
    }

    pub(super) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    /// Where the section itself stands.
    pub(super) fn spot(&self) -> Spot<()> {
        Spot {
            value: (),
            key: self.path.clone(),
            line: self.line,
        }
    }

    /// Where a key would stand that is not there.
    pub(super) fn missing(&self, name: &str) -> Spot<()> {
        Spot {
            value: (),
            key: self.child(name),
            line: self.line,
        }
    }

    /// Text of any kind; `None` also for what is not text, which is reported already.
    pub(super) fn text(&self, source: &Source<'_>, name: &str) -> Option<Spot<&'a str>> {
        let (spot, value) = self.value(source, name)?;
        Some(spot.with(value.as_str()?))
    }

    /// The list's items.
    pub(super) fn texts(&self, source: &Source<'_>, name: &str) -> Vec<Spot<&'a str>> {
        let Some((spot, DeValue::Array(items))) = self.value(source, name) else {
            return Vec::new();
        };
        let text = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let spot = source.item_spot(&spot.with(()), index, item);
            Some(spot.with(item.get_ref().as_str()?))
        };
        items.iter().enumerate().filter_map(text).collect()
    }

    /// The value, or the schema's default.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or_else(|| {
            matches!(
                self.kind(name),
                Some(Kind::Flag {
                    default: Some(true)
                })
            )
        })
    }

    pub(super) fn optional_flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.get_ref().as_bool()
    }

    /// The value, or the schema's default. 0 for what is not a count, which is
    /// reported already.
    pub(super) fn count(&self, name: &str) -> u64 {
        let default = match self.kind(name) {
            Some(Kind::Count { default, .. }) => *default,
            _ => None,
        };
        self.optional_count(name).or(default).unwrap_or_default()
    }

    pub(super) fn optional_count(&self, name: &str) -> Option<u64> {
        count(self.get(name)?.get_ref())
    }

    /// The word, or the schema's default.
    pub(super) fn choice(&self, name: &str) -> &'a str {
        let default = match self.kind(name) {
            Some(Kind::Choice { default, .. }) => default,
            _ => "",
        };
        self.get(name)
            .and_then(|value| value.get_ref().as_str())
            .unwrap_or(default)
    }

    /// The text, or the schema's default.
    pub(super) fn text_or_default(&self, source: &Source<'_>, name: &str) -> Spot<&'a str> {
        let default = match self.kind(name) {
            Some(Kind::Text { default }) => default.unwrap_or_default(),
            _ => "",
        };
        self.text(source, name)
            .unwrap_or_else(|| self.missing(name).with(default))
    }

    /// A table as JSON.
    pub(super) fn free(
        &self,
        source: &Source<'_>,
        name: &str,
    ) -> Option<Spot<serde_json::Map<String, Value>>> {
        let (spot, value) = self.value(source, name)?;
        match to_json(value) {
            Value::Object(map) => Some(spot.with(map)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        }
    }

    /// The section of that name, empty when it is not there.
    pub(super) fn section(&self, source: &Source<'_>, name: &str) -> Self {
        let schema = match self.kind(name) {
            Some(Kind::Section(schema)) => schema,
            _ => self.schema,
        };
        match self.value(source, name) {
            Some((spot, DeValue::Table(entries))) => Self::at(&spot, schema, entries),
            _ => Self {
                path: self.child(name),
                schema,
                entries: None,
                line: None,
            },
        }
    }

    /// The `[[several]]` sections of that name.
    pub(super) fn sections(&self, source: &Source<'_>, name: &str) -> Vec<Self> {
        let (Some(Kind::Sections(schema)), Some((spot, DeValue::Array(items)))) =
            (self.kind(name), self.value(source, name))
        else {
            return Vec::new();
        };
        let section = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let spot = source.item_spot(&spot.with(()), index, item);
            Some(Self::at(&spot, schema, item.get_ref().as_table()?))
        };
        items.iter().enumerate().filter_map(section).collect()
    }

    /// The sections with names of the operator's own.
    pub(super) fn named_sections(
        &self,
        source: &Source<'_>,
        name: &str,
    ) -> Vec<(Spot<&'a str>, Self)> {
        let (Some(Kind::NamedSections(schema)), Some((spot, DeValue::Table(entries)))) =
            (self.kind(name), self.value(source, name))
        else {
            return Vec::new();
        };
        let section = |(name, value): (
            &'a Spanned<toml::de::DeString<'a>>,
            &'a Spanned<DeValue<'a>>,
        )| {
            let spot = source.named_spot(&spot.with(()), name);
            let section = Self::at(&spot, schema, value.get_ref().as_table()?);
            Some((spot.with(name.get_ref().as_ref()), section))
        };
        entries.iter().filter_map(section).collect()
    }

    fn value(&self, source: &Source<'_>, name: &str) -> Option<(Spot<()>, &'a DeValue<'a>)> {
        let (key, value) = self.entries?.get_key_value(name)?;
        let spot = Spot {
            value: (),
            key: self.child(name),
            line: Some(source.line_of(key.span().start)),
        };
        Some((spot, value.get_ref()))
    }

    fn get(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries?.get(name)
    }

    fn kind(&self, name: &str) -> Option<&'static Kind> {
        let key = self.schema.key(name);
        debug_assert!(key.is_some(), "the schema has no {name} in {}", self.path);
        key.map(|key| &key.kind)
    }

    fn child(&self, name: &str) -> String {
        let name = quoted_if_needed(name);
        if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl<T> Spot<T> {
    /// Another value at the same place.
    pub(super) fn with<U>(&self, value: U) -> Spot<U> {
        Spot {
            value,
            key: self.key.clone(),
            line: self.line,
        }
    }
}

/// Entries of one list. Ten times the people of a large department.
const LIST_ITEMS_MAX: usize = 10_000;

fn unknown(section: &Section<'_>, name: &str) -> String {
    if let Some(meant) = section.schema.nearest(name) {
        return format!("unknown key; did you mean `{meant}`?");
    }
    let homes = schema::sections_with(name);
    match homes.first() {
        Some(home) => format!("unknown key here; it belongs to `[{home}]`"),
        None => "unknown key".to_owned(),
    }
}

fn not_a_choice(text: &str, of: &[&str]) -> String {
    let meant = match schema::nearest(text, of.iter().copied()) {
        Some(meant) => format!("; did you mean \"{meant}\"?"),
        None => String::new(),
    };
    let words: Vec<String> = of.iter().map(|word| format!("\"{word}\"")).collect();
    format!("{text:?} is none of {}{meant}", words.join(", "))
}

fn wrong_type(expected: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    format!("must be {expected}, is {found}")
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Flag { .. } => "true or false, without quotes",
        Kind::Count { .. } => "a whole number, without quotes",
        Kind::Text { .. } | Kind::Secret | Kind::Path => "a text in quotes",
        Kind::Choice { .. } => "one word in quotes",
        Kind::Variable => "the name of an environment variable in quotes",
        Kind::Texts => "a list of texts, [\"like\", \"this\"]",
        Kind::Free | Kind::Section(_) | Kind::NamedSections(_) => "a section",
        Kind::Sections(_) => "a list of sections, [[like.this]]",
        Kind::Ignored(_) => "anything",
    }
}

fn count(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Numbers that JSON does not have become null.
fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(entries) => entries
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), to_json(value.get_ref())))
            .collect(),
    }
}

fn quoted_if_needed(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
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
