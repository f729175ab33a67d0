//! What both images need: how deep the stack went.
//!
//! At reset, cortex-m-rt fills all memory between the statics and the top of
//! the stack with one value. What no longer holds it has been used.

#![no_std]

/// What the stack has used since the reset, and what it could use.
#[derive(Clone, Copy, Debug)]
pub struct StackUse {
    /// Bytes from the top of the stack to the deepest one written.
    pub deepest: usize,
    /// Bytes from the top of the stack to the statics.
    pub available: usize,
}

impl StackUse {
    /// Looks for the deepest word written so far.
    #[must_use]
    #[expect(unsafe_code, reason = "the linker alone knows where the stack lies")]
    pub fn measure() -> Self {
        unsafe extern "C" {
            static __sheap: u32;
            static _stack_start: u32;
        }
        let (bottom, top) = (&raw const __sheap, &raw const _stack_start);
        let mut word = bottom;
        // SAFETY: all between the statics and the top of the stack is RAM, and
        // nobody else runs. Volatile: the words are no objects of the program.
        while word < top && unsafe { word.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
            word = word.wrapping_add(1);
        }
        Self {
            deepest: top as usize - word as usize,
            available: top as usize - bottom as usize,
        }
    }
}
