//! What the log says of skills that can't be read.
//!
//! Alone in its process: a line that another thread comes by first, where nobody listens, is
//! never offered to anybody (tracing keeps for each line whether it is wanted).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "skills/yard.rs"]
mod yard;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::yard::{Yard, skill_md};

#[test]
fn a_broken_skill_is_warned_of_once_until_it_was_mended() {
    let warnings = Warnings::default();
    let counter = warnings.clone();
    tracing::subscriber::with_default(warnings, || {
        let yard = Yard::with("s", "broken");
        let registry = yard.registry();
        let mut seen = Vec::new();
        let mut look = |what: &str| {
            let _ = registry.snapshot();
            seen.push((what.to_owned(), counter.take()));
        };
        look("the first look");
        look("nothing changed");
        yard.put("t/SKILL.md", skill_md("t", "d", "b"));
        look("another skill changed");
        yard.put("s/SKILL.md", "still broken, in the same way");
        look("the same fault");
        yard.put("s/SKILL.md", "---\nname: s\n---\n");
        look("another fault");
        yard.put("s/SKILL.md", skill_md("s", "d", "b"));
        look("mended");
        yard.put("s/SKILL.md", "broken");
        look("broken again");
        let counts: Vec<_> = seen
            .iter()
            .map(|(what, count)| (what.as_str(), *count))
            .collect();
        assert_eq!(
            counts,
            [
                ("the first look", 1),
                ("nothing changed", 0),
                ("another skill changed", 0),
                ("the same fault", 0),
                ("another fault", 1),
                ("mended", 0),
                ("broken again", 1),
            ]
        );
    });
}

/// Counts the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
