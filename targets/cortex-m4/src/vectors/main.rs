//! The vectors on the chip: what x86-64 passes, a Cortex-M4 passes.
//!
//! A vector that fails panics with its name, and the emulator's exit status
//! says so.

#![no_std]
#![no_main]

mod events;
mod expected;
mod frames;
mod session;
mod webhooks;

use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;
use panic_semihosting as _;
use proto_core_on_cortex_m4::StackUse;

#[entry]
fn main() -> ! {
    // Each owned by this function alone: cortex-m-rt hands out the one reference.
    static mut REQUEST: webhooks::Text = webhooks::Text::new();
    static mut TEXT: events::Text = events::Text::new();
    static mut CONTENT: events::Content = events::Content::new();
    let (frames, acks) = frames::check();
    let requests = webhooks::check(REQUEST);
    let (events, facts) = events::check(TEXT, CONTENT);
    let steps = session::check();
    let counts = format_args!(
        "frames={frames} acks={acks} events={events} facts={facts} requests={requests} steps={steps}"
    );
    hprintln!("{}", counts);
    let stack = StackUse::measure();
    assert!(
        stack.deepest < stack.available,
        "the stack ran into the statics"
    );
    exit(EXIT_SUCCESS);
    panic!("the emulator goes on");
}
