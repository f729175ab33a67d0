//! The time that a turn has, which stands still while a person is waited for.

use core::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Runs out once so much time has gone by that was not spent waiting for people.
#[derive(Debug)]
pub(super) struct Deadline {
    /// `None` while it stands still, or where no clock reaches.
    at: watch::Sender<Option<Instant>>,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            at: watch::Sender::new(Instant::now().checked_add(limit)),
        }
    }

    /// Waits until it has run out.
    pub(super) fn passed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut at = self.at.subscribe();
        async move {
            loop {
                let due = *at.borrow_and_update();
                let due = async {
                    match due {
                        Some(due) => sleep_until(due).await,
                        None => core::future::pending().await,
                    }
                };
                tokio::select! {
                    () = due => return,
                    changed = at.changed() => {
                        if changed.is_err() {
                            // The turn is over, and its time with it.
                            core::future::pending::<()>().await;
                        }
                    }
                }
            }
        }
    }

    /// Lets this happen while the time stands still.
    pub(super) async fn paused<F: Future>(&self, waiting: F) -> F::Output {
        let now = Instant::now();
        let left = self
            .at
            .send_replace(None)
            .map(|at| at.saturating_duration_since(now));
        let done = waiting.await;
        self.at
            .send_replace(left.and_then(|left| Instant::now().checked_add(left)));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn time_spent_waiting_for_people_does_not_count() {
        let began = Instant::now();
        let deadline = Deadline::new(Duration::from_secs(10));
        let passed = tokio::spawn(deadline.passed());
        sleep(Duration::from_secs(4)).await;
        deadline.paused(sleep(Duration::from_secs(1_000))).await;
        assert!(!passed.is_finished());
        passed.await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(1_010));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_clocks_is_none() {
        let deadline = Deadline::new(Duration::MAX);
        let passed = deadline.passed();
        let waited = tokio::time::timeout(Duration::from_secs(1_000_000), passed).await;
        assert!(waited.is_err());
        deadline.paused(sleep(Duration::from_secs(1))).await;
    }
}
