//! What of a tool's output the model gets, and where the rest is.

use crate::cut::{head, tail};
use crate::outputs;
use crate::workspace::{Workspace, WorkspaceError};

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
    let kept = match workspace {
        Some(workspace) => told(outputs::keep(workspace, call_id, output.clone()).await),
        None => None,
    };
    match kept {
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
    // Also where it is parts of an output and names the file that has the whole: what it says may
    // be a stranger's, or come by the files of other calls, so no name is taken from it.
    let file = told(outputs::keep(workspace?, call_id, output.to_owned()).await)?;
    Some(format!(
        "[an output of {bytes} bytes, taken out to save room: it is in {file}, read_file shows \
         any part of it]"
    ))
}

/// The path of what was kept, if it could be.
fn told(kept: Result<String, WorkspaceError>) -> Option<String> {
    kept.inspect_err(|error| tracing::warn!("a tool's output could not be kept: {error}"))
        .ok()
}

/// Both ends of an output, cut at characters, with a word on where the middle is.
fn ends(output: &str, bytes_max: usize, file: &str) -> String {
    // What matters is told first, and what went wrong last.
    let beginning = head(output, bytes_max - bytes_max / 4);
    let end = tail(output, bytes_max / 4);
    let left_out = output.len() - beginning.len() - end.len();
    format!(
        "{beginning}\n[cut: {left_out} of {} bytes are left out here. All of it is in {file}: \
         read_file shows any part of it.]\n{end}",
        output.len()
    )
}

/// The beginning of an output, cut at a character, with a word on what is missing.
fn beginning(mut output: String, bytes_max: usize) -> String {
    let bytes = output.len();
    let shown = head(&output, bytes_max).len();
    output.truncate(shown);
    output.push_str(&format!("\n[cut: the first {shown} of {bytes} bytes]"));
    output
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::outputs::{DIRECTORY, FILE_BYTES_MAX, FILES_MAX};

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
    }

    #[tokio::test]
    async fn the_whole_is_in_the_file_up_to_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let read = |told: &str| {
            let (_, rest) = told.split_once("is in ").unwrap();
            let (file, _) = rest.split_once([':', ',']).unwrap();
            fs::read_to_string(directory.path().join(file)).unwrap()
        };
        let text = "x".repeat(FILE_BYTES_MAX);
        let told = shortened(Some(&workspace), "a", text.clone(), 100).await;
        assert!(told.len() < 300, "{told}");
        assert_eq!(read(&told), text);
        let told = shortened(Some(&workspace), "b", text + "y", 100).await;
        let kept = read(&told);
        assert!(kept.ends_with("x\n[the first 8388608 of 8388609 bytes]\n"));
        // A stub leads to what was told, which leads on to the whole.
        let stub = stub(Some(&workspace), "b", &told).await.unwrap();
        assert_eq!(read(&stub), told);
        assert_eq!(read(&told), kept);
        // Another conversation had a call of that id; what it kept is not this output.
        let stub = super::stub(Some(&workspace), "b", "another").await.unwrap();
        assert_eq!(read(&stub), "another");
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
        shortened(Some(&workspace), "a", "xx".into(), 1).await;
        let kept = fs::read_dir(&link).unwrap().next().unwrap().unwrap().path();
        fs::remove_file(&kept).unwrap();
        std::os::unix::fs::symlink(&target, &kept).unwrap();
        shortened(Some(&workspace), "a", "xx".into(), 1).await;
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "xx");
    }

    #[tokio::test]
    async fn a_stub_does_not_lead_to_a_file_that_the_output_only_mentions() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let forgotten = outputs::keep(&workspace, "call_0", "forgotten".into());
        // After /new the first call has the same id; this one searched the kept outputs.
        let found = format!("{}:1: forgotten\n", forgotten.await.unwrap());
        let stub = stub(Some(&workspace), "call_0", &found).await.unwrap();
        let (_, rest) = stub.split_once("is in ").unwrap();
        let (file, _) = rest.split_once(',').unwrap();
        let kept = fs::read_to_string(directory.path().join(file)).unwrap();
        assert_eq!(kept, found);
    }
}
