//! What the properties and the reference model share: the frame as prost sees
//! it, and the platform's words.

use proto_core::conn::{CloseReason, Connection, Epoch, Event, Memory, Output};
use proto_core::{Buffer, Frame, Header, Instant};

/// The frame as an independent codec sees it; required fields are always
/// written.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PlainFrame {
    #[prost(uint64, required, tag = "1")]
    pub(crate) seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    pub(crate) log_id: u64,
    #[prost(int32, required, tag = "3")]
    pub(crate) service: i32,
    #[prost(int32, required, tag = "4")]
    pub(crate) method: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) headers: Vec<PlainHeader>,
    #[prost(string, optional, tag = "6")]
    pub(crate) payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) payload_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    pub(crate) log_id_new: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PlainHeader {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

impl PlainFrame {
    /// A frame of the platform.
    pub(crate) fn new(method: i32, headers: &[(&str, &str)], payload: &[u8]) -> Self {
        Self {
            seq_id: u64::MAX - 3,
            log_id: 0,
            service: 33_554_678,
            method,
            headers: headers
                .iter()
                .map(|(key, value)| PlainHeader::new(key, value))
                .collect(),
            payload: Some(payload.to_vec()),
            log_id_new: Some("20260302".into()),
            ..Self::default()
        }
    }

    /// This frame as its acknowledgement.
    pub(crate) fn acknowledged(mut self, biz_rt_ms: u64, payload: &[u8]) -> Self {
        self.headers
            .push(PlainHeader::new("biz_rt", &biz_rt_ms.to_string()));
        self.payload = Some(payload.to_vec());
        self
    }
}

impl PlainHeader {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        let (key, value) = (key.into(), value.into());
        Self { key, value }
    }
}

impl From<&Frame<'_>> for PlainFrame {
    fn from(frame: &Frame<'_>) -> Self {
        Self {
            seq_id: frame.seq_id,
            log_id: frame.log_id,
            service: frame.service,
            method: frame.method.to_i32(),
            headers: frame
                .headers()
                .map(|Header { key, value }| PlainHeader::new(key, value))
                .collect(),
            payload_encoding: frame.payload_encoding.map(Into::into),
            payload_type: frame.payload_type.map(Into::into),
            payload: frame.payload.map(Into::into),
            log_id_new: frame.log_id_new().map(Into::into),
        }
    }
}

/// The answer to a call for an endpoint that names a URL of `service`, with
/// this JSON as `ClientConfig`.
pub(crate) fn grant(service: i32, client_config: &str) -> String {
    let url = url(service);
    format!(r#"{{"code":0,"msg":"","data":{{"URL":"{url}","ClientConfig":{client_config}}}}}"#)
}

/// The URL of that answer.
pub(crate) fn url(service: i32) -> String {
    format!("wss://msg-frontier.feishu.cn/ws/v2?fpid=493&service_id={service}&ticket=t")
}

/// An output, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Fetch(Epoch),
    Connect(Epoch, String),
    Send(Vec<u8>),
    Disconnect(Epoch, CloseReason),
    Event(Event),
}

/// Everything that a machine has to say, by way of a buffer that may be too
/// small for some of it.
pub(crate) fn drain<M: Memory>(
    machine: &mut Connection<M>,
    now: Instant,
    scratch: &mut impl Buffer,
) -> Vec<Said> {
    let mut said = Vec::new();
    // No step of any test has as much to say.
    const SAID_MAX: usize = 1000;
    while let Some(output) = machine.poll_output(now, scratch) {
        said.push(match output {
            Output::FetchEndpoint(epoch) => Said::Fetch(epoch),
            Output::Connect { epoch, url } => Said::Connect(epoch, url.into()),
            Output::Send(message) => Said::Send(message.into()),
            Output::Disconnect(epoch, reason) => Said::Disconnect(epoch, reason),
            Output::Event(event) => Said::Event(event),
        });
        assert!(said.len() < SAID_MAX, "the machine never comes to an end");
    }
    said
}
