//! Skills: the format, the directories, what a model and a person get of them, the audit.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod audit;
mod call;
mod format;
mod registry;
mod shapes;
mod yard;
