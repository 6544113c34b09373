//! A device and a life to cut into.

use std::rc::Rc;

use ota_slots::sim::{Cut, Logged};

use crate::device::Device;
use crate::error::PeerError;
use crate::geometry::{Geometry, Name};
use crate::images::{Images, mix};
use crate::lives::{History, Life, Play, Second};
use crate::verdict::Verdict;

/// A provisioned device, and the operations of its undisturbed life.
pub struct Stage {
    life: Life,
    prototype: Device,
    log: Vec<Logged>,
    seed: u64,
}

impl Stage {
    /// Lives the life once, undisturbed, and keeps its operation log.
    ///
    /// # Errors
    /// When it ends in harm: then there is nothing to compare with.
    pub fn new(life: Life, slot: u32, seed: u64) -> Result<Self, PeerError> {
        let images = Rc::new(Images::new(slot as usize, seed));
        let prototype = Device::provisioned(Geometry::new(slot), &images, seed);
        let (device, history) = Play::new(life, prototype.fork(seed)).live();
        if !Verdict::of(life, &history).is_clean() || history.violations > 0 {
            return Err(PeerError::Disturbed(life));
        }
        let log = device.flash(|flash| flash.log().to_vec());
        Ok(Self { life, prototype, log, seed })
    }

    /// The life.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// Every write and page erase of the undisturbed life.
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// Lives the life with one power cut; `draw` distinguishes lives that differ in nothing but luck.
    ///
    /// # Errors
    /// When the cut did not happen.
    pub fn cut(&self, cut: Cut, draw: u64) -> Result<(Device, History), PeerError> {
        self.expect(cut, 1, self.play(cut, draw).live())
    }

    /// Lives the life with two.
    ///
    /// # Errors
    /// When one of them did not happen. A second one that waits for a bootloader run may wait in vain in a life that
    /// finds no rest.
    pub fn cut_twice(&self, cut: Cut, second: Second, draw: u64) -> Result<(Device, History), PeerError> {
        let lived = self.play(cut, draw).and_then(second).live();
        let in_vain = matches!(second, Second::InBoot { .. }) && !lived.1.settled;
        self.expect(cut, if in_vain { lived.1.power_cuts.clamp(1, 2) } else { 2 }, lived)
    }

    /// The numbers of the operations that erase or begin the STATE page: what the bootloader decides by.
    #[must_use]
    pub fn decisive(&self) -> Vec<usize> {
        let state = self.prototype.geometry().part(Name::State).start;
        let decides = |logged: &Logged| match *logged {
            Logged::Erase { at } => at >= state,
            Logged::Write { at, .. } => at >= state && at < state + 8,
        };
        (0..self.log.len()).filter(|number| decides(&self.log[*number])).collect()
    }

    fn play(&self, cut: Cut, draw: u64) -> Play {
        let seed = mix(&[self.seed, self.life as u64, cut.operation as u64, draw]);
        Play::new(self.life, self.prototype.fork(seed)).cut(cut)
    }

    fn expect(
        &self,
        cut: Cut,
        cuts: usize,
        lived: (Device, History),
    ) -> Result<(Device, History), PeerError> {
        if lived.1.power_cuts == cuts {
            Ok(lived)
        } else {
            Err(PeerError::CutMissed { life: self.life, cut })
        }
    }
}
