//! Frames: `{"message": hex}` to what it says, its canonical bytes, and the
//! acknowledgement if it is a delivery.

use proto_core::conn::{Connection, Epoch, HeapMemory, Outcome, Output};
use proto_core::{Config, EndpointReply, Frame, FrameFields, Header, Instant, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Answer, hex, unhex, variant};

#[derive(Deserialize)]
struct Question {
    message: String,
}

pub(crate) fn answer(line: &str) -> Answer {
    let question: Question = serde_json::from_str(line)?;
    let message = unhex(&question.message)?;
    let frame = match Frame::decode(&message, &Limits::default()) {
        Ok(frame) => frame,
        Err(error) => return Ok(json!({"error": variant(&error.kind)})),
    };
    let mut canonical = Vec::new();
    FrameFields::from(&frame).encode(frame.headers(), &mut canonical)?;
    let header = |Header { key, value }: Header<'_>| json!([key, value]);
    Ok(json!({
        "seq_id": frame.seq_id,
        "log_id": frame.log_id,
        "service": frame.service,
        "method": frame.method.to_i32(),
        "headers": frame.headers().map(header).collect::<Vec<_>>(),
        "payload_encoding": frame.payload_encoding,
        "payload_type": frame.payload_type,
        "payload": frame.payload.map(hex),
        "log_id_new": frame.log_id_new(),
        "canonical": hex(&canonical),
        "ack": acknowledgement(&message)?,
    }))
}

/// What a link that has just opened answers to the message, at once.
fn acknowledgement(message: &[u8]) -> Answer {
    const GRANT: &[u8] = br#"{"code":0,"data":{"URL":"wss://a.feishu.cn/ws?service_id=1"}}"#;
    let now = Instant::from_millis(0);
    let memory = HeapMemory::new(1, 1 << 16, 1);
    let mut machine = Connection::new(now, Config::default(), 0, memory);
    let (mut scratch, mut epoch) = (Vec::new(), Epoch::default());
    machine.handle_timeout(now);
    while let Some(output) = machine.poll_output(now, &mut scratch) {
        if let Output::FetchEndpoint(attempt) = output {
            epoch = attempt;
        }
    }
    let (status, body) = (200, GRANT);
    machine.handle_endpoint(now, epoch, EndpointReply::Http { status, body });
    machine.handle_open(now, epoch);
    while machine.poll_output(now, &mut scratch).is_some() {}
    let Some(delivery) = machine.handle_message(now, epoch, message) else {
        return Ok(Value::Null);
    };
    let (payload, token) = (hex(delivery.payload), delivery.token);
    let mut ack = Vec::new();
    machine.acknowledge(now, token, Outcome::Done, &mut ack)?;
    Ok(json!({"payload": payload, "bytes": hex(&ack)}))
}
