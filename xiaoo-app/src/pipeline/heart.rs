//! Whether the loops turn: each has a heart that beats with every round, and while it waits for
//! something that may take any time. One that hangs anywhere else falls silent.
//!
//! Whoever watches says how often a heart is to beat while its loop waits; when nobody does, there
//! are no timers.

use core::future::Future;
use core::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use xiaoo_store::StoreError;

/// The loops of one bot that must turn. The long connection's counts its rounds by itself.
#[derive(Debug, Default)]
pub struct Hearts {
    /// Takes turns from the store.
    pub lanes: Heart,
    /// Takes urgent ones.
    pub urgent: Heart,
    /// Takes what is to be sent.
    pub outbox: Heart,
}

impl Hearts {
    /// Says how often they are to beat while their loops wait.
    pub fn beat_every(&self, interval: Duration) {
        for heart in [&self.lanes, &self.urgent, &self.outbox] {
            heart.beat_every(interval);
        }
    }
}

/// One loop's.
#[derive(Debug, Default)]
pub struct Heart {
    beats: AtomicU64,
    /// Between two beats of a loop that waits, in milliseconds; 0 when nobody watches.
    interval_ms: AtomicU64,
    /// What the loop works with has not answered.
    is_held: AtomicBool,
}

impl Heart {
    /// How often it has beaten.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Says how often it is to beat while its loop waits.
    pub fn beat_every(&self, interval: Duration) {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.interval_ms.store(millis, Ordering::Relaxed);
    }

    /// Waits for something that may take any time, and beats meanwhile.
    pub async fn wait<T>(&self, idle: impl Future<Output = T>) -> T {
        let mut idle = pin!(idle);
        loop {
            self.beat();
            let interval_ms = self.interval_ms.load(Ordering::Relaxed);
            if interval_ms == 0 {
                return idle.await;
            }
            tokio::select! {
                biased;
                done = &mut idle => return done,
                () = tokio::time::sleep(Duration::from_millis(interval_ms)) => {}
            }
        }
    }

    /// Hears how the store has answered. While it does not answer at all, the loop does nothing
    /// however often it turns; a store that refuses has answered.
    pub fn asked<T>(&self, answer: &Result<T, StoreError>) {
        let is_held = matches!(answer, Err(StoreError::Deadline { .. }));
        self.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Beats once, as at the end of a round.
    pub fn beat(&self) {
        if !self.is_held.load(Ordering::Relaxed) {
            self.beats.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_waits_for_an_hour_beats_all_the_time() {
        let heart = Heart::default();
        heart.beat_every(EVERY);
        let hour = tokio::time::sleep(Duration::from_secs(3600) - EVERY / 2);
        heart.wait(hour).await;
        assert_eq!(heart.beats(), 3600 / EVERY.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn without_anybody_who_watches_there_is_one_beat_a_round_and_no_timer() {
        let heart = Heart::default();
        for round in 1..=3 {
            heart.wait(tokio::time::sleep(EVERY * 100)).await;
            assert_eq!(heart.beats(), round);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_whose_store_does_not_answer_is_silent_until_it_does() {
        let heart = Heart::default();
        heart.beat_every(EVERY);
        let silent = Err::<(), _>(StoreError::Deadline { after: EVERY });
        heart.asked(&silent);
        heart.wait(tokio::time::sleep(EVERY * 10)).await;
        assert_eq!(heart.beats(), 0);
        // Refusing is an answer.
        let refused = Err::<(), _>(StoreError::Closed);
        for answer in [refused, Ok(())] {
            let before = heart.beats();
            heart.asked(&answer);
            heart.wait(core::future::ready(())).await;
            assert_eq!(heart.beats(), before + 1);
            heart.asked(&silent);
        }
    }
}
