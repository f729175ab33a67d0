//! Directory, database file and lock file.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use crate::error::OpenError;

/// Longest process id that is read back from a lock file.
const PID_BYTES_MAX: u64 = 20;

/// The lock on a store; the system releases it when this is dropped, and also
/// when the process dies in whatever way.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

/// Makes the directory if it is missing, readable for nobody else, and takes the lock.
pub(super) fn prepare(path: &Path) -> Result<Lock, OpenError> {
    if let Some(directory) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        make_directory(directory).map_err(|error| files_error(directory, error))?;
    }
    lock(path)
}

/// Whether there is a file that may be read and written; `false` if there is none, and
/// none was there before.
pub(super) fn exists(path: &Path) -> Result<bool, OpenError> {
    let found = File::options().read(true).write(true).open(path);
    match found.and_then(|file| file.metadata()) {
        // It gets its name when it is whole, see `make`.
        Ok(found) if found.len() == 0 => Err(damaged(path, EMPTY)),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // SQLite would take it for the log of the new file.
            if beside(path, "-wal").exists() {
                return Err(damaged(
                    path,
                    "the file is gone, and only its log (-wal) is there",
                ));
            }
            Ok(false)
        }
        Err(error) => Err(files_error(path, error)),
    }
}

/// Makes a file, readable for nobody else. It has its name only when `fill` is done:
/// a crash leaves a whole file, or none.
pub(super) fn make(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let unnamed = beside(path, ".new");
    let made = || -> io::Result<()> {
        // The lock is ours, so whoever was making these is gone.
        for left in [
            &unnamed,
            &beside(&unnamed, "-wal"),
            &beside(&unnamed, "-shm"),
        ] {
            match std::fs::remove_file(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        options().create_new(true).open(&unnamed)?;
        Ok(())
    };
    made().map_err(|error| files_error(&unnamed, error))?;
    fill(&unnamed)?;
    let named = || -> io::Result<()> {
        // Closing it has folded its log in, or it would be without what is in there.
        if beside(&unnamed, "-wal").exists() {
            return Err(io::Error::other("its log could not be folded in"));
        }
        File::open(&unnamed)?.sync_all()?;
        std::fs::rename(&unnamed, path)?;
        sync_directory(path.parent())
    };
    named().map_err(|error| files_error(path, error))
}

/// Whether there is a file that may be read, with something in it.
pub(super) fn look_for(path: &Path) -> Result<(), OpenError> {
    let refused = |source: io::Error| OpenError::Files {
        path: path.to_path_buf(),
        source,
    };
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_dir() => Err(refused(io::ErrorKind::IsADirectory.into())),
        Ok(found) if found.len() == 0 => Err(damaged(path, EMPTY)),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::no_store(path.display()))
        }
        Err(error) => Err(refused(error)),
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(directory)?;
    sync_directory(directory.parent())
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let lock_path = lock_path(path);
    let mut file = options()
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|error| files_error(&lock_path, error))?;
    match file.try_lock() {
        Ok(()) => {
            // Only for people and error messages: the lock is the lock.
            let written = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()));
            written.map_err(|error| files_error(&lock_path, error))?;
            Ok(Lock(file))
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::LockedByAnother {
            path: path.to_path_buf(),
            pid: read_pid(&file),
        }),
        Err(TryLockError::Error(error)) => Err(files_error(&lock_path, error)),
    }
}

/// `store.db` is locked by `store.db.lock`.
fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// The file whose name is longer by this.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The file for SQLite, as one that nobody can change.
pub(super) fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri + "?immutable=1"
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// A new file is only durable when its directory is.
fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    let directory = match directory {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

const EMPTY: &str = "the file is empty";

fn damaged(path: &Path, detail: &str) -> OpenError {
    OpenError::Corrupt {
        path: path.to_path_buf(),
        detail: detail.to_owned(),
    }
}

fn files_error(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_path_buf();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds that mean read-only are named"
    )]
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { path }
        }
        _ => OpenError::Files { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_uri_is_the_path() {
        let uri = immutable_uri(Path::new("/a b/50%?/欧.db"));
        assert_eq!(uri, "file:/a%20b/50%25%3f/%e6%ac%a7.db?immutable=1");
    }

    #[test]
    fn what_can_not_be_written_is_told_apart_from_what_is_not_there() {
        for (kind, read_only) in [
            (io::ErrorKind::PermissionDenied, true),
            (io::ErrorKind::ReadOnlyFilesystem, true),
            (io::ErrorKind::NotADirectory, false),
            (io::ErrorKind::StorageFull, false),
        ] {
            let error = files_error(Path::new("s.db"), kind.into());
            assert_eq!(
                matches!(error, OpenError::ReadOnly { .. }),
                read_only,
                "{kind}"
            );
        }
    }
}
