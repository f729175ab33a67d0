//! What a model's answers tell about its window.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Shared by all turns that ask the model.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Tokens; 0 while nothing is known.
    window: AtomicU64,
    /// The bits of an `f32`; 0 while nothing is known.
    tokens_per_byte: AtomicU32,
}

impl Learned {
    pub(crate) fn new(configured_window: Option<u32>) -> Self {
        Self {
            window: AtomicU64::new(configured_window.map_or(0, u64::from)),
            tokens_per_byte: AtomicU32::new(0),
        }
    }

    /// The context window in tokens, as far as anybody has told.
    pub(crate) fn window(&self) -> Option<u64> {
        Some(self.window.load(Ordering::Relaxed)).filter(|tokens| *tokens > 0)
    }

    /// The server refused a question and named its limit: that is the one that counts. Whether
    /// it can be one.
    pub(crate) fn refused_at(&self, limit: u64) -> bool {
        /// No model has a smaller one; such a number is the server's slip, and would leave no
        /// room for anything.
        const WINDOW_MIN: u64 = 1_000;
        let is_sound = limit >= WINDOW_MIN;
        if is_sound {
            self.window.store(limit, Ordering::Relaxed);
        }
        is_sound
    }

    /// How many tokens a byte of a question comes to.
    pub(crate) fn tokens_per_byte(&self) -> f32 {
        match self.tokens_per_byte.load(Ordering::Relaxed) {
            0 => TOKENS_PER_BYTE,
            bits => f32::from_bits(bits),
        }
    }

    /// A question of so many bytes was counted as so many tokens. Returns what that makes of a
    /// byte; `None` when it says nothing.
    pub(crate) fn counted(&self, bytes: usize, tokens: u64) -> Option<f32> {
        let rate = rate(bytes, tokens)?;
        self.tokens_per_byte
            .store(rate.to_bits(), Ordering::Relaxed);
        Some(rate)
    }
}

/// Tokens a byte; `None` when these numbers say nothing.
pub(crate) fn rate(bytes: usize, tokens: u64) -> Option<f32> {
    /// Below this the chat template around the text is most of it.
    const BYTES_MIN: usize = 1_000;
    if bytes < BYTES_MIN || tokens == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
    let rate = tokens as f32 / bytes as f32;
    Some(rate.clamp(RATE_MIN, RATE_MAX))
}

/// A cautious guess: English has about four bytes a token, Chinese about three.
const TOKENS_PER_BYTE: f32 = 1.0 / 3.0;

/// Less is a server that does not count what it had in its cache.
const RATE_MIN: f32 = 0.1;

/// No tokenizer makes more of a byte.
const RATE_MAX: f32 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_what_was_configured_until_a_server_says_otherwise() {
        let learned = Learned::new(Some(8_000));
        assert_eq!(learned.window(), Some(8_000));
        assert!(!learned.refused_at(10));
        assert_eq!(learned.window(), Some(8_000));
        assert!(learned.refused_at(4_096));
        assert_eq!(learned.window(), Some(4_096));
        assert_eq!(Learned::new(None).window(), None);
    }

    #[test]
    fn a_byte_is_worth_what_the_last_question_came_to() {
        let learned = Learned::new(None);
        assert_eq!(learned.tokens_per_byte(), TOKENS_PER_BYTE);
        assert_eq!(learned.counted(999, 500), None);
        assert_eq!(learned.counted(1_000, 0), None);
        assert_eq!(learned.tokens_per_byte(), TOKENS_PER_BYTE);
        assert_eq!(learned.counted(1_000, 250), Some(0.25));
        assert_eq!(learned.tokens_per_byte(), 0.25);
        assert_eq!(learned.counted(1_000, 1), Some(RATE_MIN));
        assert_eq!(learned.counted(1_000, 9_999), Some(RATE_MAX));
    }
}
