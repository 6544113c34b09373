//! What an interrupted operation leaves behind, bit by bit. Pure: nothing here touches a page.

use super::alloc::vec::Vec;

use super::CutMode;
use super::random::Random;

/// An operation as the cells see it.
pub(super) struct Operation<'a> {
    /// What the cells held.
    pub(super) before: &'a [u8],
    /// The bits that it drives, whether they change or not.
    pub(super) drives: &'a [u8],
    /// What it drives them to: `0x00` or `0xFF`.
    pub(super) goal: u8,
    /// Bytes of a program unit.
    pub(super) unit: usize,
}

/// What became of one byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    /// Bits that the operation drove.
    pub(super) drives: u8,
    /// Bits that it was to change.
    pub(super) changes: u8,
    /// Bits for which it got done.
    pub(super) done: u8,
    /// Bits that read either way from now on.
    pub(super) even: u8,
    /// Bits that read wrong one time in 32 from now on.
    pub(super) rare: u8,
    /// The program unit was left in the middle: error correction finds no code word there.
    pub(super) torn: bool,
}

impl Operation<'_> {
    /// Interrupts it.
    pub(super) fn cut(&self, mode: CutMode, random: &mut Random) -> Vec<Fate> {
        let mut fates: Vec<Fate> = self
            .before
            .iter()
            .zip(self.drives)
            .map(|(before, &drives)| Fate {
                drives,
                changes: drives & (before ^ self.goal),
                ..Fate::default()
            })
            .collect();
        match mode {
            CutMode::Before | CutMode::BarelyBegun(_) | CutMode::WeaklyBegun(_) => {}
            CutMode::After | CutMode::AlmostDone(_) | CutMode::WeaklyDone(_) => finish(&mut fates),
            CutMode::FirstHalf => self.halve(&mut fates, |nibble, middle| nibble < middle),
            CutMode::LastHalf => self.halve(&mut fates, |nibble, middle| nibble >= middle),
            CutMode::RandomBits(percent) => scatter(&mut fates, percent, random),
            CutMode::RandomWords => {
                fates.chunks_mut(self.unit).filter(|_| random.percent(50)).for_each(finish);
            }
            CutMode::Marginal => {
                fates.iter_mut().for_each(|fate| (fate.even, fate.torn) = (fate.changes, true));
            }
        }
        weaken(&mut fates, mode, random);
        fates
    }

    /// In nibbles, so that a single byte has halves too.
    fn halve(&self, fates: &mut [Fate], happens: impl Fn(usize, usize) -> bool) {
        let middle = fates.len();
        for (index, fate) in fates.iter_mut().enumerate() {
            let low = if happens(2 * index, middle) { 0x0F } else { 0 };
            let high = if happens(2 * index + 1, middle) { 0xF0 } else { 0 };
            fate.done = low | high;
            let unit = 2 * self.unit * (index / self.unit);
            fate.torn = unit < middle && middle < unit + 2 * self.unit;
        }
    }
}

fn finish(fates: &mut [Fate]) {
    fates.iter_mut().for_each(|fate| fate.done = 0xFF);
}

fn scatter(fates: &mut [Fate], percent: u8, random: &mut Random) {
    for fate in fates {
        fate.torn = true;
        // Erasing a page that is half blank: no dice for what cannot change.
        fate.done = if fate.changes == 0 { 0 } else { random.mask(percent) };
    }
}

/// The modes that leave a few bits undecided: picks them among those that were to change.
fn weaken(fates: &mut [Fate], mode: CutMode, random: &mut Random) {
    let (even, count) = match mode {
        CutMode::AlmostDone(count) | CutMode::BarelyBegun(count) => (true, count),
        CutMode::WeaklyDone(count) | CutMode::WeaklyBegun(count) => (false, count),
        _ => return,
    };
    let candidates: Vec<usize> =
        (0..8 * fates.len()).filter(|bit| fates[bit / 8].changes >> (bit % 8) & 1 == 1).collect();
    for chosen in random.sample(candidates.len(), usize::from(count)) {
        let bit = candidates[chosen];
        let fate = &mut fates[bit / 8];
        *(if even { &mut fate.even } else { &mut fate.rare }) |= 1 << (bit % 8);
    }
}
