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

/// What is done with a file that is there for the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It stays as it is.
    Kept,
    /// The output takes its place.
    Replaced,
}

/// Writes the output of a call down, and gives its path within the workspace.
pub(crate) async fn keep(
    workspace: &Workspace,
    call_id: &str,
    output: String,
    known: Known,
) -> Result<String, WorkspaceError> {
    let path = format!("{DIRECTORY}/{}", file_name(call_id));
    workspace
        .blocking(move |workspace| {
            write(workspace, &path, &output, known)?;
            Ok(path)
        })
        .await
}

fn write(
    workspace: &Workspace,
    path: &str,
    output: &str,
    known: Known,
) -> Result<(), WorkspaceError> {
    let is_there = is_file(&workspace.root().join(path));
    if is_there && known == Known::Kept {
        return Ok(());
    }
    if !is_there {
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

/// A name that every file system takes, and a different one for every id.
fn file_name(call_id: &str) -> String {
    /// Ids are made by servers, of any length.
    const CHARS_MAX: usize = 64;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = call_id
        .chars()
        .take(CHARS_MAX)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    if name == call_id && !name.is_empty() {
        format!("{name}.txt")
    } else {
        format!("{name}-{:016x}.txt", fingerprint(call_id))
    }
}

/// FNV-1a: the same in every run, and good enough to tell ids apart.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_file_of_its_own() {
        let long = "x".repeat(200);
        let longer = format!("{long}y");
        let ids = [
            "call_1",
            "functions.a:0",
            "functions_a_0",
            "../../etc/passwd",
            "",
            &long,
            &longer,
        ];
        let names: Vec<String> = ids.iter().map(|id| file_name(id)).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(
                !name.contains(['/', ':', ' ']) && name.len() < 100,
                "{name}"
            );
            assert!(!names[..at].contains(name), "{name}");
        }
        assert_eq!(names[0], "call_1.txt");
    }

    #[tokio::test]
    async fn one_that_an_older_call_of_that_id_left_is_replaced_and_a_full_workspace_takes_none() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        for (output, known, kept) in [
            ("older", Known::Replaced, "older"),
            ("newer", Known::Kept, "older"),
            ("newer", Known::Replaced, "newer"),
        ] {
            let path = keep(&workspace, "call_1", output.into(), known).await;
            assert_eq!(path.unwrap(), ".outputs/call_1.txt");
            let file = directory.path().join(".outputs/call_1.txt");
            assert_eq!(fs::read_to_string(file).unwrap(), kept);
        }
        let full = workspace.holding(1);
        let refused = keep(&full, "call_2", "more".into(), Known::Replaced).await;
        assert!(matches!(refused, Err(WorkspaceError::Full { .. })));
    }
}
