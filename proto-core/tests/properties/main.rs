//! What holds for every input, checked on random ones.
//!
//! `PROPTEST_CASES` says how many; a failure prints the smallest input that
//! shows it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod acks;
mod backoff;
mod contract;
mod frame;
mod parts;
mod pings;
mod rig;
mod wire;

use proptest::test_runner::Config;

/// Nothing is written beside the test: the printed input is what to keep, as a
/// test of its own.
fn cases() -> Config {
    Config {
        failure_persistence: None,
        ..Config::default()
    }
}
