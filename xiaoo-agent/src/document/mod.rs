//! Documents as text that a model can read.
//!
//! What people send comes from anywhere. Everything here is bounded: what is read, what is
//! unpacked, what is given back, how long it takes. What the parsers of other people do inside
//! these bounds is their own matter: [`DocumentReader::Apart`] runs them in a process of their
//! own, where the worst that a document can do is to end that process.

mod archive;
mod draft;
mod kind;
mod office;
mod pdf;
mod reader;
mod sheet;
mod slides;
mod text;

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

pub use reader::DocumentReader;
pub(crate) use reader::{answer_on_stdout, read_file};

use draft::Draft;
use kind::Kind;
pub(crate) use kind::is_picture;

/// A document, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// What it is, in a few words: `PDF, 12 pages`.
    pub what: String,
    /// Its text; of something that has none, what can be said about it.
    pub text: String,
    /// Whether that is all of its text.
    pub is_complete: bool,
}

/// How much of a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentLimits {
    /// The longest file that is looked at. Default 64 MiB; the platform lets people send 100 MB,
    /// mostly films.
    pub file_bytes_max: u64,
    /// The longest text that is given back. Default 4 MiB: a thick book.
    pub text_bytes_max: usize,
    /// What an archive or a stream inside a document may unpack to. Default 256 MiB.
    pub unpacked_bytes_max: u64,
    /// How many pages, slides and sheets are read, and files of an archive named. Default 1000.
    pub parts_max: usize,
    /// How long it may take. Default 20 s.
    pub time_max: Duration,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            file_bytes_max: 64 << 20,
            text_bytes_max: 4 << 20,
            unpacked_bytes_max: 256 << 20,
            parts_max: 1000,
            time_max: Duration::from_secs(20),
        }
    }
}

/// A document that can't be read. The text is for the model and for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DocumentError {
    /// The file, or what it unpacks to, is too long.
    #[error("it is too large to be read: more than {bytes_max} bytes{}", if *.unpacked { " when unpacked" } else { "" })]
    TooLarge {
        /// The limit that was met.
        bytes_max: u64,
        /// Whether it is about what it unpacks to.
        unpacked: bool,
    },
    /// It asks for a password.
    #[error("it is protected by a password. Ask for a copy without one")]
    Protected,
    /// It is not what it seems to be, or damaged.
    #[error("it looks like {what}, but can't be read: {why}")]
    Broken {
        /// What it looks like.
        what: String,
        /// What the parser said.
        why: String,
    },
    /// It took too long, or too much memory.
    #[error("reading it took more {what} than it may")]
    TooMuch {
        /// `time` or `memory`.
        what: String,
    },
    /// The file could not be read, or the reading process not be started.
    #[error("{0}")]
    Io(String),
}

/// The text of a document. What it is is told by its content; `name` is a hint where that does
/// not tell.
///
/// # Errors
/// See [`DocumentError`].
pub fn text_of(
    bytes: &[u8],
    name: &str,
    limits: &DocumentLimits,
) -> Result<Extracted, DocumentError> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limits.file_bytes_max) {
        return Err(DocumentError::TooLarge {
            bytes_max: limits.file_bytes_max,
            unpacked: false,
        });
    }
    let kind = Kind::of(bytes);
    // Nothing that the parsers leave half done is looked at again.
    let read = catch_unwind(AssertUnwindSafe(|| read_as(kind, bytes, name, limits)));
    read.unwrap_or_else(|_| Err(broken(kind, "the parser gave up")))
}

fn read_as(
    kind: Kind,
    bytes: &[u8],
    name: &str,
    limits: &DocumentLimits,
) -> Result<Extracted, DocumentError> {
    let draft = Draft::new(limits);
    match kind {
        Kind::Pdf => pdf::read(bytes, draft),
        Kind::Zip => office::read_zip(bytes, draft),
        Kind::Compound => sheet::read_compound(bytes, draft),
        Kind::Gzip => archive::read_gzip(bytes, name, draft),
        Kind::Tar => archive::read_tar(bytes, draft),
        Kind::Picture(format) => Ok(text::picture(bytes, format)),
        Kind::Other => Ok(text::read(bytes, name, draft)),
    }
}

fn broken(kind: Kind, why: impl core::fmt::Display) -> DocumentError {
    /// Some parsers quote the document in their errors.
    const WHY_CHARS: usize = 200;
    DocumentError::Broken {
        what: kind.to_string(),
        why: why.to_string().chars().take(WHY_CHARS).collect(),
    }
}
