//! What a user pays, measured. See the README of this folder.
//!
//! Here are the inputs, the jobs and our side of each; the peers are in the
//! workspace `peers`, which needs a protobuf compiler and a C compiler.

pub mod callgrind;
pub mod inputs;
pub mod ours;
pub mod programs;
pub mod sealed;
pub mod task;
