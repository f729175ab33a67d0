//! Sections as the checks read them: typed, with positions, and with the
//! schema's defaults. What is of the wrong type reads as absent here; it has
//! been reported by then.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::price;
use super::schema::{self, Kind, Table};
use super::source::Source;

/// One section, present or not.
#[derive(Clone)]
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    path: String,
    schema: &'static Table,
    entries: Option<&'a DeTable<'a>>,
    line: Option<usize>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    /// The key's path; empty for the file itself.
    pub(super) key: String,
    /// Counted from 1; `None` for what is not in the file.
    pub(super) line: Option<usize>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            source,
            path: String::new(),
            schema: &schema::ROOT,
            entries: Some(table),
            line: None,
        }
    }

    /// Another section of the same file.
    pub(super) fn below<'b>(
        &self,
        spot: &Spot<()>,
        schema: &'static Table,
        entries: &'b DeTable<'b>,
    ) -> Section<'b>
    where
        'a: 'b,
    {
        Section {
            source: self.source,
            path: spot.key.clone(),
            schema,
            entries: Some(entries),
            line: spot.line,
        }
    }

    pub(super) fn schema(&self) -> &'static Table {
        self.schema
    }

    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.entries.into_iter().flatten()
    }

    pub(super) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the key is there, or one that is probably a misspelling of it:
    /// that is reported already, and enough.
    pub(super) fn has_or_means(&self, name: &str) -> bool {
        let mut names = self.entries().map(|(key, _)| key.get_ref().as_ref());
        names.any(|key| {
            key == name || self.schema.key(key).is_none() && self.schema.nearest(key) == Some(name)
        })
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

    /// Where a key stands, or would stand.
    pub(super) fn spot_at(&self, name: &str) -> Spot<()> {
        match self.value(name) {
            Some((spot, _)) => spot,
            None => self.missing(name),
        }
    }

    /// Text of any kind.
    pub(super) fn text(&self, name: &str) -> Option<Spot<&'a str>> {
        let (spot, value) = self.value(name)?;
        Some(spot.with(value.as_str()?))
    }

    /// The text, or the schema's default.
    pub(super) fn text_or_default(&self, name: &str) -> Spot<&'a str> {
        let default = match self.kind(name) {
            Some(Kind::Text { default }) => default.unwrap_or_default(),
            _ => "",
        };
        self.text(name)
            .unwrap_or_else(|| self.missing(name).with(default))
    }

    /// The list's items.
    pub(super) fn texts(&self, name: &str) -> Vec<Spot<&'a str>> {
        let Some((spot, DeValue::Array(items))) = self.value(name) else {
            return Vec::new();
        };
        let text = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let text = item.get_ref().as_str()?;
            Some(self.item_spot(&spot, index, item).with(text))
        };
        items.iter().enumerate().filter_map(text).collect()
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

    /// The value, or the schema's default.
    pub(super) fn flag(&self, name: &str) -> bool {
        let default = match self.kind(name) {
            Some(Kind::Flag { default }) => default.unwrap_or_default(),
            _ => false,
        };
        self.optional_flag(name).unwrap_or(default)
    }

    pub(super) fn optional_flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.get_ref().as_bool()
    }

    /// The value, or the schema's default.
    pub(super) fn count(&self, name: &str) -> u64 {
        let default = match self.kind(name) {
            Some(Kind::Count { default, .. }) => default.unwrap_or_default(),
            _ => 0,
        };
        self.optional_count(name).unwrap_or(default)
    }

    pub(super) fn optional_count(&self, name: &str) -> Option<u64> {
        count(self.get(name)?.get_ref())
    }

    /// A price in millionths.
    pub(super) fn price(&self, name: &str) -> Option<u64> {
        price::millionths(self.get(name)?.get_ref())
    }

    /// A table as JSON; empty when it is not there.
    pub(super) fn free(&self, name: &str) -> Map<String, Value> {
        match self.get(name).map(|value| to_json(value.get_ref())) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// The section of that name, empty when it is not there.
    pub(super) fn section(&self, name: &str) -> Self {
        let schema = match self.kind(name) {
            Some(Kind::Section(schema)) => schema,
            _ => self.schema,
        };
        match self.value(name) {
            Some((spot, DeValue::Table(entries))) => self.below(&spot, schema, entries),
            _ => Self {
                source: self.source,
                path: self.child(name),
                schema,
                entries: None,
                line: None,
            },
        }
    }

    /// The `[[several]]` sections of that name.
    pub(super) fn sections(&self, name: &str) -> Vec<Self> {
        let (Some(Kind::Sections(schema)), Some((spot, DeValue::Array(items)))) =
            (self.kind(name), self.value(name))
        else {
            return Vec::new();
        };
        let section = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let entries = item.get_ref().as_table()?;
            Some(self.below(&self.item_spot(&spot, index, item), schema, entries))
        };
        items.iter().enumerate().filter_map(section).collect()
    }

    /// The sections with names of the operator's own.
    pub(super) fn named_sections(&self, name: &str) -> Vec<(Spot<&'a str>, Self)> {
        let (Some(Kind::NamedSections(schema)), Some((spot, DeValue::Table(entries)))) =
            (self.kind(name), self.value(name))
        else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (name, value) in entries {
            if let Some(entries) = value.get_ref().as_table() {
                let spot = self.named_spot(&spot, name);
                let section = self.below(&spot, schema, entries);
                sections.push((spot.with(name.get_ref().as_ref()), section));
            }
        }
        sections
    }

    /// Where a key of this section stands.
    pub(super) fn spot_of(&self, name: &Spanned<DeString<'_>>) -> Spot<()> {
        Spot {
            value: (),
            key: self.child(name.get_ref()),
            line: Some(self.source.line_of(name.span().start)),
        }
    }

    pub(super) fn item_spot(
        &self,
        list: &Spot<()>,
        index: usize,
        item: &Spanned<DeValue<'_>>,
    ) -> Spot<()> {
        Spot {
            value: (),
            key: format!("{}[{index}]", list.key),
            line: Some(self.source.line_of(item.span().start)),
        }
    }

    pub(super) fn named_spot(&self, parent: &Spot<()>, name: &Spanned<DeString<'_>>) -> Spot<()> {
        Spot {
            value: (),
            key: format!("{}.{}", parent.key, quoted_if_needed(name.get_ref())),
            line: Some(self.source.line_of(name.span().start)),
        }
    }

    fn value(&self, name: &str) -> Option<(Spot<()>, &'a DeValue<'a>)> {
        let (key, value) = self.entries?.get_key_value(name)?;
        Some((self.spot_of(key), value.get_ref()))
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

/// A whole number that is not negative and fits.
pub(super) fn count(value: &DeValue<'_>) -> Option<u64> {
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
