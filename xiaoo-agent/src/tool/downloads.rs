//! Keeps what came from outside as files of the workspace, for the model to read.

use crate::workspace::{Workspace, WorkspaceError};

/// The folder below the workspace's root.
const FOLDER: &str = "downloads";

/// Saves a file under a name that is like `name`, and gives its path from the root. No file is
/// overwritten, and nothing is written through a symbolic link.
pub(crate) async fn save(
    workspace: &Workspace,
    name: &str,
    bytes: &[u8],
) -> Result<String, WorkspaceError> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let name = safe_name(name);
    let saved = workspace.write_new(FOLDER, &name, bytes, length).await?;
    Ok(saved.path)
}

/// A stranger chose it, and a model may put it on a command line as it is: letters and digits of
/// any script, a few signs between them, and nothing else.
fn safe_name(name: &str) -> String {
    let is_safe = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let safe: String = name
        .chars()
        .map(|c| if is_safe(&c) { c } else { '_' })
        .collect();
    safe.trim_matches(['.', '_', '-', '+']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_for_any_shell() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("季度 报告(1).pdf", "季度_报告_1_.pdf"),
            ("../../etc/passwd", "etc_passwd"),
            (".bashrc", "bashrc"),
            ("a\0b\n<c>.txt", "a_b__c_.txt"),
            ("x$(id);`y`.pdf", "x__id___y_.pdf"),
            ("-rf", "rf"),
            ("..", ""),
        ] {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap();
        let mut paths = Vec::new();
        for text in ["one", "two", "three"] {
            paths.push(save(&workspace, "a.txt", text.as_bytes()).await.unwrap());
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
        save(&workspace, "a.txt", &[1]).await.unwrap_err();

        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), folder.join("a.txt")).unwrap();
        let path = save(&workspace, "a.txt", &[1]).await.unwrap();
        assert_eq!(path, "downloads/a-2.txt");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap().holding(8 << 10);
        save(&workspace, "a.bin", &[0; 4096]).await.unwrap();
        let refused = save(&workspace, "b.bin", &[0; 8192]).await;
        assert!(
            matches!(refused, Err(WorkspaceError::Full { .. })),
            "{refused:?}"
        );
        // And half a file is none.
        let names = std::fs::read_dir(root.path().join(FOLDER)).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.bin"]);
    }
}
