//! A buffer that keeps nothing: it holds what is written against what should be.

use proto_core::{Buffer, BufferFull};

/// Takes exactly the bytes that are expected.
pub(crate) struct Expected<'a> {
    whole: &'a [u8],
    written: usize,
}

impl<'a> Expected<'a> {
    pub(crate) const fn new(whole: &'a [u8]) -> Self {
        Self { whole, written: 0 }
    }

    /// Whether all has been written.
    pub(crate) const fn is_whole(&self) -> bool {
        self.written == self.whole.len()
    }
}

impl Buffer for Expected<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        if !self.whole[self.written..].starts_with(bytes) {
            return Err(BufferFull);
        }
        self.written += bytes.len();
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.written = self.written.min(len);
    }

    fn as_bytes(&self) -> &[u8] {
        &self.whole[..self.written]
    }
}
