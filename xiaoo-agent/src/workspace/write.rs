//! Writing: whole files at once, or not at all.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, fsync, openat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::names::{file_name, numbered};
use super::root::refuse_special;
use super::usage::ENTRIES_MAX;
use super::{Workspace, WorkspaceError};

/// A new file of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Relative to the workspace's root.
    pub path: String,
    /// The last part of it.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Workspace {
    /// Makes a file, or takes another's place. Whoever reads it meanwhile sees all of the old one
    /// or all of the new one. Directories on the way are made. A symbolic link of that name is
    /// replaced, not followed.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), WorkspaceError> {
        let (directory, name) = self.where_to_write(path)?;
        let told = |errno| WorkspaceError::of(path, errno);
        let mut mode = usual_mode(bytes);
        match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {}
            Ok(stat) => {
                refuse_special(path, &stat)?;
                mode |= Mode::from_raw_mode(stat.st_mode) & Mode::RWXU;
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(told(errno)),
        }
        self.has_room_for(length(bytes))?;
        let mut part = Part::make(directory, mode).map_err(told)?;
        let written = part.file.write_all(bytes);
        written.map_err(|error| WorkspaceError::io(path, error))?;
        part.replace(&name).map_err(told)
    }

    /// Adds to the end of a file; makes it if it is not there.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn append(&self, path: &str, bytes: &[u8]) -> Result<(), WorkspaceError> {
        let place = self.place(path)?;
        if !place.is_writable {
            return Err(WorkspaceError::ReadOnly {
                path: path.to_owned(),
            });
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
        let mut file = match place.root.open_regular(&place.relative, path, flags) {
            Err(WorkspaceError::NotFound { .. }) => return self.write(path, bytes),
            opened => opened?,
        };
        self.has_room_for(length(bytes))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_data())
            .map_err(|error| WorkspaceError::io(path, error))
    }

    /// Keeps what comes from elsewhere: a download, a copy. The file gets the wanted name as far
    /// as that is a plain one, with a number when there is a file of that name already.
    ///
    /// Nothing is left behind when it fails or is dropped.
    ///
    /// # Errors
    /// [`WorkspaceError::TooLarge`] when there is more to read than `bytes_max`; else as for
    /// [`Workspace::write`].
    pub async fn write_new(
        &self,
        directory: &str,
        wanted_name: &str,
        source: impl AsyncRead + Send + Unpin,
        bytes_max: u64,
    ) -> Result<Saved, WorkspaceError> {
        let name = file_name(wanted_name);
        let path = Path::new(directory).join(&name);
        let path = path.to_string_lossy().into_owned();
        let (part, room) = {
            let path = path.clone();
            self.blocking(move |workspace| {
                let (directory, _) = workspace.where_to_write(&path)?;
                let room = workspace.has_room_for(1)?;
                let part = Part::make(directory, FILE_MODE);
                let part = part.map_err(|errno| WorkspaceError::of(&path, errno))?;
                Ok::<_, WorkspaceError>((part, room))
            })
            .await?
        };
        let told = |error| WorkspaceError::io(&path, error);
        let file = part.file.try_clone().map_err(told)?;
        let mut file = tokio::fs::File::from_std(file);
        let limit = bytes_max.min(room);
        let mut source = source.take(limit.saturating_add(1));
        let bytes = tokio::io::copy(&mut source, &mut file)
            .await
            .map_err(told)?;
        if bytes > bytes_max {
            return Err(WorkspaceError::TooLarge { path, bytes_max });
        }
        if bytes > limit {
            return Err(self.full());
        }
        tokio::io::AsyncWriteExt::flush(&mut file)
            .await
            .map_err(told)?;
        let directory = directory.to_owned();
        self.blocking(move |_| {
            let name = part.name_anew(&name);
            let name = name.map_err(|errno| WorkspaceError::of(&path, errno))?;
            let path = Path::new(&directory).join(&name);
            Ok(Saved {
                path: path.to_string_lossy().into_owned(),
                name,
                bytes,
            })
        })
        .await
    }

    /// The directory of a file that is to be made, and the file's name in it.
    fn where_to_write(&self, path: &str) -> Result<(OwnedFd, PathBuf), WorkspaceError> {
        let place = self.place(path)?;
        if !place.is_writable {
            return Err(WorkspaceError::ReadOnly {
                path: path.to_owned(),
            });
        }
        let (directory, name) = place.split(path)?;
        let directory = place.root.make_directory(&directory);
        let directory = directory.map_err(|errno| WorkspaceError::of(path, errno))?;
        Ok((directory, name))
    }

    /// How many bytes may still be written; an error when these can't.
    fn has_room_for(&self, bytes: u64) -> Result<u64, WorkspaceError> {
        let usage = self.usage();
        let room = self.bytes_max.saturating_sub(usage.bytes);
        if !usage.is_complete || room < bytes {
            return Err(self.full());
        }
        Ok(room)
    }

    fn full(&self) -> WorkspaceError {
        WorkspaceError::Full {
            bytes_max: self.bytes_max,
            entries_max: ENTRIES_MAX,
        }
    }
}

/// A file that is being written and has no name yet that anybody knows.
#[derive(Debug)]
struct Part {
    file: File,
    directory: OwnedFd,
    name: String,
    is_named: bool,
}

impl Part {
    fn make(directory: OwnedFd, mode: Mode) -> Result<Self, Errno> {
        /// Each try is a new random name.
        const TRIES_MAX: u32 = 8;
        let mut tries = 0;
        loop {
            tries += 1;
            let name = format!(".{:016x}.part", fastrand::u64(..));
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&directory, &name, flags, mode) {
                Err(Errno::EXIST) if tries < TRIES_MAX => {}
                opened => {
                    return Ok(Self {
                        file: opened?.into(),
                        directory,
                        name,
                        is_named: false,
                    });
                }
            }
        }
    }

    /// Gives it the name, whoever had it.
    fn replace(mut self, name: &Path) -> Result<(), Errno> {
        fsync(&self.file)?;
        renameat(&self.directory, &self.name, &self.directory, name)?;
        self.is_named = true;
        fsync(&self.directory)
    }

    /// Gives it the name, or the first numbered one that nobody has.
    fn name_anew(mut self, name: &str) -> Result<String, Errno> {
        /// Whoever sends the same file a thousand times has been heard.
        const NUMBER_MAX: u32 = 1000;
        fsync(&self.file)?;
        let mut wanted = name.to_owned();
        for number in 2..=NUMBER_MAX {
            let renamed = renameat_with(
                self.directory.as_fd(),
                &self.name,
                self.directory.as_fd(),
                &wanted,
                RenameFlags::NOREPLACE,
            );
            match renamed {
                Err(Errno::EXIST) => wanted = numbered(name, number),
                renamed => {
                    renamed?;
                    self.is_named = true;
                    fsync(&self.directory)?;
                    return Ok(wanted);
                }
            }
        }
        Err(Errno::EXIST)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_named {
            // What can't be removed is counted as part of the workspace.
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Scripts may be run: nothing else can make them so from inside the sandbox.
fn usual_mode(bytes: &[u8]) -> Mode {
    if bytes.starts_with(b"#!") {
        Mode::RWXU
    } else {
        FILE_MODE
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What is said in a chat is nobody else's business on this machine.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
