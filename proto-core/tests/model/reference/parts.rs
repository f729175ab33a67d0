//! Split events: maps of parts.

use core::time::Duration;
use std::collections::BTreeMap;

use proto_core::Instant;
use proto_core::conn::Discard;

use super::{LIMITS, SETS};

/// The longest id whose parts are kept.
const ID_BYTES_MAX: usize = 128;
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How long an event is remembered that was delivered and not refused since, and
/// how many of them.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
const REMEMBERED_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Parts {
    open: BTreeMap<String, Set>,
    completed: Vec<Completed>,
}

struct Completed {
    id: String,
    since: Instant,
    /// Which push it became.
    push: usize,
}

struct Set {
    since: Instant,
    sum: u32,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Joining {
    Waits,
    Double,
    Complete(Vec<u8>),
    Dropped(Discard),
}

impl Parts {
    pub(super) fn take(
        &mut self,
        now: Instant,
        id: &str,
        sum: u32,
        seq: u32,
        payload: &[u8],
    ) -> Joining {
        if sum > LIMITS.parts_max || seq >= sum {
            return Joining::Dropped(Discard::Impossible);
        }
        self.completed
            .retain(|completed| completed.since + REMEMBERED_FOR > now);
        if self.completed.iter().any(|completed| completed.id == id) {
            return Joining::Double;
        }
        let is_new = !self.open.contains_key(id);
        if is_new && (self.open.len() == SETS || id.len() > ID_BYTES_MAX) {
            return Joining::Dropped(Discard::NoRoom);
        }
        let set = self.open.entry(id.to_owned()).or_insert_with(|| Set {
            since: now,
            sum,
            parts: BTreeMap::new(),
        });
        let joining = set.take(sum, seq, payload);
        if matches!(joining, Joining::Complete(_) | Joining::Dropped(_)) {
            self.open.remove(id);
        }
        joining
    }

    pub(super) fn remember(&mut self, now: Instant, id: &str, push: usize) {
        let (id, since) = (id.to_owned(), now);
        self.completed.push(Completed { id, since, push });
        let too_many = self.completed.len().saturating_sub(REMEMBERED_MAX);
        self.completed.drain(..too_many);
    }

    /// A push that was not accepted comes again, and is then joined again.
    pub(super) fn forget(&mut self, push: usize) {
        self.completed.retain(|completed| completed.push != push);
    }

    /// How many sets have been open for too long, and are no more.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let before = self.open.len();
        self.open.retain(|_, set| set.since + KEPT_FOR > now);
        before - self.open.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.values().map(|set| set.since + KEPT_FOR).min()
    }
}

impl Set {
    fn take(&mut self, sum: u32, seq: u32, payload: &[u8]) -> Joining {
        if sum != self.sum {
            return Joining::Dropped(Discard::Contradiction);
        }
        if let Some(known) = self.parts.get(&seq) {
            return if known == payload {
                Joining::Double
            } else {
                Joining::Dropped(Discard::Contradiction)
            };
        }
        self.parts.insert(seq, payload.to_vec());
        let joined: Vec<u8> = self.parts.values().flatten().copied().collect();
        if joined.len() > LIMITS.event_bytes_max {
            Joining::Dropped(Discard::NoRoom)
        } else if self.parts.len() == sum as usize {
            Joining::Complete(joined)
        } else {
            Joining::Waits
        }
    }
}
