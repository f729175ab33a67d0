//! The store under the real binary: looked after from outside, damaged, on bad disks.

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

mod bad_disk;
mod burst;
mod commands;
mod damage;
mod full;
mod run;
