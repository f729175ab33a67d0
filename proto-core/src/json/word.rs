//! Eight bytes at a time: where a run of plain text ends.
//!
//! Strings are most of an event. The functions that look for a byte answer
//! with a mark in each byte found; marks above the first may be wrong, because
//! the subtractions borrow across bytes, so only the first counts.

/// How many bytes are looked at together.
pub(crate) const WORD: usize = 8;

/// The eight bytes at `at`, zeros behind the end.
#[inline]
pub(crate) fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk()
        .map_or_else(|| padded(rest), |word| u64::from_le_bytes(*word))
}

#[cold]
fn padded(rest: &[u8]) -> u64 {
    let mut word = [0; WORD];
    for (place, byte) in word.iter_mut().zip(rest) {
        *place = *byte;
    }
    u64::from_le_bytes(word)
}

/// Marks what ends a plain run in a string of JSON: quotes, backslashes, bytes
/// below 0x20.
#[inline]
pub(crate) const fn string_marks(word: u64) -> u64 {
    let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
    control | marks_of(word, b'"') | marks_of(word, b'\\')
}

/// Marks the bytes that are `wanted`.
#[inline]
pub(crate) const fn marks_of(word: u64, wanted: u8) -> u64 {
    let zero_where_found = word ^ each(wanted);
    zero_where_found.wrapping_sub(each(1)) & !zero_where_found & each(0x80)
}

/// How many bytes stand before the first mark, of which there is one.
#[inline]
pub(crate) const fn before_first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

const fn each(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_mark_is_the_first_byte_that_ends_a_run(
            bytes in proptest::array::uniform8(prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\@ !#[]\x1f\x20\x7f\x80\xa2\xdc"[..])]),
        ) {
            let word = u64::from_le_bytes(bytes);
            let first = |marks: u64| (marks != 0).then(|| before_first(marks));
            let end = bytes.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(first(string_marks(word)), end);
            let at = bytes.iter().position(|byte| *byte == b'@');
            prop_assert_eq!(first(marks_of(word, b'@')), at);
        }
    }
}
