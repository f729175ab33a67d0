//! Sockets, HTTP and clocks for `proto-core` on tokio.

pub mod http;
mod ingress;
pub mod link;
pub mod openapi;
pub mod server;
pub mod webhook;

pub use ingress::{InboundEvent, Ingress, Transport, Verdict};
