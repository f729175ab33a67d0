//! prost 0.14 with the payload as a slice of the received `Bytes`.

use benches::task::{ACK_PAYLOAD, Picked};
use bytes::Bytes;
use prost::Message as _;

/// `pbbp2.Frame`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Frame {
    /// `SeqID`
    #[prost(uint64, required, tag = "1")]
    pub seq_id: u64,
    /// `LogID`
    #[prost(uint64, required, tag = "2")]
    pub log_id: u64,
    /// `service`
    #[prost(int32, required, tag = "3")]
    pub service: i32,
    /// `method`
    #[prost(int32, required, tag = "4")]
    pub method: i32,
    /// `headers`
    #[prost(message, repeated, tag = "5")]
    pub headers: Vec<Header>,
    /// `payload_encoding`
    #[prost(string, optional, tag = "6")]
    pub payload_encoding: Option<String>,
    /// `payload_type`
    #[prost(string, optional, tag = "7")]
    pub payload_type: Option<String>,
    /// `payload`
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub payload: Option<Bytes>,
    /// `LogIDNew`
    #[prost(string, optional, tag = "9")]
    pub log_id_new: Option<String>,
}

/// `pbbp2.Header`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Header {
    /// `key`
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// `value`
    #[prost(string, required, tag = "2")]
    pub value: String,
}

/// Decodes.
///
/// # Panics
/// When it is not a frame.
#[must_use]
pub fn decode(message: Bytes) -> Frame {
    Frame::decode(message).expect("a frame")
}

/// Reads what a driver needs.
#[must_use]
pub fn pick(frame: &Frame) -> Picked<'_> {
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
#[must_use]
pub fn acknowledge(mut frame: Frame) -> Vec<u8> {
    frame.headers.push(Header {
        key: "biz_rt".to_owned(),
        value: "0".to_owned(),
    });
    frame.payload = Some(Bytes::from_static(ACK_PAYLOAD));
    frame.encode_to_vec()
}
