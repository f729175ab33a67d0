//! Texts cut between characters.

/// As much of the beginning as fits.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// As much of the end as fits.
pub(crate) fn tail(text: &str, bytes_max: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        let cases = [
            ("你好", 6, "你好", "你好"),
            ("你好", 5, "你", "好"),
            ("你好", 3, "你", "好"),
            ("你好", 2, "", ""),
            ("ab", 9, "ab", "ab"),
            ("", 1, "", ""),
        ];
        for (text, bytes_max, beginning, end) in cases {
            assert_eq!(
                (head(text, bytes_max), tail(text, bytes_max)),
                (beginning, end)
            );
        }
    }
}
