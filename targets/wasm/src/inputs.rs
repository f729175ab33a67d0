//! The input buffer, taken apart.

/// What is left of the input.
pub(crate) struct Inputs<'a> {
    rest: &'a [u8],
}

impl<'a> Inputs<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next so many bytes; `None` for a length below zero, or one that is
    /// not there.
    pub(crate) fn bytes(&mut self, len: i32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The same as text.
    pub(crate) fn text(&mut self, len: i32) -> Option<&'a str> {
        str::from_utf8(self.bytes(len)?).ok()
    }
}
