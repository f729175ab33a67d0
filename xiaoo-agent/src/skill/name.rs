//! Names of skills.

use unicode_normalization::UnicodeNormalization as _;

use super::fault::Fault;
use super::limits::{LOADED_NAME_CHARS_MAX, NAME_CHARS_MAX};

/// The name to use for what is written, and what is wrong with it. Written forms that look the
/// same are the same name (NFKC).
pub(super) fn check(written: Option<&str>, directory: &str, faults: &mut Vec<Fault>) -> String {
    let directory: String = directory.nfkc().collect();
    let Some(written) = written else {
        faults.push(Fault::NameMissing);
        return one_line(&directory);
    };
    let name: String = written.trim().nfkc().collect();
    let length = name.chars().count();
    if length == 0 {
        faults.push(Fault::NameLength(0));
        return one_line(&directory);
    }
    if length > LOADED_NAME_CHARS_MAX {
        faults.push(Fault::NameUnusable);
        return one_line(&directory);
    }
    if length > NAME_CHARS_MAX {
        faults.push(Fault::NameLength(length));
    }
    if name.to_lowercase() != name {
        faults.push(Fault::NameUpperCase(name.clone()));
    }
    if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        faults.push(Fault::NameHyphens(name.clone()));
    }
    match name.chars().find(|c| !c.is_alphanumeric() && *c != '-') {
        Some(found) => faults.push(Fault::NameCharacter {
            name: name.clone(),
            found,
        }),
        None if !name.is_ascii() => faults.push(Fault::NameNotAscii(name.clone())),
        None => {}
    }
    if name != directory {
        faults.push(Fault::NameDirectory {
            name: name.clone(),
            directory,
        });
    }
    one_line(&name)
}

/// Without anything that would break a line or hide in it.
fn one_line(name: &str) -> String {
    let words = name.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
