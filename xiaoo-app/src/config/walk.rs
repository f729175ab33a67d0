//! What stands in a file against the schema: unknown keys, wrong types,
//! values out of range, missing keys.

use toml::de::DeValue;

use super::price::{DECIMALS_MAX, PRICE_MAX, millionths};
use super::problem::Report;
use super::schema::{self, Key, Kind, Table};
use super::section::{Section, Spot, count};

impl Section<'_> {
    /// Reports unknown keys and wrong values, here and in all sections below.
    pub(super) fn walk(&self, report: &mut Report) {
        for (name, value) in self.entries() {
            let spot = self.spot_of(name);
            match self.schema().key(name.get_ref()) {
                Some(key) => self.walk_value(key, value.get_ref(), &spot, report),
                None => report.error(&spot, unknown(self.schema(), name.get_ref())),
            }
        }
    }

    /// Reports the required keys that a section in use lacks.
    pub(super) fn demand_required(&self, report: &mut Report) {
        for key in self.schema().keys.iter().filter(|key| key.required) {
            if self.has_or_means(key.name) {
                continue;
            }
            let hint = match (&key.kind, key.example) {
                (Kind::Section(_), _) => "; the section is required".to_owned(),
                (_, "") => String::new(),
                (_, example) => format!("; for example `{} = {example}`", key.name),
            };
            report.error(&self.missing(key.name), format!("missing{hint}"));
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
                    report.error(spot, format!("more than {LIST_ITEMS_MAX} entries"));
                }
                for (index, item) in items.iter().enumerate() {
                    if !item.get_ref().is_str() {
                        let spot = self.item_spot(spot, index, item);
                        report.error(&spot, wrong_type("a text in quotes", item.get_ref()));
                    }
                }
            }
            (Kind::Choice { of, .. }, DeValue::String(text)) if !of.contains(&text.as_ref()) => {
                report.error(spot, not_a_choice(text, of));
            }
            (Kind::Count { min, max, .. }, DeValue::Integer(_)) => {
                if !count(value).is_some_and(|number| (*min..=*max).contains(&number)) {
                    report.error(spot, format!("must be between {min} and {max}"));
                }
            }
            (Kind::Price, DeValue::Integer(_) | DeValue::Float(_)) => {
                if millionths(value).is_none() {
                    let message = format!(
                        "must be a price from 0 to {PRICE_MAX}, with at most {DECIMALS_MAX} \
                         decimals"
                    );
                    report.error(spot, message);
                }
            }
            (Kind::Ignored(why), _) => report.warn(spot, format!("ignored: {why}")),
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
            (kind, other) => report.error(spot, wrong_type(expected(kind), other)),
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
            Some(entries) => self.below(spot, schema, entries).walk(report),
            None => report.error(spot, wrong_type("a section", value)),
        }
    }
}

/// Entries of one list. Ten times the people of a large department.
const LIST_ITEMS_MAX: usize = 10_000;

fn unknown(schema: &Table, name: &str) -> String {
    if let Some(meant) = schema.nearest(name) {
        return format!("unknown key; did you mean `{meant}`?");
    }
    match schema::sections_with(name).first() {
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
        Kind::Price => "a number, without quotes",
        Kind::Text { .. } | Kind::Secret | Kind::Path => "a text in quotes",
        Kind::Choice { .. } => "one word in quotes",
        Kind::Variable => "the name of an environment variable in quotes",
        Kind::Texts => "a list of texts, [\"like\", \"this\"]",
        Kind::Free | Kind::Section(_) | Kind::NamedSections(_) => "a section",
        Kind::Sections(_) => "a list of sections, [[like.this]]",
        Kind::Ignored(_) => "anything",
    }
}
