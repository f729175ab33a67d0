//! What turns tell each other about a model that does not answer, so that each of them does not
//! wait for it anew.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::ModelError;

/// Open while the model is best left alone.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    /// Until when.
    open_until: Mutex<Option<Instant>>,
}

impl Circuit {
    /// Whether to ask. When the time is over, one caller is let through to see how things are;
    /// the others stay away until it has told.
    pub(crate) fn lets_through(&self, now: Instant) -> bool {
        let mut open_until = self.open_until();
        match *open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                *open_until = Some(now + COOL_DOWN);
                true
            }
        }
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        *self.open_until() = None;
    }

    /// It failed like this.
    pub(crate) fn failed(&self, failure: &ModelError, now: Instant) {
        if failure.is_outage() {
            let wait = failure.retry_after().unwrap_or(COOL_DOWN);
            *self.open_until() = Some(now + wait.clamp(COOL_DOWN, COOL_DOWN_MAX));
        }
    }

    fn open_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.open_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a model that is down is left alone: long enough that few turns pay for finding out,
/// short enough that nobody asks why the good model is not used.
const COOL_DOWN: Duration = Duration::from_secs(60);

/// A server that asks for more is looked at all the same.
const COOL_DOWN_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(retry_after: Option<u64>) -> ModelError {
        ModelError::RateLimited {
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn it_opens_for_as_long_as_the_failure_asks_within_bounds() {
        let now = Instant::now();
        let cases = [
            (ModelError::Filtered, 0),
            (ModelError::Empty, 0),
            (limited(None), 60),
            (limited(Some(5)), 60),
            (limited(Some(300)), 300),
            (limited(Some(86_400)), 600),
        ];
        for (failure, secs) in cases {
            let circuit = Circuit::default();
            circuit.failed(&failure, now);
            let after = |secs: u64| now + Duration::from_secs(secs);
            if secs > 0 {
                assert!(!circuit.lets_through(after(secs - 1)), "{failure}");
            }
            assert!(circuit.lets_through(after(secs)), "{failure}");
        }
    }

    #[test]
    fn one_caller_finds_out_for_all() {
        let now = Instant::now();
        let circuit = Circuit::default();
        circuit.failed(&limited(None), now);
        let later = now + COOL_DOWN;
        assert!(circuit.lets_through(later));
        assert!(!circuit.lets_through(later));
        circuit.answered();
        assert!(circuit.lets_through(later));
        assert!(circuit.lets_through(later));
    }
}
