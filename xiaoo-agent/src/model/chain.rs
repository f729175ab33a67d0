//! A model, and those that stand in for it.

use tokio::time::Instant;

use super::Model;

/// Models in the order in which they are asked: each after the first is for when those before it
/// are down. Cheap to clone.
///
/// What is known of a model that is down belongs to the [`Model`], so that chains that share one
/// share that.
#[derive(Clone, Debug)]
pub struct ModelChain {
    first: Model,
    others: Vec<Model>,
}

impl ModelChain {
    /// One model, and nobody to stand in for it.
    #[must_use]
    pub fn new(first: Model) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }

    /// With one more that is asked when all before it are down.
    #[must_use]
    pub fn or(mut self, fallback: Model) -> Self {
        self.others.push(fallback);
        self
    }

    /// The one that is asked when all is well.
    #[must_use]
    pub fn first(&self) -> &Model {
        &self.first
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        core::iter::once(&self.first).chain(&self.others)
    }

    /// The model to ask, and its place: the first from `from` on that is not known to be down;
    /// the very next when all are. `None` behind the last.
    pub(crate) fn pick(&self, from: usize, now: Instant) -> Option<(usize, &Model)> {
        let rest = || self.iter().enumerate().skip(from);
        let next = rest().next()?;
        // With nobody to turn to there is nothing to spare.
        if self.others.is_empty() {
            return Some(next);
        }
        let well = rest().find(|(_, model)| model.circuit().lets_through(now));
        Some(well.unwrap_or(next))
    }
}

impl From<Model> for ModelChain {
    fn from(first: Model) -> Self {
        Self::new(first)
    }
}
