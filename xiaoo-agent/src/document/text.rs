//! Plain text in the encodings that people have, pictures, and what is neither.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::Extracted;
use super::draft::Draft;

/// A text, or what can be said about bytes that are none.
pub(super) fn read(bytes: &[u8], name: &str, mut draft: Draft) -> Extracted {
    if bytes.is_empty() {
        return draft.finish("an empty file");
    }
    let Some((text, encoding)) = decode(bytes) else {
        return unknown(bytes, name);
    };
    // The draft knows that it is full.
    let _ = draft.push(&text);
    let what = if encoding == UTF_8 {
        "text".to_owned()
    } else {
        format!("text in {}", encoding.name())
    };
    draft.finish(what)
}

/// What can be said about a picture.
pub(super) fn picture(bytes: &[u8], format: &str) -> Extracted {
    let size = match imagesize::blob_size(bytes) {
        Ok(size) => format!(", {} x {} pixels", size.width, size.height),
        Err(_) => String::new(),
    };
    let what = format!("{format} picture{size}");
    Extracted {
        text: format!("({what}, {} bytes. It has no text to read.)", bytes.len()),
        what,
        is_complete: true,
    }
}

/// The text and its encoding: what its mark says, else UTF-8, else the encoding of Chinese
/// Windows. `None` for what is no text.
fn decode(bytes: &[u8]) -> Option<(String, &'static Encoding)> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, had_errors) = encoding.decode_without_bom_handling(bytes.get(mark..)?);
        let is_marked = encoding == UTF_16LE || encoding == UTF_16BE || encoding == UTF_8;
        return (is_marked && !had_errors).then(|| (text.into_owned(), encoding));
    }
    if bytes.iter().take(BINARY_WITHIN).any(|b| is_binary(*b)) {
        return None;
    }
    if let Ok(text) = str::from_utf8(bytes) {
        return Some((text.to_owned(), UTF_8));
    }
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some((text.into_owned(), GB18030))
}

fn unknown(bytes: &[u8], name: &str) -> Extracted {
    const MAGIC_BYTES: usize = 16;
    let magic: Vec<String> = bytes
        .iter()
        .take(MAGIC_BYTES)
        .map(|b| format!("{b:02x}"))
        .collect();
    Extracted {
        what: "a binary file of unknown kind".into(),
        text: format!(
            "({name} is a binary file of {} bytes that can't be read as text. It begins with {}.)",
            bytes.len(),
            magic.join(" ")
        ),
        is_complete: true,
    }
}

/// What no text holds: control characters other than those of old printers and terminals.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=6 | 14..=26 | 28..=31)
}

/// As far as others look, too.
const BINARY_WITHIN: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_known_by_what_they_are() {
        type Known = Option<(&'static str, &'static str)>;
        let cases: [(&[u8], Known); 10] = [
            (b"plain\ttext\n", Some(("plain\ttext\n", "UTF-8"))),
            ("你好".as_bytes(), Some(("你好", "UTF-8"))),
            (b"\xef\xbb\xbfmarked", Some(("marked", "UTF-8"))),
            (b"\xff\xfe\x60\x4f\x7d\x59", Some(("你好", "UTF-16LE"))),
            (b"\xfe\xff\x4f\x60\x59\x7d", Some(("你好", "UTF-16BE"))),
            (b"\xc4\xe3\xba\xc3", Some(("你好", "gb18030"))),
            (b"\x1b[31mred\x1b[0m", Some(("\x1b[31mred\x1b[0m", "UTF-8"))),
            (b"a\0b", None),
            (b"\x7fELF\x02\x01\x01", None),
            (b"caf\xe9 \xff\xff\xff", None),
        ];
        for (bytes, expected) in cases {
            let decoded = decode(bytes);
            let decoded = decoded.as_ref().map(|(text, e)| (text.as_str(), e.name()));
            assert_eq!(decoded, expected, "{bytes:?}");
        }
    }
}
