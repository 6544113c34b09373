//! The simulated flash with counters on it, and a power cut that can be taken back.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use ota_slots::sim::{Cut, CutMode, Flash, SimError};
use serde::{Deserialize, Serialize};

use crate::geometry::{Geometry, Name, PAGE, WORD};

/// The flash under test.
pub type Simulated = Flash<WORD, PAGE>;

/// What a stretch of work cost: operations that were carried out, not those that were refused or hit by a power cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Page erases.
    pub erases: u64,
    /// Of these, in ACTIVE.
    pub erases_active: u64,
    /// Of these, in DFU.
    pub erases_dfu: u64,
    /// Of these, in STATE.
    pub erases_state: u64,
    /// Program calls.
    pub write_calls: u64,
    /// Bytes programmed.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Read calls.
    pub read_calls: u64,
}

/// A flash that counts.
#[derive(Debug)]
pub struct Metered {
    flash: Simulated,
    geometry: Geometry,
    cost: Cost,
    planned: Option<(usize, CutMode)>,
}

impl Metered {
    /// Counters at zero.
    #[must_use]
    pub fn new(flash: Simulated, geometry: Geometry) -> Self {
        Self { flash, geometry, cost: Cost::default(), planned: None }
    }

    /// What was counted since the last call.
    pub fn take(&mut self) -> Cost {
        std::mem::take(&mut self.cost)
    }

    /// Plans a power failure after so many operations from now. Unlike one planned on the flash it can be
    /// [taken back](Self::disarm).
    pub fn arm(&mut self, operations: usize, mode: CutMode) {
        self.planned = Some((operations, mode));
    }

    /// Takes back what was planned; whether there was anything left to take back.
    pub fn disarm(&mut self) -> bool {
        self.planned.take().is_some()
    }

    /// The flash itself, past the counters.
    pub fn flash(&mut self) -> &mut Simulated {
        &mut self.flash
    }

    /// So many operations are about to happen: tells the flash when the planned failure is among them.
    fn approach(&mut self, operations: usize) {
        let Some((ahead, mode)) = self.planned.filter(|_| self.flash.is_powered()) else { return };
        if ahead < operations {
            self.planned = None;
            self.flash.cut(Cut { operation: self.flash.log().len() + ahead, mode });
        } else {
            self.planned = Some((ahead - operations, mode));
        }
    }

    fn count_erase(&mut self, from: u32, to: u32) {
        let pages = u64::from(to - from) / PAGE as u64;
        self.cost.erases += pages;
        *match self.geometry.holder(from) {
            Name::Active => &mut self.cost.erases_active,
            Name::Dfu => &mut self.cost.erases_dfu,
            Name::State => &mut self.cost.erases_state,
        } += pages;
    }
}

impl ErrorType for Metered {
    type Error = SimError;
}

impl ReadNorFlash for Metered {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        self.flash.read(offset, bytes)?;
        self.cost.read_calls += 1;
        self.cost.bytes_read += bytes.len() as u64;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Metered {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        self.approach((to - from) as usize / PAGE);
        self.flash.erase(from, to)?;
        self.count_erase(from, to);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        self.approach(1);
        self.flash.write(offset, bytes)?;
        self.cost.write_calls += 1;
        self.cost.bytes_written += bytes.len() as u64;
        Ok(())
    }
}
