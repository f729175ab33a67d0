//! Deliveries that wait for their acknowledgement, in the order they came.
//!
//! Every delivery has the same time to be acknowledged, so the front of the
//! queue is always the first to be overdue. The bytes to echo lie in a ring
//! beside the slots: no allocation, whatever the order of the answers.

use core::time::Duration;

use crate::wire::{AckTemplate, Frame, Outcome};
use crate::{Buffer, BufferFull, Instant};

use super::memory::Memory;

/// One delivery in flight. Opaque: the machine's bookkeeping in the caller's memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckSlot {
    delivered: Instant,
    start: u32,
    template: AckTemplate,
    waiting: bool,
}

/// Names one delivery; redeemed once with
/// [`Connection::acknowledge`](super::Connection::acknowledge).
///
/// It cannot be copied or made up: holding one means that a delivery was
/// handed up and is nobody else's to answer.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a delivery that is never acknowledged is refused when its time is up"]
pub struct AckToken(u64);

impl AckToken {
    /// The delivery that this token redeems.
    #[must_use]
    pub const fn id(&self) -> DeliveryId {
        DeliveryId(self.0)
    }
}

/// The running number of a delivery, for logs and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub(super) u64);

impl DeliveryId {
    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

#[derive(Debug, Default)]
pub(super) struct AckQueue {
    /// Sequence numbers of the oldest slot in use and of the next one.
    front: u64,
    next: u64,
    /// Where the next echoed bytes go.
    write: usize,
}

impl AckQueue {
    /// Takes a delivery in, or says that there is no room.
    pub(super) fn push(
        &mut self,
        now: Instant,
        frame: &Frame<'_>,
        memory: &mut impl Memory,
    ) -> Result<AckToken, BufferFull> {
        let capacity = memory.ack_slots().len() as u64;
        if self.next - self.front >= capacity {
            return Err(BufferFull);
        }
        let read = self.front_slot(memory).map(|slot| slot.start as usize);
        let (start, template) = self.place(frame, read, memory.ack_bytes())?;
        self.write = start + template.len();
        let slot = AckSlot {
            delivered: now,
            start: u32::try_from(start).map_err(|_| BufferFull)?,
            template,
            waiting: true,
        };
        let token = AckToken(self.next);
        *slot_mut(memory, self.next).ok_or(BufferFull)? = slot;
        self.next += 1;
        Ok(token)
    }

    /// Encodes the acknowledgement of a delivery that still waits for it.
    /// `None` when it does not: it was overdue, or is unknown here.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: DeliveryId,
        outcome: Outcome<'_>,
        memory: &mut impl Memory,
        out: &mut impl Buffer,
    ) -> Option<Result<(), BufferFull>> {
        let slot = self.waiting(id, memory)?;
        let start = slot.start as usize;
        let end = start + slot.template.len();
        let echoed = memory.ack_bytes().get(start..end).unwrap_or_default();
        let biz_rt = now.since(slot.delivered).as_millis();
        let biz_rt = u64::try_from(biz_rt).unwrap_or(u64::MAX);
        let written = slot.template.encode(echoed, biz_rt, outcome, out);
        if written.is_ok() {
            self.settle(id, memory);
        }
        Some(written)
    }

    /// Forgets a delivery; true if it still waited.
    pub(super) fn settle(&mut self, id: DeliveryId, memory: &mut impl Memory) -> bool {
        let waited = self.waiting(id, memory).is_some();
        if let Some(slot) = slot_mut(memory, id.0).filter(|_| waited) {
            slot.waiting = false;
        }
        while self.front < self.next && self.front_slot(memory).is_some_and(|slot| !slot.waiting) {
            self.front += 1;
        }
        if self.front == self.next {
            self.write = 0;
        }
        waited
    }

    /// The oldest delivery whose time is up at `now`.
    pub(super) fn overdue(
        &self,
        now: Instant,
        allowed: Duration,
        memory: &impl Memory,
    ) -> Option<DeliveryId> {
        self.deadline(allowed, memory)
            .filter(|due| *due <= now)
            .map(|_| DeliveryId(self.front))
    }

    pub(super) fn deadline(&self, allowed: Duration, memory: &impl Memory) -> Option<Instant> {
        let slot = slot_ref(memory, self.front).filter(|_| self.front < self.next)?;
        Some(slot.delivered + allowed)
    }

    /// Deliveries between the oldest that waits and the newest.
    pub(super) const fn len(&self) -> u64 {
        self.next - self.front
    }

    fn waiting(&self, id: DeliveryId, memory: &mut impl Memory) -> Option<AckSlot> {
        if !(self.front..self.next).contains(&id.0) {
            return None;
        }
        slot_mut(memory, id.0).filter(|slot| slot.waiting).copied()
    }

    fn front_slot(&self, memory: &mut impl Memory) -> Option<AckSlot> {
        if self.front == self.next {
            return None;
        }
        slot_mut(memory, self.front).copied()
    }

    /// Writes the echoed bytes in one piece: behind the newest, or at the
    /// ring's start when the end is too short. `read` is where the oldest
    /// bytes in use begin; the new ones never reach it, so that equal
    /// positions always mean an empty ring.
    fn place(
        &self,
        frame: &Frame<'_>,
        read: Option<usize>,
        bytes: &mut [u8],
    ) -> Result<(usize, AckTemplate), BufferFull> {
        let end = bytes.len();
        let Some(read) = read else {
            return write_at(frame, bytes, 0, end);
        };
        if self.write > read {
            write_at(frame, bytes, self.write, end)
                .or_else(|_| write_at(frame, bytes, 0, read.saturating_sub(1)))
        } else {
            write_at(frame, bytes, self.write, read.saturating_sub(1))
        }
    }
}

fn write_at(
    frame: &Frame<'_>,
    bytes: &mut [u8],
    start: usize,
    end: usize,
) -> Result<(usize, AckTemplate), BufferFull> {
    let room = bytes.get_mut(start..end).ok_or(BufferFull)?;
    let mut cursor = SliceBuffer { room, len: 0 };
    Ok((start, AckTemplate::write(frame, &mut cursor)?))
}

fn slot_mut(memory: &mut impl Memory, sequence: u64) -> Option<&mut AckSlot> {
    let slots = memory.ack_slots();
    let index = sequence.checked_rem(slots.len() as u64)?;
    slots.get_mut(usize::try_from(index).ok()?)
}

fn slot_ref(memory: &impl Memory, sequence: u64) -> Option<&AckSlot> {
    let slots = memory.ack_slots_ref();
    let index = sequence.checked_rem(slots.len() as u64)?;
    slots.get(usize::try_from(index).ok()?)
}

/// A [`Buffer`] over part of a slice.
struct SliceBuffer<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Buffer for SliceBuffer<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        let end = self.len + bytes.len();
        self.room
            .get_mut(self.len..end)
            .ok_or(BufferFull)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn as_bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }
}
