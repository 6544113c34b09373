//! One erase page: cells, and what is known about them.

use super::alloc::boxed::Box;
use super::alloc::vec;
use super::alloc::vec::Vec;
use core::ops::Range;

use super::bits::Programs;
use super::damage::Damage;
use super::random::Random;
use super::tear::Fate;
use super::{Bank, SimError};

/// One erase page. Shared between clones of a flash until one of them changes it.
#[derive(Debug, Clone)]
pub(super) struct Page {
    cells: Vec<u8>,
    programs: Programs,
    /// An erase of this page was interrupted: blank or not, its cells would not hold a program.
    spent: bool,
    health: Health,
    /// `None` nearly always; then cells are copied, not looked at.
    damage: Option<Box<Damage>>,
    unit: usize,
    erased: u8,
}

/// What a page does when it is told to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It changes.
    Good,
    /// It says it did.
    Stuck,
    /// It says that it cannot.
    Failed,
}

impl Page {
    pub(super) fn blank(bank: &Bank) -> Self {
        let (len, unit) = (bank.erase_page as usize, bank.write_size as usize);
        Self {
            cells: vec![bank.erased; len],
            programs: Programs::new(len / unit),
            spent: false,
            health: Health::Good,
            damage: None,
            unit,
            erased: bank.erased,
        }
    }

    pub(super) fn cells(&self) -> &[u8] {
        &self.cells
    }

    pub(super) fn health(&self) -> Health {
        self.health
    }

    pub(super) fn set_health(&mut self, health: Health) {
        self.health = health;
    }

    /// Whether erasing it leaves nothing of it.
    pub(super) fn erases_completely(&self) -> bool {
        self.health == Health::Good && !self.damage.as_ref().is_some_and(|damage| damage.has_stuck())
    }

    pub(super) fn read(
        &self,
        at: usize,
        bytes: &mut [u8],
        corrected: bool,
        random: &mut Random,
    ) -> Result<(), SimError> {
        match &self.damage {
            None => bytes.copy_from_slice(&self.cells[at..at + bytes.len()]),
            Some(damage) if corrected => return damage.read_corrected(&self.cells, at, bytes, random),
            Some(damage) => damage.read(&self.cells, at, bytes, random),
        }
        Ok(())
    }

    /// Whether this would program a unit more often than allowed.
    ///
    /// Programming every bit of a unit is always legal, on flash with error correction too (ST RM0351, 3.3.7): the code
    /// for all bits programmed is all bits programmed.
    pub(super) fn refuses(&self, at: usize, data: &[u8], limit: usize) -> bool {
        let units = self.units(at, data.len());
        let used = |units| self.spent || self.programs.exhausted(units, limit);
        used(units.clone())
            && units
                .zip(data.chunks(self.unit))
                .any(|(unit, chunk)| used(unit..unit + 1) && chunk.iter().any(|byte| *byte != !self.erased))
    }

    pub(super) fn program(&mut self, at: usize, data: &[u8], limit: usize) {
        let units = self.units(at, data.len());
        let blank = !self.spent && !self.programs.exhausted(units.clone(), 1);
        self.programs.count(units, limit);
        match (self.health, &self.damage) {
            // The way of nearly every write, and in unoptimised builds the only quick one.
            (Health::Good, None) if blank => self.cells[at..at + data.len()].copy_from_slice(data),
            (Health::Good, None) => self.combine(at, data),
            (Health::Good, Some(_)) => {
                for (number, chunk) in data.chunks(self.unit).enumerate() {
                    self.program_damaged(at + number * self.unit, chunk);
                }
            }
            (Health::Stuck | Health::Failed, _) => {}
        }
    }

    /// Programs one unit of a page that has seen damage.
    fn program_damaged(&mut self, at: usize, data: &[u8]) {
        let (unit, erased) = (at / self.unit, self.erased);
        if let Some(damage) = self.damage.as_mut().filter(|damage| !damage.is_stuck(unit)) {
            damage.programmed(at, data.iter().map(|byte| byte ^ erased));
            self.combine(at, data);
        }
    }

    /// Bits change one way only.
    fn combine(&mut self, at: usize, data: &[u8]) {
        let cells = self.cells[at..].iter_mut().zip(data);
        if self.erased == 0 {
            cells.for_each(|(cell, byte)| *cell |= byte);
        } else {
            cells.for_each(|(cell, byte)| *cell &= byte);
        }
    }

    pub(super) fn erase(&mut self) {
        self.programs.clear();
        self.spent = false;
        if self.erases_completely() {
            self.cells.fill(self.erased);
            self.damage = None;
        } else if self.health == Health::Good {
            self.erase_around_stuck();
        }
    }

    fn erase_around_stuck(&mut self) {
        let Some(damage) = &mut self.damage else { return };
        for (unit, cells) in self.cells.chunks_mut(self.unit).enumerate() {
            if !damage.is_stuck(unit) {
                cells.fill(self.erased);
                damage.heal(unit * self.unit..(unit + 1) * self.unit);
            }
        }
    }

    /// A write was interrupted.
    pub(super) fn tear_program(&mut self, at: usize, fates: &[Fate], limit: usize) {
        self.programs.count(self.units(at, fates.len()), limit);
        self.tear(at, fates);
    }

    /// An erase was interrupted.
    pub(super) fn tear_erase(&mut self, fates: &[Fate]) {
        self.spent = true;
        self.tear(0, fates);
    }

    fn tear(&mut self, at: usize, fates: &[Fate]) {
        if self.health != Health::Good {
            return;
        }
        let mut damage = self.take_damage();
        for (index, fate) in (at..).zip(fates) {
            if !damage.is_stuck(index / self.unit) {
                self.cells[index] ^= fate.changes & fate.done;
            }
        }
        damage.torn(at, fates);
        // Clean cuts must not leave the page slow.
        self.damage = Some(damage).filter(|damage| !damage.is_none());
    }

    /// Overwrites cells as no flash operation could.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8], limit: usize) {
        let range = at..at + bytes.len();
        (0..limit).for_each(|_| self.programs.count(self.units(at, bytes.len()), limit));
        self.cells[range.clone()].copy_from_slice(bytes);
        if let Some(damage) = &mut self.damage {
            damage.heal(range);
        }
    }

    /// Flips bits of one byte at rest.
    pub(super) fn flip(&mut self, at: usize, mask: u8) {
        self.cells[at] ^= mask;
        let mut damage = self.take_damage();
        damage.flip(at, mask);
        self.damage = Some(damage);
    }

    /// Lets the unit that holds byte `at` keep what it holds.
    pub(super) fn stick(&mut self, at: usize) {
        let mut damage = self.take_damage();
        damage.stick(at / self.unit);
        self.damage = Some(damage);
    }

    fn take_damage(&mut self) -> Box<Damage> {
        self.damage.take().unwrap_or_else(|| Box::new(Damage::none(self.cells.len(), self.unit)))
    }

    fn units(&self, at: usize, len: usize) -> Range<usize> {
        at / self.unit..(at + len).div_ceil(self.unit)
    }
}
