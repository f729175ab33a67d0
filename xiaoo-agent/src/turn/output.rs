//! What of a tool's output the model gets, and where the rest is.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::workspace::Workspace;

/// The directory of a workspace in which whole outputs are kept.
pub(super) const DIRECTORY: &str = ".outputs";

/// An output of at most `bytes_max`. Of a longer one the beginning and the end, with the name of
/// the file in the workspace that has all of it.
pub(super) async fn shortened(
    workspace: Option<&Workspace>,
    call_id: &str,
    output: String,
    bytes_max: usize,
) -> String {
    if output.len() <= bytes_max {
        return output;
    }
    match keep(workspace, call_id, output.clone(), Known::Replaced).await {
        Some(file) => ends(&output, bytes_max, &file),
        None => beginning(output, bytes_max),
    }
}

/// What stands for an output that was taken out of the conversation to save room; `None` where
/// there is no place to keep it.
pub(super) async fn stub(
    workspace: Option<&Workspace>,
    call_id: &str,
    output: &str,
) -> Option<String> {
    let bytes = output.len();
    // What is there already is the whole of what was cut.
    let file = keep(workspace, call_id, output.to_owned(), Known::Kept).await?;
    Some(format!(
        "[an output of {bytes} bytes, taken out to save room: it is in {file}, read_file shows \
         any part of it]"
    ))
}

/// What is done with a file of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Kept,
    Replaced,
}

/// Writes the output down. Its path within the workspace, if it could be.
async fn keep(
    workspace: Option<&Workspace>,
    call_id: &str,
    output: String,
    known: Known,
) -> Option<String> {
    let root = workspace?.root().to_owned();
    let name = file_name(call_id);
    let path = format!("{DIRECTORY}/{name}");
    let written = tokio::task::spawn_blocking(move || write(&root, &name, &output, known)).await;
    match written {
        Ok(Ok(())) => Some(path),
        Ok(Err(error)) => {
            tracing::warn!("a tool's output could not be kept: {error}");
            None
        }
        Err(_) => None,
    }
}

fn write(root: &Path, name: &str, output: &str, known: Known) -> io::Result<()> {
    let directory = root.join(DIRECTORY);
    match fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // A link that somebody put there would lead out of the workspace.
    if !fs::symlink_metadata(&directory)?.is_dir() {
        return Err(io::Error::other("the place for outputs is no directory"));
    }
    let path = directory.join(name);
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_file() && known == Known::Kept => return Ok(()),
        Ok(_) => fs::remove_file(&path)?,
        Err(_) => make_place(&directory)?,
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let whole = prefix(output, FILE_BYTES_MAX);
    file.write_all(whole.as_bytes())?;
    if whole.len() < output.len() {
        let note = format!("\n[the first {} of {} bytes]\n", whole.len(), output.len());
        file.write_all(note.as_bytes())?;
    }
    Ok(())
}

/// Removes the oldest files, so that there is place for one more.
fn make_place(directory: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let changed = entry.metadata().and_then(|file| file.modified());
        files.push((changed.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
    }
    files.sort();
    let too_many = (files.len() + 1).saturating_sub(FILES_MAX);
    for (_, path) in files.into_iter().take(too_many) {
        // One that can't be removed is in nobody's way but its own.
        let _ = fs::remove_file(path);
    }
    Ok(())
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

/// Both ends of an output, cut at characters, with a word on where the middle is.
fn ends(output: &str, bytes_max: usize, file: &str) -> String {
    // What matters is told first, and what went wrong last.
    let head = prefix(output, bytes_max - bytes_max / 4);
    let tail = suffix(output, bytes_max / 4);
    let left_out = output.len() - head.len() - tail.len();
    format!(
        "{head}\n[cut: {left_out} of {} bytes are left out here. All of it is in {file}: \
         read_file shows any part of it.]\n{tail}",
        output.len()
    )
}

/// The beginning of an output, cut at a character, with a word on what is missing.
fn beginning(mut output: String, bytes_max: usize) -> String {
    let bytes = output.len();
    let shown = prefix(&output, bytes_max).len();
    output.truncate(shown);
    output.push_str(&format!("\n[cut: the first {shown} of {bytes} bytes]"));
    output
}

/// As much of the beginning as fits.
pub(super) fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// As much of the end as fits.
pub(super) fn suffix(text: &str, bytes_max: usize) -> &str {
    let mut start = text.len() - bytes_max.min(text.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

/// What is kept of one output. More is a file that the tool should have written itself.
const FILE_BYTES_MAX: usize = 8 << 20;

/// Outputs that are kept in one workspace; the oldest go first.
const FILES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_cut_between_characters() {
        assert_eq!(
            beginning("你好".into(), 5),
            "你\n[cut: the first 3 of 6 bytes]"
        );
        assert_eq!(
            beginning("你好".into(), 0),
            "\n[cut: the first 0 of 6 bytes]"
        );
        let cut = ends("你好世界你好世界", 16, ".outputs/a.txt");
        assert!(cut.starts_with("你好世界\n[cut: 9 of 24 bytes"), "{cut}");
        assert!(cut.ends_with("]\n界"), "{cut}");
        for bytes in 0..8 {
            assert!(prefix("你好", bytes).len() <= bytes);
            assert!(suffix("你好", bytes).len() <= bytes);
        }
    }

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
    async fn the_whole_is_in_the_file_up_to_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(DIRECTORY).join(name));
        let text = "x".repeat(FILE_BYTES_MAX);
        let told = shortened(Some(&workspace), "a", text.clone(), 100).await;
        assert!(
            told.contains(".outputs/a.txt") && told.len() < 300,
            "{told}"
        );
        assert_eq!(read("a.txt").unwrap(), text);
        shortened(Some(&workspace), "b", text + "y", 100).await;
        let kept = read("b.txt").unwrap();
        assert!(kept.ends_with("x\n[the first 8388608 of 8388609 bytes]\n"));
        // A stub points to the whole, and does not put what was cut in its place.
        let stub = stub(Some(&workspace), "b", "cut").await.unwrap();
        assert!(stub.contains(".outputs/b.txt"), "{stub}");
        assert_eq!(read("b.txt").unwrap(), kept);
    }

    #[tokio::test]
    async fn only_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        for n in 0..=FILES_MAX {
            shortened(Some(&workspace), &n.to_string(), "xx".into(), 1).await;
        }
        let files = fs::read_dir(directory.path().join(DIRECTORY)).unwrap();
        assert_eq!(files.count(), FILES_MAX);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_does_not_lead_out() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let link = directory.path().join(DIRECTORY);
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let told = shortened(Some(&workspace), "a", "xx".into(), 1).await;
        assert_eq!(told, "x\n[cut: the first 1 of 2 bytes]");
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        let target = outside.path().join("target");
        fs::write(&target, "untouched").unwrap();
        std::os::unix::fs::symlink(&target, link.join("a.txt")).unwrap();
        shortened(Some(&workspace), "a", "xx".into(), 1).await;
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(link.join("a.txt")).unwrap(), "xx");
    }
}
