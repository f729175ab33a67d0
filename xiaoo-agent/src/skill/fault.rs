//! What can be wrong with a skill, and how much that matters.

use core::fmt;

use super::limits::{
    ARGUMENTS_MAX, BODY_LINES_ADVISED, COMPATIBILITY_CHARS_MAX, DESCRIPTION_CHARS_MAX,
    LOADED_NAME_CHARS_MAX, NAME_CHARS_MAX,
};

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// The skill works; somebody should look at it.
    Warning,
    /// The skill does not work, or must not be used.
    Error,
}

impl Level {
    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is wrong with a skill's own files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The format wants one string.
    #[error("`allowed-tools` is a list; the open format wants one string, separated by spaces")]
    AllowedToolsList,
    /// It could use next to nothing.
    #[error(
        "`allowed-tools` names no tool that is known here ({0:?}): while the skill is in force, \
         only reading files and what belongs to the chat is left"
    )]
    AllowedToolsUnknown(String),
    /// There is nothing under the front matter.
    #[error("the body is empty: there is nothing for the model to read")]
    BodyEmpty,
    /// It stays in the conversation.
    #[error(
        "the body has {0} lines; advised are at most {BODY_LINES_ADVISED}, details belong into files beside it"
    )]
    BodyLong(usize),
    /// Blank or too long.
    #[error("`compatibility` has {0} characters; 1 to {COMPATIBILITY_CHARS_MAX} are allowed")]
    CompatibilityLength(usize),
    /// Too long.
    #[error("`description` has {0} characters; 1 to {DESCRIPTION_CHARS_MAX} are allowed")]
    DescriptionLength(usize),
    /// Nobody could choose it.
    #[error("`description` is missing or blank: say what the skill does and when to use it")]
    DescriptionMissing,
    /// Beside the open format, and known here.
    #[error("`{0}` is not in the open format; other products may not know it")]
    Extension(String),
    /// Only `a-z`, `0-9` and `-` are what every product takes.
    #[error("the name {0:?} has characters other than a-z, 0-9 and `-`; some products refuse it")]
    NameNotAscii(String),
    /// Neither letter, digit nor hyphen.
    #[error("the name {name:?} has {found:?}; only letters, digits and `-` are allowed")]
    NameCharacter {
        /// The name.
        name: String,
        /// The first wrong character.
        found: char,
    },
    /// They must be the same.
    #[error("the name {name:?} is not the directory's, {directory:?}")]
    NameDirectory {
        /// The name.
        name: String,
        /// The directory's name.
        directory: String,
    },
    /// At its beginning or end, or two together.
    #[error("the name {0:?} begins or ends with `-`, or has `--` in it")]
    NameHyphens(String),
    /// Blank or too long.
    #[error("the name has {0} characters; 1 to {NAME_CHARS_MAX} are allowed")]
    NameLength(usize),
    /// The directory's name is taken.
    #[error("`name` is missing; the directory's name is used")]
    NameMissing,
    /// Longer than anybody could call it.
    #[error("the name has more than {LOADED_NAME_CHARS_MAX} characters")]
    NameUnusable,
    /// Must be lower case.
    #[error("the name {0:?} has capital letters")]
    NameUpperCase(String),
    /// The file does not begin with `---`.
    #[error("no front matter: the first line must be `---`")]
    NoFrontMatter,
    /// There is nothing to load.
    #[error("there is no SKILL.md and no SKILL.toml")]
    NothingThere,
    /// The closing `---` is missing.
    #[error("the front matter is not closed: `---` must stand alone on a line after it")]
    NotClosed,
    /// Not text that can be read.
    #[error("{file} is not UTF-8, at byte {offset}")]
    NotUtf8 {
        /// Which file.
        file: &'static str,
        /// Where it stops being so.
        offset: usize,
    },
    /// A value could only be read after it was put in quotes.
    #[error("line {0}: a value with `: ` in it must be in quotes")]
    NotQuoted(usize),
    /// Above the bound.
    #[error("{file} has more than {bytes_max} bytes")]
    TooLarge {
        /// Which file.
        file: &'static str,
        /// The bound.
        bytes_max: usize,
    },
    /// More than anybody types.
    #[error("more than {ARGUMENTS_MAX} arguments; the first ones are used")]
    TooManyArguments,
    /// SKILL.toml can't be read.
    #[error("SKILL.toml is not TOML: {0}")]
    Toml(String),
    /// A key that means nothing here.
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    /// The file could not be read at all.
    #[error("{file} can't be read: {why}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// The system's word for it, or that it leaves the directory.
        why: String,
    },
    /// The value is left out.
    #[error("`{key}` must be {wanted}")]
    WrongType {
        /// Which key.
        key: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The front matter can't be read.
    #[error("the front matter is not YAML: {0}")]
    Yaml(String),
}

impl Fault {
    /// What it means when skills are loaded: whatever can be used is used.
    #[must_use]
    pub const fn at_load(&self) -> Level {
        match self {
            Self::AllowedToolsList
            | Self::BodyLong(_)
            | Self::Extension(_)
            | Self::NameNotAscii(_)
            | Self::NothingThere
            | Self::UnknownKey(_) => Level::Note,
            Self::AllowedToolsUnknown(_)
            | Self::BodyEmpty
            | Self::CompatibilityLength(_)
            | Self::DescriptionLength(_)
            | Self::NameCharacter { .. }
            | Self::NameDirectory { .. }
            | Self::NameHyphens(_)
            | Self::NameLength(_)
            | Self::NameMissing
            | Self::NameUpperCase(_)
            | Self::NotQuoted(_)
            | Self::TooManyArguments
            | Self::WrongType { .. } => Level::Warning,
            Self::DescriptionMissing
            | Self::NameUnusable
            | Self::NoFrontMatter
            | Self::NotClosed
            | Self::NotUtf8 { .. }
            | Self::TooLarge { .. }
            | Self::Toml(_)
            | Self::Unreadable { .. }
            | Self::Yaml(_) => Level::Error,
        }
    }

    /// What it means to authors: the open format's rules to the letter.
    #[must_use]
    pub const fn strict(&self) -> Level {
        match self {
            Self::Extension(_) => Level::Note,
            Self::AllowedToolsUnknown(_)
            | Self::BodyEmpty
            | Self::BodyLong(_)
            | Self::NameNotAscii(_)
            | Self::TooManyArguments
            | Self::UnknownKey(_) => Level::Warning,
            Self::AllowedToolsList
            | Self::CompatibilityLength(_)
            | Self::DescriptionLength(_)
            | Self::DescriptionMissing
            | Self::NameCharacter { .. }
            | Self::NameDirectory { .. }
            | Self::NameHyphens(_)
            | Self::NameLength(_)
            | Self::NameMissing
            | Self::NameUnusable
            | Self::NameUpperCase(_)
            | Self::NoFrontMatter
            | Self::NothingThere
            | Self::NotClosed
            | Self::NotQuoted(_)
            | Self::NotUtf8 { .. }
            | Self::TooLarge { .. }
            | Self::Toml(_)
            | Self::Unreadable { .. }
            | Self::WrongType { .. }
            | Self::Yaml(_) => Level::Error,
        }
    }
}
