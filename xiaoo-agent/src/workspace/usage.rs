//! How much a directory holds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::root::Root;

/// What is beneath a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all files, or what they take up on the disk where that is more.
    pub bytes: u64,
    /// Files, directories and all else.
    pub entries: u64,
    /// Whether that is all: not if there are more than [`ENTRIES_MAX`] entries, or directories
    /// that can't be read or lie too deep.
    pub is_complete: bool,
}

/// How many files and directories a workspace may hold: what is counted on every write should
/// be counted in a fraction of a second.
pub const ENTRIES_MAX: u64 = 50_000;

/// Counts what is beneath a directory, without following links.
pub(crate) fn measure(root: &Root) -> Usage {
    let mut usage = Usage {
        is_complete: true,
        ..Usage::default()
    };
    let mut open = vec![PathBuf::from(".")];
    while let Some(directory) = open.pop() {
        let listed = root.open_directory(&directory).and_then(Dir::new);
        let Ok(listed) = listed else {
            usage.is_complete = false;
            continue;
        };
        if !count(listed, &directory, &mut open, &mut usage) {
            usage.is_complete = false;
            break;
        }
    }
    usage
}

/// Counts one directory in; false when there is too much.
fn count(
    mut listed: Dir,
    directory: &std::path::Path,
    open: &mut Vec<PathBuf>,
    usage: &mut Usage,
) -> bool {
    while let Some(entry) = listed.read() {
        let Ok(entry) = entry else { return false };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        usage.entries += 1;
        if usage.entries > ENTRIES_MAX {
            return false;
        }
        let stat = listed
            .fd()
            .and_then(|fd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
        // It went in the meantime.
        let Ok(stat) = stat else { continue };
        let on_disk = u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512);
        let bytes = u64::try_from(stat.st_size).unwrap_or(0).max(on_disk);
        usage.bytes = usage.bytes.saturating_add(bytes);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            open.push(directory.join(OsStr::from_bytes(name.to_bytes())));
        }
    }
    true
}
