//! Small machines that others are put together from.

use crate::op::{Machine, Op, Outcome, Place, Step, WORK_BUFFER};
use crate::{Layout, SlotId};

/// Bytes moved at a time: a multiple of every write size and of the 32 bytes of a leaf.
pub(crate) const PIECE: usize = 1024;

/// Writes bytes into a slot, the last program unit filled up with erased bytes.
#[derive(Debug)]
pub(crate) struct WriteBytes<'d> {
    slot: SlotId,
    at: u32,
    rest: &'d [u8],
    unit: usize,
    erased: u8,
}

impl<'d> WriteBytes<'d> {
    pub(crate) const fn new(layout: &Layout, slot: SlotId, at: u32, bytes: &'d [u8]) -> Self {
        let geometry = layout.geometry();
        Self { slot, at, rest: bytes, unit: geometry.write_size as usize, erased: geometry.erased }
    }
}

impl Machine for WriteBytes<'_> {
    type Output = Outcome;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Outcome> {
        if last.is_err() || self.rest.is_empty() {
            return Step::Done(last);
        }
        let (piece, rest) = self.rest.split_at(self.rest.len().min(PIECE));
        let padded = piece.len().next_multiple_of(self.unit);
        let fill = piece.iter().copied().chain(core::iter::repeat(self.erased));
        buffer.iter_mut().take(padded).zip(fill).for_each(|(to, from)| *to = from);
        let at = Place::Slot(self.slot, self.at);
        self.rest = rest;
        self.at = self.at.saturating_add(u32::try_from(padded).unwrap_or(u32::MAX));
        Step::Op(Op::Write { at, from: 0, to: padded })
    }
}

/// Erases whole pages. See [`Staging::erase_block`](crate::Staging::erase_block).
#[derive(Debug)]
pub struct ErasePages {
    slot: SlotId,
    next: u32,
    to: u32,
    page: u32,
}

impl ErasePages {
    pub(crate) const fn slot(layout: &Layout, slot: SlotId, from: u32, to: u32) -> Self {
        Self { slot, next: from, to, page: layout.geometry().erase_page }
    }
}

impl Machine for ErasePages {
    type Output = Outcome;

    fn resume(&mut self, _: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Outcome> {
        if last.is_err() || self.next >= self.to {
            return Step::Done(last);
        }
        let at = Place::Slot(self.slot, self.next);
        self.next += self.page;
        Step::Op(Op::Erase { at })
    }
}
