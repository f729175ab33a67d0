//! Bytes to a borrowed frame.

use core::fmt;

use super::reader::{DecodeError, DecodeErrorKind, Reader, WireType};
use super::{Method, field, header, usual};
use crate::{GUESS, Limits};

/// One decoded frame, borrowed from the message it came in.
///
/// Absent and empty are kept apart: an optional field that was sent empty is
/// `Some("")`. `Debug` prints lengths, never payloads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `SeqID`.
    pub seq_id: u64,
    /// `LogID`.
    pub log_id: u64,
    /// `service`: the service id of the connection URL.
    pub service: i32,
    /// `method`.
    pub method: Method,
    /// `payload_encoding`: like an HTTP content encoding. Unset in everything seen.
    pub payload_encoding: Option<&'a str>,
    /// `payload_type`: like an HTTP content type. Unset in everything seen.
    pub payload_type: Option<&'a str>,
    /// `payload`.
    pub payload: Option<&'a [u8]>,
    /// UTF-8: [`Self::log_id_new`].
    log_id_new: Option<&'a [u8]>,
    pub(super) known: Known<'a>,
    pub(super) layout: Layout<'a>,
}

/// The headers that carry meaning, found while decoding; of doubles the first
/// counts, as the official Go, Python and Java clients read them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) push_id: Option<&'a str>,
    pub(super) trace_id: Option<&'a str>,
    pub(super) sum: Option<&'a str>,
    pub(super) seq: Option<&'a str>,
}

/// The message in runs, for the acknowledgement that echoes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout<'a> {
    /// Up to the end of the last header.
    pub(super) head: &'a [u8],
    /// How much of that end is headers, from the first one's tag on.
    pub(super) headers_len: usize,
    /// From there to the payload field, or to the place for one.
    pub(super) middle: &'a [u8],
    /// What is behind the payload.
    pub(super) tail: &'a [u8],
    /// Headers come before the payload and there is one payload field at most,
    /// as every known encoder writes it. Otherwise the tail is all that is behind
    /// the headers, and payloads may be anywhere.
    pub(super) regular: bool,
}

/// One header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `key`.
    pub key: &'a str,
    /// `value`.
    pub value: &'a str,
}

impl<'a> Frame<'a> {
    /// Decodes exactly one frame.
    ///
    /// Fields may come in any order; of a repeated scalar the last counts.
    /// Negative `int32`s sent as longer varints keep their low 32 bits.
    ///
    /// # Errors
    /// [`DecodeError`] when the message is longer than
    /// [`Limits::frame_bytes_max`], is not well-formed, has a known field of
    /// another wire type, a string that is not UTF-8, or lacks a required field.
    pub fn decode(message: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        if message.len() > limits.frame_bytes_max {
            let kind = DecodeErrorKind::TooLarge(limits.frame_bytes_max);
            return Err(DecodeError { kind, offset: 0 });
        }
        let usual = if GUESS { usual::decode(message) } else { None };
        let Some(usual) = usual else {
            return Self::decode_any(message);
        };
        Ok(Self {
            seq_id: usual.seq_id,
            log_id: usual.log_id,
            service: usual.service,
            method: usual.method,
            payload_encoding: None,
            payload_type: None,
            payload: usual.payload,
            log_id_new: usual.log_id_new,
            known: usual.known,
            layout: Layout {
                head: usual.head,
                headers_len: usual.headers_len,
                middle: &[],
                tail: usual.tail,
                regular: true,
            },
        })
    }

    /// Decodes a frame of whatever shape.
    #[cold]
    pub(super) fn decode_any(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message, 0);
        let (mut seq_id, mut log_id, mut service, mut method) = (None, None, None, None);
        let (mut payload_encoding, mut payload_type) = (None, None);
        let (mut payload, mut log_id_new) = (None, None);
        let mut headers: Option<(usize, usize)> = None;
        let mut payload_at: Option<(usize, usize)> = None;
        let mut first_above_headers: Option<usize> = None;
        let mut log_id_new_at: Option<usize> = None;
        let mut regular = true;
        let mut known = Known::default();

        while !reader.is_empty() {
            let start = reader.offset();
            let (number, wire) = reader.tag()?;
            if number > field::HEADERS && first_above_headers.is_none() {
                first_above_headers = Some(start);
            }
            match (number, wire) {
                (field::SEQ_ID, WireType::Varint) => seq_id = Some(reader.varint()?),
                (field::LOG_ID, WireType::Varint) => log_id = Some(reader.varint()?),
                (field::SERVICE, WireType::Varint) => service = Some(low_32(reader.varint()?)),
                (field::METHOD, WireType::Varint) => method = Some(low_32(reader.varint()?)),
                (field::HEADERS, WireType::Bytes) => {
                    let content = reader.bytes()?;
                    known.note(Header::decode(content, reader.offset() - content.len())?);
                    let first = headers.map_or(start, |(first, _)| first);
                    headers = Some((first, reader.offset()));
                    regular &= payload_at.is_none();
                }
                (field::PAYLOAD_ENCODING, WireType::Bytes) => {
                    payload_encoding = Some(reader.string(number)?);
                }
                (field::PAYLOAD_TYPE, WireType::Bytes) => {
                    payload_type = Some(reader.string(number)?);
                }
                (field::PAYLOAD, WireType::Bytes) => {
                    payload = Some(reader.bytes()?);
                    regular &= payload_at.is_none();
                    payload_at = Some((start, reader.offset()));
                }
                (field::LOG_ID_NEW, WireType::Bytes) => {
                    log_id_new = Some(reader.string(number)?.as_bytes());
                    log_id_new_at.get_or_insert(start);
                }
                (1..=9, _) => {
                    return Err(reader.error(DecodeErrorKind::WrongWireType(number)));
                }
                (_, wire) => reader.skip(number, wire)?,
            }
        }

        let missing = |name| move || reader.error(DecodeErrorKind::Missing(name));
        let end = message.len();
        let no_headers = first_above_headers.unwrap_or(end);
        let headers = headers.unwrap_or((no_headers, no_headers));
        let payload_place = log_id_new_at.filter(|at| *at >= headers.1).unwrap_or(end);
        let payload_at = payload_at.unwrap_or((payload_place, payload_place));
        regular &= payload_at.0 >= headers.1;
        let run = |from: usize, to: usize| message.get(from..to).unwrap_or_default();
        let (middle, tail) = if regular {
            (run(headers.1, payload_at.0), run(payload_at.1, end))
        } else {
            (&[][..], run(headers.1, end))
        };
        Ok(Self {
            seq_id: seq_id.ok_or_else(missing("SeqID"))?,
            log_id: log_id.ok_or_else(missing("LogID"))?,
            service: service.ok_or_else(missing("service"))?,
            method: method.ok_or_else(missing("method"))?.into(),
            payload_encoding,
            payload_type,
            payload,
            log_id_new,
            known,
            layout: Layout {
                head: run(0, headers.1),
                headers_len: headers.1 - headers.0,
                middle,
                tail,
                regular,
            },
        })
    }

    /// The headers, in the order they came.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let Layout {
            head, headers_len, ..
        } = self.layout;
        let start = head.len().saturating_sub(headers_len);
        Headers {
            reader: Reader::new(head.get(start..).unwrap_or_default(), start),
        }
    }

    /// The value of the first header called `key`, as the official Go, Python
    /// and Java clients read it.
    #[must_use]
    #[inline]
    pub fn header(&self, key: &str) -> Option<&'a str> {
        match key {
            header::TYPE => self.known.kind,
            header::MESSAGE_ID => self.known.push_id,
            header::TRACE_ID => self.known.trace_id,
            header::SUM => self.known.sum,
            header::SEQ => self.known.seq,
            _ => self.other_header(key),
        }
    }

    fn other_header(&self, key: &str) -> Option<&'a str> {
        let mut headers = self.headers();
        let found = headers.find(|header| header.key == key);
        found.map(|header| header.value)
    }

    /// `LogIDNew`.
    #[must_use]
    pub fn log_id_new(&self) -> Option<&'a str> {
        // What is not UTF-8 is no frame.
        core::str::from_utf8(self.log_id_new?).ok()
    }

    /// The `sum` header: how many parts the event has, 1 when absent; `None`
    /// when it is no number.
    #[must_use]
    #[inline]
    pub fn sum(&self) -> Option<u32> {
        number(self.known.sum, 1)
    }

    /// The `seq` header: which part this is, from 0, and 0 when absent; `None`
    /// when it is no number.
    #[must_use]
    #[inline]
    pub fn seq(&self) -> Option<u32> {
        number(self.known.seq, 0)
    }

    /// The `type` header, empty when absent.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.known.kind.unwrap_or_default()
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("seq_id", &self.seq_id)
            .field("log_id", &self.log_id)
            .field("service", &self.service)
            .field("method", &self.method)
            .field("type", &self.kind())
            .field("payload_bytes", &self.payload.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

impl<'a> Known<'a> {
    fn note(&mut self, header: Header<'a>) {
        let place = match header.key {
            header::TYPE => &mut self.kind,
            header::MESSAGE_ID => &mut self.push_id,
            header::TRACE_ID => &mut self.trace_id,
            header::SUM => &mut self.sum,
            header::SEQ => &mut self.seq,
            _ => return,
        };
        place.get_or_insert(header.value);
    }
}

impl<'a> Header<'a> {
    fn decode(content: &'a [u8], offset: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(content, offset);
        let (mut key, mut value) = (None, None);
        while !reader.is_empty() {
            match reader.tag()? {
                (field::HEADER_KEY, WireType::Bytes) => key = Some(reader.string(1)?),
                (field::HEADER_VALUE, WireType::Bytes) => value = Some(reader.string(2)?),
                (number @ 1..=2, _) => {
                    return Err(reader.error(DecodeErrorKind::WrongWireType(number)));
                }
                (number, wire) => reader.skip(number, wire)?,
            }
        }
        let missing = |name| move || reader.error(DecodeErrorKind::Missing(name));
        Ok(Self {
            key: key.ok_or_else(missing("Header.key"))?,
            value: value.ok_or_else(missing("Header.value"))?,
        })
    }
}

/// Iterator over the headers of a decoded frame.
#[derive(Clone)]
pub struct Headers<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    /// `Frame::decode` has checked the region, so an error here cannot occur;
    /// it would end the iteration.
    fn next(&mut self) -> Option<Header<'a>> {
        while !self.reader.is_empty() {
            match self.reader.tag().ok()? {
                (field::HEADERS, WireType::Bytes) => {
                    return Header::decode(self.reader.bytes().ok()?, 0).ok();
                }
                (number, wire) => self.reader.skip(number, wire).ok()?,
            }
        }
        None
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[inline]
fn number(text: Option<&str>, absent: u32) -> Option<u32> {
    let Some(text) = text else {
        return Some(absent);
    };
    match text.as_bytes() {
        // Nearly every event has one part.
        [digit @ b'0'..=b'9'] => Some(u32::from(digit - b'0')),
        _ => text.parse().ok(),
    }
}

/// proto2's `int32` keeps the low 32 bits of whatever varint was sent.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the truncation is the format's rule"
)]
pub(super) const fn low_32(value: u64) -> i32 {
    value as u32 as i32
}
