//! Turns against the scripted server.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test that can't go on fails the test"
)]

mod approvals;
mod basics;
#[path = "../common/mod.rs"]
mod common;
mod compaction;
mod fallback;
mod harness;
mod outputs;
mod pictures;
mod resume;
mod skills;
mod stop;
