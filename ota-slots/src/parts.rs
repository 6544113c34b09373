//! Small machines that others are put together from.

use crate::op::{Machine, Op, Outcome, Place, Step};
use crate::{Geometry, Layout};

/// Bytes moved at a time: a multiple of every write size and of the 32 bytes of a leaf.
pub(crate) const PIECE: usize = 1024;

/// How the flash at a place behaves; where the layout has no such place, no operation on it gets through.
pub(crate) const fn geometry(layout: &Layout, at: Place) -> Geometry {
    match layout.region(at) {
        Some(region) => region.geometry,
        None => Geometry::NRF52840,
    }
}

/// Writes bytes, the last program unit filled up with erased bytes.
#[derive(Debug)]
pub(crate) struct WriteBytes<'d> {
    at: Place,
    rest: &'d [u8],
    unit: usize,
    erased: u8,
}

impl<'d> WriteBytes<'d> {
    pub(crate) const fn new(layout: &Layout, at: Place, bytes: &'d [u8]) -> Self {
        let geometry = geometry(layout, at);
        Self { at, rest: bytes, unit: geometry.write_size as usize, erased: geometry.erased }
    }
}

impl Machine for WriteBytes<'_> {
    type Output = Outcome;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Outcome> {
        if last.is_err() || self.rest.is_empty() {
            return Step::Done(last);
        }
        let (piece, rest) = self.rest.split_at(self.rest.len().min(PIECE));
        let padded = pad(piece, self.unit, self.erased, buffer);
        let at = self.at;
        self.rest = rest;
        self.at = at.plus(u32::try_from(padded).unwrap_or(u32::MAX));
        Step::Op(Op::Write { at, from: 0, to: padded })
    }
}

/// Puts bytes into the buffer, and erased ones behind them up to a whole program unit. How many there are then.
pub(crate) fn pad(piece: &[u8], unit: usize, erased: u8, buffer: &mut [u8]) -> usize {
    // A unit is a power of two: with a mask nothing is divided, by a zero that would have to be looked for.
    let padded = (piece.len() + unit - 1) & !(unit - 1);
    buffer.iter_mut().take(padded).for_each(|to| *to = erased);
    buffer.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
    padded
}

/// Erases whole pages.
#[derive(Debug)]
pub(crate) struct ErasePages {
    next: Place,
    left: u32,
    page: u32,
}

impl ErasePages {
    /// `len` bytes from `at` on, whole pages.
    pub(crate) const fn new(layout: &Layout, at: Place, len: u32) -> Self {
        Self { next: at, left: len, page: geometry(layout, at).erase_page }
    }
}

impl Machine for ErasePages {
    type Output = Outcome;

    fn resume(&mut self, _: &mut [u8], last: Outcome) -> Step<Outcome> {
        if last.is_err() || self.left == 0 {
            return Step::Done(last);
        }
        let at = self.next;
        self.next = at.plus(self.page);
        self.left = self.left.saturating_sub(self.page);
        Step::Op(Op::Erase { at })
    }
}
