//! Directories read without being led out of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// An open directory. Whatever is opened through it is in it: the system itself refuses
/// symbolic links that lead out, also when they are put there meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a directory that an operator named; that itself may be a link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
        Ok(Self { fd, path })
    }

    /// Opens a directory in it.
    pub(super) fn folder(&self, name: &Path) -> io::Result<Self> {
        let fd = self.beneath(name, OFlags::DIRECTORY)?;
        let path = self.path.join(name);
        let path = path.canonicalize().unwrap_or(path);
        Ok(Self { fd, path })
    }

    /// Reads a plain file in it; `Ok(None)` when there is none of that name.
    ///
    /// One byte more than `bytes_max` is read of a longer one.
    pub(super) fn file(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        // A pipe would be waited for.
        let file = match self.beneath(Path::new(name), OFlags::NONBLOCK) {
            Ok(fd) => File::from(fd),
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a plain file"));
        }
        let mut bytes = Vec::new();
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The names in it, in order; at most `entries_max`, and whether there are more.
    pub(super) fn names(&self, entries_max: usize) -> io::Result<(Vec<OsString>, bool)> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if names.len() == entries_max {
                names.sort();
                return Ok((names, true));
            }
            names.push(entry?.file_name());
        }
        names.sort();
        Ok((names, false))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn beneath(&self, name: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.fd, name, flags, Mode::empty(), how) {
            // Old kernels, and containers that forbid what they do not know: no links at all.
            Err(Errno::NOSYS | Errno::PERM) => {
                let flags = flags | OFlags::NOFOLLOW;
                Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?)
            }
            Err(Errno::XDEV) => Err(io::Error::other(
                "it is a symbolic link that leads out of its directory",
            )),
            Err(Errno::LOOP) => Err(io::Error::other(
                "it is a symbolic link that is not followed",
            )),
            opened => Ok(opened?),
        }
    }
}
