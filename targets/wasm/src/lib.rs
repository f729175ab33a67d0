//! `proto-core` as a WebAssembly module: numbers go in and out, bytes by two
//! buffers.
//!
//! One instance of the module holds one connection machine. A call that takes
//! bytes finds them at the start of the input buffer, one after the other
//! ([`input`] makes room for them; a length of -1 means that there are none). A
//! call that gives bytes leaves them in the output buffer ([`output`],
//! [`output_len`]), where they stay until the next call. Times are milliseconds
//! as JavaScript counts them. There is no import, and no `unsafe` but for the
//! names of the exports.

mod frame;
mod inputs;
mod machine;
mod webhook;

use std::cell::RefCell;

use inputs::Inputs;
use machine::Machine;
use proto_core::{Identity, inspect_event_json};

/// What an instance of the module holds.
#[derive(Default)]
struct Module {
    input: Vec<u8>,
    output: Vec<u8>,
    machine: Option<Machine>,
}

#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
}

/// Makes room for so many bytes of input and says where. The place is good
/// until the next call of this function.
#[unsafe(no_mangle)]
pub extern "C" fn input(len: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        module.input.clear();
        module.input.resize(len, 0);
        module.input.as_mut_ptr()
    })
}

/// Where the output of the last call is.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}

/// How many bytes it has.
#[unsafe(no_mangle)]
pub extern "C" fn output_len() -> usize {
    MODULE.with_borrow(|module| module.output.len())
}

/// Reads an event: the output is what was understood, as one flat JSON object.
/// Input: the event, the app's id, the bot's open_id.
#[unsafe(no_mangle)]
pub extern "C" fn inspect_event(event: i32, app_id: i32, open_id: i32) {
    call(|mut inputs, _, output| {
        let event = inputs.bytes(event).unwrap_or_default();
        let identity = Identity {
            app_id: inputs.text(app_id).unwrap_or_default(),
            open_id: inputs.text(open_id).unwrap_or_default(),
        };
        output.extend_from_slice(inspect_event_json(event, identity).as_bytes());
    });
}

/// Everything that an exported function works with; the output is emptied.
fn call<T>(work: impl FnOnce(Inputs<'_>, &mut Option<Machine>, &mut Vec<u8>) -> T) -> T {
    MODULE.with_borrow_mut(|module| {
        module.output.clear();
        let inputs = Inputs::new(&module.input);
        work(inputs, &mut module.machine, &mut module.output)
    })
}
