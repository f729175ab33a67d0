//! Names of files that others chose.

use crate::cut::head;

/// A name that is one plain file name, whatever was wanted: no directories, nothing hidden,
/// nothing that a terminal or a chat would show as something else.
pub(crate) fn file_name(wanted: &str) -> String {
    let last = wanted.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if FORBIDDEN.contains(&c) { '_' } else { c })
        .collect();
    let plain = shown.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if plain.is_empty() {
        return NAMELESS.to_owned();
    }
    let (stem, extension) = parts(plain);
    format!(
        "{}{extension}",
        head(stem, NAME_BYTES_MAX - extension.len())
    )
}

/// The name with a number in it, for the second file of a name and those after it.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = parts(name);
    format!("{stem}-{number}{extension}")
}

/// What people see and what the rest is, with the dot.
fn parts(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= EXTENSION_BYTES_MAX => name.split_at(at),
        _ => (name, ""),
    }
}

/// Control characters, and those that turn the direction of writing: `gpj.exe` may be shown as
/// `exe.jpg`.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What some system or other takes for something else than a letter of a name.
const FORBIDDEN: [char; 7] = ['<', '>', ':', '"', '|', '?', '*'];

/// File systems take 255; a number, or a prefix, must still go with it.
const NAME_BYTES_MAX: usize = 180;

/// Longer ones are part of the name.
const EXTENSION_BYTES_MAX: usize = 16;

const NAMELESS: &str = "file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_plain() {
        let cases = [
            ("report.pdf", "report.pdf"),
            ("季度报告.xlsx", "季度报告.xlsx"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a b.txt", "a b.txt"),
            (".bashrc", "bashrc"),
            ("...", NAMELESS),
            ("", NAMELESS),
            ("a/", NAMELESS),
            ("a\0b\n.txt", "ab.txt"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("a:b?.txt", "a_b_.txt"),
            (" x .txt ", "x .txt"),
        ];
        for (wanted, name) in cases {
            assert_eq!(file_name(wanted), name, "{wanted:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        for letter in ["a", "报"] {
            for count in [NAME_BYTES_MAX / letter.len(), 300] {
                let name = file_name(&format!("{}.pdf", letter.repeat(count)));
                assert!(name.len() <= NAME_BYTES_MAX, "{}", name.len());
                assert!(name.len() > NAME_BYTES_MAX - 4, "{}", name.len());
                assert!(name.ends_with(".pdf"));
            }
        }
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        let cases = [
            ("a.tar.gz", "a.tar-2.gz"),
            ("a", "a-2"),
            ("report.pdf", "report-2.pdf"),
        ];
        for (name, second) in cases {
            assert_eq!(numbered(name, 2), second);
        }
    }
}
