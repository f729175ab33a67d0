//! The long connection's wire format: one proto2 `Frame` (package `pbbp2`) per
//! binary websocket message.
//!
//! Decoding borrows and never allocates; a frame's required fields are checked
//! for presence, which prost and Python's protobuf do not do. Unknown fields
//! are skipped. Encoding writes fields in ascending order and required fields
//! even when they are zero: decoders of the official Go, Java and Node clients
//! refuse frames without them.

mod ack;
mod decode;
mod encode;
mod reader;
mod usual;

pub(crate) use ack::AckTemplate;
pub use ack::Outcome;
pub use decode::{Frame, Header, Headers};
pub use encode::{FrameFields, encode_ping};
pub use reader::{DecodeError, DecodeErrorKind};

/// `Frame.method`: what a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// 0: ping and pong.
    Control,
    /// 1: events and card callbacks, and the acknowledgements of both.
    Data,
    /// Any other number, kept as it came. Official clients ignore such frames.
    Unknown(i32),
}

impl Method {
    /// The number on the wire.
    #[must_use]
    pub const fn to_i32(self) -> i32 {
        match self {
            Self::Control => 0,
            Self::Data => 1,
            Self::Unknown(other) => other,
        }
    }
}

impl From<i32> for Method {
    fn from(number: i32) -> Self {
        match number {
            0 => Self::Control,
            1 => Self::Data,
            other => Self::Unknown(other),
        }
    }
}

/// Names of the headers that carry meaning (see the constants of the official
/// Go client). All others are opaque and only ever echoed.
pub mod header {
    /// What the frame is: `ping`, `pong`, `event` or `card`.
    pub const TYPE: &str = "type";
    /// Id of one push; all parts of a split event share it. Not the id of a
    /// chat message.
    pub const MESSAGE_ID: &str = "message_id";
    /// Number of parts, decimal; absent means 1.
    pub const SUM: &str = "sum";
    /// Index of this part from 0, decimal; absent means 0.
    pub const SEQ: &str = "seq";
    /// Tracing id, worth logging.
    pub const TRACE_ID: &str = "trace_id";
    /// Added to an acknowledgement: how long the handler took, in ms.
    pub const BIZ_RT: &str = "biz_rt";
}

/// Field numbers of `Frame`.
mod field {
    pub(super) const SEQ_ID: u32 = 1;
    pub(super) const LOG_ID: u32 = 2;
    pub(super) const SERVICE: u32 = 3;
    pub(super) const METHOD: u32 = 4;
    pub(super) const HEADERS: u32 = 5;
    pub(super) const PAYLOAD_ENCODING: u32 = 6;
    pub(super) const PAYLOAD_TYPE: u32 = 7;
    pub(super) const PAYLOAD: u32 = 8;
    pub(super) const LOG_ID_NEW: u32 = 9;

    /// Field numbers of `Header`.
    pub(super) const HEADER_KEY: u32 = 1;
    pub(super) const HEADER_VALUE: u32 = 2;
}
