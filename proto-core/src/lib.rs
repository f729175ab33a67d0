//! Feishu and Lark protocols as a `no_std` sans-I/O state machine.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod buffer;
mod config;
pub mod conn;
mod endpoint;
mod event;
mod json;
#[cfg(feature = "alloc")]
mod normalize;
mod time;
mod webhook;
pub mod wire;

pub use buffer::{Buffer, BufferFull};
pub use config::{Config, HOST_BYTES_MAX, HostPolicy, Limits};
pub use endpoint::{ClientConfig, EndpointReply, HandshakeRefusal, Refusal, URL_BYTES_MAX};
pub use event::{Event, EventError, EventKind};
pub use json::{Json, JsonError, JsonErrorKind, JsonStr};
#[cfg(feature = "alloc")]
pub use normalize::{
    Identity, InboundMessage, Mention, Resource, ResourceKind, inspect_event_json,
};
pub use time::{Instant, UnixMillis};
pub use webhook::{
    AGE_MAX, AHEAD_MAX, Challenge, Rejection, SECRET_BYTES_MAX, SecretTooLong, SignatureHeaders,
    Undecryptable, Verdict, Verified, Verifier, decrypt,
};
pub use wire::{DecodeError, DecodeErrorKind, Frame, FrameFields, Header, Headers, Method};
