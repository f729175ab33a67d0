//! Feishu and Lark protocols as a `no_std` sans-I/O state machine.
//!
//! The core decodes frames, joins parts, runs the long connection (endpoint,
//! ping, pong deadline, backoff, acknowledgements), checks webhooks and reads
//! events. It opens no socket, reads no clock, spawns nothing and draws no
//! randomness beyond the seed it is given: bytes and time go in, bytes and
//! events come out. Nothing on the way from a frame to its message and its
//! acknowledgement allocates.
//!
//! # A run loop
//!
//! Everything that a driver does, on whatever runtime; `Wire` stands for its
//! socket and its HTTP client.
//!
//! ```
//! use proto_core::conn::{AckError, Connection, Epoch, HeapMemory, Outcome, Output};
//! use proto_core::{Config, EndpointReply, Instant};
//!
//! trait Wire {
//!     fn now(&self) -> Instant;
//!     fn ask_for_endpoint(&mut self) -> (u16, Vec<u8>);
//!     fn dial(&mut self, url: &str) -> bool;
//!     fn send(&mut self, message: &[u8]);
//!     /// The next message, or `None` when the deadline has passed first.
//!     fn receive(&mut self, deadline: Option<Instant>) -> Option<Vec<u8>>;
//!     fn hang_up(&mut self);
//! }
//!
//! fn run(wire: &mut impl Wire, seed: u64, mut keep: impl FnMut(&[u8]) -> bool) {
//!     let memory = HeapMemory::default();
//!     let mut machine = Connection::new(wire.now(), Config::default(), seed, memory);
//!     let (mut scratch, mut epoch) = (Vec::new(), Epoch::default());
//!     while machine.poll_timeout().is_some() {
//!         machine.handle_timeout(wire.now());
//!         // Drain after every input, then read the next deadline.
//!         let (mut fetch, mut dialed) = (false, None);
//!         while let Some(output) = machine.poll_output(wire.now(), &mut scratch) {
//!             match output {
//!                 Output::FetchEndpoint(attempt) => (epoch, fetch) = (attempt, true),
//!                 Output::Connect { url, .. } => dialed = Some(wire.dial(url)),
//!                 Output::Send(message) => wire.send(message),
//!                 Output::Disconnect(..) => wire.hang_up(),
//!                 Output::Event(event) => println!("{event:?}"),
//!             }
//!         }
//!         if fetch {
//!             let (status, body) = wire.ask_for_endpoint();
//!             let reply = EndpointReply::Http { status, body: &body };
//!             machine.handle_endpoint(wire.now(), epoch, reply);
//!         } else if dialed == Some(true) {
//!             machine.handle_open(wire.now(), epoch);
//!         } else {
//!             let deadline = machine.poll_timeout().map(|(due, _)| due);
//!             let Some(message) = wire.receive(deadline) else { continue };
//!             let now = wire.now();
//!             let Some(delivery) = machine.handle_message(now, epoch, &message) else { continue };
//!             // Make it durable first, then acknowledge.
//!             let outcome = if keep(delivery.payload) { Outcome::Done } else { Outcome::Failed };
//!             let (token, mut ack) = (delivery.token, Vec::new());
//!             match machine.acknowledge(wire.now(), token, outcome, &mut ack) {
//!                 Ok(()) => wire.send(&ack),
//!                 Err(AckError::TooLate | AckError::LinkDown) => {} // Feishu pushes it again.
//!                 Err(AckError::BufferFull) => unreachable!("a Vec has no bound"),
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The contract of the poll API is in [`conn`].
//!
//! # What an event says
//!
//! A payload becomes an [`Event`], and a message event a [`Message`]: borrowed,
//! without an allocator. What the message says is written into the caller's
//! buffers.
//!
//! ```
//! use proto_core::{Event, EventKind, Identity};
//!
//! let payload = br#"{"schema":"2.0","header":{"event_type":"im.message.receive_v1"},
//!     "event":{"message":{"message_id":"om_1","chat_type":"p2p","message_type":"text",
//!     "content":"{\"text\":\"@_user_1 what is 17 * 23?\"}","mentions":[
//!     {"key":"@_user_1","id":{"open_id":"ou_bot"},"name":"bot"}]}}}"#;
//! let event = Event::parse(payload)?;
//! if let EventKind::Message(message) = event.kind {
//!     let mut scratch = heapless::String::<1024>::new();
//!     let mut text = heapless::String::<1024>::new();
//!     let bot = Identity { open_id: "ou_bot", app_id: "cli_1" };
//!     let normalized = message.normalize(bot, &mut scratch, &mut text, &mut |_| {})?;
//!     assert!(normalized.addressed && normalized.mentions_bot);
//!     assert_eq!(text, "what is 17 * 23?");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Facts of the wire
//!
//! There is no public specification; the official clients are it. In brackets
//! is where a fact was read (`go`: `larksuite/oapi-sdk-go`, package `ws`; `py`:
//! `lark-oapi` 1.7.5; `node`: `@larksuiteoapi/node-sdk` 1.74; `java`:
//! `larksuite/oapi-sdk-java`), or `seen` where that client was run against a
//! server on loopback.
//!
//! - `POST {domain}/callback/ws/endpoint` with `AppID` and `AppSecret` answers a
//!   `wss` URL that is dialled once, and the server's intervals (all). Which of
//!   its refusals are final: [`Refusal`], [`HandshakeRefusal`].
//! - Each binary message is one proto2 `Frame`. Required fields are on the wire
//!   even when they are zero; decoders of go, java and node refuse frames
//!   without them (seen). prost and protobuf for Python do not check.
//! - The client pings at once and then every `PingInterval` seconds (120 until
//!   the server speaks); a pong may carry new intervals (all). No client notices
//!   by default when pongs stay away.
//! - An event is acknowledged by its own frame, all headers kept, `biz_rt`
//!   added, the payload replaced; code 200 is done, anything else is pushed
//!   again, and so is what is not acknowledged in 3 s (all; the platform's
//!   pages).
//! - A large event comes in `sum` parts that share a `message_id`, `seq` from 0
//!   (all); an absent `sum` means one. Parts may come in any order.
//! - A card callback's answer goes back in base64 in the acknowledgement (py,
//!   node, seen).
//! - After an outage a client waits a random time below `ReconnectNonce`
//!   seconds, then `ReconnectInterval` between attempts, `ReconnectCount` times,
//!   for ever if that is negative (all).
//! - Of doubled headers go, py and java read the first, node the last.
//!   This crate reads the first.
//!
//! # Three clocks
//!
//! [`Instant`] is the caller's monotonic clock and drives every timer.
//! [`UnixMillis`] is the host's wall clock and judges the freshness of signed
//! requests. Times stated by the peer are data and order nothing. They never
//! mix.
//!
//! # Limits
//!
//! What a peer can make the core hold is bounded by [`Limits`] and by the
//! memory that the caller gives ([`conn::Memory`]): fixed arrays without an
//! allocator, boxed slices with the `alloc` feature. What does not fit is
//! refused or dropped with an event, so that Feishu pushes it again. Every
//! limit, interval and wait stands with its unit, default and reason at
//! [`Limits`] and [`Config`].
//!
//! # Features
//!
//! `serde` adds the endpoint's answer ([`StatedConfig`] and what is around it) as
//! types for serde, read and written by `serde-json-core`: the machine itself
//! reads them with the scanner that reads events.
//!
//! `small` leaves out what is there for speed alone: frames, names of members and
//! texts are then read in the general way at once. It is for what is downloaded;
//! answers are the same. Texts then need the scratch buffer of
//! [`Message::normalize`] as well, which a chip may not have.
//!
//! `alloc` adds `conn::HeapMemory`, `Vec` as a [`Buffer`], `String` as a
//! [`TextBuffer`] and owned messages (`InboundMessage`); `std` only implies it.
//! Neither changes what the rest does.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// Whether there is more than one way: the usual shape of things is tried
/// before the general way, and whatever else is there for speed alone.
const GUESS: bool = cfg!(not(feature = "small"));

mod buffer;
mod config;
pub mod conn;
mod decimal;
mod endpoint;
mod event;
mod json;
mod normalize;
mod time;
mod webhook;
pub mod wire;

pub use buffer::{Buffer, BufferFull, TextBuffer};
pub use config::{Config, HOST_BYTES_MAX, HostPolicy, Limits};
pub use endpoint::{
    ClientConfig, EndpointReply, HandshakeRefusal, Refusal, StatedConfig, URL_BYTES_MAX,
};
#[cfg(feature = "serde")]
pub use endpoint::{EndpointAnswer, EndpointData};
pub use event::{Event, EventError, EventKind, Mention, Message};
pub use json::{Json, JsonError, JsonErrorKind, JsonStr};
pub use normalize::{Identity, Normalized, Resource, ResourceKind};
#[cfg(feature = "alloc")]
pub use normalize::{
    InboundMention, InboundMessage, InboundResource, inspect_event_json, time_in_china,
};
pub use time::{Instant, UnixMillis};
pub use webhook::{
    AGE_MAX, AHEAD_MAX, Challenge, Rejection, SECRET_BYTES_MAX, SecretTooLong, SignatureHeaders,
    Undecryptable, Verdict, Verified, Verifier, decrypt,
};
pub use wire::{DecodeError, DecodeErrorKind, Frame, FrameFields, Header, Headers, Method};
