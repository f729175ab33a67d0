//! How many calls were made, by call and by outcome.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Distinct pairs of call and outcome that are counted. There are some twenty
/// calls and as many codes; what exceeds the bound is counted as `other`.
const PAIRS_MAX: usize = 256;

/// Counts of HTTP requests to the platform, tries included.
#[derive(Debug, Default)]
pub struct ApiStats(Mutex<BTreeMap<(String, i64), u64>>);

impl ApiStats {
    /// The outcome of a request that got no answer.
    pub const NO_ANSWER: i64 = -1;

    /// Requests by call (`POST /im/v1/messages`) and code.
    #[must_use]
    pub fn by_call(&self) -> BTreeMap<(String, i64), u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .sum()
    }

    pub(super) fn count(&self, call: &str, code: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.to_owned(), code);
        let key = if counts.len() < PAIRS_MAX || counts.contains_key(&key) {
            key
        } else {
            ("other".to_owned(), 0)
        };
        *counts.entry(key).or_default() += 1;
    }
}
