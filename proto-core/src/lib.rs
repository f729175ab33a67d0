//! Feishu and Lark protocols as a `no_std` sans-I/O state machine.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod buffer;
mod event;
mod json;
mod normalize;
mod time;
mod webhook;

pub use buffer::{Buffer, BufferFull};
pub use time::{Instant, UnixMillis};
