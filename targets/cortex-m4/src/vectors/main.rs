//! The vectors on the chip: what x86-64 passes, a Cortex-M4 passes.
//!
//! A vector that fails panics with its name, and the emulator's exit status
//! says so.

#![no_std]
#![no_main]

mod expected;
mod frames;
mod session;

use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;
use panic_semihosting as _;
use proto_core_on_cortex_m4::StackUse;

#[entry]
fn main() -> ! {
    let (frames, acks) = frames::check();
    let steps = session::check();
    hprintln!("frames={} acks={} session={}", frames, acks, steps);
    let stack = StackUse::measure();
    assert!(
        stack.deepest < stack.available,
        "the stack ran into the statics"
    );
    exit(EXIT_SUCCESS);
    panic!("the emulator goes on");
}
