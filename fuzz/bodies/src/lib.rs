//! What the fuzz targets do: one function a target, from bytes to a panic when
//! a promise is broken.
//!
//! The libFuzzer programs in `fuzz_targets` call these in one line. Here they
//! also run on stable: `tests/replay.rs` feeds them every file of the corpora.

mod event;
mod frame;
mod webhook_body;

pub use event::event;
pub use frame::frame;
pub use webhook_body::webhook_body;

/// A target: its name, which is also its corpus's, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 3] = [
    ("event", event),
    ("frame", frame),
    ("webhook_body", webhook_body),
];
