//! What can go wrong with a file of the workspace.

use std::io;

use rustix::io::Errno;

/// A file that could not be read, written or listed. The text is for the model and for people:
/// it says what to do instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// It lies elsewhere, or a symbolic link on the way leads elsewhere.
    #[error(
        "{path} is outside the workspace, or a symbolic link on its way leads outside. \
         Use a path relative to the workspace's root"
    )]
    Outside {
        /// As it was asked for.
        path: String,
    },
    /// There is nothing of that name.
    #[error("there is no {path}. List its directory to see what there is")]
    NotFound {
        /// As it was asked for.
        path: String,
    },
    /// It may be read, but not written.
    #[error("{path} can only be read. Write to a path relative to the workspace's root")]
    ReadOnly {
        /// As it was asked for.
        path: String,
    },
    /// It is something else than a regular file.
    #[error("{path} is {is}, not a file")]
    NotAFile {
        /// As it was asked for.
        path: String,
        /// What it is: `a directory`, `a pipe`.
        is: &'static str,
    },
    /// It, or something on the way to it, is not a directory.
    #[error("{path} is not a directory, or leads through a file")]
    NotADirectory {
        /// As it was asked for.
        path: String,
    },
    /// The path itself can't be taken.
    #[error("{path:?} can't be used as a path: {why}")]
    BadPath {
        /// As it was asked for.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is more of it than may be.
    #[error("{path} has more than {bytes_max} bytes, which is the limit here")]
    TooLarge {
        /// As it was asked for.
        path: String,
        /// The limit that was met.
        bytes_max: u64,
    },
    /// The workspace holds as much as it may.
    #[error(
        "the workspace is full: it may hold {bytes_max} bytes in {entries_max} files. \
         Remove what is no longer needed first"
    )]
    Full {
        /// The limit of its bytes.
        bytes_max: u64,
        /// The limit of its files and directories.
        entries_max: u64,
    },
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// As it was asked for.
        path: String,
        /// What it said.
        source: io::Error,
    },
}

impl WorkspaceError {
    /// What the system's answer means for somebody who asked for `path`.
    pub(super) fn of(path: &str, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            // What openat2 says of a way that leads out, and of links that lead nowhere.
            Errno::XDEV | Errno::LOOP => Self::Outside { path },
            Errno::NOENT => Self::NotFound { path },
            Errno::NOTDIR => Self::NotADirectory { path },
            Errno::ISDIR => Self::NotAFile {
                path,
                is: "a directory",
            },
            Errno::NXIO => Self::NotAFile {
                path,
                is: "a socket",
            },
            Errno::NAMETOOLONG => Self::BadPath {
                path,
                why: "a name in it is too long",
            },
            other => Self::Io {
                path,
                source: other.into(),
            },
        }
    }

    pub(super) fn io(path: &str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
