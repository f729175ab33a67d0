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
//! use proto_core::conn::{AckError, CloseReason, Connection, Epoch, HeapMemory, Outcome, Output};
//! use proto_core::{Config, EndpointReply, HandshakeRefusal, Instant};
//!
//! trait Wire {
//!     fn now(&self) -> Instant;
//!     /// The status and the body of the answer, if there is one. Gives up by
//!     /// itself, as `dial` does: both wait for no timer.
//!     fn ask_for_endpoint(&mut self) -> Option<(u16, Vec<u8>)>;
//!     fn dial(&mut self, url: &str) -> Dialed;
//!     /// What goes wrong here is seen by `receive`.
//!     fn send(&mut self, message: &[u8]);
//!     /// Without a socket it waits for the deadline.
//!     fn receive(&mut self, deadline: Instant) -> Received;
//!     fn hang_up(&mut self);
//! }
//!
//! enum Dialed {
//!     Opened,
//!     /// The answer was not 101.
//!     Refused(HandshakeRefusal),
//!     Failed,
//! }
//!
//! enum Received {
//!     Message(Vec<u8>),
//!     /// Text, or the websocket's own ping or pong.
//!     Other { is_text: bool },
//!     /// There is no socket any more.
//!     Closed(CloseReason),
//!     /// It passed, and nothing came.
//!     Deadline,
//! }
//!
//! fn run(wire: &mut impl Wire, seed: u64, mut keep: impl FnMut(&[u8]) -> bool) {
//!     let memory = HeapMemory::default();
//!     let mut machine = Connection::new(wire.now(), Config::default(), seed, memory);
//!     let (mut scratch, mut epoch) = (Vec::new(), Epoch::default());
//!     loop {
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
//!         // Without one the platform has refused for good.
//!         let Some((deadline, _)) = machine.poll_timeout() else { return };
//!         if fetch {
//!             let answer = wire.ask_for_endpoint();
//!             let reply = match &answer {
//!                 Some((status, body)) => EndpointReply::Http { status: *status, body },
//!                 None => EndpointReply::Failed,
//!             };
//!             machine.handle_endpoint(wire.now(), epoch, reply);
//!         } else if let Some(dialed) = dialed {
//!             let (now, failed) = (wire.now(), CloseReason::ConnectFailed);
//!             match dialed {
//!                 Dialed::Opened => machine.handle_open(now, epoch),
//!                 Dialed::Refused(refusal) => machine.handle_refused(now, epoch, refusal),
//!                 Dialed::Failed => machine.handle_closed(now, epoch, failed),
//!             }
//!         } else if deadline <= wire.now() {
//!             // Timers before input: messages without an end must not delay a ping.
//!             machine.handle_timeout(wire.now());
//!         } else {
//!             let received = wire.receive(deadline);
//!             let now = wire.now();
//!             let message = match received {
//!                 Received::Message(message) => message,
//!                 Received::Other { is_text } => {
//!                     machine.handle_other_message(epoch, is_text);
//!                     continue;
//!                 }
//!                 Received::Closed(reason) => {
//!                     machine.handle_closed(now, epoch, reason);
//!                     continue;
//!                 }
//!                 Received::Deadline => continue,
//!             };
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
//! #
//! # // A dial that fails, a link that is closed, and the final refusal: each is known at
//! # // once, not when its timer is due.
//! # struct Script { now: u64, is_open: bool, dials: Vec<Dialed>, received: Vec<Received> }
//! #
//! # impl Wire for Script {
//! #     fn now(&self) -> Instant { Instant::from_millis(self.now) }
//! #     fn ask_for_endpoint(&mut self) -> Option<(u16, Vec<u8>)> {
//! #         let body = br#"{"code":0,"data":{"URL":"wss://gw.feishu.cn/?service_id=1"}}"#;
//! #         Some((200, body.to_vec()))
//! #     }
//! #     fn dial(&mut self, _: &str) -> Dialed {
//! #         let dialed = self.dials.remove(0);
//! #         self.is_open = matches!(dialed, Dialed::Opened);
//! #         dialed
//! #     }
//! #     fn send(&mut self, _: &[u8]) { assert!(self.is_open) }
//! #     fn receive(&mut self, deadline: Instant) -> Received {
//! #         if self.is_open {
//! #             let received = self.received.remove(0);
//! #             self.is_open = !matches!(received, Received::Closed(_));
//! #             return received;
//! #         }
//! #         self.now = deadline.as_millis();
//! #         Received::Deadline
//! #     }
//! #     fn hang_up(&mut self) { unreachable!("nothing was silent for long") }
//! # }
//! #
//! # let mut event = Vec::new();
//! # let header = proto_core::Header { key: "type", value: "event" };
//! # proto_core::FrameFields {
//! #     seq_id: 1, log_id: 2, service: 1, method: proto_core::Method::Data,
//! #     payload_encoding: None, payload_type: None, payload: Some(b"{}"), log_id_new: None,
//! # }.encode([header], &mut event).unwrap();
//! # let refusal = HandshakeRefusal { http_status: 400, status: Some(403), auth_error: None };
//! # let mut script = Script {
//! #     now: 0,
//! #     is_open: false,
//! #     dials: vec![Dialed::Failed, Dialed::Opened, Dialed::Refused(refusal)],
//! #     received: vec![
//! #         Received::Other { is_text: true },
//! #         Received::Message(event),
//! #         Received::Closed(CloseReason::Peer(Some(1000))),
//! #     ],
//! # };
//! # let mut kept = 0;
//! # run(&mut script, 7, |payload| { kept += 1; payload == b"{}" });
//! # assert_eq!((kept, script.dials.len(), script.received.len()), (1, 0, 0));
//! # assert!(script.now < 10_000, "{} ms", script.now);
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
