//! The schema as a file that explains itself: every key, its meaning and its
//! default, commented out.

use std::fmt::Write as _;

use super::schema::{Kind, ROOT, Table};

/// All keys as TOML with comments. Loads as it is once the required keys are
/// uncommented.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    write_sections(&mut out, &ROOT, "");
    out
}

const HEAD: &str = "\
# Every key of the configuration, with its meaning and its default.
# A key that ends in _env names the environment variable that holds a secret;
# secrets are never in this file. Relative paths start at this file's directory.
";

fn write_sections(out: &mut String, table: &Table, path: &str) {
    for key in table.keys {
        let below = if path.is_empty() {
            key.name.to_owned()
        } else {
            format!("{path}.{}", key.name)
        };
        let (header, inner) = match &key.kind {
            Kind::Section(inner) => (format!("[{below}]"), *inner),
            Kind::Sections(inner) => (format!("[[{below}]]"), *inner),
            Kind::NamedSections(inner) => (format!("[{below}.\"oc_…\"]"), *inner),
            Kind::Flag { .. }
            | Kind::Count { .. }
            | Kind::Text { .. }
            | Kind::Choice { .. }
            | Kind::Secret
            | Kind::Variable
            | Kind::Path
            | Kind::Texts
            | Kind::Free
            | Kind::Ignored(_) => continue,
        };
        let has_own_keys = inner.keys.iter().any(|key| !is_section(&key.kind));
        if has_own_keys {
            let _ = write!(out, "\n# {}\n#{header}\n", key.doc);
            write_keys(out, inner);
        }
        write_sections(out, inner, &below);
    }
}

fn write_keys(out: &mut String, table: &Table) {
    for key in table.keys {
        if is_section(&key.kind) || matches!(key.kind, Kind::Ignored(_)) {
            continue;
        }
        let value = match &key.kind {
            Kind::Flag {
                default: Some(flag),
            } => flag.to_string(),
            Kind::Count {
                default: Some(count),
                ..
            } => count.to_string(),
            Kind::Text {
                default: Some(text),
            } => format!("{text:?}"),
            Kind::Choice { default, .. } => format!("{default:?}"),
            Kind::Flag { default: None }
            | Kind::Count { default: None, .. }
            | Kind::Text { default: None }
            | Kind::Secret
            | Kind::Variable
            | Kind::Path
            | Kind::Texts
            | Kind::Free
            | Kind::Section(_)
            | Kind::Sections(_)
            | Kind::NamedSections(_)
            | Kind::Ignored(_) => key.example.to_owned(),
        };
        let mut notes = String::new();
        if let Kind::Choice { of, .. } = &key.kind {
            let _ = write!(notes, " One of {}.", of.join(", "));
        }
        if let Kind::Count { min, max, .. } = &key.kind {
            let _ = write!(notes, " From {min} to {max}.");
        }
        if key.required {
            notes.push_str(" Required.");
        }
        let _ = write!(out, "\n# {}{notes}\n#{} = {value}\n", key.doc, key.name);
    }
}

fn is_section(kind: &Kind) -> bool {
    match kind {
        Kind::Section(_) | Kind::Sections(_) | Kind::NamedSections(_) => true,
        Kind::Flag { .. }
        | Kind::Count { .. }
        | Kind::Text { .. }
        | Kind::Choice { .. }
        | Kind::Secret
        | Kind::Variable
        | Kind::Path
        | Kind::Texts
        | Kind::Free
        | Kind::Ignored(_) => false,
    }
}
