//! What can go wrong, sorted by what the caller does about it.

use std::io;
use std::path::{Path, PathBuf};

use core::time::Duration;

use rusqlite::ErrorCode;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is a database, but pages of it are damaged.
    #[error(
        "the store {path} is damaged: {detail}",
        path = .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The directory, the file or the lock file can't be made or opened.
    #[error(
        "the store can't use {path}: {source}; check the path, its owner and the disk",
        path = .path.display()
    )]
    Files {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is a SQLite database of some other program.
    #[error(
        "{path} is a database of another program: choose another path in [store] url",
        path = .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or this one, has the store open.
    #[error(
        "the store {path} is in use by {}: stop it first, or give this one another path in [store] url",
        owner(*.pid),
        path = .path.display()
    )]
    LockedByAnother {
        /// The file.
        path: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// A later version has written the file.
    #[error(
        "the store {path} has schema {found}, this version knows up to {known}: use the newer version, or restore the backup made before the upgrade",
        path = .path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// A later version has written the tables of the server.
    #[error(
        "the store {server} has schema {found}, this version knows up to {known}: use the newer version"
    )]
    NewerServerSchema {
        /// Where it is, without the password.
        server: String,
        /// The version on the server.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// There is nothing to read there.
    #[error("there is no store at {place}: check [store] url; a daemon makes it when it starts")]
    NoStore {
        /// Where it should be, without a password.
        place: String,
    },
    /// The file is something else altogether.
    #[error(
        "{path} is not a SQLite database: choose another path in [store] url; or if it was the store, its first page is destroyed",
        path = .path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// An earlier version has written the file, and only a daemon brings it up to date.
    #[error(
        "the store {path} has schema {found}, this version writes {known}: start the daemon once, which brings it up to date",
        path = .path.display()
    )]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The version that is written.
        known: i64,
    },
    /// The file or its directory can't be written.
    #[error(
        "the store {path} can't be written: give this user write access to the file and its directory",
        path = .path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The database server can't be reached, or refuses us or what the store needs.
    #[error("the store {server} can't be opened: {detail}; {to_do}")]
    Server {
        /// Where it is, without the password.
        server: String,
        /// What it or the system said.
        detail: String,
        /// The next step.
        to_do: &'static str,
    },
    /// SQLite said something that has no case of its own.
    #[error(
        "the store {path} can't be opened: {detail}",
        path = .path.display()
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl OpenError {
    pub(crate) fn no_store(place: impl ToString) -> Self {
        Self::NoStore {
            place: place.to_string(),
        }
    }

    /// Whether the store's data may be damaged, and there may be something to save.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::NotADatabase { .. } => true,
            Self::Files { .. }
            | Self::Foreign { .. }
            | Self::LockedByAnother { .. }
            | Self::NewerSchema { .. }
            | Self::NewerServerSchema { .. }
            | Self::NoStore { .. }
            | Self::OlderSchema { .. }
            | Self::ReadOnly { .. }
            | Self::Server { .. }
            | Self::Sqlite { .. } => false,
        }
    }

    /// Sorts what SQLite said while `path` was being opened.
    pub(crate) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            _ => Self::Sqlite { path, detail },
        }
    }
}

/// Why a call was not done. Nothing of it was stored, but for the two cases that
/// say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another program holds the database's lock, a backup or a shell perhaps.
    #[error("the store is locked by another program ({detail})")]
    Busy {
        /// What SQLite said.
        detail: String,
    },
    /// The store was closed. A call that was under way may have been done.
    #[error("the store is closed")]
    Closed,
    /// The conversation has as many waiting turns as it may have.
    #[error("the conversation already has {max} waiting turns")]
    ConversationFull {
        /// The bound.
        max: u64,
    },
    /// The file is damaged; the store takes nothing more.
    #[error("the store is damaged: {detail}")]
    Corrupt {
        /// What SQLite said.
        detail: String,
    },
    /// The database said something that has no case of its own: most likely our mistake.
    #[error("the store's database refused a command: {detail}")]
    Database {
        /// What it said.
        detail: String,
    },
    /// No answer within the patience of this call. The writer drops an admission
    /// that it had not begun; one that it had begun may still be stored, which
    /// makes the redelivery a duplicate and loses nothing.
    #[error("the store did not answer within {} ms", after.as_millis())]
    Deadline {
        /// The patience.
        after: Duration,
    },
    /// An earlier failure has closed the store for writes, see [`crate::Health`].
    #[error("the store has failed and takes nothing more: {reason}")]
    Failed {
        /// That failure.
        reason: String,
    },
    /// The disk, or the file size that the options allow, is full.
    #[error("no room for the store: {detail}")]
    Full {
        /// What SQLite said.
        detail: String,
    },
    /// The disk failed; the store takes nothing more.
    #[error("the store's disk failed: {detail}")]
    Io {
        /// What SQLite said.
        detail: String,
    },
    /// An id, key, kind or role holds a NUL character, which no platform gives.
    #[error("{what} is not a name: it holds a NUL character")]
    NotAName {
        /// Which value.
        what: &'static str,
    },
    /// The store has as many notes as it may have, and none of them has expired.
    #[error("the store already has {max} notes")]
    NotesFull {
        /// The bound.
        max: u64,
    },
    /// The store has as many waiting turns as it may have.
    #[error("the store already has {max} waiting turns")]
    QueueFull {
        /// The bound.
        max: u64,
    },
    /// The file can't be written any more.
    #[error("the store can't be written: {detail}")]
    ReadOnly {
        /// What SQLite said.
        detail: String,
    },
    /// The scope has as many notes as it may have, and none of them has expired.
    #[error("the scope already has {max} notes")]
    ScopeFull {
        /// The bound.
        max: usize,
    },
    /// A value exceeds a bound of [`crate::limits`].
    #[error("{what} is too large: {size}, at most {max}")]
    TooLarge {
        /// Which value.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound.
        max: usize,
    },
    /// The database server can't be reached, or has lost us. It is tried again
    /// until it is there; nothing of this call was stored.
    #[error("the store's database can't be reached: {detail}")]
    Unreachable {
        /// What the system or the server said.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later, in this process.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::ConversationFull { .. }
            | Self::Deadline { .. }
            | Self::Full { .. }
            | Self::NotesFull { .. }
            | Self::QueueFull { .. }
            | Self::ScopeFull { .. }
            | Self::Unreachable { .. } => true,
            Self::Closed
            | Self::Corrupt { .. }
            | Self::Database { .. }
            | Self::Failed { .. }
            | Self::Io { .. }
            | Self::NotAName { .. }
            | Self::ReadOnly { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether no call of this process can succeed any more. Anything else may pass, if only
    /// because a person sees to the server.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Closed | Self::Corrupt { .. } | Self::Failed { .. } | Self::Io { .. } => true,
            Self::Busy { .. }
            | Self::ConversationFull { .. }
            | Self::Database { .. }
            | Self::Deadline { .. }
            | Self::Full { .. }
            | Self::NotAName { .. }
            | Self::NotesFull { .. }
            | Self::QueueFull { .. }
            | Self::ReadOnly { .. }
            | Self::ScopeFull { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. } => false,
        }
    }

    /// Whether nothing that the store does from here on can be trusted. After a
    /// failed sync the kernel may have dropped the pages although a second sync
    /// succeeds; so the first failure is the last word.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Io { .. } => true,
            Self::Busy { .. }
            | Self::Closed
            | Self::ConversationFull { .. }
            | Self::Database { .. }
            | Self::Deadline { .. }
            | Self::Failed { .. }
            | Self::Full { .. }
            | Self::NotAName { .. }
            | Self::NotesFull { .. }
            | Self::QueueFull { .. }
            | Self::ReadOnly { .. }
            | Self::ScopeFull { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. } => false,
        }
    }

    pub(crate) fn from_sqlite(error: &rusqlite::Error) -> Self {
        // The message names tables and constraints, never a bound value.
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { detail },
            Some(ErrorCode::DiskFull) => Self::Full { detail },
            Some(ErrorCode::SystemIoFailure) => Self::Io { detail },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { detail }
            }
            _ => Self::Database { detail },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::from_sqlite(&error)
    }
}
