//! The wire format against frames recorded from the official clients.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use prost::Message as _;
use proto_core::{Frame, FrameFields, Header, Limits, Method};
use serde_json::{Value, json};

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/ws_frames.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn view(frame: &Frame<'_>) -> Value {
    json!({
        "SeqID": frame.seq_id,
        "LogID": frame.log_id,
        "service": frame.service,
        "method": frame.method.to_i32(),
        "headers": frame.headers()
            .map(|Header { key, value }| json!({"key": key, "value": value}))
            .collect::<Vec<_>>(),
        "payload_encoding": frame.payload_encoding,
        "payload_type": frame.payload_type,
        "payload_hex": frame.payload.map(hex),
        "LogIDNew": frame.log_id_new,
    })
}

#[test]
fn every_recorded_frame_decodes_as_the_official_clients_decode_it() {
    let mut seen = 0;
    for vector in vectors() {
        let name = &vector["name"];
        let bytes = unhex(vector["hex"].as_str().unwrap());
        let decoded = Frame::decode(&bytes, &Limits::default());
        if vector["valid"] == json!(true) {
            let frame = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
            if !vector["frame"]["payload_hex"].is_null() || !vector["frame"].is_null() {
                assert_eq!(view(&frame), vector["frame"], "{name}");
            }
            let mut encoded = Vec::new();
            FrameFields::from(&frame)
                .encode(frame.headers(), &mut encoded)
                .unwrap();
            if let Some(expected) = vector["reencoded_hex"].as_str() {
                assert_eq!(hex(&encoded), expected, "{name}");
            }
        } else {
            assert!(decoded.is_err(), "{name} must be refused: {decoded:?}");
        }
        seen += 1;
    }
    assert_eq!(seen, 61);
}

/// The same frame as prost sees it, with required fields.
#[derive(Clone, PartialEq, prost::Message)]
struct ProstFrame {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<ProstHeader>,
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
struct ProstHeader {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

mod against_prost {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = ProstFrame> {
        (
            (any::<u64>(), any::<u64>(), any::<i32>(), any::<i32>()),
            proptest::collection::vec((".{0,12}", ".{0,12}"), 0..6),
            (
                proptest::option::of(".{0,8}"),
                proptest::option::of(".{0,8}"),
                proptest::option::of(".{0,8}"),
            ),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        )
            .prop_map(|(ids, headers, texts, payload)| ProstFrame {
                seq_id: ids.0,
                log_id: ids.1,
                service: ids.2,
                method: ids.3,
                headers: headers
                    .into_iter()
                    .map(|(key, value)| ProstHeader { key, value })
                    .collect(),
                payload_encoding: texts.0,
                payload_type: texts.1,
                payload,
                log_id_new: texts.2,
            })
    }

    fn reencode(frame: &Frame<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        FrameFields::from(frame)
            .encode(frame.headers(), &mut out)
            .unwrap();
        out
    }

    proptest! {
        #[test]
        fn both_read_and_write_the_same_bytes(frame in frames()) {
            let bytes = frame.encode_to_vec();
            let ours = Frame::decode(&bytes, &Limits::default()).unwrap();
            prop_assert_eq!(ours.method, Method::from(frame.method));
            prop_assert_eq!(reencode(&ours), bytes);
        }

        #[test]
        fn mutated_bytes_that_we_accept_mean_the_same_to_prost(
            frame in frames(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = frame.encode_to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Ok(ours) = Frame::decode(&bytes, &Limits::default()) {
                let theirs = ProstFrame::decode(bytes.as_slice());
                prop_assert_eq!(reencode(&ours), theirs.unwrap().encode_to_vec());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&bytes, &Limits::default());
        }
    }
}
