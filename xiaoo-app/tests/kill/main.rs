//! The real binary, killed: at random moments under load, and at every place
//! where a step is between done and recorded.
//!
//! What is acknowledged is answered, once, in order; whatever was killed, and
//! whenever. `XIAOO_KILLS=200` makes the random run long, `XIAOO_SEED` repeats
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

mod crowd;
mod load;
mod old_rows;
mod places;
