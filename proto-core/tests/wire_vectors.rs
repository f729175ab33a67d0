//! The wire format against frames recorded from the official clients.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use proto_core::{Frame, FrameFields, Header, Limits};
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
        "LogIDNew": frame.log_id_new(),
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
