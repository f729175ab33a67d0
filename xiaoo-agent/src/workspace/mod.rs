//! The directory that a turn's tools work in.
//!
//! Operations are of two kinds. Those that are `async` may be called anywhere. The others wait
//! for the disk: call them inside [`Workspace::blocking`].

mod error;
mod names;
mod place;
pub(crate) mod root;
mod usage;
mod write;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use error::WorkspaceError;
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
pub use usage::{ENTRIES_MAX, Usage};
pub use write::Saved;

use crate::blocking::{Ending, off_thread};
pub(crate) use names::file_name;
use place::Place;
use root::Root;
pub(crate) use usage::measure;

/// One directory that may be read and written, and others that may only be read. Nothing outside
/// of them can be reached through it, whatever symbolic links say. Cheap to clone.
///
/// Paths are relative to the directory's root. An absolute path is taken when it lies beneath
/// one of the directories; that is how the ones that may only be read are named.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: Arc<Root>,
    read_only: Vec<Arc<Root>>,
    bytes_max: u64,
}

impl Workspace {
    /// What a workspace holds unless something else is said with [`Workspace::holding`].
    pub const BYTES_MAX: u64 = 1 << 30;

    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// When it can't be made, or the kernel can't keep paths beneath a directory (Linux before
    /// 5.6).
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            root: Arc::new(Root::open(root.as_ref())?),
            read_only: Vec::new(),
            bytes_max: Self::BYTES_MAX,
        })
    }

    /// Lets a further directory be read: a skill's, for instance. One that is not there is left
    /// out.
    #[must_use]
    pub fn reading(mut self, directory: &Path) -> Self {
        self.read_only.extend(Root::open(directory).map(Arc::new));
        self
    }

    /// Lets further directories be read that were opened before.
    #[must_use]
    pub fn beside(mut self, directories: &[ReadOnly]) -> Self {
        let roots = directories.iter().map(|ReadOnly(root)| Arc::clone(root));
        self.read_only.extend(roots);
        self
    }

    /// Lets it hold so many bytes.
    #[must_use]
    pub fn holding(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What may be read beside it.
    pub fn read_only(&self) -> impl Iterator<Item = &Path> {
        self.read_only.iter().map(|root| root.path())
    }

    /// How many bytes it may hold.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Does what waits for the disk, away from the threads that serve sockets. Only so many do at
    /// a time. Work that was begun goes on to its end when the future is dropped.
    ///
    /// # Errors
    /// What `work` says, and [`WorkspaceError::Io`] when the program is ending.
    pub async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WorkspaceError> + Send + 'static,
    {
        let workspace = self.clone();
        let done = off_thread(move || work(&workspace)).await;
        done.unwrap_or_else(|Ending| {
            Err(WorkspaceError::io(".", io::ErrorKind::Interrupted.into()).into())
        })
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn open_file(&self, path: &str) -> Result<File, WorkspaceError> {
        let place = self.place(path)?;
        place.root.open_file(&place.relative, path)
    }

    /// All of a file, unless it is longer than `bytes_max`.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, WorkspaceError> {
        let mut bytes = Vec::new();
        self.open_file(path)?
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| WorkspaceError::io(path, error))?;
        if u64::try_from(bytes.len()).is_ok_and(|read| read > bytes_max) {
            return Err(WorkspaceError::TooLarge {
                path: path.to_owned(),
                bytes_max,
            });
        }
        Ok(bytes)
    }

    /// What is there, links followed.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn metadata(&self, path: &str) -> Result<Metadata, WorkspaceError> {
        let place = self.place(path)?;
        let stat = place.root.stat(&place.relative);
        let stat = stat.map_err(|errno| WorkspaceError::of(path, errno))?;
        Ok(Metadata::of(&stat))
    }

    /// What a directory holds, by name, as far as `entries_max` goes.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn list(&self, path: &str, entries_max: usize) -> Result<Listing, WorkspaceError> {
        let place = self.place(path)?;
        let opened = place.root.open_directory(&place.relative);
        let told = |errno| WorkspaceError::of(path, errno);
        let mut directory = opened.and_then(Dir::new).map_err(told)?;
        let mut entries = Vec::new();
        while let Some(entry) = directory.read() {
            let entry = entry.map_err(told)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() > LISTED_MAX {
                break;
            }
            let stat = directory
                .fd()
                .and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
            // One that went in the meantime is not listed.
            if let Ok(stat) = stat {
                entries.push(Entry {
                    name: OsStr::from_bytes(name.to_bytes())
                        .to_string_lossy()
                        .into_owned(),
                    metadata: Metadata::of(&stat),
                });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let total = entries.len();
        entries.truncate(entries_max);
        Ok(Listing {
            is_complete: total == entries.len(),
            entries,
        })
    }

    /// How much it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        measure(&self.root)
    }

    /// The directory itself, for those who walk through it. What they find must be opened with
    /// [`Workspace::open_file`].
    pub(crate) fn directory(&self, path: &str) -> Result<PathBuf, WorkspaceError> {
        let place = self.place(path)?;
        place
            .root
            .open_directory(&place.relative)
            .map_err(|errno| WorkspaceError::of(path, errno))?;
        Ok(place.root.path().join(&place.relative))
    }

    /// How the model names what lies at an absolute path.
    pub(crate) fn spelled(&self, absolute: &Path) -> String {
        absolute
            .strip_prefix(self.root())
            .unwrap_or(absolute)
            .to_string_lossy()
            .into_owned()
    }

    fn place(&self, path: &str) -> Result<Place<'_>, WorkspaceError> {
        Place::of(path, &self.root, &self.read_only)
    }
}

/// A directory that may be read beside a workspace. Opened once it does for many of them, and takes
/// one descriptor for all. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReadOnly(Arc<Root>);

impl ReadOnly {
    /// The directory must be there. Waits for the disk.
    ///
    /// # Errors
    /// As [`Workspace::open`].
    pub fn open(directory: impl AsRef<Path>) -> io::Result<Self> {
        Root::open(directory.as_ref()).map(|root| Self(Arc::new(root)))
    }
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Its length.
    pub bytes: u64,
    /// When its content last changed.
    pub modified: SystemTime,
}

impl Metadata {
    fn of(stat: &Stat) -> Self {
        let secs = u64::try_from(stat.st_mtime).unwrap_or(0);
        Self {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => Kind::Other,
            },
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified: UNIX_EPOCH
                .checked_add(Duration::from_secs(secs))
                .unwrap_or(UNIX_EPOCH),
        }
    }
}

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device; never opened.
    Other,
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// By name.
    pub entries: Vec<Entry>,
    /// Whether that is all.
    pub is_complete: bool,
}

/// One thing in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is; of a link, not of what it points to.
    pub metadata: Metadata,
}

/// Names that are read of one directory, to sort them.
const LISTED_MAX: usize = 10_000;
