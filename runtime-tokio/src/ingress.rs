//! What both transports hand up, and what they need back before they may
//! acknowledge to Feishu.

use core::future::Future;
use core::time::Duration;

use bytes::Bytes;
use proto_core::{Event, EventError};
use tokio::time::Instant;

/// One authenticated event or callback, as Feishu pushed it: borrowed, for an
/// application keeps what it wants of it.
#[derive(Clone, Copy, Debug)]
pub struct InboundEvent<'a> {
    /// The event's JSON: a webhook body after decryption, or the joined
    /// payload of a long-connection event.
    pub payload: &'a [u8],
    /// The same, read; or why it is no event that anyone knows.
    pub event: Result<&'a Event<'a>, EventError>,
    /// How it came in.
    pub transport: Transport,
    /// When its last byte was read; Feishu's three seconds started before.
    pub received: Instant,
}

/// How an event reached this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Feishu's persistent websocket connection.
    LongConnection,
    /// An HTTP push to the event route.
    Webhook,
}

/// What to tell Feishu about one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable (or known, or unwanted): acknowledge with success.
    Accepted,
    /// Acknowledge with success and hand back this JSON document, as card
    /// callbacks need.
    Answer(Bytes),
    /// It could not be made durable: refuse, so that Feishu pushes it again.
    Refused,
}

/// The application's side of both transports.
pub trait Ingress: Send + Sync + 'static {
    /// Takes one event. Resolves once the event is durable or refused, which
    /// the implementation must bound well inside Feishu's three seconds.
    fn accept(&self, event: InboundEvent<'_>) -> impl Future<Output = Verdict> + Send;

    /// Hears that an event was acknowledged: the frame has been flushed, the response
    /// written, so long after it was received. From here on Feishu does not push it again.
    fn acknowledged(&self, after: Duration) {
        let _ = after;
    }
}
