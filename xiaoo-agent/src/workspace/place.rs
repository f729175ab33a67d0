//! Where a path leads: to which directory, and how beneath it.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::WorkspaceError;
use super::root::Root;

/// A path beneath one of the workspace's directories. Whether it really stays there is for the
/// kernel to say, when it is opened.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Root,
    pub(super) relative: PathBuf,
    pub(super) is_writable: bool,
}

impl<'a> Place<'a> {
    pub(super) fn of(
        path: &str,
        root: &'a Root,
        read_only: &'a [Arc<Root>],
    ) -> Result<Self, WorkspaceError> {
        let asked = checked(path)?;
        if asked.is_relative() {
            return Ok(Self::beneath(root, &asked, true));
        }
        let find = |absolute: &Path| {
            let roots =
                core::iter::once((root, true)).chain(read_only.iter().map(|root| (&**root, false)));
            for (root, is_writable) in roots {
                if let Ok(relative) = absolute.strip_prefix(root.path()) {
                    return Some(Self::beneath(root, relative, is_writable));
                }
            }
            None
        };
        find(&asked)
            // The same directory under another name.
            .or_else(|| find(&resolved(&asked)?))
            .ok_or_else(|| WorkspaceError::Outside {
                path: path.to_owned(),
            })
    }

    fn beneath(root: &'a Root, relative: &Path, is_writable: bool) -> Self {
        Self {
            root,
            relative: if relative.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                relative.to_owned()
            },
            is_writable,
        }
    }

    /// The directory that it lies in, and its name there.
    pub(super) fn split(&self, path: &str) -> Result<(PathBuf, PathBuf), WorkspaceError> {
        let no_name = || WorkspaceError::NotAFile {
            path: path.to_owned(),
            is: "a directory",
        };
        let name = self.relative.file_name().ok_or_else(no_name)?;
        let directory = self.relative.parent().unwrap_or_else(|| Path::new(""));
        Ok((directory.join("."), PathBuf::from(name)))
    }
}

/// The path without what means nothing.
fn checked(path: &str) -> Result<PathBuf, WorkspaceError> {
    let bad = |why| {
        Err(WorkspaceError::BadPath {
            path: path.chars().take(SHOWN_CHARS).collect(),
            why,
        })
    };
    if path.len() > PATH_BYTES_MAX {
        return bad("it is too long");
    }
    if path.contains('\0') {
        return bad("it holds a zero byte");
    }
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                return bad("it holds `..`; write it from the workspace's root");
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                plain.push(component);
            }
        }
    }
    if plain.components().count() > DEPTH_MAX {
        return bad("it is too deep");
    }
    Ok(plain)
}

/// An absolute path with the links of its existing part followed.
fn resolved(absolute: &Path) -> Option<PathBuf> {
    absolute.ancestors().find_map(|ancestor| {
        let real = ancestor.canonicalize().ok()?;
        Some(real.join(absolute.strip_prefix(ancestor).ok()?))
    })
}

/// The kernel's own limit.
const PATH_BYTES_MAX: usize = 4096;

/// Each directory on the way is opened when a file is made.
const DEPTH_MAX: usize = 64;

/// As much of a bad path as is worth repeating.
const SHOWN_CHARS: usize = 100;
