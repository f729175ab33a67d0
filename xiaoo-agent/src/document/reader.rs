//! Where documents are read: here, or in a process of their own.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use super::kind::Kind;
use super::{DocumentError, DocumentLimits, Extracted, text_of};
use crate::blocking::{Ending, off_thread};
use crate::sandbox::Sandbox;

/// Where documents are read.
#[derive(Clone, Debug)]
pub enum DocumentReader {
    /// In this process. A document that is made for it may use a lot of memory, or end it.
    Here(DocumentLimits),
    /// In a process of its own that may do nothing else; plain text in this one.
    Apart(Sandbox, DocumentLimits),
}

impl DocumentReader {
    /// The text of a file.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub async fn read(&self, file: File, name: &str) -> Result<Extracted, DocumentError> {
        let (sandbox, limits) = match self {
            Self::Here(limits) => (None, *limits),
            Self::Apart(sandbox, limits) => (Some(sandbox), *limits),
        };
        let name = name.to_owned();
        let looked = {
            let name = name.clone();
            let is_apart = sandbox.is_some();
            off_thread(move || {
                if is_apart && !is_plain(&file)? {
                    return Ok(Looked::NotPlain(file));
                }
                read_file(&file, &name, &limits).map(Looked::Read)
            })
        };
        match (looked.await??, sandbox) {
            (Looked::Read(read), _) => Ok(read),
            (Looked::NotPlain(file), Some(sandbox)) => {
                sandbox.read_document(file, &name, &limits).await
            }
            (Looked::NotPlain(file), None) => {
                off_thread(move || read_file(&file, &name, &limits)).await?
            }
        }
    }
}

enum Looked {
    Read(Extracted),
    NotPlain(File),
}

/// Reads a file in this process.
pub(crate) fn read_file(
    mut file: &File,
    name: &str,
    limits: &DocumentLimits,
) -> Result<Extracted, DocumentError> {
    let mut bytes = Vec::new();
    (&mut file)
        .take(limits.file_bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    text_of(&bytes, name, limits)
}

/// The other process's part: what was read, as JSON on the standard output.
pub(crate) fn answer_on_stdout(result: &Result<Extracted, DocumentError>) -> io::Result<()> {
    let json = serde_json::to_vec(result)?;
    let mut out = io::stdout().lock();
    out.write_all(&json)?;
    out.flush()
}

/// Whether no parser but ours is needed. Leaves the file at its beginning.
fn is_plain(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut head = [0; 1024];
    let read = file.read_at(&mut head, 0)?;
    Ok(Kind::of(head.get(..read).unwrap_or_default()) == Kind::Other)
}

impl From<io::Error> for DocumentError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<Ending> for DocumentError {
    fn from(Ending: Ending) -> Self {
        Self::Io("the program is ending".into())
    }
}
