//! Alone never faster than the platform allows: who is about to call waits for its turn.
//!
//! What other processes of the app do, and other bots of a group, is not known here;
//! for that the platform says "too fast", and the call is tried again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many in so long.
type Bound = (usize, Duration);

/// Calls of one kind. The platform takes 50 a second and 1,000 a minute; what is
/// left is for calls that are held up on their way and arrive together.
const EACH_CALL: &[Bound] = &[(45, Duration::from_secs(1)), (950, Duration::from_secs(60))];
/// Messages to one chat, and updates of one message. The platform takes 5.
const EACH_TARGET: &[Bound] = &[(4, Duration::from_secs(1))];
/// Targets that are remembered; those that nobody calls any more go first.
const TARGETS_MAX: usize = 4_096;

/// When the last calls were made, and those that wait are to be.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<BTreeMap<String, VecDeque<Instant>>>);

impl Pace {
    /// Waits until this call may be made; gives how long that was, if it had to.
    pub(super) async fn wait(&self, call: &str, target: Option<&str>) -> Option<Duration> {
        let due = self.book(call, target);
        // Most calls need not wait, and a timer costs more than to look.
        let wait = due.checked_duration_since(Instant::now())?;
        if wait.is_zero() || planted::is(planted::Defect::NoPace) {
            return None;
        }
        tokio::time::sleep_until(due).await;
        Some(wait)
    }

    /// When this call may be made; from here on it counts.
    fn book(&self, call: &str, target: Option<&str>) -> Instant {
        let now = Instant::now();
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= TARGETS_MAX {
            let longest = Duration::from_secs(60);
            made.retain(|_, times| times.back().is_some_and(|last| *last + longest > now));
        }
        let keys = [(Some(call), EACH_CALL), (target, EACH_TARGET)];
        let keys = keys.map(|(key, bounds)| (key.unwrap_or_default(), bounds));
        let mut due = now;
        for (key, bounds) in keys.iter().filter(|(key, _)| !key.is_empty()) {
            let times = made.entry((*key).to_owned()).or_default();
            let kept = bounds.iter().map(|(count, _)| *count).max().unwrap_or(0);
            times.drain(..times.len().saturating_sub(kept));
            for (count, span) in *bounds {
                let oldest = times.len().checked_sub(*count).and_then(|at| times.get(at));
                due = oldest.map_or(due, |oldest| due.max(*oldest + *span));
            }
        }
        for (key, _) in keys.iter().filter(|(key, _)| !key.is_empty()) {
            if let Some(times) = made.get_mut(*key) {
                times.push_back(due);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds from now at which so many calls are due.
    fn due(pace: &Pace, calls: usize, target: Option<&str>) -> Vec<u128> {
        let now = Instant::now();
        (0..calls)
            .map(|_| (pace.book("POST", target) - now).as_millis())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn bursts_are_spread() {
        let pace = Pace::default();
        assert_eq!(
            due(&pace, 9, Some("oc_1")),
            [0, 0, 0, 0, 1000, 1000, 1000, 1000, 2000]
        );
        assert_eq!(
            due(&pace, 1, Some("oc_2")),
            [0],
            "another chat does not wait"
        );
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(due(&pace, 5, Some("oc_1")), [0, 0, 0, 0, 1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_of_call_has_bounds_of_its_own() {
        let pace = Pace::default();
        let due = due(&pace, 951, None);
        assert_eq!((due[44], due[45], due[949]), (0, 1000, 21_000));
        assert_eq!(due[950], 60_000);
    }
}
