//! Whole lives of a device: bootloader, application, reset, until nothing is left to do.

use embassy_boot::{FirmwareUpdaterError, State};
use ota_slots::sim::{Cut, CutMode};
use serde::{Deserialize, Serialize};

use crate::device::Device;

/// After so many boots a life that has found no rest is given up.
pub const MAX_BOOTS: usize = 12;
/// Bytes per call of the updater's write function.
pub const CHUNK: usize = 1024;
/// A device at rest must stay there for so many boots more.
const IDLE_BOOTS: usize = 2;

/// What the new firmware does in its trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Marks itself booted.
    Confirm,
    /// Hangs until the watchdog bites.
    Revert,
}

impl Life {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Confirm, Self::Revert];
}

/// What is in ACTIVE when the bootloader jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// The image the device began with.
    Old,
    /// The image it was updated to.
    New,
    /// Neither of them.
    Neither,
}

/// A second power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// So many operations after the first, whatever happens there.
    After {
        /// Operations that go well in between.
        operations: usize,
        /// What becomes of the one that is hit.
        mode: CutMode,
    },
    /// In the first bootloader run after the first cut that gets so far.
    InBoot {
        /// Operations of that run that go well.
        operations: usize,
        /// What becomes of the one that is hit.
        mode: CutMode,
    },
}

/// What happened in a life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What the bootloader jumped to, each time.
    pub handovers: Vec<Running>,
    /// The first boot after a power cut jumped to neither image.
    pub half_moved: bool,
    /// An application was told of a rollback.
    pub told_of_rollback: bool,
    /// The device found rest and stayed there.
    pub settled: bool,
    /// Times the power failed.
    pub power_cuts: usize,
    /// Bootloader runs that ended in an error with power on.
    pub refused_boots: usize,
    /// Rules of the flash that were broken.
    pub violations: usize,
}

/// A life being lived.
pub struct Play {
    life: Life,
    device: Device,
    second: Option<Second>,
    after_power_cut: bool,
    history: History,
}

/// How a power session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    PowerLost,
    Reset,
    Idle,
}

impl Play {
    /// A life on this device.
    #[must_use]
    pub fn new(life: Life, device: Device) -> Self {
        Self { life, device, second: None, after_power_cut: false, history: History::default() }
    }

    /// Plans a first power cut.
    #[must_use]
    pub fn cut(self, cut: Cut) -> Self {
        self.device.flash(|flash| flash.cut(cut));
        self
    }

    /// Plans a second one.
    #[must_use]
    pub fn and_then(mut self, second: Second) -> Self {
        self.second = Some(second);
        self
    }

    /// Lives it; the device as it is left, and what happened.
    #[must_use]
    pub fn live(mut self) -> (Device, History) {
        let (mut at_rest, mut boots) = (0, 0);
        // The boots that only check whether a rest lasts are not held against it.
        while at_rest <= IDLE_BOOTS && boots < MAX_BOOTS + at_rest {
            boots += 1;
            let ended = self.session();
            at_rest = if ended == Ended::Idle { at_rest + 1 } else { 0 };
            self.after_power_cut = ended == Ended::PowerLost;
            if self.after_power_cut {
                self.power_on();
            }
        }
        self.history.settled = at_rest > IDLE_BOOTS;
        self.history.violations = self.device.flash(|flash| flash.violations());
        (self.device, self.history)
    }

    /// One power session: bootloader, hand-over, application.
    fn session(&mut self) -> Ended {
        let prepared = self.boot();
        if !self.device.is_powered() {
            return Ended::PowerLost;
        }
        if prepared.is_none() {
            // The board crates panic here, which resets the device.
            self.history.refused_boots += 1;
            return Ended::Reset;
        }
        let running = self.device.running();
        self.history.handovers.push(running);
        self.history.half_moved |= self.after_power_cut && running == Running::Neither;
        let ended = match running {
            Running::Old => self.old_firmware(),
            Running::New => self.new_firmware(),
            // Whatever half an image does, a watchdog ends it.
            Running::Neither => Ok(Ended::Reset),
        };
        // An application that cannot unwrap panics, as in the examples.
        if self.device.is_powered() { ended.unwrap_or(Ended::Reset) } else { Ended::PowerLost }
    }

    fn boot(&mut self) -> Option<State> {
        let Some(Second::InBoot { operations, mode }) = self.second.filter(|_| self.history.power_cuts > 0)
        else {
            return self.device.boot().ok();
        };
        self.device.arm(operations, mode);
        let prepared = self.device.boot().ok();
        if !self.device.disarm() {
            self.second = None;
        }
        prepared
    }

    fn power_on(&mut self) {
        self.history.power_cuts += 1;
        self.device.flash(|flash| flash.power_on());
        if let Some(Second::After { operations, mode }) = self.second {
            self.second = None;
            self.device.arm(operations, mode);
        }
    }

    fn old_firmware(&mut self) -> Result<Ended, FirmwareUpdaterError> {
        match self.device.state()? {
            State::Swap => self.mark_booted(),
            State::Revert => self.acknowledge(),
            // An update is offered until it has been tried; who tried it and was not told of its end has lost the news.
            State::Boot | State::DfuDetach if !self.tried() => {
                self.device.download(CHUNK)?;
                self.device.mark_updated()?;
                Ok(Ended::Reset)
            }
            State::Boot | State::DfuDetach => Ok(Ended::Idle),
        }
    }

    fn new_firmware(&mut self) -> Result<Ended, FirmwareUpdaterError> {
        if self.life == Life::Revert {
            return Ok(Ended::Reset);
        }
        match self.device.state()? {
            State::Swap => self.mark_booted(),
            State::Revert => self.acknowledge(),
            State::Boot | State::DfuDetach => Ok(Ended::Idle),
        }
    }

    fn mark_booted(&self) -> Result<Ended, FirmwareUpdaterError> {
        self.device.mark_booted()?;
        Ok(Ended::Reset)
    }

    /// The operator is told first, then the news is cleared.
    fn acknowledge(&mut self) -> Result<Ended, FirmwareUpdaterError> {
        self.history.told_of_rollback = true;
        self.mark_booted()
    }

    fn tried(&self) -> bool {
        self.history.told_of_rollback || self.history.handovers.contains(&Running::New)
    }
}
