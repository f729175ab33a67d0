//! Where the machine keeps what must outlive a call: the caller's memory, so
//! that the same machine runs with and without an allocator.

use super::acks::AckSlot;
use super::parts::PartSet;

/// The memory of one [`Connection`](super::Connection). Its sizes are bounds:
/// what does not fit is refused, so that Feishu pushes it again.
pub trait Memory {
    /// The bytes of one split event while its parts come in.
    type Bytes: PartBytes;

    /// One slot for each delivery that is not yet acknowledged.
    fn ack_slots(&mut self) -> &mut [AckSlot];

    /// One slot for each delivery that is not yet acknowledged, to read.
    fn ack_slots_ref(&self) -> &[AckSlot];

    /// The echoed bytes of those deliveries, about 300 each.
    fn ack_bytes(&mut self) -> &mut [u8];

    /// One set for each split event that is still incomplete.
    fn part_sets(&mut self) -> &mut [PartSet<Self::Bytes>];

    /// The sets, to read.
    fn part_sets_ref(&self) -> &[PartSet<Self::Bytes>];
}

/// A [`Buffer`](crate::Buffer) whose content can be rearranged in place.
pub trait PartBytes: crate::Buffer {
    /// What has been written so far, to rearrange.
    fn as_bytes_mut(&mut self) -> &mut [u8];

    /// Gives up all content, and the memory behind it where that is possible.
    fn reset(&mut self);
}

impl<const N: usize> PartBytes for heapless::Vec<u8, N> {
    fn as_bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn reset(&mut self) {
        self.clear();
    }
}

/// Memory inside the machine itself: no allocator needed.
///
/// `ACKS` deliveries in flight with `ACK_BYTES` in all, and `SETS` split events
/// of at most `SET_BYTES` each.
#[derive(Debug)]
pub struct FixedMemory<
    const ACKS: usize = 8,
    const ACK_BYTES: usize = 4096,
    const SETS: usize = 1,
    const SET_BYTES: usize = 16384,
> {
    slots: [AckSlot; ACKS],
    bytes: [u8; ACK_BYTES],
    sets: [PartSet<heapless::Vec<u8, SET_BYTES>>; SETS],
}

impl<const A: usize, const B: usize, const S: usize, const T: usize> Default
    for FixedMemory<A, B, S, T>
{
    fn default() -> Self {
        Self {
            slots: [AckSlot::default(); A],
            bytes: [0; B],
            sets: core::array::from_fn(|_| PartSet::default()),
        }
    }
}

impl<const A: usize, const B: usize, const S: usize, const T: usize> Memory
    for FixedMemory<A, B, S, T>
{
    type Bytes = heapless::Vec<u8, T>;

    fn ack_slots(&mut self) -> &mut [AckSlot] {
        &mut self.slots
    }

    fn ack_slots_ref(&self) -> &[AckSlot] {
        &self.slots
    }

    fn ack_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn part_sets(&mut self) -> &mut [PartSet<Self::Bytes>] {
        &mut self.sets
    }

    fn part_sets_ref(&self) -> &[PartSet<Self::Bytes>] {
        &self.sets
    }
}

#[cfg(feature = "alloc")]
pub use heap::HeapMemory;

#[cfg(feature = "alloc")]
mod heap {
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{AckSlot, Memory, PartBytes, PartSet};

    /// Memory from the allocator, for servers. The default takes address space
    /// for 8,192 deliveries in flight and 16 split events; pages that are never
    /// used are never resident.
    #[derive(Debug)]
    pub struct HeapMemory {
        slots: Box<[AckSlot]>,
        bytes: Box<[u8]>,
        sets: Box<[PartSet<Vec<u8>>]>,
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
        type Bytes = Vec<u8>;

        fn ack_slots(&mut self) -> &mut [AckSlot] {
            &mut self.slots
        }

        fn ack_slots_ref(&self) -> &[AckSlot] {
            &self.slots
        }

        fn ack_bytes(&mut self) -> &mut [u8] {
            &mut self.bytes
        }

        fn part_sets(&mut self) -> &mut [PartSet<Vec<u8>>] {
            &mut self.sets
        }

        fn part_sets_ref(&self) -> &[PartSet<Vec<u8>>] {
            &self.sets
        }
    }

    impl PartBytes for Vec<u8> {
        fn as_bytes_mut(&mut self) -> &mut [u8] {
            self
        }

        fn reset(&mut self) {
            *self = Self::new();
        }
    }
}
