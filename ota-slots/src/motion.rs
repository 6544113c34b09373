//! Moving images between the slots, so that power may fail at any moment.
//!
//! ```text
//!   Swap, n units, running image P, staged image S one unit into its slot:
//!     step 0  S[0] <- P[0]     step 1  P[0] <- S[1]
//!     step 2  S[1] <- P[1]     step 3  P[1] <- S[2]   ...
//!     step 2n     displaced envelope <- P's envelope
//!     step 2n+1   P's envelope <- staged envelope
//!   Restore: P[i] <- S[i], then the displaced envelope.   Install: P[i] <- staged[i], then the staged envelope.
//! ```
//! What a step reads is not touched before the next step, so the step that was cut short is done again from its beginning.
//! The number of steps that are done goes into a log of its own ([`crate::log`]), one cell a step. A power session that
//! goes on first repeats in a new cell what it has read: of a cell that was cut short nobody knows what it says tomorrow, and
//! a step must not be begun on its word. To find the place takes one scan of that log, however far the move has come.
//!
//! Restore and Install leave their source alone: they can be begun again from nothing.

use crate::activation::{Motion, MotionKind, Moved};
use crate::log::{Append, COPY, Cell, Kind, Log, Scan, Tail, sequence_of};
use crate::op::{Machine, Op, Outcome, Place, Step, drive};
use crate::parts::{PIECE, geometry};
use crate::{Layout, Site, SlotId};

/// Times a unit is written before it is left to the proof to find it bad.
const TRIES: u8 = 3;
/// Cells that power cuts may take beside those of the steps, before a move goes on in another page.
const SPARE: u32 = 16;

impl Motion {
    /// Steps of the whole move.
    const fn steps(self) -> u32 {
        match self.kind {
            MotionKind::Swap => 2 * self.units as u32 + 2,
            MotionKind::Restore | MotionKind::Install => self.units as u32 + 1,
        }
    }

    /// The cell that says how many steps are done.
    fn cell(self, done: u32) -> Cell {
        let [units_low, units_high] = self.units.to_le_bytes();
        let [done_low, done_high, ..] = done.to_le_bytes();
        let flags = (self.kind as u8) << 1 | self.id << 3;
        Kind::Progress.cell(flags, &[units_low, units_high, done_low, done_high])
    }

    /// What a cell says: the move, and how many of its steps are done.
    fn read(cell: &Cell) -> Option<(Self, u32)> {
        if sequence_of(cell) == 0 {
            return None;
        }
        let [_, _, _, flags, _, _, _, _, units_low, units_high, done_low, done_high, ..] = *cell;
        let kind = match flags >> 1 & 3 {
            0 => MotionKind::Swap,
            1 => MotionKind::Restore,
            2 => MotionKind::Install,
            _ => return None,
        };
        let units = u16::from_le_bytes([units_low, units_high]);
        let done = u16::from_le_bytes([done_low, done_high]);
        Some((Self { kind, id: flags >> 3, units }, u32::from(done)))
    }

    /// What step number `step` copies.
    fn copy(self, layout: &Layout, step: u32) -> Copy {
        let units = u32::from(self.units);
        let (staged, displaced) = (Site::Slot(SlotId::B), Site::Displaced);
        let running = Site::Slot(SlotId::A);
        let (from, to, unit) = match self.kind {
            MotionKind::Swap if step < 2 * units && step.is_multiple_of(2) => {
                (running, displaced, Some(step / 2))
            }
            MotionKind::Swap if step < 2 * units => (staged, running, Some(step / 2)),
            MotionKind::Swap if step == 2 * units => (running, displaced, None),
            MotionKind::Restore => (displaced, running, (step < units).then_some(step)),
            MotionKind::Swap => (staged, running, None),
            MotionKind::Install => (staged, running, (step < units).then_some(step)),
        };
        let place = |site: Site| {
            let offset = match unit {
                Some(unit) => layout.image_offset(site).saturating_add(unit.saturating_mul(layout.unit())),
                None => layout.envelope_offset(site),
            };
            Place::Slot(site.slot(), offset)
        };
        let (len, area) = match unit {
            Some(_) => (layout.unit(), layout.unit()),
            // Envelopes travel as long as they may be.
            None => (layout.envelope_len(), layout.envelope_area(to.slot())),
        };
        Copy::new(layout, place(from), place(to), len, area)
    }
}

/// Moves images, or goes on moving them.
#[derive(Debug)]
pub struct Mover<'a> {
    layout: &'a Layout,
    motion: Motion,
    log: Log,
    tail: Tail,
    /// Steps that are done.
    done: u32,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Scanning(Scan),
    Recording(Append),
    Copying(Copy),
}

impl<'a> Mover<'a> {
    /// `None` without a region for its progress.
    pub(crate) fn new(layout: &'a Layout, motion: Motion) -> Option<Self> {
        let log = Log::of(layout, Kind::Progress)?;
        // A record that somebody else made up must not make work without bounds.
        let most = layout.largest_moved_image() >> layout.unit().trailing_zeros();
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        let motion = Motion { units: motion.units.min(most), ..motion };
        Some(Self { layout, motion, log, tail: Tail::EMPTY, done: 0, doing: Doing::Scanning(Scan::new(log)) })
    }

    /// Where to go on, from the newest cell. True if this move has begun before.
    fn find_place(&mut self, newest: &Cell) -> bool {
        match Motion::read(newest) {
            Some((motion, done)) if motion == self.motion => {
                self.done = done;
                true
            }
            _ => false,
        }
    }

    fn record(&mut self) {
        // That it is done must stand there twice: were the only cell that says so lost, the move would look unfinished to a
        // device that has long gone on, and has nothing left to finish it with.
        let append = Append::new(self.log, self.tail, &self.motion.cell(self.done));
        self.doing = Doing::Recording(append.affirming(self.is_done()));
    }

    const fn is_done(&self) -> bool {
        self.done >= self.motion.steps()
    }
}

impl Machine for Mover<'_> {
    type Output = Moved;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Moved> {
        let mut last = last;
        loop {
            match &mut self.doing {
                Doing::Scanning(scan) => {
                    drive!(scan, buffer, last);
                    self.tail = scan.tail();
                    let newest = *scan.newest();
                    let [_, _, _, flags, ..] = newest;
                    let is_firm = flags & COPY != 0 && scan.is_settled();
                    if !self.find_place(&newest) {
                        // A page that takes no cells shows at the first, while nothing has been touched yet.
                        self.tail.make_room(&self.log, self.motion.steps() + SPARE);
                    } else if self.is_done() && is_firm {
                        return Step::Done(Moved::Done);
                    }
                    self.record();
                }
                Doing::Recording(append) => {
                    let written = drive!(append, buffer, last);
                    self.tail = append.tail();
                    if written.is_err() && self.done == 0 && self.motion.kind == MotionKind::Swap {
                        return Step::Done(Moved::NotBegun);
                    }
                    // Later on, going on without a record is better than to stop with no image whole.
                    if self.is_done() {
                        return Step::Done(Moved::Done);
                    }
                    self.doing = Doing::Copying(self.motion.copy(self.layout, self.done));
                }
                Doing::Copying(copy) => {
                    if let Err(Silent) = drive!(copy, buffer, last) {
                        return Step::Done(Moved::Stopped);
                    }
                    self.done += 1;
                    self.record();
                }
            }
            last = Ok(());
        }
    }
}

/// The last move that the progress region knows of, and whether it has ended.
pub(crate) fn last(newest: &Cell) -> Option<(Motion, bool)> {
    let (motion, done) = Motion::read(newest)?;
    Some((motion, done >= motion.steps()))
}

/// A chip answers nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Silent;

/// Erases a place, copies another one to it, and compares.
///
/// What cannot be read, erased or written after some tries is passed over: behind a shorter image lies what an older one left,
/// torn perhaps, and a worn page is no reason to stop with no image whole. If it was the image, the proof will tell. But if
/// the chip answers nothing at all, the copy ends before it does harm.
#[derive(Debug)]
struct Copy {
    from: Place,
    to: Place,
    len: u32,
    /// Bytes to erase, and the page to do it in.
    area: u32,
    page: u32,
    erased: u8,
    /// Places of the staging slot, not all of which can be torn at a time.
    probes: [Place; 3],
    at: u32,
    piece: usize,
    tries: u8,
    doing: Copying,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    Nothing,
    /// Trying these places of the staging slot, and then the others.
    Probing(usize),
    Erasing,
    Reading,
    Writing,
    ReadingBack,
}

impl Copy {
    const fn new(layout: &Layout, from: Place, to: Place, len: u32, area: u32) -> Self {
        let geometry = geometry(layout, to);
        let (page, erased) = (geometry.erase_page, geometry.erased);
        let staged = Place::Slot(SlotId::B, layout.envelope_offset(Site::Slot(SlotId::B)));
        let displaced = Place::Slot(SlotId::B, layout.envelope_offset(Site::Displaced));
        let probes = [staged, displaced, Place::Slot(SlotId::B, 0)];
        let doing = Copying::Nothing;
        Self { from, to, len, area, page, erased, probes, at: 0, piece: 0, tries: 0, doing }
    }

    /// Whether the staging chip answers at all. The other one is the processor's own.
    fn probe(&mut self, number: usize) -> Step<Result<(), Silent>> {
        let Some(at) = self.probes.get(number) else { return Step::Done(Err(Silent)) };
        self.doing = Copying::Probing(number);
        Step::Op(Op::Read { at: *at, from: 0, to: 32 })
    }

    /// The next page, or the next piece of this one.
    fn next(&mut self) -> Step<Result<(), Silent>> {
        let in_page = self.at & (self.page - 1);
        if in_page == 0 {
            return if self.at >= self.area { Step::Done(Ok(())) } else { self.erase() };
        }
        self.read(self.page - in_page)
    }

    fn erase(&mut self) -> Step<Result<(), Silent>> {
        self.doing = Copying::Erasing;
        Step::Op(Op::Erase { at: self.to.plus(self.at) })
    }

    /// A piece, of which so many bytes are left in the page.
    fn read(&mut self, left: u32) -> Step<Result<(), Silent>> {
        self.piece = (self.len.saturating_sub(self.at).min(left) as usize).min(PIECE);
        if self.piece == 0 {
            return self.next_page();
        }
        self.doing = Copying::Reading;
        Step::Op(Op::Read { at: self.from.plus(self.at), from: 0, to: self.piece })
    }

    fn next_page(&mut self) -> Step<Result<(), Silent>> {
        self.tries = 0;
        self.at = (self.at & !(self.page - 1)).saturating_add(self.page);
        self.next()
    }

    /// Writes the piece that was read, unless the erased page holds it already.
    fn write(&mut self, buffer: &mut [u8], read: Outcome) -> Step<Result<(), Silent>> {
        let bytes = buffer.get_mut(..self.piece).unwrap_or(&mut []);
        if read.is_err() || bytes.iter().all(|byte| *byte == self.erased) {
            return self.go_on();
        }
        self.doing = Copying::Writing;
        Step::Op(Op::Write { at: self.to.plus(self.at), from: 0, to: self.piece })
    }

    fn read_back(&mut self) -> Step<Result<(), Silent>> {
        self.doing = Copying::ReadingBack;
        Step::Op(Op::Read { at: self.to.plus(self.at), from: PIECE, to: PIECE + self.piece })
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 1024")]
    fn go_on(&mut self) -> Step<Result<(), Silent>> {
        self.at += self.piece as u32;
        if self.at & (self.page - 1) == 0 {
            self.tries = 0;
        }
        self.next()
    }

    /// Begins the page again with its erase; one that does not take it is left for the next.
    fn again(&mut self) -> Step<Result<(), Silent>> {
        self.tries += 1;
        if self.tries >= TRIES {
            return self.next_page();
        }
        self.at &= !(self.page - 1);
        self.erase()
    }

    fn is_read_back(&self, buffer: &[u8]) -> bool {
        let found = buffer.get(PIECE..PIECE + self.piece);
        found.is_some_and(|found| buffer.get(..self.piece) == Some(found))
    }
}

impl Machine for Copy {
    type Output = Result<(), Silent>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        match (self.doing, last) {
            (Copying::Nothing, _) => self.probe(0),
            (Copying::Probing(number), Err(_)) => self.probe(number + 1),
            (Copying::Probing(_), Ok(())) => self.next(),
            (Copying::Erasing, Ok(())) => self.read(self.page),
            (Copying::Reading, read) => self.write(buffer, read),
            (Copying::Writing, Ok(())) => self.read_back(),
            (Copying::ReadingBack, Ok(())) if self.is_read_back(buffer) => self.go_on(),
            (Copying::Erasing | Copying::Writing | Copying::ReadingBack, _) => self.again(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_cell_bytes_are_frozen() {
        let motion = Motion { kind: MotionKind::Restore, id: 0x15, units: 0x0302 };
        let mut cell = motion.cell(0x0504);
        Kind::Progress.seal(&mut cell, 0x0403_0201);
        assert_eq!(cell[..12], *b"OP\x01\xaa\x01\x02\x03\x04\x02\x03\x04\x05");
        assert!(Kind::Progress.is_whole(&cell));
        assert_eq!(Motion::read(&cell), Some((motion, 0x0504)));
    }
}
