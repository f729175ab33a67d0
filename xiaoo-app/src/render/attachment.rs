//! Images and files that go out, as messages.

use runtime_tokio::openapi::FileType;
use serde_json::json;

use super::answer::Content;
use super::mention::plain;

/// Characters of a file's name that people see.
const NAME_CHARS_MAX: usize = 100;

/// A message that shows an uploaded image.
#[must_use]
pub fn image(image_key: &str) -> Content {
    Content {
        msg_type: "image",
        content: json!({ "image_key": image_key }).to_string(),
        fallback: None,
    }
}

/// A message that holds an uploaded file, of the type that fits its kind.
#[must_use]
pub fn file(kind: FileType, file_key: &str) -> Content {
    Content {
        msg_type: kind.msg_type(),
        content: json!({ "file_key": file_key }).to_string(),
        fallback: None,
    }
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
        assert_eq!(image("img_1").content, r#"{"image_key":"img_1"}"#);
        for (name, msg_type) in [("a.mp4", "media"), ("a.opus", "audio"), ("a.pdf", "file")] {
            let made = file(FileType::of_name(name), "file_1");
            assert_eq!(
                (made.msg_type, made.content.as_str()),
                (msg_type, r#"{"file_key":"file_1"}"#)
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
