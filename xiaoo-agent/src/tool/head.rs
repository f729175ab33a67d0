//! Texts cut to a number of bytes, between characters.

/// The longest beginning of at most `bytes_max` bytes, and the rest.
pub(crate) fn split_head(text: &str, bytes_max: usize) -> (&str, &str) {
    let mut at = bytes_max.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let cases = [
            ("你好", 7, ("你好", "")),
            ("你好", 6, ("你好", "")),
            ("你好", 5, ("你", "好")),
            ("你好", 0, ("", "你好")),
            ("", 3, ("", "")),
        ];
        for (text, bytes_max, expected) in cases {
            assert_eq!(split_head(text, bytes_max), expected);
        }
    }
}
