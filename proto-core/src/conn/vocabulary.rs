//! What the machine says and is told: the words of its contract.

use core::fmt;

use super::{AckToken, DeliveryId, Discard};
use crate::DecodeError;
use crate::endpoint::{ClientConfig, Refusal};

/// Names one attempt to connect, so that news of an old socket can't disturb
/// the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub(super) u64);

impl Epoch {
    /// The running number of the attempt, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What the caller must do next. Draining these in order is the whole of a
/// driver's job.
#[derive(Debug)]
#[must_use]
pub enum Output<'a> {
    /// Ask for a connection URL; answer with [`Connection::handle_endpoint`](super::Connection::handle_endpoint).
    FetchEndpoint(Epoch),
    /// Dial this URL; answer with [`Connection::handle_open`](super::Connection::handle_open),
    /// [`Connection::handle_refused`](super::Connection::handle_refused) or [`Connection::handle_closed`](super::Connection::handle_closed). The URL
    /// holds credentials and must not be logged.
    Connect {
        /// The attempt.
        epoch: Epoch,
        /// A single-use `wss://` URL on an allowed host.
        url: &'a str,
    },
    /// Send these bytes as exactly one binary websocket message.
    Send(&'a [u8]),
    /// Give up the socket of this attempt, with a close frame if it is open.
    Disconnect(Epoch, CloseReason),
    /// Something happened that the application may want to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The link is open; events can come.
    LinkUp(Epoch),
    /// The link or the attempt is over.
    LinkDown(Epoch, CloseReason),
    /// The platform refused the connection.
    Refused(Refusal),
    /// The platform refused for good: nothing is tried any more.
    Fatal(Refusal),
    /// The server changed its intervals.
    Reconfigured(ClientConfig),
    /// A delivery was not acknowledged in time; it was refused and Feishu will
    /// push it again.
    AckOverdue(DeliveryId),
    /// Parts of an event were dropped without acknowledgement.
    Discarded(Discard),
    /// A message was not a frame; the link stays up.
    BadFrame(DecodeError),
}

/// Why a link or an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The endpoint or the handshake took longer than
    /// [`Config::connect_timeout`](crate::Config).
    ConnectTimeout,
    /// The network failed before the link was open.
    ConnectFailed,
    /// The platform refused.
    Refused,
    /// The platform closed the link, with its close code if it sent one.
    Peer(Option<u16>),
    /// The network failed.
    Transport,
    /// Nothing came in after a ping: the link was deaf.
    PongTimeout,
    /// [`Connection::close`](super::Connection::close) was called.
    Shutdown,
}

/// Which timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next attempt to connect.
    Reconnect,
    /// An attempt has taken too long.
    Connect,
    /// The link has stood long enough for the outage to be over.
    Stable,
    /// A ping is due.
    Ping,
    /// The answer to a ping is missing.
    Pong,
    /// A delivery was not acknowledged in time.
    Ack,
    /// A split event is still incomplete.
    Reassembly,
}

/// Where the machine stands, for health pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// Between two attempts.
    Waiting,
    /// Asking for a URL, or dialling.
    Connecting,
    /// Open.
    Open,
    /// Refused for good.
    Fatal,
    /// Closed by us.
    Closed,
}

/// One complete event or callback, to be made durable and then acknowledged.
pub struct Delivery<'a> {
    /// Redeem it with [`Connection::acknowledge`](super::Connection::acknowledge).
    pub token: AckToken,
    /// The `type` header: `event`, or `card` for old-style callbacks.
    pub kind: &'a str,
    /// The event's JSON, byte for byte the webhook's inner event; compressed
    /// if [`Self::encoding`] says so.
    pub payload: &'a [u8],
    /// How the payload is packed.
    pub encoding: Encoding,
    /// The push's `message_id` header; not a chat message's id.
    pub push_id: &'a str,
    /// The `trace_id` header.
    pub trace_id: &'a str,
    /// How many parts the event came in.
    pub parts: u32,
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.token.id())
            .field("kind", &self.kind)
            .field("payload_bytes", &self.payload.len())
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

/// `payload_encoding` of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// gzip; the caller inflates it, with a bound on the output.
    Gzip,
}

/// An acknowledgement that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The caller's buffer is full; the token is void.
    #[error("the output buffer has no room for the acknowledgement")]
    BufferFull,
    /// No link is open. Feishu will push the event again.
    #[error("no link is open to carry the acknowledgement")]
    LinkDown,
    /// The delivery was refused before, at its deadline.
    #[error("the acknowledgement came after its deadline")]
    TooLate,
}

/// Counters since the machine was made; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Attempts to connect.
    pub attempts: u64,
    /// Links that opened.
    pub opened: u64,
    /// Binary messages received.
    pub messages: u64,
    /// Messages that are not frames.
    pub bad_frames: u64,
    /// Frames with a method or type that nobody knows, and text messages.
    pub ignored: u64,
    /// Pings sent.
    pub pings: u64,
    /// Pongs received.
    pub pongs: u64,
    /// Deliveries handed up.
    pub delivered: u64,
    /// Deliveries acknowledged by the application, with 200 or 500.
    pub acknowledged: u64,
    /// Deliveries refused at their deadline.
    pub overdue: u64,
    /// Deliveries whose acknowledgement found no link.
    pub link_lost: u64,
    /// Events refused because the memory given was full.
    pub shed: u64,
    /// Sets of parts dropped.
    pub discarded: u64,
    /// Parts that came twice.
    pub doubles: u64,
}
