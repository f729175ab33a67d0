//! From the bytes of SKILL.md and SKILL.toml to their fields.

use serde_json::{Map, Value};

use super::fault::Fault;
use super::limits::{YAML_DEPTH_MAX, YAML_NODES_MAX};

/// Fields, and the text under them.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    pub(super) fields: Map<String, Value>,
    pub(super) body: String,
}

/// Reads SKILL.md.
pub(super) fn markdown(bytes: &[u8], faults: &mut Vec<Fault>) -> Result<Document, Fault> {
    let text = utf8(bytes, "SKILL.md")?;
    let (yaml, body) = split(text)?;
    let fields = match yaml_fields(yaml) {
        Ok(fields) => fields,
        Err(why) => {
            // Most often a description that goes on after a colon.
            let (quoted, line) = quote_values(yaml).ok_or_else(|| why.clone())?;
            let fields = yaml_fields(&quoted).map_err(|_| why)?;
            faults.push(Fault::NotQuoted(line + FIRST_YAML_LINE));
            fields
        }
    };
    Ok(Document {
        fields,
        body: body_text(body),
    })
}

/// The text of SKILL.md beside a SKILL.toml, which needs no front matter.
pub(super) fn body_beside(bytes: &[u8]) -> Result<String, Fault> {
    let text = utf8(bytes, "SKILL.md")?;
    match split(text) {
        Ok((_, body)) => Ok(body_text(body)),
        Err(Fault::NoFrontMatter) => Ok(body_text(text)),
        Err(fault) => Err(fault),
    }
}

/// Reads SKILL.toml: fields at its top or, as the upstream system writes them, in `[skill]`.
pub(super) fn toml(bytes: &[u8]) -> Result<Document, Fault> {
    let text = utf8(bytes, "SKILL.toml")?;
    let mut top: Map<String, Value> =
        toml::from_str(text).map_err(|why| Fault::Toml(toml_trouble(&why, text)))?;
    let fields = match top.remove("skill") {
        Some(Value::Object(mut skill)) => {
            for (key, value) in top {
                skill.entry(key).or_insert(value);
            }
            skill
        }
        Some(_) => {
            return Err(Fault::Toml("`skill` must be a table".to_owned()));
        }
        None => top,
    };
    Ok(Document {
        fields,
        body: String::new(),
    })
}

fn toml_trouble(why: &toml::de::Error, text: &str) -> String {
    let before = why.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            why.message()
        ),
        None => why.message().to_owned(),
    }
}

/// The text without a byte order mark, which some editors begin a file with.
fn utf8<'a>(bytes: &'a [u8], file: &'static str) -> Result<&'a str, Fault> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(why) => Err(Fault::NotUtf8 {
            file,
            offset: why.valid_up_to(),
        }),
    }
}

/// Front matter and body. The closing line is exactly `---`, blanks after it aside: neither
/// `----` nor an indented one in a block of text ends it.
fn split(text: &str) -> Result<(&str, &str), Fault> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != FENCE {
        return Err(Fault::NoFrontMatter);
    }
    let start = first.len();
    let mut at = start;
    for line in lines {
        let after = at + line.len();
        if line.trim_end() == FENCE {
            let (Some(yaml), Some(body)) = (text.get(start..at), text.get(after..)) else {
                break;
            };
            return Ok((yaml, body));
        }
        at = after;
    }
    Err(Fault::NotClosed)
}

fn body_text(body: &str) -> String {
    body.replace("\r\n", "\n").trim().to_owned()
}

fn yaml_fields(yaml: &str) -> Result<Map<String, Value>, Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_nodes: YAML_NODES_MAX,
            max_depth: YAML_DEPTH_MAX,
            max_total_scalar_bytes: yaml.len().saturating_mul(2),
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: YAML_NODES_MAX,
            max_alias_expansions_per_anchor: YAML_DEPTH_MAX,
        },
        // `no`, `on` and 007 are words.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let read: Result<Option<Map<String, Value>>, _> =
        serde_saphyr::from_str_with_options(yaml, options);
    match read {
        Ok(fields) => Ok(fields.unwrap_or_default()),
        Err(why) => Err(Fault::Yaml(yaml_trouble(&why))),
    }
}

/// The parser's words in one line, with the line of the file.
fn yaml_trouble(why: &serde_saphyr::Error) -> String {
    let text = why.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    match why.location() {
        Some(place) => {
            let line = usize::try_from(place.line()).unwrap_or(usize::MAX);
            let told = first
                .split_once(" at line ")
                .map_or(first, |(before, _)| before);
            format!("line {}: {told}", line.saturating_add(FIRST_YAML_LINE))
        }
        None => first.to_owned(),
    }
}

/// The same with each top-level value in quotes that has `: ` in it, or ` #`, and is not quoted;
/// and the line of the first. `None` when there is nothing to quote.
fn quote_values(yaml: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(yaml.len() + 64);
    let mut first = None;
    let mut lines = yaml.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let Some((key, value)) = plain_pair(line) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut whole = value.to_owned();
        // A plain value goes on over indented lines.
        while let Some((_, more)) =
            lines.next_if(|(_, more)| more.starts_with([' ', '\t']) && !more.trim().is_empty())
        {
            whole.push(' ');
            whole.push_str(more.trim());
        }
        if whole.contains(": ") || whole.ends_with(':') {
            first.get_or_insert(index + 1);
            out.push_str(&format!("{key}: '{}'\n", whole.replace('\'', "''")));
        } else {
            out.push_str(&format!("{key}: {whole}\n"));
        }
    }
    first.map(|first| (out, first))
}

/// A line `key: value` at the left margin whose value is neither quoted nor a structure.
fn plain_pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ")?;
    let value = value.trim();
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let begins = value.chars().next()?;
    (is_key && !"\"'|>[{&*!#%@`".contains(begins)).then_some((key, value))
}

const FENCE: &str = "---";
/// Lines of the file before the front matter's first.
const FIRST_YAML_LINE: usize = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_in_a_file_panics(text in "(?s)(---\\n)?[ -~\\n:&*\\[\\]{}>|'\"#\u{feff}长]{0,200}(---\\n)?.{0,20}") {
            let mut faults = Vec::new();
            let _ = markdown(text.as_bytes(), &mut faults);
            let _ = body_beside(text.as_bytes());
            let _ = toml(text.as_bytes());
        }

        #[test]
        fn a_body_is_everything_after_the_first_closing_line(
            lines in prop::collection::vec("[a-z]{1,5}: [a-z]{1,5}|----| ---|# x", 0..5),
            body in "[a-z\\n -]{0,40}",
        ) {
            let text = format!("---\n{}\n---\n{body}", lines.join("\n"));
            prop_assert_eq!(split(&text).map(|(_, body)| body), Ok(body.as_str()));
        }
    }
}
