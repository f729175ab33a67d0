//! What the fuzz targets do: one function a target, from bytes to a panic when
//! a promise is broken.
//!
//! The libFuzzer programs in `fuzz_targets` call these in one line. Here they
//! also run on stable: `tests/replay.rs` feeds them every file of the corpora.

mod config;
mod connection;
mod event;
mod frame;
mod link;
mod markdown_split;
mod model_sse;
mod reassembly;
mod webhook_body;

pub use config::config;
pub use connection::connection;
pub use event::event;
pub use frame::frame;
pub use markdown_split::markdown_split;
pub use model_sse::model_sse;
pub use reassembly::reassembly;
pub use webhook_body::webhook_body;

/// A target: its name, which is also its corpus's, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("config", config),
    ("connection", connection),
    ("event", event),
    ("frame", frame),
    ("markdown_split", markdown_split),
    ("model_sse", model_sse),
    ("reassembly", reassembly),
    ("webhook_body", webhook_body),
];
