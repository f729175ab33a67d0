//! What must turn, and whether it has since it was last seen to.

use core::fmt;

/// A count that grows for as long as something turns.
pub struct Pulse {
    name: String,
    count: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Pulse {
    /// Under this name, as people read it.
    #[must_use]
    pub fn new(name: impl Into<String>, count: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            count: Box::new(count),
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.name).finish()
    }
}

/// Looks at all of them.
#[derive(Debug, Default)]
pub struct Watch {
    /// Each with its count when all had last moved.
    pulses: Vec<(Pulse, u64)>,
}

impl Watch {
    /// Watches these.
    #[must_use]
    pub fn new(pulses: impl IntoIterator<Item = Pulse>) -> Self {
        let mut watch = Self {
            pulses: pulses.into_iter().map(|pulse| (pulse, 0)).collect(),
        };
        watch.remember();
        watch
    }

    /// The names of those that have not moved since all had.
    pub fn look(&mut self) -> Vec<&str> {
        let moves = |(pulse, before): &(Pulse, u64)| (pulse.count)() != *before;
        if self.pulses.iter().all(moves) {
            self.remember();
            return Vec::new();
        }
        let silent = self.pulses.iter().filter(|pulse| !moves(pulse));
        silent.map(|(pulse, _)| pulse.name.as_str()).collect()
    }

    fn remember(&mut self) {
        for (pulse, before) in &mut self.pulses {
            *before = (pulse.count)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn pulses() -> ([Arc<AtomicU64>; 2], Watch) {
        let counts = [Arc::<AtomicU64>::default(), Arc::default()];
        let pulses = ["link", "outbox"].iter().zip(&counts).map(|(name, count)| {
            let count = Arc::clone(count);
            Pulse::new(*name, move || count.load(Ordering::Relaxed))
        });
        let watch = Watch::new(pulses);
        (counts, watch)
    }

    fn beat(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn only_when_all_have_moved_is_nobody_silent() {
        let ([link, outbox], mut watch) = pulses();
        assert_eq!(watch.look(), ["link", "outbox"]);
        beat(&link);
        assert_eq!(watch.look(), ["outbox"]);
        // That the link has moved is not forgotten while the other is waited for.
        beat(&outbox);
        assert_eq!(watch.look(), [""; 0]);
        assert_eq!(watch.look(), ["link", "outbox"]);
        beat(&outbox);
        assert_eq!(watch.look(), ["link"]);
    }

    #[test]
    fn what_turned_before_it_was_watched_does_not_count() {
        let count = Arc::new(AtomicU64::new(7));
        let read = Arc::clone(&count);
        let mut watch = Watch::new([Pulse::new("lanes", move || read.load(Ordering::Relaxed))]);
        assert_eq!(watch.look(), ["lanes"]);
        beat(&count);
        assert_eq!(watch.look(), [""; 0]);
    }
}
