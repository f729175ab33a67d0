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
        let Some((below, header, inner)) = key.section(path) else {
            continue;
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
        let value = key.kind.default();
        let value = value.unwrap_or_else(|| key.example.to_owned());
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
