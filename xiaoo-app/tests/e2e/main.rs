//! From a person's message to the answer: the real binary, a local Feishu on
//! the other side of real sockets, and a scripted model.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; its harness is shared with others, and has no users outside"
)]

mod balancer;
mod bounds;
mod company;
mod conversations;
mod dashboard;
mod faults;
mod front;
mod harness;
mod life;
mod metrics;
mod no_server;
mod recovery;
mod scrape;
mod secrets;
mod several;
mod systemd;

#[path = "../../../xiaoo-store/tests/conformance/postgres/server.rs"]
mod server;
