//! How long to wait before the next attempt.

use core::time::Duration;

/// The first wait of an outage is below this, whatever the server's nonce
/// says: a person is waiting for an answer.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(5);
/// The first step of the doubling.
const STEP_MIN: Duration = Duration::from_secs(1);
/// The longest step, even if the server's interval is longer.
const STEP_MAX: Duration = Duration::from_secs(60);

/// Capped doubling with full jitter; the first wait of an outage spreads the
/// clients of one app over the server's nonce.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    random: u64,
    attempts: u32,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            random: seed,
            attempts: 0,
        }
    }

    /// The outage is over.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The wait before the next attempt, and one attempt more.
    pub(super) fn next(&mut self, nonce: Duration, interval: Duration) -> Duration {
        let bound = if self.attempts == 0 {
            nonce.min(FIRST_WAIT_MAX)
        } else {
            let doublings = (self.attempts - 1).min(16);
            (STEP_MIN * 2_u32.pow(doublings))
                .min(STEP_MAX)
                .min(interval)
        };
        self.attempts = self.attempts.saturating_add(1);
        self.below(bound)
    }

    /// A random time in `[0, bound]`, in whole milliseconds.
    pub(super) fn below(&mut self, bound: Duration) -> Duration {
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random() % millis.saturating_add(1).max(1))
    }

    /// SplitMix64.
    const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
