//! Cuts where they hurt: on the words the bootloader decides by, and pairs of cuts. On the small device.

use ota_slots::sim::{Cut, CutMode, Logged};
use serde::{Deserialize, Serialize};

use crate::error::PeerError;
use crate::lives::{History, Life, Second};
use crate::power_cut::{SMALL_SLOT, name};
use crate::progress::Progress;
use crate::stage::Stage;
use crate::verdict::Tally;

const CLEAN: [CutMode; 2] = [CutMode::Before, CutMode::After];
/// Modes that leave a word undecided.
const UNDECIDED: [CutMode; 4] =
    [CutMode::Marginal, CutMode::AlmostDone(1), CutMode::AlmostDone(3), CutMode::BarelyBegun(1)];
/// Modes that tear an erase.
const TORN: [CutMode; 2] = [CutMode::RandomWords, CutMode::RandomBits(50)];
/// Operations of a swap of four pages: each page is copied twice, each copy erases, writes, and notes that it did.
const SWAP: usize = 4 * 2 * 3;
/// Lives per operation of the swap, and for each torn erase.
const MAGIC_DRAWS: u64 = 50;
const ERASE_DRAWS: u64 = 2000;

/// What the targeted cuts found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targeted {
    /// The word that asks for the swap is left undecided by a cut in `mark_updated`, then one clean cut falls into the
    /// swap.
    pub undecided_swap_magic_then_clean_cut: Vec<Case>,
    /// The erase of the state page in `mark_booted` (confirm life), or at the end of the revert (revert life), is torn.
    pub torn_state_erase: Vec<Case>,
    /// Every pair of clean cuts.
    pub two_clean_cuts: Vec<Case>,
}

/// Many lives with the same kind of cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The life.
    pub life: Life,
    /// The mode of the first cut.
    pub mode: String,
    /// Lives that never came to the second cut of their plan.
    pub never_cut_twice: usize,
    /// Lives in which the boot right after a cut, usually the second, jumped to a half-moved image. Other unbootable
    /// lives come from an application that finds the slot free, begins a new download, and is then swapped.
    pub half_moved: usize,
    /// What came of it; `cuts` counts lives.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Runs them all.
///
/// # Errors
/// When a cut did not happen, or an undisturbed life ends in harm.
pub fn measure(seed: u64) -> Result<Targeted, PeerError> {
    let stages = [Stage::new(Life::Confirm, SMALL_SLOT, seed)?, Stage::new(Life::Revert, SMALL_SLOT, seed)?];
    let mut found = Targeted {
        undecided_swap_magic_then_clean_cut: Vec::new(),
        torn_state_erase: Vec::new(),
        two_clean_cuts: Vec::new(),
    };
    for stage in &stages {
        for mode in UNDECIDED {
            found.undecided_swap_magic_then_clean_cut.push(undecided_magic(stage, mode)?);
        }
        for mode in TORN {
            found.torn_state_erase.push(torn_erase(stage, mode)?);
        }
        for mode in CLEAN {
            found.two_clean_cuts.push(two_clean_cuts(stage, mode)?);
        }
    }
    Ok(found)
}

impl Case {
    fn new(stage: &Stage, mode: CutMode) -> Self {
        Self {
            life: stage.life(),
            mode: name(mode),
            never_cut_twice: 0,
            half_moved: 0,
            tally: Tally::default(),
        }
    }

    fn add(&mut self, history: &History) {
        self.half_moved += usize::from(history.half_moved);
        self.tally.add(self.life, history);
    }
}

fn undecided_magic(stage: &Stage, mode: CutMode) -> Result<Case, PeerError> {
    // In order: validity, erase, magic.
    let cut = Cut { operation: nth(stage, stage.decisive(), 2)?, mode };
    let mut case = Case::new(stage, mode);
    for operations in 0..SWAP {
        for clean in CLEAN {
            for draw in 0..MAGIC_DRAWS {
                let second = Second::InBoot { operations, mode: clean };
                let luck = (draw * SWAP as u64 + operations as u64) * 2 + u64::from(clean == CutMode::After);
                let (_, history) = stage.cut_twice(cut, second, luck)?;
                case.never_cut_twice += usize::from(history.power_cuts < 2);
                case.add(&history);
            }
        }
    }
    Ok(case)
}

fn torn_erase(stage: &Stage, mode: CutMode) -> Result<Case, PeerError> {
    let is_erase = |number: &usize| matches!(stage.log()[*number], Logged::Erase { .. });
    // The first belongs to `mark_updated`, the second to `mark_booted` or to the end of the revert.
    let erases = stage.decisive().into_iter().filter(is_erase);
    let cut = Cut { operation: nth(stage, erases, 1)?, mode };
    let mut case = Case::new(stage, mode);
    for draw in 0..ERASE_DRAWS {
        let (_, history) = stage.cut(cut, draw)?;
        case.add(&history);
    }
    Ok(case)
}

/// A life that does not touch the state words as often as it must did not end as it should.
fn nth(
    stage: &Stage,
    operations: impl IntoIterator<Item = usize>,
    number: usize,
) -> Result<usize, PeerError> {
    operations.into_iter().nth(number).ok_or(PeerError::Disturbed(stage.life()))
}

fn two_clean_cuts(stage: &Stage, mode: CutMode) -> Result<Case, PeerError> {
    let mut progress = Progress::new(format!("{:?} life, two cuts", stage.life()), stage.log().len());
    let mut case = Case::new(stage, mode);
    for operation in 0..stage.log().len() {
        let cut = Cut { operation, mode };
        let (device, _) = stage.cut(cut, 0)?;
        let rest = device.flash(|flash| flash.log().len()) - operation - 1;
        for operations in 0..rest {
            for clean in CLEAN {
                let (_, history) = stage.cut_twice(cut, Second::After { operations, mode: clean }, 0)?;
                case.add(&history);
            }
        }
        progress.step();
    }
    Ok(case)
}
