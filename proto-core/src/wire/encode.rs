//! Frames to bytes, in the canonical form: ascending fields, required ones
//! always, optional ones when set.

use super::{Frame, Header, Method, field, header};
use crate::{Buffer, BufferFull};

/// The scalar fields of a frame to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFields<'a> {
    /// `SeqID`.
    pub seq_id: u64,
    /// `LogID`.
    pub log_id: u64,
    /// `service`.
    pub service: i32,
    /// `method`.
    pub method: Method,
    /// `payload_encoding`.
    pub payload_encoding: Option<&'a str>,
    /// `payload_type`.
    pub payload_type: Option<&'a str>,
    /// `payload`.
    pub payload: Option<&'a [u8]>,
    /// `LogIDNew`.
    pub log_id_new: Option<&'a str>,
}

impl FrameFields<'_> {
    /// Appends the canonical encoding of a frame with these fields and `headers`.
    ///
    /// # Errors
    /// [`BufferFull`] when `out` has no room; what was appended is taken back.
    pub fn encode<'h>(
        &self,
        headers: impl IntoIterator<Item = Header<'h>>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        let start = out.as_bytes().len();
        let written = self.encode_all(headers, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn encode_all<'h>(
        &self,
        headers: impl IntoIterator<Item = Header<'h>>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        self.encode_head(headers, out)?;
        self.encode_middle(out)?;
        if let Some(payload) = self.payload {
            bytes_field(out, field::PAYLOAD, payload)?;
        }
        self.encode_tail(out)
    }

    /// Fields 1 to 5.
    pub(super) fn encode_head<'h>(
        &self,
        headers: impl IntoIterator<Item = Header<'h>>,
        out: &mut impl Buffer,
    ) -> Result<(), BufferFull> {
        varint_field(out, field::SEQ_ID, self.seq_id)?;
        varint_field(out, field::LOG_ID, self.log_id)?;
        varint_field(out, field::SERVICE, sign_extended(self.service))?;
        varint_field(out, field::METHOD, sign_extended(self.method.to_i32()))?;
        for header in headers {
            header_field(out, header)?;
        }
        Ok(())
    }

    /// Fields 6 and 7.
    pub(super) fn encode_middle(&self, out: &mut impl Buffer) -> Result<(), BufferFull> {
        if let Some(encoding) = self.payload_encoding {
            bytes_field(out, field::PAYLOAD_ENCODING, encoding.as_bytes())?;
        }
        if let Some(payload_type) = self.payload_type {
            bytes_field(out, field::PAYLOAD_TYPE, payload_type.as_bytes())?;
        }
        Ok(())
    }

    /// Field 9.
    pub(super) fn encode_tail(&self, out: &mut impl Buffer) -> Result<(), BufferFull> {
        match self.log_id_new {
            Some(id) => bytes_field(out, field::LOG_ID_NEW, id.as_bytes()),
            None => Ok(()),
        }
    }
}

impl<'a> From<&Frame<'a>> for FrameFields<'a> {
    fn from(frame: &Frame<'a>) -> Self {
        Self {
            seq_id: frame.seq_id,
            log_id: frame.log_id,
            service: frame.service,
            method: frame.method,
            payload_encoding: frame.payload_encoding,
            payload_type: frame.payload_type,
            payload: frame.payload,
            log_id_new: frame.log_id_new(),
        }
    }
}

/// Appends the keep-alive ping for a connection of `service`, exactly as the
/// official Python, Node and Java clients write it.
///
/// # Errors
/// [`BufferFull`] when `out` has no room for its at most 40 bytes.
pub fn encode_ping(service: i32, out: &mut impl Buffer) -> Result<(), BufferFull> {
    let fields = FrameFields {
        seq_id: 0,
        log_id: 0,
        service,
        method: Method::Control,
        payload_encoding: None,
        payload_type: None,
        payload: None,
        log_id_new: None,
    };
    let kind = Header {
        key: header::TYPE,
        value: "ping",
    };
    fields.encode([kind], out)
}

pub(super) fn header_field(out: &mut impl Buffer, header: Header<'_>) -> Result<(), BufferFull> {
    let len = bytes_field_len(header.key.len()) + bytes_field_len(header.value.len());
    tag(out, field::HEADERS, 2)?;
    varint(out, len as u64)?;
    bytes_field(out, field::HEADER_KEY, header.key.as_bytes())?;
    bytes_field(out, field::HEADER_VALUE, header.value.as_bytes())
}

pub(super) fn bytes_field(
    out: &mut impl Buffer,
    number: u32,
    content: &[u8],
) -> Result<(), BufferFull> {
    bytes_field_start(out, number, content.len())?;
    out.append(content)
}

/// The tag and length of a length-delimited field whose content follows.
pub(super) fn bytes_field_start(
    out: &mut impl Buffer,
    number: u32,
    len: usize,
) -> Result<(), BufferFull> {
    tag(out, number, 2)?;
    varint(out, len as u64)
}

fn varint_field(out: &mut impl Buffer, number: u32, value: u64) -> Result<(), BufferFull> {
    tag(out, number, 0)?;
    varint(out, value)
}

fn tag(out: &mut impl Buffer, number: u32, wire_type: u32) -> Result<(), BufferFull> {
    varint(out, u64::from(number << 3 | wire_type))
}

fn varint(out: &mut impl Buffer, mut value: u64) -> Result<(), BufferFull> {
    let mut bytes = [0_u8; 10];
    let mut len = 0;
    for slot in &mut bytes {
        len += 1;
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            *slot = low;
            break;
        }
        *slot = low | 0x80;
    }
    out.append(bytes.get(..len).unwrap_or_default())
}

/// A field of this content takes this many bytes, for field numbers below 16.
const fn bytes_field_len(content: usize) -> usize {
    let mut len_bytes = 1;
    let mut rest = content >> 7;
    while rest > 0 {
        len_bytes += 1;
        rest >>= 7;
    }
    1 + len_bytes + content
}

/// Negative `int32`s go out as ten-byte sign-extended varints.
#[expect(
    clippy::cast_sign_loss,
    reason = "two's complement is the format's rule"
)]
const fn sign_extended(value: i32) -> u64 {
    value as i64 as u64
}
