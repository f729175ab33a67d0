//! How many calls were made, by call and by outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Distinct pairs of call and outcome that are counted. There are some twenty
/// calls and as many codes; what exceeds the bound is counted as `other`.
const PAIRS_MAX: usize = 256;

/// Counts of HTTP requests to the platform, tries included.
#[derive(Debug, Default)]
pub struct ApiStats {
    counts: Mutex<BTreeMap<(String, i64), u64>>,
    waits: AtomicU64,
    waited_micros: AtomicU64,
}

impl ApiStats {
    /// The outcome of a request that got no answer.
    pub const NO_ANSWER: i64 = -1;

    /// Requests by call (`POST /im/v1/messages`) and code.
    #[must_use]
    pub fn by_call(&self) -> BTreeMap<(String, i64), u64> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .sum()
    }

    /// How often a call waited for its turn, so as not to be faster than the platform
    /// allows, and how long in all.
    #[must_use]
    pub fn waits(&self) -> (u64, Duration) {
        let micros = self.waited_micros.load(Ordering::Relaxed);
        (
            self.waits.load(Ordering::Relaxed),
            Duration::from_micros(micros),
        )
    }

    pub(super) fn waited(&self, time: Duration) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn count(&self, call: &str, code: i64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.to_owned(), code);
        let key = if counts.len() < PAIRS_MAX || counts.contains_key(&key) {
            key
        } else {
            ("other".to_owned(), 0)
        };
        *counts.entry(key).or_default() += 1;
    }
}
