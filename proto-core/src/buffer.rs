//! Where the core writes: caller-owned byte buffers with a bound.

/// A bounded byte buffer that the core appends to.
///
/// Implemented for [`heapless::Vec<u8, N>`] and, with the `alloc` feature, for
/// `alloc::vec::Vec<u8>`, which has no bound of its own.
pub trait Buffer {
    /// Appends `bytes` whole, or nothing.
    ///
    /// # Errors
    /// [`BufferFull`] when they do not fit; the buffer is unchanged.
    fn append(&mut self, bytes: &[u8]) -> Result<(), BufferFull>;

    /// Shortens the buffer to `len` bytes; longer lengths do nothing.
    fn truncate(&mut self, len: usize);

    /// What has been written so far.
    fn as_bytes(&self) -> &[u8];
}

/// A bounded text that the core appends to: a [`Buffer`] that holds UTF-8.
///
/// Implemented for [`heapless::String<N>`] and, with the `alloc` feature, for
/// `alloc::string::String`, which has no bound of its own.
pub trait TextBuffer {
    /// Appends `text` whole, or nothing.
    ///
    /// # Errors
    /// [`BufferFull`] when it does not fit; the buffer is unchanged.
    fn push_str(&mut self, text: &str) -> Result<(), BufferFull>;

    /// Appends one character, or nothing.
    ///
    /// # Errors
    /// [`BufferFull`] when it does not fit; the buffer is unchanged.
    fn push(&mut self, character: char) -> Result<(), BufferFull> {
        self.push_str(character.encode_utf8(&mut [0; 4]))
    }

    /// Shortens the text to `len` bytes; a longer length, or one inside a
    /// character, does nothing.
    fn truncate(&mut self, len: usize);

    /// What has been written so far.
    fn as_str(&self) -> &str;
}

/// The caller's buffer has no room for what the core must write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output buffer is full")]
pub struct BufferFull;

impl<const N: usize> Buffer for heapless::Vec<u8, N> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        self.extend_from_slice(bytes).map_err(|_| BufferFull)
    }

    fn truncate(&mut self, len: usize) {
        Self::truncate(self, len);
    }

    fn as_bytes(&self) -> &[u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl Buffer for alloc::vec::Vec<u8> {
    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        Self::truncate(self, len);
    }

    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> TextBuffer for heapless::String<N> {
    fn push_str(&mut self, text: &str) -> Result<(), BufferFull> {
        Self::push_str(self, text).map_err(|_| BufferFull)
    }

    fn truncate(&mut self, len: usize) {
        if self.get(..len).is_some() {
            Self::truncate(self, len);
        }
    }

    fn as_str(&self) -> &str {
        self
    }
}

#[cfg(feature = "alloc")]
impl TextBuffer for alloc::string::String {
    fn push_str(&mut self, text: &str) -> Result<(), BufferFull> {
        Self::push_str(self, text);
        Ok(())
    }

    fn push(&mut self, character: char) -> Result<(), BufferFull> {
        Self::push(self, character);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        if self.get(..len).is_some() {
            Self::truncate(self, len);
        }
    }

    fn as_str(&self) -> &str {
        self
    }
}
