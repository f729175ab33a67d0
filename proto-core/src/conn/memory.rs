//! Where the machine keeps what must outlive a call: the caller's memory, so
//! that the same machine runs with and without an allocator.

use super::acks::AckSlot;
use super::parts::{PartSet, PartSpan};
use crate::BufferFull;

/// The memory of one [`Connection`](super::Connection). Its sizes are bounds:
/// what does not fit is refused, so that Feishu pushes it again.
pub trait Memory {
    /// Keeps the parts of one split event while they come in.
    type Parts: PartStore;

    /// One slot for each delivery that is not yet acknowledged.
    fn ack_slots(&mut self) -> &mut [AckSlot];

    /// One slot for each delivery that is not yet acknowledged, to read.
    fn ack_slots_ref(&self) -> &[AckSlot];

    /// The echoed bytes of those deliveries, about 300 each.
    fn ack_bytes(&mut self) -> &mut [u8];

    /// One set for each split event that is still incomplete.
    fn part_sets(&mut self) -> &mut [PartSet<Self::Parts>];

    /// The sets, to read.
    fn part_sets_ref(&self) -> &[PartSet<Self::Parts>];
}

/// Where the parts of one split event lie while they come in: their bytes in the
/// order of arrival, and beside them where each part is.
pub trait PartStore {
    /// Begins with room to keep track of `count` parts, none of them there.
    ///
    /// # Errors
    /// [`BufferFull`]; the store is unchanged.
    fn begin(&mut self, count: usize) -> Result<(), BufferFull>;

    /// Where each part is, by its index.
    fn spans(&self) -> &[PartSpan];

    /// Where each part is, to note one.
    fn spans_mut(&mut self) -> &mut [PartSpan];

    /// What has been appended so far.
    fn bytes(&self) -> &[u8];

    /// Appends the bytes of a part. `expected` is how many bytes all parts
    /// together are thought to have: room for so many is made in one piece.
    ///
    /// # Errors
    /// [`BufferFull`]; the store is unchanged.
    fn append(&mut self, part: &[u8], expected: usize) -> Result<(), BufferFull>;

    /// Puts the bytes into the order of the indices; every part is there. Called
    /// only where parts came in another one.
    fn put_in_order(&mut self);

    /// Gives up all content, and the memory behind it where that is possible.
    fn reset(&mut self);
}

/// `BYTES` bytes in at most `PARTS` parts, without an allocator.
#[derive(Debug, Default)]
pub struct FixedParts<const BYTES: usize, const PARTS: usize> {
    bytes: heapless::Vec<u8, BYTES>,
    spans: heapless::Vec<PartSpan, PARTS>,
}

impl<const BYTES: usize, const PARTS: usize> PartStore for FixedParts<BYTES, PARTS> {
    fn begin(&mut self, count: usize) -> Result<(), BufferFull> {
        self.reset();
        let begun = self.spans.resize(count, PartSpan::ABSENT);
        begun.map_err(|_| BufferFull)
    }

    fn spans(&self) -> &[PartSpan] {
        &self.spans
    }

    fn spans_mut(&mut self) -> &mut [PartSpan] {
        &mut self.spans
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn append(&mut self, part: &[u8], _: usize) -> Result<(), BufferFull> {
        self.bytes.extend_from_slice(part).map_err(|_| BufferFull)
    }

    /// There is no second buffer, so one part after the other is turned to its
    /// place in front of the rest. With as many parts as a chip keeps track of,
    /// that is little.
    fn put_in_order(&mut self) {
        let mut place = 0;
        for index in 0..self.spans.len() {
            let Some(span) = self.spans.get(index).copied() else {
                return;
            };
            let (start, end) = (span.start(), span.start() + span.len());
            if let Some(turned) = self.bytes.get_mut(place..end) {
                turned.rotate_right(span.len());
            }
            for other in &mut self.spans {
                if (place..start).contains(&other.start()) {
                    *other = PartSpan::new(other.start() + span.len(), other.len());
                }
            }
            if let Some(span) = self.spans.get_mut(index) {
                *span = PartSpan::new(place, span.len());
            }
            place += span.len();
        }
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

/// Memory inside the machine itself: no allocator needed.
///
/// `ACKS` deliveries in flight with `ACK_BYTES` in all, and `SETS` split events
/// of at most `SET_BYTES` in `PARTS` parts each.
#[derive(Debug)]
pub struct FixedMemory<
    const ACKS: usize = 8,
    const ACK_BYTES: usize = 4096,
    const SETS: usize = 1,
    const SET_BYTES: usize = 16384,
    const PARTS: usize = 64,
> {
    slots: [AckSlot; ACKS],
    bytes: [u8; ACK_BYTES],
    sets: [PartSet<FixedParts<SET_BYTES, PARTS>>; SETS],
}

impl<const A: usize, const B: usize, const S: usize, const T: usize, const P: usize> Default
    for FixedMemory<A, B, S, T, P>
{
    fn default() -> Self {
        Self {
            slots: [AckSlot::default(); A],
            bytes: [0; B],
            sets: core::array::from_fn(|_| PartSet::default()),
        }
    }
}

impl<const A: usize, const B: usize, const S: usize, const T: usize, const P: usize> Memory
    for FixedMemory<A, B, S, T, P>
{
    type Parts = FixedParts<T, P>;

    fn ack_slots(&mut self) -> &mut [AckSlot] {
        &mut self.slots
    }

    fn ack_slots_ref(&self) -> &[AckSlot] {
        &self.slots
    }

    fn ack_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn part_sets(&mut self) -> &mut [PartSet<Self::Parts>] {
        &mut self.sets
    }

    fn part_sets_ref(&self) -> &[PartSet<Self::Parts>] {
        &self.sets
    }
}

#[cfg(feature = "alloc")]
pub use heap::{HeapMemory, HeapParts};

#[cfg(feature = "alloc")]
mod heap {
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{AckSlot, BufferFull, Memory, PartSet, PartSpan, PartStore};

    /// Memory from the allocator, for servers. The default takes address space
    /// for 8,192 deliveries in flight and 16 split events; pages that are never
    /// used are never resident.
    #[derive(Debug)]
    pub struct HeapMemory {
        slots: Box<[AckSlot]>,
        bytes: Box<[u8]>,
        sets: Box<[PartSet<HeapParts>]>,
    }

    impl HeapMemory {
        /// Deliveries in flight: three seconds of 2,700 events a second.
        const ACKS: usize = 8192;
        /// Echoed bytes: a frame without its payload is about 300.
        const ACK_BYTES: usize = 4 << 20;
        /// Split events at once.
        const SETS: usize = 16;

        /// Memory for `acks` deliveries in flight with `ack_bytes` of echoed
        /// bytes, and `sets` split events.
        #[must_use]
        pub fn new(acks: usize, ack_bytes: usize, sets: usize) -> Self {
            Self {
                slots: vec![AckSlot::default(); acks].into_boxed_slice(),
                bytes: vec![0; ack_bytes].into_boxed_slice(),
                sets: core::iter::repeat_with(PartSet::default)
                    .take(sets)
                    .collect(),
            }
        }
    }

    impl Default for HeapMemory {
        fn default() -> Self {
            Self::new(Self::ACKS, Self::ACK_BYTES, Self::SETS)
        }
    }

    impl Memory for HeapMemory {
        type Parts = HeapParts;

        fn ack_slots(&mut self) -> &mut [AckSlot] {
            &mut self.slots
        }

        fn ack_slots_ref(&self) -> &[AckSlot] {
            &self.slots
        }

        fn ack_bytes(&mut self) -> &mut [u8] {
            &mut self.bytes
        }

        fn part_sets(&mut self) -> &mut [PartSet<HeapParts>] {
            &mut self.sets
        }

        fn part_sets_ref(&self) -> &[PartSet<HeapParts>] {
            &self.sets
        }
    }

    /// Parts in memory from the allocator, given back when the event was handed
    /// up.
    #[derive(Debug, Default)]
    pub struct HeapParts {
        bytes: Vec<u8>,
        spans: Vec<PartSpan>,
    }

    impl PartStore for HeapParts {
        fn begin(&mut self, count: usize) -> Result<(), BufferFull> {
            self.reset();
            self.spans = vec![PartSpan::ABSENT; count];
            Ok(())
        }

        fn spans(&self) -> &[PartSpan] {
            &self.spans
        }

        fn spans_mut(&mut self) -> &mut [PartSpan] {
            &mut self.spans
        }

        fn bytes(&self) -> &[u8] {
            &self.bytes
        }

        fn append(&mut self, part: &[u8], expected: usize) -> Result<(), BufferFull> {
            // A vector that grows by itself would copy what it holds each time.
            if self.bytes.capacity() - self.bytes.len() < part.len() {
                let more = expected.saturating_sub(self.bytes.len()).max(part.len());
                self.bytes.reserve_exact(more);
            }
            self.bytes.extend_from_slice(part);
            Ok(())
        }

        /// Copies each part once more, into a second buffer.
        fn put_in_order(&mut self) {
            let mut ordered = Vec::with_capacity(self.bytes.len());
            for span in &mut self.spans {
                let (start, end) = (span.start(), span.start() + span.len());
                *span = PartSpan::new(ordered.len(), span.len());
                ordered.extend_from_slice(self.bytes.get(start..end).unwrap_or_default());
            }
            self.bytes = ordered;
        }

        fn reset(&mut self) {
            *self = Self::default();
        }
    }
}
