//! From a person's message to the answer: the real binary, a local Feishu on
//! the other side of real sockets, and a scripted model.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking, and its harness has no users outside"
)]

mod bounds;
mod conversations;
mod faults;
mod harness;
mod life;
mod recovery;
