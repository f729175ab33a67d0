//! Sixteen bytes at a time: which of them end a run of plain text.
//!
//! Strings are most of an event. Marks have a bit per byte, the lowest for the
//! first.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const BLOCK: usize = 16;

/// How many bytes of a string stand before its end, an escape or what is wrong;
/// all, if there is none of those.
#[inline(always)]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk() {
        let marks = string_marks(*block);
        if marks != 0 {
            return bytes.len() - rest.len() + marks.trailing_zeros() as usize;
        }
        rest = tail;
    }
    bytes.len() - rest.len() + short_plain_len(rest)
}

#[cold]
#[inline(never)]
fn short_plain_len(bytes: &[u8]) -> usize {
    let end = bytes
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    end.unwrap_or(bytes.len())
}

/// Marks what ends a plain run in a string of JSON: quotes, backslashes, bytes
/// below 0x20.
#[inline]
pub(crate) fn string_marks(block: [u8; BLOCK]) -> u32 {
    let bytes = u8x16::new(block);
    // Two bits swapped, the quote stands right behind the control characters.
    let folded = bytes ^ u8x16::splat(b'"' ^ b' ');
    let low = folded.min(u8x16::splat(b' ')).simd_eq(folded);
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    (low | backslash).to_bitmask()
}

/// How many bytes two blocks begin with in common.
#[inline]
pub(crate) fn same_len(one: [u8; BLOCK], other: [u8; BLOCK]) -> u32 {
    let same = u8x16::new(one).simd_eq(u8x16::new(other));
    same.to_bitmask().trailing_ones()
}

/// Marks the bytes that are `wanted`.
#[inline]
pub(crate) fn marks_of(block: [u8; BLOCK], wanted: u8) -> u32 {
    u8x16::new(block).simd_eq(u8x16::splat(wanted)).to_bitmask()
}

/// Where `wanted` is first.
#[inline]
pub(crate) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk() {
        let marks = marks_of(*block, wanted);
        if marks != 0 {
            return Some(bytes.len() - rest.len() + marks.trailing_zeros() as usize);
        }
        rest = tail;
    }
    let at = rest.iter().position(|byte| *byte == wanted)?;
    Some(bytes.len() - rest.len() + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow(block: [u8; BLOCK], wanted: impl Fn(u8) -> bool) -> u32 {
        let marks = block.iter().enumerate();
        marks.map(|(at, byte)| u32::from(wanted(*byte)) << at).sum()
    }

    proptest! {
        #[test]
        fn a_plain_run_ends_at_the_first_byte_that_ends_it(
            bytes in proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..80),
        ) {
            prop_assert_eq!(plain_len(&bytes), short_plain_len(&bytes));
            prop_assert_eq!(find(&bytes, b'@'), bytes.iter().position(|byte| *byte == b'@'));
        }

        #[test]
        fn a_bit_stands_for_each_byte_that_ends_a_run(
            block in proptest::array::uniform16(prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\@ \x1f\x20\x7f\x80\xa2\xdc"[..])]),
        ) {
            let ends = slow(block, |byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(string_marks(block), ends);
            let found = slow(block, |byte| byte == b'@');
            prop_assert_eq!(marks_of(block, b'@'), found);
        }
    }
}
