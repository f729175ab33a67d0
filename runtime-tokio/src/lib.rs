//! Sockets, HTTP and clocks for `proto-core` on tokio.

mod clock;
pub mod http;
mod ingress;
pub mod link;
pub mod openapi;
pub mod server;
pub mod webhook;
mod written;

pub use clock::WallClock;
pub use ingress::{InboundEvent, Ingress, Transport, Verdict};
