//! Frames of the long connection, and the acknowledgements among them.

use serde_json::Value;

use super::{bytes, list, text, unhex};

pub(crate) fn constants(vectors: &Value) -> String {
    let vectors = vectors.as_array().expect("a list of frames");
    format!(
        "pub(crate) static FRAMES: &[FrameVector] = {};\n",
        list(vectors.iter().map(frame))
    )
}

/// The few messages that the size image plays.
pub(crate) fn played(vectors: &Value) -> String {
    let vectors = vectors.as_array().expect("a list of frames");
    const PLAYED: [&str; 5] = [
        "event_single",
        "event_part_0_of_3",
        "event_part_1_of_3",
        "event_part_2_of_3",
        "pong_with_config",
    ];
    PLAYED
        .map(|name| {
            let vector = vectors.iter().find(|vector| vector["name"] == name);
            let message = unhex(text(vector.expect("a vector of that name"), "hex"));
            format!(
                "const {}: &[u8] = {};\n",
                name.to_uppercase(),
                bytes(&message)
            )
        })
        .concat()
}

fn frame(vector: &Value) -> String {
    let (name, message) = (text(vector, "name"), unhex(text(vector, "hex")));
    let valid = vector["valid"].as_bool().expect("a verdict");
    assert_eq!(valid, vector["frame"].is_object(), "{name}");
    let meaning = if valid {
        format!("Some({})", meaning(vector, &message))
    } else {
        "None".into()
    };
    format!(
        "FrameVector {{ name: {name:?}, message: {}, meaning: {meaning} }}",
        bytes(&message)
    )
}

fn meaning(vector: &Value, message: &[u8]) -> String {
    let (name, fields) = (text(vector, "name"), &vector["frame"]);
    let headers = fields["headers"].as_array().expect("headers").iter();
    let canonical = match vector["reencoded_hex"].as_str() {
        Some(digits) => unhex(digits),
        // Left out of a large vector, whose own bytes are canonical.
        None => {
            assert_eq!(vector["canonical"], true, "{name}");
            message.to_vec()
        }
    };
    format!(
        "Meaning {{ seq_id: {}, log_id: {}, service: {}, method: {}, headers: {}, \
         payload_encoding: {:?}, payload_type: {:?}, payload: {}, log_id_new: {:?}, \
         canonical: {}, answer: {} }}",
        fields["SeqID"],
        fields["LogID"],
        fields["service"],
        fields["method"],
        list(headers.map(|header| format!(
            "({:?}, {:?})",
            text(header, "key"),
            text(header, "value")
        ))),
        fields["payload_encoding"].as_str(),
        fields["payload_type"].as_str(),
        optional_bytes(fields["payload_hex"].as_str().map(unhex)),
        fields["LogIDNew"].as_str(),
        bytes(&canonical),
        answer(name, fields),
    )
}

/// What a recorded acknowledgement says, for the machine to say the same.
fn answer(name: &str, fields: &Value) -> String {
    if !name.starts_with("ack_") {
        return "None".into();
    }
    let payload = unhex(text(fields, "payload_hex"));
    let mut payload: Value = serde_json::from_slice(&payload).expect("an answer is JSON");
    payload
        .as_object_mut()
        .expect("an object")
        .retain(|_, member| !member.is_null());
    let outcome = match (payload["code"].as_i64(), payload["data"].as_str()) {
        (Some(200), None) => "Outcome::Done".into(),
        (Some(200), Some(data)) => format!("Outcome::Answer({})", bytes(&unbase64(data))),
        (Some(500), None) => "Outcome::Failed".into(),
        _ => panic!("{name}: an answer of a new kind"),
    };
    let payload = bytes(payload.to_string().as_bytes());
    format!("Some(Answer {{ outcome: {outcome}, payload: {payload} }})")
}

fn optional_bytes(content: Option<Vec<u8>>) -> String {
    content.map_or_else(
        || "None".into(),
        |content| format!("Some({})", bytes(&content)),
    )
}

fn unbase64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for character in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == character);
        held = held << 6 | value.expect("base64") as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    out
}
