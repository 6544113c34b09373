//! Counting good signatures.

use ota_manifest::Alg;

use crate::AlgSet;

/// The signatures of one role that counted, and what the role asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quorum {
    pub(crate) tally: Tally,
    /// Distinct keys that must sign; never 0, whatever a pinned threshold says.
    pub(crate) needed: u8,
    /// Whether both families of algorithms must be among them.
    pub(crate) hybrid: bool,
}

/// What a quorum lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortfall {
    /// Too few signatures.
    Count { found: u8, needed: u8 },
    /// Enough, and all of one family.
    Family,
}

impl Quorum {
    /// What is missing for somebody who knows these algorithms alone.
    pub(crate) fn check(&self, algorithms: AlgSet) -> Result<(), Shortfall> {
        let (found, needed) = (self.tally.counted_in(algorithms), self.needed);
        if found < needed {
            return Err(Shortfall::Count { found, needed });
        }
        let post_quantum = self.tally.counted_in(algorithms.intersection(AlgSet::POST_QUANTUM));
        let of_both = (1..found).contains(&post_quantum);
        if self.hybrid && !of_both { Err(Shortfall::Family) } else { Ok(()) }
    }
}

/// Good signatures of an envelope by distinct keys, for each algorithm.
///
/// Kept apart because a bootloader may know fewer algorithms than the application that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    /// Signatures that named a trusted key, good or not.
    known: u8,
    /// Four bits for each algorithm number from 1 on; an envelope has at most 8 signatures.
    good: u16,
}

impl Tally {
    pub(crate) const NONE: Self = Self { known: 0, good: 0 };

    /// Notes a signature that names a trusted key of algorithm `alg`.
    pub(crate) fn add(&mut self, alg: Alg, good: bool) {
        self.known += 1;
        self.good += u16::from(good) << Self::shift(alg);
    }

    pub(crate) const fn known(self) -> u8 {
        self.known
    }

    /// Good signatures of these algorithms.
    pub(crate) fn counted_in(self, algorithms: AlgSet) -> u8 {
        Alg::ALL.iter().filter(|alg| algorithms.contains(**alg)).map(|alg| self.of(*alg)).sum()
    }

    pub(crate) fn algorithms(self) -> AlgSet {
        let counted = Alg::ALL.iter().filter(|alg| self.of(**alg) > 0);
        counted.fold(AlgSet::NONE, |set, alg| set.with(*alg))
    }

    const fn of(self, alg: Alg) -> u8 {
        let [low, ..] = (self.good >> Self::shift(alg)).to_le_bytes();
        low & 0x0F
    }

    const fn shift(alg: Alg) -> u8 {
        4 * (alg as u8 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_signatures_of_one_algorithm_do_not_run_into_the_next() {
        for alg in Alg::ALL {
            let mut tally = Tally::NONE;
            (0..8).for_each(|_| tally.add(alg, true));
            tally.add(alg, false);
            assert_eq!((tally.known(), tally.counted_in(AlgSet::ALL)), (9, 8));
            assert_eq!(tally.algorithms(), AlgSet::NONE.with(alg));
            assert_eq!(tally.counted_in(AlgSet::NONE.with(alg)), 8);
        }
    }
}
