//! Packed sets of program units.

use super::alloc::vec;
use super::alloc::vec::Vec;
use core::ops::Range;

/// A set of numbers below a fixed end, 64 to a word.
#[derive(Debug, Clone)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    pub(super) fn intersects(&self, range: Range<usize>) -> bool {
        words(range).any(|(word, mask)| self.0[word] & mask != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn remove(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Inserts the bits of one word; those that were there already.
    fn insert_word(&mut self, word: usize, mask: u64) -> u64 {
        let already = self.0[word] & mask;
        self.0[word] |= mask;
        already
    }
}

/// How often each program unit was programmed since its page was erased.
///
/// Level `n` holds the units that were programmed more than `n` times. Nearly all flash allows one program per erase, so
/// nearly always there is one level, and a whole write is checked and counted in a few words.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    units: usize,
    levels: Vec<Bits>,
}

impl Programs {
    pub(super) fn new(units: usize) -> Self {
        Self { units, levels: Vec::new() }
    }

    /// Whether any of these units has had all its `limit` programs.
    pub(super) fn exhausted(&self, units: Range<usize>, limit: usize) -> bool {
        self.levels.get(limit - 1).is_some_and(|level| level.intersects(units))
    }

    /// Counts one program of each of these units, up to `limit`.
    pub(super) fn count(&mut self, units: Range<usize>, limit: usize) {
        for (word, mask) in words(units) {
            let mut carry = mask;
            for level in 0..limit {
                if carry == 0 {
                    break;
                }
                if level == self.levels.len() {
                    self.levels.push(Bits::new(self.units));
                }
                carry = self.levels[level].insert_word(word, carry);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.levels.iter_mut().for_each(Bits::clear);
    }
}

/// The words that a range lies in, each with the bits of the range in it.
fn words(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    (range.start / 64..range.end.div_ceil(64)).map(move |word| {
        let from = range.start.max(word * 64) - word * 64;
        let to = range.end.min(word * 64 + 64) - word * 64;
        (word, (u64::MAX << from) & (u64::MAX >> (64 - to)))
    })
}
