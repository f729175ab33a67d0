//! Any bytes as a frame, judged by prost; what is a frame survives encoding
//! and is acknowledged by itself.

use prost::Message as _;
use proto_core::conn::{HeapMemory, Outcome};
use proto_core::{Config, DecodeErrorKind, Frame, FrameFields, Header, Instant, Limits, Method};

use crate::link::open_link;

/// Decodes, compares with prost, encodes again, and acknowledges.
pub fn frame(bytes: &[u8]) {
    let decoded = Frame::decode(bytes, &Limits::default());
    let oracle = PlainFrame::decode(bytes);
    let frame = match decoded {
        Ok(frame) => frame,
        Err(error) => {
            // prost doesn't know required fields, and lets groups nest deeper.
            let ours_alone = matches!(
                error.kind,
                DecodeErrorKind::Missing(_) | DecodeErrorKind::TooDeep
            );
            assert!(oracle.is_err() || ours_alone, "prost reads it: {error}");
            assert!(error.offset <= bytes.len(), "{error}");
            return;
        }
    };
    assert_eq!(oracle, Ok(PlainFrame::from(&frame)));
    survives_encoding(&frame);
    is_acknowledged(&frame, bytes);
}

fn survives_encoding(frame: &Frame<'_>) {
    let mut canonical = Vec::new();
    FrameFields::from(frame)
        .encode(frame.headers(), &mut canonical)
        .expect("a Vec has no bound");
    assert_eq!(canonical, PlainFrame::from(frame).encode_to_vec());
    let again = Frame::decode(&canonical, &Limits::default()).expect("what we write we read");
    assert_eq!(PlainFrame::from(&again), PlainFrame::from(frame));
}

/// The acknowledgement is the frame itself with `biz_rt` and another payload.
fn is_acknowledged(frame: &Frame<'_>, bytes: &[u8]) {
    let now = Instant::from_millis(0);
    // Room for the echo of the largest input a fuzzer makes.
    let memory = HeapMemory::new(1, 1 << 20, 1);
    let (mut machine, epoch) = open_link(Config::default(), memory);
    let Some(delivery) = machine.handle_message(now, epoch, bytes) else {
        return;
    };
    assert_eq!(frame.method, Method::Data);
    assert_eq!(delivery.kind, frame.kind());
    assert_eq!(delivery.payload, frame.payload.unwrap_or_default());
    let token = delivery.token;
    let mut ack = Vec::new();
    machine
        .acknowledge(now, token, Outcome::Done, &mut ack)
        .expect("the link is open");
    let mut expected = PlainFrame::from(frame);
    expected.payload = Some(br#"{"code":200}"#.to_vec());
    expected.headers.push(PlainHeader {
        key: "biz_rt".into(),
        value: "0".into(),
    });
    let ack = Frame::decode(&ack, &Limits::default()).expect("an acknowledgement is a frame");
    assert_eq!(PlainFrame::from(&ack), expected);
}

/// The frame as prost sees it; proto2's required fields are always written.
#[derive(Clone, PartialEq, prost::Message)]
struct PlainFrame {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<PlainHeader>,
    #[prost(string, optional, tag = "6")]
    payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    payload_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    log_id_new: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PlainHeader {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

impl From<&Frame<'_>> for PlainFrame {
    fn from(frame: &Frame<'_>) -> Self {
        let header = |Header { key, value }: Header<'_>| PlainHeader {
            key: key.into(),
            value: value.into(),
        };
        Self {
            seq_id: frame.seq_id,
            log_id: frame.log_id,
            service: frame.service,
            method: frame.method.to_i32(),
            headers: frame.headers().map(header).collect(),
            payload_encoding: frame.payload_encoding.map(Into::into),
            payload_type: frame.payload_type.map(Into::into),
            payload: frame.payload.map(Into::into),
            log_id_new: frame.log_id_new().map(Into::into),
        }
    }
}
