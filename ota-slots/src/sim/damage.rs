//! What is wrong with the cells of a page. A page without any has none of this, and is read and written in bulk.

use super::alloc::vec;
use super::alloc::vec::Vec;
use core::ops::Range;

use super::SimError;
use super::bits::Bits;
use super::random::Random;
use super::tear::Fate;

/// What is wrong with the cells of a page.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    doubts: Vec<Doubt>,
    /// Program units that hold no code word: with error correction they cannot be read.
    torn: Bits,
    /// Program units that neither programming nor erasing changes any more.
    stuck: Bits,
    unit: usize,
}

/// What is wrong with one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Doubt {
    /// Bits that read either way.
    even: u8,
    /// Bits that read wrong one time in 32.
    rare: u8,
    /// Bits that flipped since they were programmed or erased: error correction still knows what they were.
    flipped: u8,
}

impl Doubt {
    fn settle(&mut self, bits: u8) {
        self.even &= !bits;
        self.rare &= !bits;
        self.flipped &= !bits;
    }
}

impl Damage {
    pub(super) fn none(len: usize, unit: usize) -> Self {
        let units = len / unit;
        Self { doubts: vec![Doubt::default(); len], torn: Bits::new(units), stuck: Bits::new(units), unit }
    }

    pub(super) fn is_none(&self) -> bool {
        self.torn.is_empty() && self.stuck.is_empty() && self.doubts.iter().all(|it| *it == Doubt::default())
    }

    pub(super) fn has_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub(super) fn is_stuck(&self, unit: usize) -> bool {
        self.stuck.contains(unit)
    }

    pub(super) fn stick(&mut self, unit: usize) {
        self.stuck.insert(unit);
    }

    pub(super) fn flip(&mut self, at: usize, mask: u8) {
        self.doubts[at].flipped ^= mask;
    }

    /// A unit was programmed completely: the bits that this drove are settled, and if it drove all, so is the unit.
    pub(super) fn programmed(&mut self, at: usize, drives: impl Iterator<Item = u8>) {
        let mut all = true;
        for (doubt, driven) in self.doubts[at..].iter_mut().zip(drives) {
            doubt.settle(driven);
            all &= driven == 0xFF;
        }
        if all {
            self.torn.remove(at / self.unit);
        }
    }

    /// These bytes hold what they hold, for certain.
    pub(super) fn heal(&mut self, bytes: Range<usize>) {
        for unit in bytes.start / self.unit..bytes.end.div_ceil(self.unit) {
            self.torn.remove(unit);
        }
        self.doubts[bytes].fill(Doubt::default());
    }

    /// An interrupted operation left these bytes, whole units, as they are now.
    pub(super) fn torn(&mut self, at: usize, fates: &[Fate]) {
        for (number, fates) in fates.chunks(self.unit).enumerate() {
            let start = at + number * self.unit;
            if self.is_stuck(start / self.unit) {
                continue;
            }
            for (doubt, fate) in self.doubts[start..].iter_mut().zip(fates) {
                doubt.settle(fate.drives & fate.done);
                doubt.even |= fate.even;
                doubt.rare |= fate.rare;
            }
            if fates.iter().any(|fate| fate.torn) {
                self.torn.insert(start / self.unit);
            } else if fates.iter().all(|fate| fate.drives & fate.done == 0xFF) {
                self.torn.remove(start / self.unit);
            }
        }
    }

    /// What a read finds without error correction.
    pub(super) fn read(&self, cells: &[u8], at: usize, bytes: &mut [u8], random: &mut Random) {
        let found = cells[at..].iter().zip(&self.doubts[at..]);
        for (byte, (cell, doubt)) in bytes.iter_mut().zip(found) {
            *byte = cell ^ random.noise(doubt.even, doubt.rare);
        }
    }

    /// What a read finds with error correction, which works on whole units: one wrong bit is put right, two are an error.
    pub(super) fn read_corrected(
        &self,
        cells: &[u8],
        at: usize,
        bytes: &mut [u8],
        random: &mut Random,
    ) -> Result<(), SimError> {
        for unit in at / self.unit..(at + bytes.len()).div_ceil(self.unit) {
            let doubts = &self.doubts[unit * self.unit..(unit + 1) * self.unit];
            let wrong: u32 = doubts
                .iter()
                .map(|doubt| (random.noise(doubt.even, doubt.rare) ^ doubt.flipped).count_ones())
                .sum();
            if self.torn.contains(unit) || wrong > 1 {
                return Err(SimError::Uncorrectable);
            }
        }
        let found = cells[at..].iter().zip(&self.doubts[at..]);
        for (byte, (cell, doubt)) in bytes.iter_mut().zip(found) {
            *byte = cell ^ doubt.flipped;
        }
        Ok(())
    }
}
