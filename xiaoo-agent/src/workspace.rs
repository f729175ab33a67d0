//! The directory that a turn's tools work in.

use std::io;
use std::path::{Path, PathBuf};

/// One directory that may be read and written, and others that may only be read. Nothing outside
/// of them can be reached through it, whatever symbolic links say.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    read_only: Vec<PathBuf>,
}

impl Workspace {
    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            root: root.canonicalize()?,
            read_only: Vec::new(),
        })
    }

    /// Lets a further directory be read: a skill's, for instance. One that is not there is left
    /// out.
    #[must_use]
    pub fn reading(mut self, directory: &Path) -> Self {
        self.read_only.extend(directory.canonicalize());
        self
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What may be read beside it.
    #[must_use]
    pub fn read_only(&self) -> &[PathBuf] {
        &self.read_only
    }
}
