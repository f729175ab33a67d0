//! Keeps what came from outside as files of the workspace, for the model to read.

use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};

use super::head::split_head;
use crate::workspace::Workspace;

/// The folder below the workspace's root.
const FOLDER: &str = "downloads";
/// Longest name of a file: short enough for every file system, with the number and the ending.
const NAME_BYTES_MAX: usize = 100;
/// Files of one name; with more, something turns in a circle.
const SAME_NAME_MAX: u32 = 1000;

/// Saves a file under a name that is like `name`, and gives its path from the root. No file is
/// overwritten, and nothing is written through a symbolic link.
pub(crate) async fn save(workspace: &Workspace, name: &str, bytes: Vec<u8>) -> io::Result<String> {
    let root = workspace.root().to_owned();
    let name = safe_name(name);
    let saving = tokio::task::spawn_blocking(move || save_at(&root, &name, &bytes));
    saving.await.map_err(io::Error::other)?
}

fn save_at(root: &Path, name: &str, bytes: &[u8]) -> io::Result<String> {
    let directory = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, directory, Mode::empty())?;
    match mkdirat(&root, FOLDER, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = openat(&root, FOLDER, directory | OFlags::NOFOLLOW, Mode::empty())?;
    let (stem, ending) = split_name(name);
    for number in 1..=SAME_NAME_MAX {
        let name = match number {
            1 => name.to_owned(),
            _ => format!("{stem}-{number}{ending}"),
        };
        let new = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(&folder, &name, new, Mode::from_raw_mode(0o644)) {
            Ok(file) => {
                std::fs::File::from(file).write_all(bytes)?;
                return Ok(format!("{FOLDER}/{name}"));
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A name that is only a name: letters and digits of any script, and a few signs between them.
fn safe_name(name: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| match c {
            _ if c.is_alphanumeric() => c,
            '.' | '-' | '_' | '+' => c,
            _ => '_',
        })
        .collect();
    if safe.len() > NAME_BYTES_MAX {
        let (stem, ending) = split_name(&safe);
        let room = NAME_BYTES_MAX.saturating_sub(ending.len());
        safe = format!("{}{ending}", split_head(stem, room).0);
    }
    let safe = safe.trim_matches(['.', '_', '-', '+']);
    if safe.is_empty() {
        "file".to_owned()
    } else {
        safe.to_owned()
    }
}

/// The name, and its ending with the dot.
fn split_name(name: &str) -> (&str, &str) {
    /// Longest ending that is one: `.tar.gz` counts as `.gz`.
    const ENDING_BYTES_MAX: usize = 12;
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= ENDING_BYTES_MAX => name.split_at(at),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_only_names() {
        let cases = [
            ("report.pdf", "report.pdf"),
            ("季度 报告(1).pdf", "季度_报告_1_.pdf"),
            ("../../etc/passwd", "etc_passwd"),
            ("..", "file"),
            ("", "file"),
            (".bashrc", "bashrc"),
            ("a\0b\n<c>.txt", "a_b__c_.txt"),
            ("-rf", "rf"),
        ];
        for (name, expected) in cases {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
        let long = safe_name(&format!("{}.pdf", "长".repeat(100)));
        assert!(
            long.len() <= NAME_BYTES_MAX && long.ends_with("长.pdf"),
            "{long}"
        );
        let no_ending = safe_name(&"x".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(no_ending, "x".repeat(NAME_BYTES_MAX));
    }

    #[tokio::test]
    async fn nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap();
        let mut paths = Vec::new();
        for text in ["one", "two", "three"] {
            paths.push(save(&workspace, "a.txt", text.into()).await.unwrap());
        }
        assert_eq!(
            paths,
            ["downloads/a.txt", "downloads/a-2.txt", "downloads/a-3.txt"]
        );
        let read = |path| std::fs::read_to_string(root.path().join(path)).unwrap();
        assert_eq!(
            paths.iter().map(read).collect::<Vec<_>>(),
            ["one", "two", "three"]
        );
    }

    #[tokio::test]
    async fn links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap();
        let folder = root.path().join(FOLDER);

        std::os::unix::fs::symlink(outside.path(), &folder).unwrap();
        save(&workspace, "a.txt", vec![1]).await.unwrap_err();

        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), folder.join("a.txt")).unwrap();
        let path = save(&workspace, "a.txt", vec![1]).await.unwrap();
        assert_eq!(path, "downloads/a-2.txt");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
