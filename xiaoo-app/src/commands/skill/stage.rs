//! A copy of a skill that nobody reads yet.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Copies plain files and directories, with permissions that only their owner can write by.
/// Links and whatever else is no file are refused, and left out when `is_forced`.
pub(super) fn copy(from: &Path, to: &Path, is_forced: bool) -> Result<()> {
    let mut left = Left {
        files: FILES_MAX,
        bytes: BYTES_MAX,
        is_forced,
    };
    copy_folder(from, to, 0, &mut left)
}

struct Left {
    files: usize,
    bytes: u64,
    is_forced: bool,
}

fn copy_folder(from: &Path, to: &Path, depth: usize, left: &mut Left) -> Result<()> {
    if depth > DEPTH_MAX {
        bail!(
            "{} is more than {DEPTH_MAX} directories deep",
            from.display()
        );
    }
    fs::create_dir_all(to).with_context(|| format!("{} can't be made", to.display()))?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    let entries =
        fs::read_dir(from).with_context(|| format!("{} can't be read", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            // A repository's own data is no part of a skill.
            if entry.file_name() != ".git" {
                copy_folder(&path, &target, depth + 1, left)?;
            }
        } else if kind.is_file() {
            copy_file(&path, &target, left)?;
        } else if !left.is_forced {
            bail!(
                "{} is a symbolic link or no plain file; such are not installed. Put the file itself \
                 there, or leave them out with --force",
                path.display()
            );
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, left: &mut Left) -> Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    let remaining = left.bytes.checked_sub(metadata.len());
    let (Some(bytes), Some(files)) = (remaining, left.files.checked_sub(1)) else {
        bail!(
            "it is too big: a skill has at most {FILES_MAX} files and {} MiB",
            BYTES_MAX >> 20
        );
    };
    (left.bytes, left.files) = (bytes, files);
    let copied = fs::File::open(from).and_then(|mut source| {
        let mut target = fs::File::create_new(to)?;
        io::copy(&mut source, &mut target)
    });
    copied.with_context(|| format!("{} can't be copied", from.display()))?;
    let is_executable = metadata.permissions().mode() & 0o100 != 0;
    let mode = if is_executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, Permissions::from_mode(mode))?;
    Ok(())
}

/// Files of one skill, as many as the audit looks at.
const FILES_MAX: usize = 2000;
/// Bytes of one skill. Fonts and templates fit many times.
const BYTES_MAX: u64 = 64 << 20;
/// Directories in each other, as deep as the audit looks.
const DEPTH_MAX: usize = 8;
