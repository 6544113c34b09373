//! A board, its server, and the line between them, in virtual time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use emulator::{HZ, Machine, ResetCause, Stop};
use layout::LAYOUT;
use ota_manifest::wire::Stage;
use ota_slots::SlotId;
use provision::{Image, slot_at};

use crate::desk::Desk;

/// How often the line is looked at, cycles.
const SLICE: u64 = 30_000;
/// Cycles of a byte on the line: a megabaud, the most that the chip manages, so that downloads take no longer than the firmware does.
const BYTE: u64 = 640;

/// Instructions that a run may take: more than two watchdogs' time without sleep. Who needs more goes round in circles.
const BUSY: u64 = 2_000_000_000;

/// Why a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What was waited for has happened.
    Done,
    /// The time is up.
    Late,
    /// A fault took the power away.
    PowerLost,
    /// Firmware did what it must not, or nothing ever more.
    Broken(Stop),
}

/// A board with its server. A clone is a snapshot of both.
#[derive(Clone)]
pub struct Bench {
    /// The board.
    pub machine: Machine,
    /// Its server.
    pub desk: Desk,
    /// Whether the server is there.
    pub connected: bool,
    /// The slot whose image runs; `None` while the bootloader does.
    pub running: Option<SlotId>,
    /// The slots that were handed over to, one after the other.
    pub handovers: Vec<SlotId>,
    /// Resets so far, with their causes.
    pub resets: Vec<ResetCause>,
    /// The images that may run, each of them signed.
    genuine: Arc<Vec<Image>>,
    /// How often something else was handed over to.
    pub unverified: u32,
    /// Faults that it has run into.
    pub struck: usize,
    /// What each reset began with; `None` if a bit of the flash read differently each time.
    pub beginnings: Vec<Option<Beginning>>,
}

/// What a life goes on from at a reset: a fingerprint of flash, cause, and what the server has been told. Whoever comes to the
/// same goes on in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beginning(u64);

impl Beginning {
    fn new(flash: u64, cause: ResetCause, end: Option<Stage>) -> Self {
        let mut hasher = DefaultHasher::new();
        (flash, format!("{cause:?} {end:?}")).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Bench {
    /// Connects a board and a server.
    #[must_use]
    pub fn new(mut machine: Machine, desk: Desk, genuine: Vec<Image>) -> Self {
        machine.set_byte_time(0, Some(BYTE));
        Self {
            machine,
            desk,
            connected: true,
            running: None,
            handovers: Vec::new(),
            resets: Vec::new(),
            genuine: Arc::new(genuine),
            unverified: 0,
            struck: 0,
            beginnings: Vec::new(),
        }
    }

    /// Lets one more image run.
    pub fn permit(&mut self, image: Image) {
        Arc::make_mut(&mut self.genuine).push(image);
    }

    /// Switches the power on.
    pub fn power_on(&mut self) {
        self.machine.power_on();
        self.note_reset(ResetCause::PowerOn);
    }

    /// Resets the board from outside.
    pub fn reset(&mut self, cause: ResetCause) {
        self.machine.reset(cause);
        self.note_reset(cause);
    }

    fn note_reset(&mut self, cause: ResetCause) {
        self.running = None;
        self.resets.push(cause);
        let (flash, end) = (self.machine.flash().fingerprint(), self.desk.end());
        self.beginnings.push(flash.map(|flash| Beginning::new(flash, cause, end)));
        // Who was answered before the reset does not hear the rest.
        let _ = self.machine.sent(0);
    }

    /// Runs until `done`, and at most for so many seconds of the board's time.
    pub fn run_until(&mut self, seconds: u64, mut done: impl FnMut(&mut Self) -> bool) -> End {
        let end = self.machine.time() + seconds * HZ;
        let busy = self.machine.core().instructions() + BUSY;
        while !done(self) {
            if self.machine.time() >= end || self.machine.core().instructions() >= busy {
                return End::Late;
            }
            match self.machine.run(SLICE) {
                Stop::Deadline => self.exchange(),
                Stop::Reset(cause) => self.note_reset(cause),
                Stop::PowerLost => return End::PowerLost,
                stop => return End::Broken(stop),
            }
        }
        End::Done
    }

    fn exchange(&mut self) {
        if self.running.is_none() {
            self.running = slot_at(self.machine.core().pc());
            if let Some(slot) = self.running {
                self.handovers.push(slot);
                self.unverified += u32::from(!self.is_genuine(slot));
            }
        }
        let sent = self.machine.sent(0);
        if self.connected && !sent.is_empty() {
            let answers = self.desk.hear(&sent);
            self.machine.send(0, &answers);
        }
    }

    /// Bytes of the shortest image that may run from a slot.
    #[must_use]
    pub fn len_of(&self, slot: SlotId) -> u32 {
        let images = self.genuine.iter().filter(|image| image.slot == slot);
        images.filter_map(|image| u32::try_from(image.bytes.len()).ok()).min().unwrap_or(1)
    }

    /// Whether a slot holds one of the images that may run.
    fn is_genuine(&mut self, slot: SlotId) -> bool {
        let start = LAYOUT.slot(slot).region.start;
        let genuine = Arc::clone(&self.genuine);
        let mut images = genuine.iter().filter(|image| image.slot == slot);
        images.any(|image| {
            let len = u32::try_from(image.bytes.len()).unwrap_or(u32::MAX);
            self.machine.flash().bytes(start, len).as_ref() == Some(&image.bytes)
        })
    }
}
