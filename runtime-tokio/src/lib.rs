//! Sockets, HTTP and clocks for `proto-core` on tokio.

mod clock;
mod histogram;
pub mod http;
mod ingress;
pub mod link;
pub mod openapi;
pub mod server;
pub mod webhook;
mod written;

pub use clock::WallClock;
pub use histogram::{BUCKETS_MAX, Histogram, HistogramSnapshot};
pub use ingress::{InboundEvent, Ingress, Transport, Verdict};
