//! Bytes on their way between Rust and C.

use core::slice;

/// Some bytes. Not terminated by a zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first one; may be null if there are none.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    pub(crate) const EMPTY: Self = Self::lend(&[]);

    /// What C gets to read. Nothing keeps it alive: the function that gives it
    /// out says for how long it is good.
    pub(crate) const fn lend(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// What C gave us to read.
    ///
    /// # Safety
    /// If `len` is not 0, `data` points to `len` bytes that are initialised and
    /// that nobody writes or frees during `'a`.
    pub(crate) const unsafe fn borrow<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: `data` is not null and by this function's contract points to
        // `len` readable bytes, unchanged during `'a`. Bytes have no alignment,
        // and C has no object of more than `isize::MAX` bytes.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}
