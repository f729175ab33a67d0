//! How long things took, counted so that whoever counts neither waits nor allocates.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a histogram beside the last, which takes what is longer than every bound.
pub const BUCKETS_MAX: usize = 14;

/// Durations by bucket. Counting is two atomic additions.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    counts: [AtomicU64; BUCKETS_MAX + 1],
    micros: AtomicU64,
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// For each bound, how many were not longer.
    pub buckets: Vec<(Duration, u64)>,
    /// All of them.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Histogram {
    /// An empty one. `bounds` ascend; of more than [`BUCKETS_MAX`] the others don't count.
    #[must_use]
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds: bounds.get(..BUCKETS_MAX).unwrap_or(bounds),
            counts: Default::default(),
            micros: AtomicU64::new(0),
        }
    }

    /// Counts something that took so long.
    pub fn observe(&self, took: Duration) {
        let at = self.bounds.iter().position(|bound| took <= *bound);
        if let Some(count) = self.counts.get(at.unwrap_or(self.bounds.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted. Its numbers agree with each other, except that the sum may lag by
    /// what is counted meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (bound, own) in self.bounds.iter().zip(&self.counts) {
            count += own.load(Ordering::Relaxed);
            buckets.push((*bound, count));
        }
        let longer = self.counts.get(self.bounds.len());
        count += longer.map_or(0, |longer| longer.load(Ordering::Relaxed));
        HistogramSnapshot {
            buckets,
            count,
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_duration_counts_in_every_bucket_that_it_fits() {
        const BOUNDS: &[Duration] = &[MS, Duration::from_millis(5)];
        let histogram = Histogram::new(BOUNDS);
        for micros in [0, 1_000, 1_001, 5_000, 5_001, 90_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let expected = HistogramSnapshot {
            buckets: vec![(MS, 2), (5 * MS, 4)],
            count: 6,
            sum: Duration::from_micros(90_012_002),
        };
        assert_eq!(histogram.snapshot(), expected);
    }

    #[test]
    fn bounds_beyond_the_most_are_left_out() {
        const MANY: [Duration; BUCKETS_MAX + 1] = [MS; BUCKETS_MAX + 1];
        let histogram = Histogram::new(&MANY);
        histogram.observe(2 * MS);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.buckets.len(), snapshot.count), (BUCKETS_MAX, 1));
    }
}
