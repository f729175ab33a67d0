//! The real binary, killed: at random moments under load, and at every place
//! where a step is between done and recorded. One daemon with a file, and two on
//! a PostgreSQL server.
//!
//! What is acknowledged is answered, once, in order; whatever was killed, and
//! whenever. `XIAOO_KILLS=200` makes the random runs long, `XIAOO_SEED` repeats
//! one.

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

#[path = "../e2e/balancer.rs"]
mod balancer;

#[path = "../../../xiaoo-store/tests/conformance/postgres/server.rs"]
mod server;

mod crowd;
mod load;
mod old_rows;
mod places;
mod two;
