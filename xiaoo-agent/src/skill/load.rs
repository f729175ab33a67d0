//! From one directory to one skill.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::document;
use super::fault::{Fault, Level};
use super::folder::Folder;
use super::limits::BODY_LINES_ADVISED;
use super::manifest::{self, Manifest};

/// What was found in a directory.
#[derive(Debug)]
pub(super) struct Loaded {
    /// `None` when no skill can be made of it.
    pub(super) skill: Option<(Manifest, String)>,
    pub(super) faults: Vec<Fault>,
}

/// What is wrong with a skill, for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Everything that is wrong; [`Fault::strict`] says how much it matters.
    pub faults: Vec<Fault>,
}

/// Checks the skill in `directory` by the open format's rules.
///
/// # Errors
/// When the directory can't be opened.
pub fn check(directory: &Path, file_bytes_max: usize) -> io::Result<Checked> {
    let folder = Folder::open(directory)?;
    let loaded = load(&folder, file_bytes_max);
    Ok(Checked {
        name: loaded.skill.map(|(manifest, _)| manifest.name),
        faults: loaded.faults,
    })
}

/// Reads the skill in a directory.
pub(super) fn load(folder: &Folder, file_bytes_max: usize) -> Loaded {
    let mut faults = Vec::new();
    let skill = match read(folder, file_bytes_max, &mut faults) {
        Ok(skill) => skill,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    Loaded { skill, faults }
}

fn read(
    folder: &Folder,
    bytes_max: usize,
    faults: &mut Vec<Fault>,
) -> Result<Option<(Manifest, String)>, Fault> {
    let toml = file(folder, TOML, TOML, bytes_max)?;
    let markdown = match file(folder, MARKDOWN, MARKDOWN, bytes_max)? {
        None => file(folder, MARKDOWN_TOO, MARKDOWN, bytes_max)?,
        some => some,
    };
    let (document, beside) = match (toml, markdown) {
        (Some(toml), markdown) => {
            let beside = markdown.map(|bytes| document::body_beside(&bytes));
            (document::toml(&toml)?, beside.transpose()?)
        }
        (None, Some(markdown)) => (document::markdown(&markdown, faults)?, None),
        (None, None) => return Err(Fault::NothingThere),
    };
    let directory = folder
        .path()
        .file_name()
        .unwrap_or_else(|| OsStr::new(""))
        .to_string_lossy();
    let Some(read) = manifest::read(document.fields, &directory, faults) else {
        return Ok(None);
    };
    let body = beside
        .or_else(|| Some(document.body).filter(|body| !body.is_empty()))
        .or(read.prompt)
        .unwrap_or_default();
    let lines = body.lines().count();
    if lines == 0 && read.manifest.commands.is_empty() {
        faults.push(Fault::BodyEmpty);
    }
    if lines > BODY_LINES_ADVISED {
        faults.push(Fault::BodyLong(lines));
    }
    Ok(Some((read.manifest, body)))
}

fn file(
    folder: &Folder,
    name: &str,
    called: &'static str,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    match folder.file(name, bytes_max) {
        Ok(Some(bytes)) if bytes.len() > bytes_max => Err(Fault::TooLarge {
            file: called,
            bytes_max,
        }),
        Ok(found) => Ok(found),
        Err(why) => Err(Fault::Unreadable {
            file: called,
            why: why.to_string(),
        }),
    }
}

/// The faults of a level and above, as one sentence.
pub(super) fn told(faults: &[Fault], least: Level) -> Option<(Level, String)> {
    let mut told: Vec<&Fault> = faults
        .iter()
        .filter(|fault| fault.at_load() >= least)
        .collect();
    // What matters most is said first.
    told.sort_by_key(|fault| core::cmp::Reverse(fault.at_load()));
    let level = told.first()?.at_load();
    let texts: Vec<String> = told.iter().map(ToString::to_string).collect();
    Some((level, texts.join("; ")))
}

pub(super) const TOML: &str = "SKILL.toml";
pub(super) const MARKDOWN: &str = "SKILL.md";
/// The reference implementation takes it when there is no other.
pub(super) const MARKDOWN_TOO: &str = "skill.md";
