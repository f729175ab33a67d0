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
            Kind::NamedSections(inner) => (format!("[{below}.{}]", key.example), *inner),
            Kind::Flag { .. }
            | Kind::Count { .. }
            | Kind::Price
            | Kind::Text { .. }
            | Kind::Choice { .. }
            | Kind::Secret
            | Kind::Variable
            | Kind::Path
            | Kind::Texts
            | Kind::Free
            | Kind::Ignored(_) => continue,
        };
        if inner.keys.iter().any(|key| key.kind.is_value()) {
            out.push('\n');
            if let Some(like) = inner.like {
                let meaning = format!("{header}: {} Its keys are those of [{like}].", key.doc);
                write_comment(out, &meaning);
                continue;
            }
            write_comment(out, key.doc);
            let _ = writeln!(out, "#{header}");
            write_keys(out, inner);
        }
        write_sections(out, inner, &below);
    }
}

fn write_keys(out: &mut String, table: &Table) {
    for key in table.keys {
        if !key.kind.is_value() {
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
            | Kind::Price
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
        let mut meaning = key.doc.to_owned();
        if let Kind::Choice { of, .. } = &key.kind {
            let _ = write!(meaning, " One of {}.", of.join(", "));
        }
        if let Kind::Count { min, max, .. } = &key.kind {
            let _ = write!(meaning, " From {min} to {max}.");
        }
        if key.required {
            meaning.push_str(" Required.");
        }
        out.push('\n');
        if value.is_empty() {
            // What can't stand beside the others is told and not shown.
            write_comment(out, &format!("{}: {meaning}", key.name));
            continue;
        }
        write_comment(out, &meaning);
        let _ = writeln!(out, "#{} = {value}", key.name);
    }
}

/// Broken between words, for terminals of the usual width.
fn write_comment(out: &mut String, text: &str) {
    const WIDTH: usize = 80;
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}
