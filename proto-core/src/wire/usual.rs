//! Frames as Feishu writes them: fields in ascending order, none unknown, no
//! payload encoding or type, lengths of headers in one byte.
//!
//! Such a frame is decoded without looking at anything twice. What looks
//! different in any way, be it wrong or merely rare, is left to the general
//! decoder, which alone says what is wrong.

use super::decode::{Known, low_32};
use super::{Method, header, reader};

/// Tags of one byte: field number and wire type.
mod tag {
    pub(super) const SEQ_ID: u8 = 1 << 3;
    pub(super) const LOG_ID: u8 = 2 << 3;
    pub(super) const SERVICE: u8 = 3 << 3;
    pub(super) const METHOD: u8 = 4 << 3;
    pub(super) const HEADER: u8 = 5 << 3 | 2;
    pub(super) const PAYLOAD: u8 = 8 << 3 | 2;
    pub(super) const LOG_ID_NEW: u8 = 9 << 3 | 2;
    pub(super) const HEADER_KEY: u8 = 1 << 3 | 2;
    pub(super) const HEADER_VALUE: u8 = 2 << 3 | 2;
}

/// Lengths below this one are written in one byte, and that byte is ASCII.
const LONG: u8 = 0x80;

/// What was found in a frame of the usual shape.
pub(super) struct Usual<'a> {
    pub(super) seq_id: u64,
    pub(super) log_id: u64,
    pub(super) service: i32,
    pub(super) method: Method,
    pub(super) payload: Option<&'a [u8]>,
    /// UTF-8.
    pub(super) log_id_new: Option<&'a [u8]>,
    pub(super) known: Known<'a>,
    /// Up to the end of the last header.
    pub(super) head: &'a [u8],
    pub(super) headers_len: usize,
    /// What is behind the payload.
    pub(super) tail: &'a [u8],
}

/// Decodes a frame of the usual shape; `None` for any other message.
#[inline]
pub(super) fn decode(message: &[u8]) -> Option<Usual<'_>> {
    let (seq_id, rest) = varint_field(message, tag::SEQ_ID)?;
    let (log_id, rest) = varint_field(rest, tag::LOG_ID)?;
    let (service, rest) = varint_field(rest, tag::SERVICE)?;
    let (method, rest) = varint_field(rest, tag::METHOD)?;
    let found = Found::walk(rest)?;
    let (headers, rest) = rest.split_at_checked(found.len)?;
    // Tags and lengths here are ASCII, so the headers are UTF-8 together if
    // they are one by one.
    let headers = core::str::from_utf8(headers).ok()?;
    let head = message.get(..message.len() - rest.len())?;
    let (payload, tail) = bytes_field(rest, tag::PAYLOAD)?;
    let (log_id_new, rest) = bytes_field(tail, tag::LOG_ID_NEW)?;
    if !rest.is_empty() || !log_id_new.is_none_or(is_utf8) {
        return None;
    }
    Some(Usual {
        seq_id,
        log_id,
        service: low_32(service),
        method: low_32(method).into(),
        payload,
        log_id_new,
        known: found.known(headers),
        head,
        headers_len: found.len,
        tail,
    })
}

/// Quicker than making a `str` where bytes are all that is wanted.
#[inline]
fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || core::str::from_utf8(bytes).is_ok()
}

/// What is behind the tag, if it stands here.
#[inline]
fn behind(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    (*first == tag).then_some(rest)
}

#[inline]
fn varint_field(bytes: &[u8], tag: u8) -> Option<(u64, &[u8])> {
    varint(behind(tag, bytes)?)
}

/// The field if it stands here, and what is behind; `None` if it is not good.
#[inline]
fn bytes_field(bytes: &[u8], tag: u8) -> Option<(Option<&[u8]>, &[u8])> {
    let Some(rest) = behind(tag, bytes) else {
        return Some((None, bytes));
    };
    let (len, rest) = varint(rest)?;
    let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((Some(content), rest))
}

#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [first @ 0..LONG, rest @ ..] => Some((u64::from(*first), rest)),
        [first, second @ 0..LONG, rest @ ..] => {
            Some((u64::from(first & 0x7f) | u64::from(*second) << 7, rest))
        }
        // Lengths of payloads from 16 KB on cost no more than shorter ones.
        [first, second, third @ 0..LONG, rest @ ..] => {
            let low = u64::from(first & 0x7f) | u64::from(second & 0x7f) << 7;
            Some((low | u64::from(*third) << 14, rest))
        }
        _ => reader::varint(bytes),
    }
}

/// From where to where in the headers' bytes; no value begins at 0.
type Place = (usize, usize);

/// Where the values are.
#[derive(Default)]
struct Found {
    len: usize,
    kind: Place,
    push_id: Place,
    trace_id: Place,
    sum: Place,
    seq: Place,
}

impl Found {
    /// Goes over the headers that `bytes` begin with.
    #[inline]
    fn walk(bytes: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = bytes;
        while let [tag::HEADER, len, tag::HEADER_KEY, key_len, ..] = rest {
            if *len >= LONG {
                return None;
            }
            let (header, next) = rest.split_at_checked(2 + usize::from(*len))?;
            let (key, value) = header.get(4..)?.split_at_checked(usize::from(*key_len))?;
            let [tag::HEADER_VALUE, value_len, value @ ..] = value else {
                return None;
            };
            if value.len() != usize::from(*value_len) {
                return None;
            }
            rest = next;
            let end = bytes.len() - rest.len();
            // By length first: patterns would be compared byte by byte.
            let place = match key.len() {
                3 if key == SUM => &mut found.sum,
                3 if key == SEQ => &mut found.seq,
                4 if key == TYPE => &mut found.kind,
                8 if key == TRACE_ID => &mut found.trace_id,
                10 if key == MESSAGE_ID => &mut found.push_id,
                _ => continue,
            };
            if place.0 == 0 {
                *place = (end - value.len(), end);
            }
        }
        found.len = bytes.len() - rest.len();
        Some(found)
    }

    #[inline]
    fn known<'a>(&self, headers: &'a str) -> Known<'a> {
        let at = |(start, end): Place| match start {
            0 => None,
            _ => headers.get(start..end),
        };
        Known {
            kind: at(self.kind),
            push_id: at(self.push_id),
            trace_id: at(self.trace_id),
            sum: at(self.sum),
            seq: at(self.seq),
        }
    }
}

const TYPE: &[u8] = header::TYPE.as_bytes();
const MESSAGE_ID: &[u8] = header::MESSAGE_ID.as_bytes();
const TRACE_ID: &[u8] = header::TRACE_ID.as_bytes();
const SUM: &[u8] = header::SUM.as_bytes();
const SEQ: &[u8] = header::SEQ.as_bytes();

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::{Frame, FrameFields, Header};
    use super::*;
    use crate::Limits;

    fn frames() -> impl Strategy<Value = (Vec<u8>, bool)> {
        let name = prop::sample::select(&["type", "sum", "seq", "message_id", "trace_id", "x"][..]);
        let text = prop_oneof![".{0,9}", "é{60,70}"];
        (
            any::<(u64, u64, i32, i32)>(),
            proptest::collection::vec((name, text.clone()), 0..9),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            proptest::array::uniform3(proptest::option::of(text)),
            proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        )
            .prop_map(|(numbers, headers, payload, texts, edits)| {
                let [payload_encoding, payload_type, log_id_new] = &texts;
                let fields = FrameFields {
                    seq_id: numbers.0,
                    log_id: numbers.1,
                    service: numbers.2,
                    method: numbers.3.into(),
                    payload_encoding: payload_encoding.as_deref(),
                    payload_type: payload_type.as_deref(),
                    payload: payload.as_deref(),
                    log_id_new: log_id_new.as_deref(),
                };
                let header = |(key, value): &(&'static str, String)| -> (&str, String) {
                    (key, value.clone())
                };
                let headers: Vec<_> = headers.iter().map(header).collect();
                let mut message = Vec::new();
                let headers = headers.iter().map(|(key, value)| Header { key, value });
                let short = headers.clone().all(|header| header.value.len() < 100);
                fields.encode(headers, &mut message).unwrap();
                let untouched = edits.is_empty();
                for (at, byte) in edits {
                    let at = at.index(message.len());
                    message[at] = byte;
                }
                let plain = payload_encoding.is_none() && payload_type.is_none();
                (message, untouched && short && plain)
            })
    }

    proptest! {
        #[test]
        fn the_usual_shape_says_what_the_general_decoder_says((message, usual) in frames()) {
            let quick = decode(&message).is_some();
            prop_assert!(quick || !usual);
            if quick {
                let frame = Frame::decode(&message, &Limits::default());
                prop_assert_eq!(frame, Frame::decode_any(&message));
            }
        }
    }
}
