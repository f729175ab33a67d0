//! The only code that takes bytes off a message: every read is checked against
//! what is left.

use core::fmt::{self, Formatter};

use crate::decimal::{fmt_around, fmt_at};

/// Why a message is not a frame, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Offset into the message of the read that failed.
    pub offset: usize,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// A group is open at the end, or closed by another group's end.
    #[error("unbalanced group")]
    BadGroup,
    /// Field number 0 or above 2^29 - 1.
    #[error("illegal field number")]
    FieldNumber,
    /// A required field is absent.
    #[error(fmt = fmt_missing)]
    Missing(&'static str),
    /// Groups inside groups, more than 16 deep.
    #[error("groups nested too deeply")]
    TooDeep,
    /// More bytes than the configured limit.
    #[error(fmt = fmt_too_large)]
    TooLarge(usize),
    /// The message ends inside a field, or a length runs past its enclosing message.
    #[error("length runs past the end")]
    Truncated,
    /// A string field is not UTF-8.
    #[error(fmt = fmt_utf8)]
    Utf8(u32),
    /// A varint longer than ten bytes or above 64 bits.
    #[error("varint does not fit 64 bits")]
    Varint,
    /// Wire type 6 or 7.
    #[error(fmt = fmt_wire_type)]
    WireType(u8),
    /// A known field with another wire type than its own.
    #[error(fmt = fmt_wrong_wire_type)]
    WrongWireType(u32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fmt_at(f, &self.kind, self.offset)
    }
}

impl core::error::Error for DecodeError {}

fn fmt_missing(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    for part in ["required field `", name, "` is missing"] {
        f.write_str(part)?;
    }
    Ok(())
}

fn fmt_too_large(limit: &usize, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_around(
        f,
        "message longer than the limit of ",
        *limit as u64,
        " bytes",
    )
}

fn fmt_utf8(field: &u32, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_around(f, "field ", (*field).into(), " is not UTF-8")
}

fn fmt_wire_type(wire_type: &u8, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_around(f, "wire type ", (*wire_type).into(), " does not exist")
}

fn fmt_wrong_wire_type(field: &u32, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_around(f, "field ", (*field).into(), " has the wrong wire type")
}

/// How deep unknown groups may nest. Feishu sends none; the bound keeps a
/// hostile message from using up the stack.
pub(super) const GROUP_DEPTH_MAX: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Bytes,
    GroupStart,
    GroupEnd,
    Fixed32,
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(input: &'a [u8], offset: usize) -> Self {
        Self {
            rest: input,
            offset,
        }
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            kind,
            offset: self.offset,
        }
    }

    /// The next field's number and wire type.
    pub(super) fn tag(&mut self) -> Result<(u32, WireType), DecodeError> {
        let start = *self;
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 => WireType::GroupStart,
            4 => WireType::GroupEnd,
            5 => WireType::Fixed32,
            other => {
                return Err(start.error(DecodeErrorKind::WireType(
                    u8::try_from(other).unwrap_or(u8::MAX),
                )));
            }
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok((number, wire)),
            Ok(_) | Err(_) => Err(start.error(DecodeErrorKind::FieldNumber)),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        if let [first @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            self.offset += 1;
            return Ok(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let Some((value, rest)) = varint(self.rest) else {
            let whole = self.rest.len() >= VARINT_BYTES_MAX;
            let kind = if whole {
                DecodeErrorKind::Varint
            } else {
                DecodeErrorKind::Truncated
            };
            return Err(self.error(kind));
        };
        self.offset += self.rest.len() - rest.len();
        self.rest = rest;
        Ok(value)
    }

    /// A length-delimited field's content.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = *self;
        let len = self.varint()?;
        let Some((content, rest)) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
        else {
            return Err(start.error(DecodeErrorKind::Truncated));
        };
        self.rest = rest;
        self.offset += content.len();
        Ok(content)
    }

    #[inline]
    pub(super) fn string(&mut self, field: u32) -> Result<&'a str, DecodeError> {
        let start = *self;
        core::str::from_utf8(self.bytes()?).map_err(|_| start.error(DecodeErrorKind::Utf8(field)))
    }

    /// Passes over the value of a field that nobody here knows.
    pub(super) fn skip(&mut self, number: u32, wire: WireType) -> Result<(), DecodeError> {
        self.skip_nested(number, wire, GROUP_DEPTH_MAX)
    }

    fn skip_nested(
        &mut self,
        number: u32,
        wire: WireType,
        depth_left: u8,
    ) -> Result<(), DecodeError> {
        match wire {
            WireType::Varint => self.varint().map(|_| ()),
            WireType::Fixed64 => self.advance(8),
            WireType::Bytes => self.bytes().map(|_| ()),
            WireType::Fixed32 => self.advance(4),
            WireType::GroupEnd => Err(self.error(DecodeErrorKind::BadGroup)),
            WireType::GroupStart => {
                let Some(depth_left) = depth_left.checked_sub(1) else {
                    return Err(self.error(DecodeErrorKind::TooDeep));
                };
                loop {
                    if self.is_empty() {
                        return Err(self.error(DecodeErrorKind::BadGroup));
                    }
                    match self.tag()? {
                        (end, WireType::GroupEnd) if end == number => return Ok(()),
                        (inner, wire) => self.skip_nested(inner, wire, depth_left)?,
                    }
                }
            }
        }
    }

    fn advance(&mut self, count: usize) -> Result<(), DecodeError> {
        let Some((_, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.error(DecodeErrorKind::Truncated));
        };
        self.rest = rest;
        self.offset += count;
        Ok(())
    }
}

/// 64 bits, seven in a byte.
const VARINT_BYTES_MAX: usize = 10;

/// The varint that `bytes` begin with, and what is behind it; the first eight
/// bytes at once.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some((word, after)) = bytes.split_first_chunk() else {
        return short_varint(bytes);
    };
    let word = u64::from_le_bytes(*word);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends != 0 {
        let len = ends.trailing_zeros() / 8 + 1;
        let value = seven_bits_each(word & (u64::MAX >> (64 - 8 * len)));
        return Some((value, bytes.get(len as usize..)?));
    }
    let low = seven_bits_each(word);
    match after {
        [ninth @ 0..=0x7f, rest @ ..] => Some((low | u64::from(*ninth) << 56, rest)),
        // The tenth byte holds bit 63 alone.
        [ninth, tenth @ 0..=1, rest @ ..] => {
            let high = u64::from(ninth & 0x7f) << 56 | u64::from(*tenth) << 63;
            Some((low | high, rest))
        }
        _ => None,
    }
}

/// A varint with fewer than eight bytes behind it.
fn short_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Joins the low seven bits of eight bytes.
const fn seven_bits_each(word: u64) -> u64 {
    let bits = word & 0x7f7f_7f7f_7f7f_7f7f;
    let bits = (bits & 0x7f00_7f00_7f00_7f00) >> 1 | bits & 0x007f_007f_007f_007f;
    let bits = (bits & 0x3fff_0000_3fff_0000) >> 2 | bits & 0x0000_3fff_0000_3fff;
    (bits & 0x0fff_ffff_0000_0000) >> 4 | bits & 0x0fff_ffff
}
