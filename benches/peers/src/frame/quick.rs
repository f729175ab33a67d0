//! quick-protobuf 0.8 with borrowed fields, in the shape that its generator
//! writes.

use std::borrow::Cow;

use benches::task::{ACK_PAYLOAD, Picked};
use quick_protobuf::sizeofs::{sizeof_len, sizeof_varint};
use quick_protobuf::{BytesReader, MessageRead, MessageWrite, Result, Writer, WriterBackend};

/// `pbbp2.Frame`
#[derive(Debug, Default)]
pub struct Frame<'a> {
    seq_id: u64,
    log_id: u64,
    service: i32,
    method: i32,
    headers: Vec<Header<'a>>,
    payload_encoding: Option<Cow<'a, str>>,
    payload_type: Option<Cow<'a, str>>,
    payload: Option<Cow<'a, [u8]>>,
    log_id_new: Option<Cow<'a, str>>,
}

#[derive(Debug, Default)]
struct Header<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> MessageRead<'a> for Header<'a> {
    fn from_reader(reader: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut header = Self::default();
        while !reader.is_eof() {
            match reader.next_tag(bytes) {
                Ok(10) => header.key = reader.read_string(bytes).map(Cow::Borrowed)?,
                Ok(18) => header.value = reader.read_string(bytes).map(Cow::Borrowed)?,
                Ok(tag) => reader.read_unknown(bytes, tag)?,
                Err(error) => return Err(error),
            }
        }
        Ok(header)
    }
}

impl<'a> MessageRead<'a> for Frame<'a> {
    fn from_reader(reader: &mut BytesReader, bytes: &'a [u8]) -> Result<Self> {
        let mut frame = Self::default();
        while !reader.is_eof() {
            match reader.next_tag(bytes) {
                Ok(8) => frame.seq_id = reader.read_uint64(bytes)?,
                Ok(16) => frame.log_id = reader.read_uint64(bytes)?,
                Ok(24) => frame.service = reader.read_int32(bytes)?,
                Ok(32) => frame.method = reader.read_int32(bytes)?,
                Ok(42) => frame.headers.push(reader.read_message(bytes)?),
                Ok(50) => frame.payload_encoding = Some(reader.read_string(bytes)?.into()),
                Ok(58) => frame.payload_type = Some(reader.read_string(bytes)?.into()),
                Ok(66) => frame.payload = Some(reader.read_bytes(bytes)?.into()),
                Ok(74) => frame.log_id_new = Some(reader.read_string(bytes)?.into()),
                Ok(tag) => reader.read_unknown(bytes, tag)?,
                Err(error) => return Err(error),
            }
        }
        Ok(frame)
    }
}

impl MessageWrite for Header<'_> {
    fn get_size(&self) -> usize {
        2 + sizeof_len(self.key.len()) + sizeof_len(self.value.len())
    }

    fn write_message<W: WriterBackend>(&self, out: &mut Writer<W>) -> Result<()> {
        out.write_with_tag(10, |out| out.write_string(&self.key))?;
        out.write_with_tag(18, |out| out.write_string(&self.value))
    }
}

impl MessageWrite for Frame<'_> {
    fn get_size(&self) -> usize {
        let text = |text: &Option<Cow<'_, str>>| {
            text.as_ref().map_or(0, |text| 1 + sizeof_len(text.len()))
        };
        let headers = self
            .headers
            .iter()
            .map(|header| 1 + sizeof_len(header.get_size()));
        4 + sizeof_varint(self.seq_id)
            + sizeof_varint(self.log_id)
            + sizeof_varint(self.service as u64)
            + sizeof_varint(self.method as u64)
            + headers.sum::<usize>()
            + text(&self.payload_encoding)
            + text(&self.payload_type)
            + self
                .payload
                .as_ref()
                .map_or(0, |bytes| 1 + sizeof_len(bytes.len()))
            + text(&self.log_id_new)
    }

    fn write_message<W: WriterBackend>(&self, out: &mut Writer<W>) -> Result<()> {
        out.write_with_tag(8, |out| out.write_uint64(self.seq_id))?;
        out.write_with_tag(16, |out| out.write_uint64(self.log_id))?;
        out.write_with_tag(24, |out| out.write_int32(self.service))?;
        out.write_with_tag(32, |out| out.write_int32(self.method))?;
        for header in &self.headers {
            out.write_with_tag(42, |out| out.write_message(header))?;
        }
        if let Some(text) = &self.payload_encoding {
            out.write_with_tag(50, |out| out.write_string(text))?;
        }
        if let Some(text) = &self.payload_type {
            out.write_with_tag(58, |out| out.write_string(text))?;
        }
        if let Some(bytes) = &self.payload {
            out.write_with_tag(66, |out| out.write_bytes(bytes))?;
        }
        if let Some(text) = &self.log_id_new {
            out.write_with_tag(74, |out| out.write_string(text))?;
        }
        Ok(())
    }
}

/// Decodes.
///
/// # Panics
/// When it is not a frame.
#[must_use]
pub fn decode(message: &[u8]) -> Frame<'_> {
    let mut reader = BytesReader::from_bytes(message);
    Frame::from_reader(&mut reader, message).expect("a frame")
}

/// Reads what a driver needs.
#[must_use]
pub fn pick<'a>(frame: &'a Frame<'_>) -> Picked<'a> {
    let mut picked = Picked {
        seq_id: frame.seq_id,
        log_id: frame.log_id,
        service: frame.service,
        method: frame.method,
        payload: frame.payload.as_deref().unwrap_or_default(),
        ..Picked::default()
    };
    for header in &frame.headers {
        picked.header(&header.key, &header.value);
    }
    picked
}

/// Turns the frame into its acknowledgement.
///
/// # Panics
/// Never: a Vec has no bound.
#[must_use]
pub fn acknowledge(mut frame: Frame<'_>) -> Vec<u8> {
    frame.headers.push(Header {
        key: "biz_rt".into(),
        value: "0".into(),
    });
    frame.payload = Some(ACK_PAYLOAD.into());
    let mut out = Vec::with_capacity(frame.get_size());
    frame
        .write_message(&mut Writer::new(&mut out))
        .expect("a Vec has no bound");
    out
}
