//! Whole outputs of calls, in files of the workspace: what the model gets no more than parts of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cut::head;
use crate::workspace::{Workspace, WorkspaceError};

/// The directory of a workspace in which they are kept.
pub(crate) const DIRECTORY: &str = ".outputs";

/// What is kept of one output. More is a file that the tool should have written itself.
pub(crate) const FILE_BYTES_MAX: usize = 8 << 20;

/// Outputs that are kept in one workspace; the oldest go first.
pub(crate) const FILES_MAX: usize = 200;

/// Writes the output of a call down, and gives its path within the workspace.
pub(crate) async fn keep(
    workspace: &Workspace,
    call_id: &str,
    output: String,
) -> Result<String, WorkspaceError> {
    let path = path_of(call_id, &output);
    workspace
        .blocking(move |workspace| {
            write(workspace, &path, &output)?;
            Ok(path)
        })
        .await
}

fn write(workspace: &Workspace, path: &str, output: &str) -> Result<(), WorkspaceError> {
    if !is_file(&workspace.root().join(path)) {
        make_place(&workspace.root().join(DIRECTORY));
    }
    let whole = head(output, FILE_BYTES_MAX);
    if whole.len() == output.len() {
        return workspace.write(path, output.as_bytes());
    }
    let note = format!("\n[the first {} of {} bytes]\n", whole.len(), output.len());
    workspace.write(path, [whole, &note].concat().as_bytes())
}

/// A link that somebody put in its place, or in the directory's, is none.
fn is_file(path: &Path) -> bool {
    let is = |path: Option<&Path>, wanted: fn(&fs::Metadata) -> bool| {
        let found = path.and_then(|path| fs::symlink_metadata(path).ok());
        found.is_some_and(|found| wanted(&found))
    };
    is(path.parent(), fs::Metadata::is_dir) && is(Some(path), fs::Metadata::is_file)
}

/// Removes the oldest files, so that there is place for one more.
fn make_place(directory: &Path) {
    let mut files = dated_files(directory).unwrap_or_default();
    files.sort();
    let too_many = (files.len() + 1).saturating_sub(FILES_MAX);
    for (_, path) in files.into_iter().take(too_many) {
        // One that can't be removed is in nobody's way but its own.
        let _ = fs::remove_file(path);
    }
}

/// The files of a directory, unless a link leads there.
fn dated_files(directory: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Ok(Vec::new());
    }
    let dated = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let changed = entry.metadata().and_then(|file| file.modified());
        Ok((changed.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()))
    };
    fs::read_dir(directory)?.map(dated).collect()
}

/// Where an output is kept. Ids are not enough: a server that counts its calls has the same ones
/// again in the next conversation.
fn path_of(call_id: &str, output: &str) -> String {
    let print = fingerprint(output, fingerprint(call_id, FNV_BASIS));
    format!("{}{print:0PRINT_DIGITS$x}.txt", path_begin(call_id))
}

/// What the paths of one call's outputs begin with: names that every file system takes.
fn path_begin(call_id: &str) -> String {
    /// Ids are made by servers, of any length.
    const CHARS_MAX: usize = 64;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let id = call_id.chars().take(CHARS_MAX);
    let id: String = id.map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{DIRECTORY}/{id}-")
}

/// Digits of a fingerprint, in base 16.
const PRINT_DIGITS: usize = 16;
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of what `before` is of, and this: the same in every run, and good enough to tell ids
/// and outputs apart.
fn fingerprint(text: &str, before: u64) -> u64 {
    // The end counts, too: "a" and "b" are not "ab" and "".
    text.bytes().chain([0xff]).fold(before, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_has_a_file_of_its_own() {
        let long = "x".repeat(200);
        let longer = format!("{long}y");
        let calls = [
            ("call_1", "one"),
            ("call_1", "another"),
            ("functions.a:0", "one"),
            ("functions_a_0", "one"),
            ("../../etc/passwd", "one"),
            ("", "one"),
            (long.as_str(), "one"),
            (longer.as_str(), "one"),
        ];
        let paths: Vec<String> = calls
            .iter()
            .map(|(id, output)| path_of(id, output))
            .collect();
        for (at, path) in paths.iter().enumerate() {
            let name = path.strip_prefix(".outputs/").unwrap();
            assert!(
                !name.contains(['/', ':', ' ']) && name.len() < 100,
                "{name}"
            );
            assert!(!paths[..at].contains(path), "{path}");
            let (id, output) = calls[at];
            assert_eq!(path_of(id, output), *path);
        }
    }

    #[tokio::test]
    async fn the_same_call_finds_its_file_again_and_a_full_workspace_takes_none() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let read = |path: &str| fs::read_to_string(directory.path().join(path)).unwrap();
        let first = keep(&workspace, "call_1", "one".into()).await.unwrap();
        let other = keep(&workspace, "call_1", "another".into()).await.unwrap();
        let again = keep(&workspace, "call_1", "one".into()).await.unwrap();
        assert_eq!(again, first);
        assert_eq!(
            (read(&first), read(&other)),
            ("one".into(), "another".into())
        );
        let full = workspace.holding(1);
        let refused = keep(&full, "call_2", "more".into()).await;
        assert!(matches!(refused, Err(WorkspaceError::Full { .. })));
    }
}
