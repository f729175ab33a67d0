//! One directory, and nothing that is not beneath it.
//!
//! The kernel judges every path as it resolves it (openat2), so that there is no moment between
//! a check and its use. A comparison of paths as texts would lose to symbolic links.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat2};
use rustix::io::Errno;

use super::WorkspaceError;

#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

impl Root {
    /// The directory must be there.
    ///
    /// # Errors
    /// When it is not, or the kernel has no openat2 (it came with Linux 5.6).
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.canonicalize()?;
        let opened = rustix::fs::open(
            &path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let root = Self {
            path,
            directory: opened,
        };
        root.open_at(Path::new("."), OFlags::PATH)?;
        Ok(root)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A regular file, for reading.
    pub(super) fn open_file(&self, relative: &Path, path: &str) -> Result<File, WorkspaceError> {
        // A pipe that nobody writes to would wait for somebody who does.
        self.open_regular(relative, path, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// A regular file that is there, with these flags.
    pub(super) fn open_regular(
        &self,
        relative: &Path,
        path: &str,
        flags: OFlags,
    ) -> Result<File, WorkspaceError> {
        let opened = self
            .open_at(relative, flags | OFlags::NOCTTY)
            .map_err(|errno| WorkspaceError::of(path, errno))?;
        let stat = fstat(&opened).map_err(|errno| WorkspaceError::of(path, errno))?;
        refuse_special(path, &stat)?;
        Ok(opened.into())
    }

    /// A directory, to list or to make files in.
    pub(crate) fn open_directory(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        self.open_at(relative, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// As [`Root::open_directory`]; what is missing on the way is made.
    pub(super) fn make_directory(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        let mut way = PathBuf::from(".");
        let mut directory = self.open_directory(&way)?;
        for component in relative.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            way.push(name);
            directory = match self.open_directory(&way) {
                Err(Errno::NOENT) => {
                    match mkdirat(&directory, name, DIRECTORY_MODE) {
                        // Somebody else was first, or a link to nothing is in the way: the next
                        // line tells.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    self.open_directory(&way)?
                }
                opened => opened?,
            };
        }
        Ok(directory)
    }

    /// What is there, links followed.
    pub(super) fn stat(&self, relative: &Path) -> Result<Stat, Errno> {
        fstat(self.open_at(relative, OFlags::PATH)?)
    }

    fn open_at(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        /// The kernel asks to try again when a directory on the way was moved just then.
        const TRIES_MAX: u32 = 16;
        let mut tries = 0;
        loop {
            tries += 1;
            let opened = openat2(
                &self.directory,
                relative,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            );
            match opened {
                Err(Errno::AGAIN | Errno::INTR) if tries < TRIES_MAX => {}
                opened => return opened,
            }
        }
    }
}

/// Only regular files are read and written: a pipe would wait, a device would act.
pub(super) fn refuse_special(path: &str, stat: &Stat) -> Result<(), WorkspaceError> {
    let is = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    };
    Err(WorkspaceError::NotAFile {
        path: path.to_owned(),
        is,
    })
}

/// What is said in a chat is nobody else's business on this machine.
const DIRECTORY_MODE: Mode = Mode::RWXU;
