//! Images and files that go out, as messages.

use runtime_tokio::openapi::FileType;
use serde_json::json;

use super::answer::Content;
use super::mention::plain;

/// Characters of a file's name that people see.
const NAME_CHARS_MAX: usize = 100;

/// A message that shows what was uploaded under a key: an image, or a file of this name, of the
/// type that fits its kind.
#[must_use]
pub fn taken(key: &str, name: &str, is_image: bool) -> Content {
    let (msg_type, content) = match is_image {
        true => ("image", json!({ "image_key": key })),
        false => (kind(name).msg_type(), json!({ "file_key": key })),
    };
    Content {
        msg_type,
        content: content.to_string(),
        fallback: None,
    }
}

/// What a file of this name is uploaded as.
#[must_use]
pub fn kind(name: &str) -> FileType {
    FileType::of_name(&file_name(name))
}

/// A file's name as it is uploaded: the last part of a path, on one line,
/// bounded with its ending kept, and mentioning nobody.
#[must_use]
pub fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    let clean = plain(clean.trim());
    if clean.is_empty() {
        return "file".to_owned();
    }
    let len = clean.chars().count();
    if len <= NAME_CHARS_MAX {
        return clean;
    }
    let ending = clean
        .rsplit_once('.')
        .map(|(_, ending)| ending)
        .filter(|ending| ending.len() <= 10)
        .map_or(String::new(), |ending| format!(".{ending}"));
    let kept: String = clean
        .chars()
        .take(NAME_CHARS_MAX - ending.chars().count() - 1)
        .collect();
    format!("{kept}…{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_of_the_type_that_its_file_needs() {
        for (name, is_image, msg_type, content) in [
            ("a.png", true, "image", r#"{"image_key":"key_1"}"#),
            ("a.png", false, "file", r#"{"file_key":"key_1"}"#),
            ("a.mp4", false, "media", r#"{"file_key":"key_1"}"#),
            ("a.opus\n", false, "audio", r#"{"file_key":"key_1"}"#),
            ("a.pdf", false, "file", r#"{"file_key":"key_1"}"#),
        ] {
            let made = taken("key_1", name, is_image);
            assert_eq!(
                (made.msg_type, made.content.as_str()),
                (msg_type, content),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_name_is_one_line_without_a_path_and_without_mentions() {
        for (name, expected) in [
            ("reports/2026/表.csv", "表.csv"),
            ("..\\..\\x.txt", "x.txt"),
            ("a\nb\u{7}.txt", "ab.txt"),
            ("<at id=all>.txt", "<\u{200b}at id=all>.txt"),
            ("", "file"),
            ("/", "file"),
        ] {
            assert_eq!(file_name(name), expected, "{name:?}");
        }
        let long = file_name(&format!("{}.tar.gz", "名".repeat(300)));
        assert_eq!(long.chars().count(), NAME_CHARS_MAX);
        assert!(long.ends_with("….gz"), "{long}");
    }
}
