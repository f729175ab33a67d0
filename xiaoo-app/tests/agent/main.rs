//! The agent behind the bot, on the real binary: commands, questions, files, skills, the group,
//! and who may have what.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; its harness is shared with others, and has no users outside"
)]

#[path = "../e2e/harness.rs"]
mod harness;

mod seen;

mod approvals;
mod budgets;
mod commands;
mod files;
mod group;
mod injection;
mod long;
mod peer;
mod policy;
mod review;
mod several;
mod skills;
mod talk;
mod tools;
