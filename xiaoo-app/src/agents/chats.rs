//! The directories of conversations: marked when they are used, and removed when what was said
//! there is long forgotten.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::warn;

/// Hex digits at the end of such a directory's name.
const TAIL_CHARS: usize = 8;

/// Says that a conversation's directory is used now. Blocks.
///
/// # Errors
/// When it is not there, or not ours.
pub fn mark_used(directory: &Path, now_ms: i64) -> io::Result<()> {
    File::open(directory)?.set_modified(at(now_ms))
}

/// Removes the directories that were not used since then, with all that is in them, and says how
/// many they were. What has no name of ours is left alone. Blocks.
pub(super) fn remove_unused(chats: &[PathBuf], since_ms: i64) -> usize {
    let entries = chats.iter().filter_map(|chats| fs::read_dir(chats).ok());
    let mut removed = 0;
    for entry in entries.flatten().flatten() {
        let is_unused = entry.file_name().to_str().is_some_and(is_ours)
            && entry.metadata().is_ok_and(|entry| {
                entry.is_dir() && entry.modified().is_ok_and(|used| used < at(since_ms))
            });
        if !is_unused {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => removed += 1,
            // Another bot, or another daemon, was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("the files of an old conversation cannot be removed: {error}"),
        }
    }
    removed
}

/// Whether a directory is named as ours are; see [`super::directory_of`].
fn is_ours(name: &str) -> bool {
    let tail = name.rsplit_once('-').map(|(_, tail)| tail);
    tail.is_some_and(|tail| {
        tail.len() == TAIL_CHARS
            && tail
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn at(unix_ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::directory_of;
    use super::*;

    #[test]
    fn what_nobody_has_used_for_long_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let chats = folder.path().join("chats");
        let ours = |name: &str| directory_of(&format!("feishu:{name}"));
        let (now_ms, since_ms) = (1_800_000_000_000, 1_790_000_000_000);
        for (name, used_ms) in [
            (ours("oc_used"), now_ms),
            (ours("oc_just"), since_ms),
            (ours("oc_old"), since_ms - 1),
            ("somebody's-notes".to_owned(), since_ms - 1),
            ("plain".to_owned(), since_ms - 1),
        ] {
            let directory = chats.join(name);
            fs::create_dir_all(directory.join("files")).unwrap();
            fs::write(directory.join("files/a.txt"), "x").unwrap();
            mark_used(&directory, used_ms).unwrap();
        }
        // A link of such a name leads out.
        mark_used(outside.path(), since_ms - 1).unwrap();
        std::os::unix::fs::symlink(outside.path(), chats.join(ours("oc_link"))).unwrap();
        let nowhere = folder.path().join("nowhere");
        let places = [nowhere, chats.clone()];
        assert_eq!(remove_unused(&places, since_ms), 1);
        assert_eq!(remove_unused(&places, since_ms), 0);
        let names = fs::read_dir(&chats).unwrap().flatten();
        let mut left: Vec<_> = names
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = ["oc_used", "oc_just", "oc_link"].map(ours).to_vec();
        expected.extend(["plain".to_owned(), "somebody's-notes".to_owned()]);
        expected.sort();
        assert_eq!(left, expected);
        assert!(outside.path().is_dir());
    }
}
