//! `xiaoo-app doctor` against layers that are broken on purpose: each named, and nothing named
//! where all is well.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking and says what it saw; the harness is shared"
)]

#[path = "../e2e/harness.rs"]
mod harness;

mod certificates;
mod coverage;
mod doctor;
mod front;
mod languages;
mod machine;
mod nginx;
mod reload;
mod routes;
mod several;
mod silence;
mod store;
mod subscription;
mod webhook;
mod websocket;

#[path = "../../../xiaoo-store/tests/conformance/postgres/server.rs"]
mod server;
