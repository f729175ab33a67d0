//! Values as authors write them: more freely than the format says.

use serde_json::{Map, Value};

/// A scalar as it would be written.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn as_flag(value: &Value) -> Option<bool> {
    match as_text(value)?.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Strings of a list, or the words of one string.
pub(super) fn as_texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(as_text).collect(),
        Value::String(text) => {
            let words = text.split(|c: char| c == ',' || c.is_whitespace());
            Some(
                words
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

pub(super) fn as_object(json: &str) -> Option<Map<String, Value>> {
    let text = json.trim();
    text.starts_with('{')
        .then(|| serde_json::from_str(text).ok())?
}

/// `Bash(git add:*) Read, Grep` as its three words: blanks in brackets do not separate.
pub(super) fn tool_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == ',' || c.is_whitespace()) {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The name in `<name>`, `[name]` or `$name`.
pub(super) fn bare(written: &str) -> String {
    written
        .trim_matches(['<', '>', '[', ']', '$', ','])
        .to_owned()
}

/// A name, or a table that has one.
pub(super) fn argument_name(value: &Value) -> Option<String> {
    let name = value
        .as_object()
        .map_or(Some(value), |table| table.get("name"));
    as_text(name?).map(|name| bare(&name))
}
