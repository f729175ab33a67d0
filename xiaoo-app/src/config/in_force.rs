//! The configuration as it may be shown: what is set, and the defaults of what is not. No
//! secret, and nothing that may hold one.

use serde::Serialize;
use toml::de::DeValue;

use super::schema::{Key, Kind};
use super::section::Section;

/// Sections of a file, in the order of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InForce {
    /// Each with at least one setting.
    pub sections: Vec<Settings>,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Its path, as in the file.
    pub name: String,
    /// What holds there.
    pub settings: Vec<Setting>,
}

/// One key and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// As in the file.
    pub key: &'static str,
    /// In words.
    pub value: String,
    /// Whether the file says nothing of it.
    pub is_default: bool,
}

/// Entries of a list that are shown.
const ITEMS_SHOWN: usize = 8;
/// Characters of a text that are shown: prompts can be long.
const CHARS_SHOWN: usize = 120;
/// Lists of words that may be secrets: arguments of programs.
const NOT_SHOWN: [&str; 1] = ["args"];

impl InForce {
    /// Of a whole file.
    pub(super) fn of(root: &Section<'_>) -> Self {
        let mut sections = Vec::new();
        add(root, &mut sections);
        Self { sections }
    }
}

fn add(section: &Section<'_>, sections: &mut Vec<Settings>) {
    let keys = section.schema().keys;
    let settings: Vec<Setting> = keys
        .iter()
        .filter_map(|key| setting(section, key))
        .collect();
    if !settings.is_empty() {
        let name = section.spot().key;
        sections.push(Settings { name, settings });
    }
    for key in keys {
        if matches!(key.kind, Kind::Section(_)) {
            add(&section.section(key.name), sections);
        }
        for below in section.sections(key.name) {
            add(&below, sections);
        }
        for (_, below) in section.named_sections(key.name) {
            add(&below, sections);
        }
    }
}

fn setting(section: &Section<'_>, key: &Key) -> Option<Setting> {
    let written = section
        .entries()
        .find(|(name, _)| name.get_ref() == key.name);
    let written = written.map(|(_, value)| value.get_ref());
    let value = match written {
        Some(value) => shown(key, value)?,
        None => key.kind.default()?.trim_matches('"').to_owned(),
    };
    Some(Setting {
        key: key.name,
        value,
        is_default: written.is_none(),
    })
}

/// What a value is shown as; `None` for sections and what has no effect.
fn shown(key: &Key, value: &DeValue<'_>) -> Option<String> {
    match (&key.kind, value) {
        (Kind::Section(_) | Kind::Sections(_) | Kind::NamedSections(_) | Kind::Ignored(_), _) => {
            None
        }
        (Kind::Secret, _) => Some("(set, not shown)".into()),
        (Kind::Texts, DeValue::Array(items)) if NOT_SHOWN.contains(&key.name) => {
            Some(format!("({} set, not shown)", items.len()))
        }
        (Kind::Texts, DeValue::Array(items)) => {
            let texts = items.iter().filter_map(|item| item.get_ref().as_str());
            let mut list: Vec<String> = texts.take(ITEMS_SHOWN).map(plain).collect();
            if items.len() > ITEMS_SHOWN {
                list.push(format!("… ({} in all)", items.len()));
            }
            Some(list.join(", "))
        }
        (Kind::Free, DeValue::Table(entries)) => {
            let names = entries.iter().map(|(name, _)| plain(name.get_ref()));
            let names: Vec<String> = names.take(ITEMS_SHOWN).collect();
            Some(format!("{{ {} }}", names.join(", ")))
        }
        (_, DeValue::String(text)) => Some(plain(text)),
        (_, DeValue::Integer(number)) => Some(number.to_string()),
        (_, DeValue::Float(number)) => Some(number.to_string()),
        (_, DeValue::Boolean(flag)) => Some(flag.to_string()),
        // Of the wrong type, which has been said.
        _ => None,
    }
}

/// A text on one line, without what addresses may hold beside where they lead: names and
/// passwords in front, and whatever stands behind the `?`.
fn plain(text: &str) -> String {
    let text = match text.split_once("://") {
        None => text.to_owned(),
        Some((scheme, rest)) => {
            let (rest, query) = match rest.split_once(['?', '#']) {
                Some((rest, _)) => (rest, "?…"),
                None => (rest, ""),
            };
            // A password may hold a slash: all before the last @ goes.
            match rest.rsplit_once('@') {
                Some((_, rest)) => format!("{scheme}://…@{rest}{query}"),
                None => format!("{scheme}://{rest}{query}"),
            }
        }
    };
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    const FILE: &str = r#"
[llm]
provider = "openai-compatible"
api_base = "https://models.example/v1"
model = "m"
api_key_env = "KEY_VARIABLE"
input_price = 0.5
output_price = 2
[llm.extra_body]
api_token = "hidden-in-body"
[channels.feishu]
enabled = true
transport = "webhook"
app_id = "cli_a"
app_secret_env = "SECRET_VARIABLE"
verification_token = "hidden-in-file"
allow_users = ["ou_1", "ou_2", "ou_3", "ou_4", "ou_5", "ou_6", "ou_7", "ou_8", "ou_9"]
[store]
url = "postgres://xiaoo:hidden-in-url@10.0.0.5/xiaoo"
[tools.mcp.helper]
command = "/usr/bin/helper"
args = ["--token", "hidden-in-args"]
"#;

    #[test]
    fn addresses_lose_what_may_be_secret() {
        for (text, expected) in [
            ("https://name:p/ss@host/path?key=1", "https://…@host/path?…"),
            ("postgres://u:p@ss@host/db", "postgres://…@host/db"),
            ("https://host/path", "https://host/path"),
            ("a plain@text?", "a plain@text?"),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(super::plain(text), expected);
        }
    }

    #[test]
    fn all_that_holds_is_shown_and_no_secret_is() {
        let env = |name: &str| match name {
            "KEY_VARIABLE" => Some("hidden-in-key".to_owned()),
            "SECRET_VARIABLE" => Some("hidden-in-variable".to_owned()),
            _ => None,
        };
        let (config, _) = Config::parse(Path::new("config.toml"), FILE, &env).unwrap();
        let text = serde_json::to_string(&config.in_force).unwrap();
        assert!(!text.contains("hidden"), "{text}");

        let of = |section: &str, key: &str| {
            let mut sections = config.in_force.sections.iter();
            let section = sections.find(|one| one.name == section)?;
            let setting = section.settings.iter().find(|one| one.key == key)?;
            Some((setting.value.clone(), setting.is_default))
        };
        for (section, key, value, is_default) in [
            ("llm", "api_base", "https://models.example/v1", false),
            ("llm", "input_price", "0.5", false),
            ("llm", "api_key_env", "KEY_VARIABLE", false),
            ("llm", "extra_body", "{ api_token }", false),
            ("llm", "timeout_secs", "120", true),
            (
                "channels.feishu",
                "verification_token",
                "(set, not shown)",
                false,
            ),
            (
                "channels.feishu",
                "allow_users",
                "ou_1, ou_2, ou_3, ou_4, ou_5, ou_6, ou_7, ou_8, … (9 in all)",
                false,
            ),
            ("store", "url", "postgres://…@10.0.0.5/xiaoo", false),
            ("tools.mcp.helper", "args", "(2 set, not shown)", false),
            ("limits", "max_concurrent_turns", "8", true),
            ("http", "dashboard", "true", true),
        ] {
            let expected = Some((value.to_owned(), is_default));
            assert_eq!(of(section, key), expected, "{section}.{key}");
        }
    }
}
