//! What is measured: one event as Feishu pushes it, in three sizes.
//!
//! The small one is a text message of everyday shape: one mention, CJK, a few
//! escapes; its frame has 1,461 bytes. The two long ones are dense in escapes,
//! one about every 12 bytes: a hard case for JSON, not a typical one.

use core::fmt::Write as _;

use proto_core::{FrameFields, Header, Method};

/// How much an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1,172 bytes of payload, 1,461 of frame.
    Small,
    /// 16 KiB of payload.
    Medium,
    /// 64 KiB of payload.
    Large,
}

/// The bot's id in the mention of every event made here.
pub const BOT_OPEN_ID: &str = "ou_0000000000000000000000000000b07a";
/// The app's id.
pub const APP_ID: &str = "cli_a1b2c3d4e5f60718";
/// The verification token in every event made here.
pub const TOKEN: &str = "v1c5t0k3n0f32characters000000000";
/// The Encrypt Key of [`Sealed`](crate::sealed::Sealed).
pub const ENCRYPT_KEY: &str = "an encrypt key as a person types";
/// When signed requests are signed, in seconds since 1970.
pub const SIGNED_AT: i64 = 1_772_445_600;

impl Size {
    /// Every size, from small to large.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The word for it in names of cases.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "1.2k",
            Self::Medium => "16k",
            Self::Large => "64k",
        }
    }

    /// Bytes of the payload.
    #[must_use]
    pub const fn payload_bytes(self) -> usize {
        match self {
            Self::Small => 1_172,
            Self::Medium => 16 << 10,
            Self::Large => 64 << 10,
        }
    }

    /// One `im.message.receive_v1` event of exactly [`Self::payload_bytes`].
    #[must_use]
    pub fn payload(self) -> String {
        payload(self, "om_5ce6d572455d361153b7cb51da133945")
    }

    /// The payload in a data frame with the eight headers of a gateway.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        frame(&self.payload(), "b9ad6c3f-6d1e-4f5c-9a6e-3a4f9d3c0001")
    }
}

/// The event with another message id, for those who drop repeats. Ids of equal
/// length give events of equal length.
#[must_use]
pub fn payload(size: Size, message_id: &str) -> String {
    let around = wrap(message_id, "");
    let mut said = match size {
        Size::Small => inside(
            "@_user_1 帮我总结一下昨天的会议:\n1. 谁说了\"可以\"\n2. 下周三之前要做什么?\tPlease keep it short 🙏",
        ),
        Size::Medium | Size::Large => inside("@_user_1 "),
    };
    // Nine letters and an escape of three bytes, until there is no room.
    let room = size.payload_bytes() - around.len();
    let unit = inside("abc def h\n");
    while size != Size::Small && said.len() + unit.len() <= room {
        said.push_str(&unit);
    }
    while said.len() < room {
        said.push('.');
    }
    wrap(message_id, &said)
}

/// The payload in a frame, with the push's id.
#[must_use]
pub fn frame(payload: &str, push_id: &str) -> Vec<u8> {
    let headers = [
        ("timestamp", "1772445600123"),
        ("type", "event"),
        ("message_id", push_id),
        ("sum", "1"),
        ("seq", "0"),
        ("trace_id", "7c1f0d2a9b6e4f3389d07c1f0d2a9b6e"),
        ("instance_id", "3q9Zk2Xy-instance-00042"),
        ("biz_group", "im-push-gateway"),
    ];
    let mut out = Vec::new();
    let encoded = FrameFields {
        seq_id: 1024,
        log_id: 0xffff_ffff_9000_0000,
        service: 33_554_678,
        method: Method::Data,
        payload_encoding: None,
        payload_type: None,
        payload: Some(payload.as_bytes()),
        log_id_new: Some("20260302180000A0B120300405060001"),
    }
    .encode(headers.map(|(key, value)| Header { key, value }), &mut out);
    debug_assert_eq!(encoded, Ok(()), "a Vec has no bound");
    out
}

/// A text as it stands in a JSON string inside a JSON string.
fn inside(text: &str) -> String {
    escape(&escape(text))
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // The platform writes what lies outside the basic plane as is.
            other if other < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out
}

fn wrap(message_id: &str, said: &str) -> String {
    format!(
        concat!(
            r#"{{"schema":"2.0","header":{{"event_id":"5e3702a84e847582be8db7fb73283c02","#,
            r#""token":"{token}","create_time":"1772445600000","event_type":"im.message.receive_v1","#,
            r#""tenant_key":"736588c9260f175e","app_id":"{app}"}},"#,
            r#""event":{{"sender":{{"sender_id":{{"union_id":"on_8ed6aa67826108097d9ee143816345","#,
            r#""user_id":"e33ggbyz","open_id":"ou_7d8a6e6df7621556ce0d21922b676706"}},"#,
            r#""sender_type":"user","tenant_key":"736588c9260f175e"}},"#,
            r#""message":{{"message_id":"{id}","create_time":"1772445599876","#,
            r#""update_time":"1772445599876","chat_id":"oc_5ce6d572455d361153b7xb51da133945","#,
            r#""chat_type":"group","message_type":"text","content":"{{\"text\":\"{said}\"}}","#,
            r#""mentions":[{{"key":"@_user_1","id":{{"union_id":"on_b07b07b07b07b07b07b07b07b07b07","#,
            r#""user_id":"","open_id":"{bot}"}},"name":"小助手","tenant_key":"736588c9260f175e"}}]}}}}}}"#,
        ),
        token = TOKEN,
        app = APP_ID,
        id = message_id,
        bot = BOT_OPEN_ID,
        said = said,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_the_figures_say() {
        for size in Size::ALL {
            assert_eq!(size.payload().len(), size.payload_bytes(), "{size:?}");
        }
        assert_eq!(Size::Small.frame().len(), 1_461);
    }

    #[test]
    fn what_is_said_is_json_in_json() {
        for size in Size::ALL {
            let event: serde_json::Value = serde_json::from_str(&size.payload()).unwrap();
            let content = event["event"]["message"]["content"].as_str().unwrap();
            let content: serde_json::Value = serde_json::from_str(content).unwrap();
            let text = content["text"].as_str().unwrap();
            assert!(text.starts_with("@_user_1 "), "{text}");
            let escapes = text.matches(['\n', '"', '\t']).count();
            if size != Size::Small {
                assert!((11..=13).contains(&(size.payload_bytes() / escapes)));
            }
        }
    }
}
