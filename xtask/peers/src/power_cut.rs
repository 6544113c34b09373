//! Power fails at the operations of whole lives, in every way the simulated flash knows.

use ota_slots::sim::{Cut, CutMode};
use serde::{Deserialize, Serialize};

use crate::claims;
use crate::error::PeerError;
use crate::lives::Life;
use crate::peer;
use crate::progress::Progress;
use crate::stage::Stage;
use crate::targeted::{self, Targeted};
use crate::verdict::Tally;

/// ACTIVE of the small device: four pages, cut everywhere and often.
pub const SMALL_SLOT: u32 = 16 * 1024;
/// ACTIVE of the device of the cost figures: cut at a sample of its operations.
pub const LARGE_SLOT: u32 = 400 * 1024;

/// Lives per operation and random mode on the small device.
const SMALL_DRAWS: u64 = 20;
/// Of the large device's operations every nineteenth is cut: that meets each kind of operation, because copies come in
/// threes and downloads in fives. Those on the state words are all cut.
const LARGE_STRIDE: usize = 19;

/// Everything the sweeps and the targeted cuts found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PowerCut {
    /// The peer's version.
    pub version: String,
    /// Everything random comes from it.
    pub seed: u64,
    /// Different lives: two stories on two devices.
    pub lives: usize,
    /// Operations of these lives.
    pub ops: usize,
    /// Ways in which power fails.
    pub modes: usize,
    /// All sweeps together, without the targeted cuts.
    #[serde(flatten)]
    pub total: Tally,
    /// Of these, the ones that the peer's documentation claims to stand, see [`claims::cover`].
    pub within_claims: Tally,
    /// The others.
    pub beyond_claims: Tally,
    /// The same by device and life.
    pub sweeps: Vec<Sweep>,
    /// The same by mode.
    pub by_mode: Vec<ByMode>,
    /// Cuts where they hurt, and pairs of cuts.
    pub targeted: Targeted,
    /// How to read the figures.
    pub notes: Vec<String>,
}

/// One life on one device, cut once each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Bytes of ACTIVE.
    pub slot_bytes: u32,
    /// The life.
    pub life: Life,
    /// Operations of it.
    pub ops: usize,
    /// Of these, cut.
    pub ops_cut: usize,
    /// Lives per operation in each mode that draws lots.
    pub draws: u64,
    /// What came of it.
    #[serde(flatten)]
    pub tally: Tally,
    /// Of this, within the peer's claims.
    pub within_claims: Tally,
    /// The rest.
    pub beyond_claims: Tally,
}

/// All sweeps in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByMode {
    /// Its name.
    pub mode: String,
    /// Cuts that the peer's documentation claims to stand.
    pub claimed_cuts: usize,
    /// What came of it.
    #[serde(flatten)]
    pub tally: Tally,
}

/// How far a sweep goes.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Bytes of ACTIVE.
    pub slot: u32,
    /// Lives per operation in each mode that draws lots.
    pub draws: u64,
    /// One out of so many operations is cut, and all on the state words.
    pub stride: usize,
}

/// Runs all sweeps and all targeted cuts.
///
/// # Errors
/// When a cut did not happen, or an undisturbed life ends in harm.
pub fn measure(seed: u64) -> Result<PowerCut, PeerError> {
    let small = Extent { slot: SMALL_SLOT, draws: SMALL_DRAWS, stride: 1 };
    let large = Extent { slot: LARGE_SLOT, draws: 1, stride: LARGE_STRIDE };
    let mut by_mode = CutMode::ALL.map(ByMode::new).to_vec();
    let mut sweeps = Vec::new();
    for extent in [small, large] {
        for life in Life::ALL {
            sweeps.push(sweep(extent, life, seed, &mut by_mode)?);
        }
    }
    Ok(PowerCut {
        version: peer::version().to_owned(),
        seed,
        lives: sweeps.len(),
        ops: sweeps.iter().map(|sweep| sweep.ops).sum(),
        modes: CutMode::ALL.len(),
        total: sweeps.iter().map(|sweep| &sweep.tally).collect(),
        within_claims: sweeps.iter().map(|sweep| &sweep.within_claims).collect(),
        beyond_claims: sweeps.iter().map(|sweep| &sweep.beyond_claims).collect(),
        sweeps,
        by_mode,
        targeted: targeted::measure(seed)?,
        notes: NOTES.map(str::to_owned).to_vec(),
    })
}

/// Cuts one life at its operations, in all modes; counts into `by_mode`, which has one entry for each of
/// [`CutMode::ALL`].
///
/// # Errors
/// When a cut did not happen, or the undisturbed life ends in harm.
pub fn sweep(extent: Extent, life: Life, seed: u64, by_mode: &mut [ByMode]) -> Result<Sweep, PeerError> {
    let stage = Stage::new(life, extent.slot, seed)?;
    let decisive = stage.decisive();
    let chosen = |number: &usize| number.is_multiple_of(extent.stride) || decisive.contains(number);
    let operations: Vec<usize> = (0..stage.log().len()).filter(chosen).collect();
    let mut progress = Progress::new(format!("{life:?} life, {} bytes", extent.slot), operations.len());
    let (mut within, mut beyond) = (Tally::default(), Tally::default());
    for &operation in &operations {
        for (index, (mode, counted)) in (0..).zip(CutMode::ALL.into_iter().zip(by_mode.iter_mut())) {
            let draws = if claims::draws_lots(mode) { extent.draws } else { 1 };
            let mut found = Tally::default();
            for draw in 0..draws {
                let (_, history) = stage.cut(Cut { operation, mode }, draw * 64 + index)?;
                found.add(life, &history);
            }
            let claimed = claims::cover(mode, stage.log()[operation]);
            counted.add(claimed, &found);
            if claimed { &mut within } else { &mut beyond }.merge(&found);
        }
        progress.step();
    }
    Ok(Sweep {
        slot_bytes: extent.slot,
        life,
        ops: stage.log().len(),
        ops_cut: operations.len(),
        draws: extent.draws,
        tally: [&within, &beyond].into_iter().collect(),
        within_claims: within,
        beyond_claims: beyond,
    })
}

impl ByMode {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(mode: CutMode) -> Self {
        Self { mode: name(mode), claimed_cuts: 0, tally: Tally::default() }
    }

    fn add(&mut self, claimed: bool, found: &Tally) {
        self.claimed_cuts += if claimed { found.cuts } else { 0 };
        self.tally.merge(found);
    }
}

/// A name for tables and keys: `RandomBits(10)` is `random_bits_10`.
#[must_use]
pub fn name(mode: CutMode) -> String {
    let mut name = String::new();
    for letter in format!("{mode:?}").chars() {
        match letter {
            '(' => name.push('_'),
            ')' => {}
            _ if letter.is_ascii_uppercase() && !name.is_empty() => {
                name.extend(['_', letter.to_ascii_lowercase()]);
            }
            _ => name.push(letter.to_ascii_lowercase()),
        }
    }
    name
}

/// How to read the figures; part of the output, so that they do not travel without it.
const NOTES: [&str; 7] = [
    "embassy-boot is documented as power-fail-safe, and its progress words rely on a word being written whole or not at \
     all. before and after keep to that, and so do first_half and last_half where they leave no word half written",
    "all other modes go beyond what it claims to handle: words and erases are left half done, or read differently each \
     time",
    "random_words erases some words of a page and not others, which is harsher than most flash; random_bits on an \
     erase is milder to it",
    "one life may count under several harms; harmed counts it once. A cut after the last word of a swap is both a false \
     rollback and a lost trial in the confirm life",
    "unbootable means at least one jump into neither image; unbootable_for_good that no reset within twelve boots made up \
     for it",
    "no signature is checked: the bootloader never does, and the updater only before mark_updated",
    "no wrapper for flash that allows two programs per word is needed: the only word programmed twice is written with \
     zeros, which the simulated flash accepts over anything; violations counts what it did not accept",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_like_keys() {
        assert_eq!(name(CutMode::FirstHalf), "first_half");
        assert_eq!(name(CutMode::AlmostDone(3)), "almost_done_3");
    }
}
