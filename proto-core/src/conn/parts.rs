//! Joining the parts of split events.
//!
//! Parts are keyed by the push's `message_id`, may come in any order and
//! survive reconnects. Each part is copied once, behind those before it; where
//! parts did not come in order, they are put in order in the end, which copies
//! each once more (without an allocator they are turned into place, see
//! [`FixedParts`](super::FixedParts)). A set that is complete, expired or
//! contradicts itself is removed. The ids of completed ones are remembered for a
//! while, so that a late double part does not open a new set; but not longer than
//! their delivery may still be accepted, as what was not is pushed again, perhaps
//! under the same id.

use core::time::Duration;

use crate::{Instant, Limits};

use super::acks::DeliveryId;
use super::memory::{Memory, PartStore};

/// The longest `message_id` of a push that is joined. Those seen are 36 bytes.
const PUSH_ID_BYTES_MAX: usize = 128;
/// Bytes of one event that spans can tell.
const SPANS_BYTES_MAX: usize = u32::MAX as usize - 1;
/// How many completed pushes are remembered, and for how long: the platform
/// repeats a part, if ever, within moments. An event whose acknowledgement got
/// lost is pushed again after 15 s, perhaps under the same id, and must find the
/// id forgotten: its parts may have taken up to 10 s to come in.
const COMPLETED_KEPT: usize = 64;
const COMPLETED_FOR: Duration = Duration::from_secs(5);

/// The parts of one split event so far. Opaque: the machine's bookkeeping in
/// the caller's memory.
#[derive(Debug, Default)]
pub struct PartSet<S> {
    state: State,
    id: heapless::String<PUSH_ID_BYTES_MAX>,
    sum: u32,
    /// How many parts are there.
    at_hand: u32,
    /// Bytes of the longest of them.
    longest: usize,
    store: S,
}

/// Where one part lies among the bytes. Opaque: the machine's bookkeeping in the
/// caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSpan {
    start: u32,
    len: u32,
}

impl PartSpan {
    /// Of a part that has not come yet.
    pub(super) const ABSENT: Self = Self {
        start: u32::MAX,
        len: 0,
    };

    /// Offsets and lengths below 4 GiB: who calls has checked them.
    pub(super) const fn new(start: usize, len: usize) -> Self {
        Self {
            start: start as u32,
            len: len as u32,
        }
    }

    pub(super) const fn start(self) -> usize {
        self.start as usize
    }

    pub(super) const fn len(self) -> usize {
        self.len as usize
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Open {
        since: Instant,
    },
    /// Handed up in the call before this one; free from the next call on.
    Delivered,
}

/// One part as it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) id: &'a str,
    pub(super) sum: u32,
    pub(super) seq: u32,
    pub(super) payload: &'a [u8],
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Kept; more are to come.
    Kept,
    /// The event is complete: its bytes are in this set.
    Complete(usize),
    /// A double of one at hand, or of an event that waits for its
    /// acknowledgement or has it.
    Double,
    /// Not kept, and why.
    Dropped(Discard),
}

/// Why parts of an event were thrown away. None of them was acknowledged, so
/// Feishu pushes the event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discard {
    /// Two parts with one index differ, or `sum` changed.
    Contradiction,
    /// The rest did not come in time.
    Expired,
    /// `sum` or `seq` is not a number, `sum` exceeds
    /// [`Limits::parts_max`](crate::Limits), or `seq` is not below `sum`.
    Impossible,
    /// No set was free, or the joined event exceeds
    /// [`Limits::event_bytes_max`](crate::Limits) or the memory given.
    NoRoom,
}

#[derive(Debug, Default)]
pub(super) struct Reassembly {
    completed: heapless::Deque<Completed, COMPLETED_KEPT>,
}

/// A push that was handed up and, so far as is known, accepted. Small, as a chip
/// keeps just as many of them as a server does.
#[derive(Debug)]
struct Completed {
    fingerprint: u32,
    /// The low half of its number: within seconds no two have the same.
    delivery: u32,
    since: Instant,
}

impl Reassembly {
    pub(super) fn take(
        &mut self,
        now: Instant,
        part: Part<'_>,
        limits: &Limits,
        memory: &mut impl Memory,
    ) -> Taken {
        if part.sum > limits.parts_max || part.seq >= part.sum {
            return Taken::Dropped(Discard::Impossible);
        }
        if self.was_completed(now, part.id) {
            return Taken::Double;
        }
        let sets = memory.part_sets();
        let known = sets
            .iter()
            .position(|set| matches!(set.state, State::Open { .. }) && set.id == part.id);
        let Some(index) = known.or_else(|| open(now, part, sets)) else {
            return Taken::Dropped(Discard::NoRoom);
        };
        let Some(set) = sets.get_mut(index) else {
            return Taken::Dropped(Discard::NoRoom);
        };
        let taken = set.insert(part, limits);
        match taken {
            Taken::Complete(_) => {
                set.state = State::Delivered;
                Taken::Complete(index)
            }
            Taken::Dropped(why) => {
                set.release();
                Taken::Dropped(why)
            }
            Taken::Kept | Taken::Double => taken,
        }
    }

    /// Frees the set whose bytes the call before this one handed up.
    pub(super) fn free_delivered(memory: &mut impl Memory) {
        for set in memory.part_sets() {
            if set.state == State::Delivered {
                set.release();
            }
        }
    }

    /// Drops sets whose time is up; returns how many.
    pub(super) fn expire(now: Instant, allowed: Duration, memory: &mut impl Memory) -> u64 {
        let mut dropped = 0;
        for set in memory.part_sets() {
            if set.deadline(allowed).is_some_and(|due| due <= now) {
                set.release();
                dropped += 1;
            }
        }
        dropped
    }

    pub(super) fn deadline(allowed: Duration, memory: &impl Memory) -> Option<Instant> {
        memory
            .part_sets_ref()
            .iter()
            .filter_map(|set| set.deadline(allowed))
            .min()
    }

    /// From now on the parts of this push are doubles.
    pub(super) fn remember(&mut self, now: Instant, id: &str, delivery: DeliveryId) {
        if self.completed.is_full() {
            self.completed.pop_front();
        }
        // There is room: one was taken out if it was full.
        let _ = self.completed.push_back(Completed {
            fingerprint: fnv1a(id.as_bytes()),
            delivery: delivery.number() as u32,
            since: now,
        });
    }

    /// A delivery was not accepted: should its parts come again, they are joined
    /// again.
    pub(super) fn forget(&mut self, delivery: DeliveryId) {
        let number = delivery.number() as u32;
        self.completed.retain(|push| push.delivery != number);
    }

    fn was_completed(&mut self, now: Instant, id: &str) -> bool {
        while self
            .completed
            .front()
            .is_some_and(|push| push.since + COMPLETED_FOR <= now)
        {
            self.completed.pop_front();
        }
        let fingerprint = fnv1a(id.as_bytes());
        let mut known = self.completed.iter();
        known.any(|push| push.fingerprint == fingerprint)
    }
}

fn open<S: PartStore>(now: Instant, part: Part<'_>, sets: &mut [PartSet<S>]) -> Option<usize> {
    let id = heapless::String::try_from(part.id).ok()?;
    let index = sets.iter().position(|set| set.state == State::Free)?;
    let set = sets.get_mut(index)?;
    set.store.begin(part.sum as usize).ok()?;
    set.state = State::Open { since: now };
    set.id = id;
    set.sum = part.sum;
    Some(index)
}

impl<S: PartStore> PartSet<S> {
    pub(super) fn bytes(&self) -> &[u8] {
        self.store.bytes()
    }

    fn insert(&mut self, part: Part<'_>, limits: &Limits) -> Taken {
        if self.sum != part.sum {
            return Taken::Dropped(Discard::Contradiction);
        }
        let bytes = self.store.bytes();
        let before = bytes.len();
        let spans = self.store.spans();
        let Some(known) = spans.get(part.seq as usize) else {
            return Taken::Dropped(Discard::Contradiction);
        };
        if *known != PartSpan::ABSENT {
            return if bytes.get(known.start()..known.start() + known.len()) == Some(part.payload) {
                Taken::Double
            } else {
                Taken::Dropped(Discard::Contradiction)
            };
        }
        let after = before + part.payload.len();
        if after > limits.event_bytes_max.min(SPANS_BYTES_MAX) {
            return Taken::Dropped(Discard::NoRoom);
        }
        // All parts but the last are of one length.
        self.longest = self.longest.max(part.payload.len());
        let expected = self.longest.saturating_mul(self.sum as usize);
        let expected = expected.clamp(after, limits.event_bytes_max);
        if self.store.append(part.payload, expected).is_err() {
            return Taken::Dropped(Discard::NoRoom);
        }
        if let Some(place) = self.store.spans_mut().get_mut(part.seq as usize) {
            *place = PartSpan::new(before, part.payload.len());
        }
        self.at_hand += 1;
        if self.at_hand < self.sum {
            return Taken::Kept;
        }
        if !self.store.spans().is_sorted_by_key(|span| span.start()) {
            self.store.put_in_order();
        }
        Taken::Complete(0)
    }

    fn deadline(&self, allowed: Duration) -> Option<Instant> {
        match self.state {
            State::Open { since } => Some(since + allowed),
            State::Free | State::Delivered => None,
        }
    }

    fn release(&mut self) {
        self.state = State::Free;
        self.id.clear();
        (self.at_hand, self.longest) = (0, 0);
        self.store.reset();
    }
}

/// FNV-1a: a fingerprint of ids from one peer inside some seconds, where a
/// collision would only cost a redelivery.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
