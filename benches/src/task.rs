//! The jobs, as what comes out of them. Everybody who is measured gives these
//! results, and they are compared before anything is timed.

/// What a driver takes out of an event frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picked<'a> {
    /// `SeqID`
    pub seq_id: u64,
    /// `LogID`
    pub log_id: u64,
    /// `service`
    pub service: i32,
    /// `method`
    pub method: i32,
    /// Header `type`.
    pub kind: &'a str,
    /// Header `message_id`.
    pub push_id: &'a str,
    /// Header `trace_id`.
    pub trace_id: &'a str,
    /// Header `sum`.
    pub sum: u32,
    /// Header `seq`.
    pub seq: u32,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Picked<'a> {
    /// Takes one header in, as all peers that have them as pairs do.
    #[inline]
    pub fn header(&mut self, key: &str, value: &'a str) {
        match key {
            "type" => self.kind = value,
            "message_id" => self.push_id = value,
            "trace_id" => self.trace_id = value,
            "sum" => self.sum = value.parse().unwrap_or(1),
            "seq" => self.seq = value.parse().unwrap_or(0),
            _ => {}
        }
    }
}

/// What a bot needs of a message event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normal<'a> {
    /// `header.event_id`
    pub event_id: &'a str,
    /// `header.event_type`
    pub event_type: &'a str,
    /// `header.token`
    pub token: &'a str,
    /// `header.app_id`
    pub app_id: &'a str,
    /// `header.tenant_key`
    pub tenant_key: &'a str,
    /// `event.message.message_id`
    pub message_id: &'a str,
    /// `event.message.create_time`
    pub create_time_ms: i64,
    /// `event.message.chat_id`
    pub chat_id: &'a str,
    /// `event.message.chat_type`
    pub chat_type: &'a str,
    /// `event.message.message_type`
    pub message_type: &'a str,
    /// `event.sender.sender_id.open_id`
    pub sender_open_id: &'a str,
    /// `event.sender.sender_type`
    pub sender_type: &'a str,
    /// Whether the bot is mentioned.
    pub mentions_bot: bool,
    /// What is said: unescaped twice, placeholders replaced by names, the
    /// bot's own mention left out, blanks around it too.
    pub text: &'a str,
}

/// The payload of every acknowledgement here.
pub const ACK_PAYLOAD: &[u8] = br#"{"code":200}"#;
