//! Numbers as text, without the machinery of `core::fmt`: it is larger than all
//! that is written with it here.

use core::fmt::{self, Display, Formatter};

use crate::{BufferFull, TextBuffer};

/// Digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// A number in decimal.
pub(crate) struct Decimal {
    digits: [u8; DIGITS_MAX],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(number: u64) -> Self {
        Self::padded(number, 1)
    }

    /// With zeros before it, where it has fewer than `width` digits.
    pub(crate) fn padded(number: u64, width: usize) -> Self {
        let mut digits = [b'0'; DIGITS_MAX];
        let mut left = number;
        let mut len = 0;
        for digit in digits.iter_mut().rev() {
            if left == 0 && len >= width {
                break;
            }
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            len += 1;
        }
        let start = DIGITS_MAX - len;
        Self { digits, start }
    }

    pub(crate) fn as_str(&self) -> &str {
        let digits = self.digits.get(self.start..).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or_default()
    }
}

/// Appends a number of at least `width` characters, the sign among them.
pub(crate) fn push_padded(
    out: &mut impl TextBuffer,
    number: i64,
    width: usize,
) -> Result<(), BufferFull> {
    let mut width = width;
    if number < 0 {
        out.push_str("-")?;
        width = width.saturating_sub(1);
    }
    out.push_str(Decimal::padded(number.unsigned_abs(), width).as_str())
}

/// Says something with a number in it.
pub(crate) fn fmt_around(
    f: &mut Formatter<'_>,
    before: &str,
    number: u64,
    after: &str,
) -> fmt::Result {
    f.write_str(before)?;
    f.write_str(Decimal::new(number).as_str())?;
    f.write_str(after)
}

/// Says what is wrong, and where.
pub(crate) fn fmt_at(f: &mut Formatter<'_>, kind: &impl Display, offset: usize) -> fmt::Result {
    kind.fmt(f)?;
    fmt_around(f, " at byte ", offset as u64, "")
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_written_as_std_writes_it(number: u64, signed: i64, small in -2000..2000_i64, width in 0..9_usize) {
            let decimal = Decimal::new(number);
            prop_assert_eq!(decimal.as_str(), format!("{number}"));
            for signed in [signed, small] {
                let mut text = String::new();
                push_padded(&mut text, signed, width).unwrap();
                prop_assert_eq!(text, format!("{signed:0width$}"));
            }
        }
    }
}
