//! Frames that the platform writes, and the checks beyond decoding of those
//! that it reads.

use proto_core::{Frame, FrameFields, Header, Method};

use crate::config::ClientConfig;

/// A binary message that is no frame: a length that leads past the end.
pub(crate) const GARBAGE: &[u8] = &[0x2a, 0xff, 0xff, 0xff, 0x7f, 0x00, 0xde, 0xad];

/// A data frame as what the ack must echo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentFrame {
    pub(super) seq_id: u64,
    pub(super) log_id: u64,
    pub(super) service: i32,
    pub(super) log_id_new: String,
    pub(super) headers: Vec<(String, String)>,
}

impl SentFrame {
    pub(super) fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let fields = FrameFields {
            seq_id: self.seq_id,
            log_id: self.log_id,
            service: self.service,
            method: Method::Data,
            payload_encoding: None,
            payload_type: None,
            payload: Some(payload),
            log_id_new: Some(&self.log_id_new),
        };
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| Header { key, value });
        encode(&fields, headers)
    }

    pub(super) fn header(&self, key: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The answer to a ping; `None` leaves the payload out.
pub(super) fn pong(service: i32, payload: Option<&[u8]>) -> Vec<u8> {
    let fields = FrameFields {
        seq_id: 0,
        log_id: 0,
        service,
        method: Method::Control,
        payload_encoding: None,
        payload_type: None,
        payload,
        log_id_new: None,
    };
    let kind = Header {
        key: "type",
        value: "pong",
    };
    encode(&fields, [kind])
}

/// Payload of a pong.
pub(super) fn config_payload(config: &ClientConfig) -> Vec<u8> {
    let mut payload = Vec::new();
    // A Vec has room for everything.
    let written = config.stated().write_json(&mut payload);
    debug_assert!(written.is_ok(), "a Vec grows");
    payload
}

/// A frame without its required fields: only a `type=event` header.
pub(super) fn broken() -> Vec<u8> {
    b"\x2a\x0d\x0a\x04type\x12\x05event".to_vec()
}

fn encode<'h>(fields: &FrameFields<'_>, headers: impl IntoIterator<Item = Header<'h>>) -> Vec<u8> {
    let mut out = Vec::new();
    // A Vec has room for everything.
    let written = fields.encode(headers, &mut out);
    debug_assert!(written.is_ok(), "a Vec grows");
    out
}

/// What is wrong with a ping, if anything. The official clients write it in
/// one of two ways, with or without empty optional strings.
pub(super) fn ping_fault(frame: &Frame<'_>, service_id: i32) -> Option<String> {
    let mut headers = frame.headers();
    let only_type = headers
        .next()
        .is_some_and(|header| header.key == "type" && header.value == "ping")
        && headers.next().is_none();
    let is_blank = |field: Option<&str>| field.is_none_or(str::is_empty);
    if frame.seq_id != 0 || frame.log_id != 0 {
        Some(format!(
            "SeqID {} and LogID {} must be 0",
            frame.seq_id, frame.log_id
        ))
    } else if frame.service != service_id {
        Some(format!(
            "service is {}, the URL said {service_id}",
            frame.service
        ))
    } else if !only_type {
        Some("headers must be type=ping alone".to_owned())
    } else if frame.payload.is_some_and(|payload| !payload.is_empty()) {
        Some("a ping has no payload".to_owned())
    } else if !is_blank(frame.payload_encoding)
        || !is_blank(frame.payload_type)
        || !is_blank(frame.log_id_new())
    {
        Some("a ping has no encoding, type or LogIDNew".to_owned())
    } else {
        None
    }
}

/// The required fields (SeqID, LogID, service, method) that are not in the
/// message. An independent look at the bytes: an encoder that drops zeros must
/// not pass because a decoder fills them in.
pub(super) fn missing_required(message: &[u8]) -> Vec<&'static str> {
    let mut seen = [false; 4];
    let mut rest = message;
    while let Some((key, after)) = varint(rest) {
        if let Some(slot) = (key >> 3)
            .checked_sub(1)
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| seen.get_mut(place))
        {
            *slot = key & 7 == 0;
        }
        let next = match key & 7 {
            0 => varint(after).map(|(_, after)| after),
            1 => after.get(8..),
            2 => varint(after).and_then(|(len, after)| after.get(usize::try_from(len).ok()?..)),
            5 => after.get(4..),
            // Groups do not occur in this schema; what follows is not judged.
            _ => None,
        };
        let Some(next) = next else { break };
        rest = next;
    }
    ["SeqID", "LogID", "service", "method"]
        .into_iter()
        .zip(seen)
        .filter(|(_, seen)| !seen)
        .map(|(name, _)| name)
        .collect()
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proto_core::Limits;

    use super::*;

    #[test]
    fn both_ways_of_writing_a_ping_pass_and_others_do_not() {
        for (name, hex, fine) in [
            (
                "python, node",
                "0800100018f6818010200 02a0c0a04747970651204 70696e67",
                true,
            ),
            (
                "go",
                "0800100018f68180102000 2a0c0a0474797065120470696e67 32003a004a00",
                true,
            ),
            (
                "other service",
                "0800100018012000 2a0c0a0474797065120470696e67",
                false,
            ),
            (
                "payload",
                "0800100018f68180102000 2a0c0a0474797065120470696e67 420161",
                false,
            ),
        ] {
            let bytes = unhex(hex);
            let frame = Frame::decode(&bytes, &Limits::default()).unwrap();
            assert_eq!(ping_fault(&frame, 33_554_678).is_none(), fine, "{name}");
            assert_eq!(missing_required(&bytes), [""; 0], "{name}");
        }
    }

    #[test]
    fn dropped_zeros_are_seen() {
        let bytes = unhex("18f68180102a0c0a0474797065120470696e67");
        assert_eq!(missing_required(&bytes), ["SeqID", "LogID", "method"]);
        assert_eq!(
            missing_required(b""),
            ["SeqID", "LogID", "service", "method"]
        );
        assert_eq!(missing_required(&broken()).len(), 4);
    }

    fn unhex(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
