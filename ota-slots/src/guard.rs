//! The guard region: what must not be lost with the journal, written by the bootloader alone.
//!
//! ```text
//! offset size field
//!      0    8 head of a cell, magic "OG"; flags: bit 0 repeats the one before
//!      8    4 security floor
//!     12    4 version of the adopted trust document; 0: none
//!     16    2 its length     18 1 the copy to read first     19 1 whole copies
//!     20    8 the first bytes of its SHA-256
//!     28    4 CRC-32
//! ```

use ota_manifest::SecurityVersion;

use crate::log::{Append, COPY, GUARD_CELL, Kind, Log, Scan, Tail, sequence_of};
use crate::op::{Machine, Outcome, Step, drive};
use crate::{Handover, JournalError, Layout, SlotState};

/// What the guard region says. A bootloader reads it first, gives it to [`Boot::with_guard`](crate::Boot::with_guard), and
/// lets it take note of the hand-over before the region is locked.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use ota_slots::sim::{Flash, Lab};
/// # use ota_slots::{Geometry, Layout, Partition, Region, SlotRegion};
/// # const PAGES: Geometry = Geometry { erase_page: 1024, write_size: 4, erased: 0xFF };
/// # let slot = |start| SlotRegion::new(Region::new(PAGES, start, 0x4000), start);
/// # let partition = Partition::direct_xip(Region::new(PAGES, 0, 2048), slot(0x1000), slot(0x5000));
/// # let lab = Lab::with_layout(Layout::new(partition.with_guard(Region::new(PAGES, 2048, 2048))).unwrap());
/// # let mut flash = Flash::<4, 1024>::new(0x9000, 0xFF, 1);
/// # lab.provision(&mut flash, &lab.release(1, 5000));
/// # let (layout, policy, mut buffer) = (lab.layout(), lab.policy(), [0; ota_slots::WORK_BUFFER]);
/// use ota_manifest::{ResetCause, SecurityVersion};
/// use ota_slots::{Boot, Guard, run_blocking};
///
/// let mut guard = run_blocking(Guard::read(&layout), &mut flash, &layout, &mut buffer, || ());
/// let boot = Boot::new(&layout, &policy, ResetCause::PowerOn).with_guard(&guard);
/// let handover = run_blocking(boot, &mut flash, &layout, &mut buffer, || ()).unwrap();
/// let noted = run_blocking(guard.note(&layout, &handover), &mut flash, &layout, &mut buffer, || ());
/// assert_eq!(noted, Ok(()));
/// let address = handover.lock(&layout, |region| { /* until the next reset */ });
/// # let guard = run_blocking(Guard::read(&layout), &mut flash, &layout, &mut buffer, || ());
/// # assert_eq!(guard.floor(), SecurityVersion(1));
/// # }
/// ```
#[derive(Debug)]
pub struct Guard {
    tail: Tail,
    floor: SecurityVersion,
    pub(crate) kept: Kept,
}

/// The adopted trust document, as the guard region describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kept {
    pub(crate) version: u32,
    pub(crate) len: u16,
    pub(crate) copy: u8,
    /// Copies that have been written to their end.
    pub(crate) copies: u8,
    pub(crate) name: [u8; 8],
}

impl Guard {
    /// Reads the guard region for a bootloader; with a layout that has none, nothing.
    ///
    /// What power may have failed upon is written once more before anybody acts on it: a cell that was cut short may read
    /// differently tomorrow.
    #[must_use]
    pub fn read(layout: &Layout) -> ReadGuard {
        ReadGuard {
            scan: Log::of(layout, Kind::Guard).map(Scan::new),
            affirms: true,
            guard: Self::NOTHING,
            append: None,
        }
    }

    /// Reads the guard region for an application, which cannot write there.
    #[must_use]
    pub fn peek(layout: &Layout) -> ReadGuard {
        ReadGuard { affirms: false, ..Self::read(layout) }
    }

    /// The anti-rollback floor: no image below it runs, whatever the journal says. 0 if it was never raised.
    #[must_use]
    pub const fn floor(&self) -> SecurityVersion {
        self.floor
    }

    /// Version of the adopted trust document; 0 if the pinned keys are still in force.
    #[must_use]
    pub const fn trust_version(&self) -> u32 {
        self.kept.version
    }

    /// Takes note of a hand-over: the floor of a confirmed image goes to where it is not lost with the journal. To be run
    /// after the decision, before the lock; writes nothing otherwise.
    #[must_use]
    pub fn note<'g>(&'g mut self, layout: &Layout, handover: &Handover) -> NoteGuard<'g> {
        let rises = handover.state() == SlotState::Confirmed && handover.floor() > self.floor;
        let log = Log::of(layout, Kind::Guard).filter(|_| rises);
        let append = log.map(|log| self.append(log, handover.floor(), self.kept));
        NoteGuard { floor: handover.floor(), append, guard: self }
    }

    pub(crate) fn append(&self, log: Log, floor: SecurityVersion, kept: Kept) -> Append {
        let bytes = content(floor, &kept);
        let repeats = bytes == content(self.floor, &self.kept);
        Append::new(log, self.tail, &Kind::Guard.cell(0, &bytes)).affirming(repeats)
    }

    /// Takes note of how an append ended.
    pub(crate) const fn take(&mut self, append: &Append, floor: SecurityVersion, kept: Kept, written: bool) {
        self.tail = append.tail();
        if written {
            (self.floor, self.kept) = (floor, kept);
        }
    }

    /// What is known before anything has been read.
    const NOTHING: Self = Self {
        tail: Tail::EMPTY,
        floor: SecurityVersion(0),
        kept: Kept { version: 0, len: 0, copy: 0, copies: 0, name: [0; 8] },
    };

    fn found(&mut self, scan: &Scan) {
        let Some([_, _, _, _, _, _, _, _, content @ .., _, _, _, _]) =
            scan.newest().first_chunk::<GUARD_CELL>()
        else {
            return;
        };
        let [f0, f1, f2, f3, v0, v1, v2, v3, l0, l1, copy, copies, name @ ..] = content;
        self.tail = scan.tail();
        self.floor = SecurityVersion(u32::from_le_bytes([*f0, *f1, *f2, *f3]));
        self.kept = Kept {
            version: u32::from_le_bytes([*v0, *v1, *v2, *v3]),
            len: u16::from_le_bytes([*l0, *l1]),
            copy: *copy,
            copies: *copies,
            name: *name,
        };
    }
}

/// What stands in a cell, between its head and its checksum.
const fn content(floor: SecurityVersion, kept: &Kept) -> [u8; 20] {
    let [f0, f1, f2, f3] = floor.0.to_le_bytes();
    let [v0, v1, v2, v3] = kept.version.to_le_bytes();
    let [l0, l1] = kept.len.to_le_bytes();
    let [n0, n1, n2, n3, n4, n5, n6, n7] = kept.name;
    let Kept { copy, copies, .. } = *kept;
    [f0, f1, f2, f3, v0, v1, v2, v3, l0, l1, copy, copies, n0, n1, n2, n3, n4, n5, n6, n7]
}

/// See [`Guard::read`].
#[derive(Debug)]
pub struct ReadGuard {
    /// `None` where there is no such region.
    scan: Option<Scan>,
    affirms: bool,
    guard: Guard,
    append: Option<Append>,
}

impl Machine for ReadGuard {
    type Output = Guard;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Guard> {
        let mut last = last;
        if let (None, Some(scan)) = (&self.append, &mut self.scan) {
            drive!(scan, buffer, last);
            self.guard.found(scan);
            let newest = scan.newest();
            let [_, _, _, flags, ..] = *newest;
            let is_firm = sequence_of(newest) == 0 || flags & COPY != 0 && scan.is_settled();
            if self.affirms && !is_firm {
                self.append = Some(self.guard.append(scan.log(), self.guard.floor, self.guard.kept));
                last = Ok(());
            }
        }
        if let Some(append) = &mut self.append {
            // A region that takes nothing says what it says.
            let _ = drive!(append, buffer, last);
            self.guard.tail = append.tail();
        }
        Step::Done(core::mem::replace(&mut self.guard, Guard::NOTHING))
    }
}

/// See [`Guard::note`]. A region that takes no cell keeps nothing from running; it is tried again at the next boot.
#[derive(Debug)]
pub struct NoteGuard<'g> {
    guard: &'g mut Guard,
    floor: SecurityVersion,
    append: Option<Append>,
}

impl Machine for NoteGuard<'_> {
    type Output = Result<(), JournalError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let Some(append) = &mut self.append else { return Step::Done(Ok(())) };
        let written = drive!(append, buffer, last);
        self.guard.take(append, self.floor, self.guard.kept, written.is_ok());
        Step::Done(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, Partition, Region, SlotRegion, WORK_BUFFER};

    #[test]
    fn guard_cell_bytes_are_frozen() {
        const FLASH: Geometry = Geometry::NRF52840;
        let slot = |start| SlotRegion::new(Region::new(FLASH, start, 0x10000), start);
        let partition = Partition::direct_xip(Region::new(FLASH, 0, 0x2000), slot(0x10000), slot(0x20000));
        let layout = Layout::new(partition.with_guard(Region::new(FLASH, 0x4000, 0x2000))).unwrap();
        let log = Log::of(&layout, Kind::Guard).unwrap();
        let kept = Kept { version: 7, len: 0x0302, copy: 1, copies: 2, name: [0xAB; 8] };
        let guard = Guard { tail: Tail::EMPTY, floor: SecurityVersion(0), kept: Kept::default() };
        let mut append = guard.append(log, SecurityVersion(0x0605_0403), kept);
        // Drives the machine to its write: the wiped page, the void, the erase, the cell.
        let mut buffer = [0; WORK_BUFFER];
        let written = (0..4).map(|_| append.resume(&mut buffer, Ok(()))).count();
        assert_eq!(written, 4);
        assert_eq!(buffer[..8], *b"OG\x01\x00\x01\x00\x00\x00");
        assert_eq!(buffer[8..20], [3, 4, 5, 6, 7, 0, 0, 0, 2, 3, 1, 2]);
        assert_eq!(buffer[20..28], [0xAB; 8]);
    }
}
