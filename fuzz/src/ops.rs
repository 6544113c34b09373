//! Arbitrary bytes as a sequence of operations with cuts, held against the reference after each.
//!
//! ```text
//! input:   device u8 | seed u8 | op ...
//! op:      number u8, and for some of them one or two bytes more
//! ```
//! Bit 7 of the device byte: cells may be undecided, and only what every device must do is looked at.

use ota_manifest::ResetCause;
use ota_slots::sim::CutMode;

use crate::Target;
use crate::judge::{Judge, Op, run_undecided};
use crate::reference::{Act, Place};
use crate::rig::STRATEGIES;

/// The target.
pub const TARGET: Target = Target { name: "slots_ops", run, seeds };

/// Operations of one input: more would only make it slow.
const MOST: usize = 80;
const CAUSES: [ResetCause; 4] =
    [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::BrownOut];
/// The first of them leave every bit one way or the other.
const MODES: [CutMode; 15] = [
    CutMode::Before,
    CutMode::After,
    CutMode::FirstHalf,
    CutMode::LastHalf,
    CutMode::RandomBits(10),
    CutMode::RandomBits(50),
    CutMode::RandomBits(90),
    CutMode::RandomWords,
    CutMode::Marginal,
    CutMode::AlmostDone(1),
    CutMode::AlmostDone(3),
    CutMode::BarelyBegun(1),
    CutMode::WeaklyDone(1),
    CutMode::WeaklyBegun(1),
    CutMode::WeaklyBegun(3),
];
const DECIDED: usize = 8;

fn run(input: &[u8]) {
    let [device, seed, rest @ ..] = input else { return };
    let strategy = STRATEGIES[usize::from(*device) % 3];
    let undecided = device & 0x80 != 0;
    let mut bytes = rest.iter().copied();
    let ops: Vec<Op> =
        std::iter::from_fn(|| decode(&mut bytes, if undecided { MODES.len() } else { DECIDED }))
            .take(MOST)
            .collect();
    let seed = u64::from(*seed);
    let verdict =
        if undecided { run_undecided(strategy, seed, &ops) } else { Judge::run(strategy, seed, &ops) };
    assert!(verdict.is_ok(), "{strategy:?}: {}\n{ops:?}", verdict.unwrap_err());
}

fn decode(bytes: &mut impl Iterator<Item = u8>, modes: usize) -> Option<Op> {
    let number = bytes.next()?;
    let mut below = |end: usize| bytes.next().map(|byte| usize::from(byte) % end);
    Some(match number % 14 {
        0 => Op::Act(Act::Begin(1 + u32::try_from(below(5)?).ok()?)),
        1 => Op::Act(Act::Fill(true)),
        2 => Op::Act(Act::Fill(false)),
        3 => Op::Act(Act::Finish),
        4 => Op::Act(Act::Request(1 + u8::try_from(below(4)?).ok()?)),
        5 => Op::Act(Act::Confirm),
        6 => Op::Act(Act::Fail),
        7 => Op::Act(Act::Acknowledge),
        8 => Op::Act(Act::Save(u8::try_from(below(256)?).ok()?)),
        9 => Op::Reset(CAUSES[below(CAUSES.len())?]),
        10 => Op::Cut(below(32)?, MODES[below(modes)?]),
        11 => Op::Damage([Place::A, Place::B, Place::Displaced][below(3)?]),
        12 => Op::SpoilNewestCell,
        _ if number & 0x80 != 0 => Op::LoseJournal,
        _ => Op::FailRead,
    })
}

/// Lives, in the bytes that stand for them.
fn seeds() -> Vec<Vec<u8>> {
    let update = |release: u8| vec![0, release - 1, 1, 3, 4, 2, 9, 2];
    let half = vec![0, 1, 2, 9, 0, 0, 1, 1, 3, 4, 1, 9, 2];
    let lives: [Vec<u8>; 12] = [
        [update(2), vec![5, 9, 0]].concat(),
        [update(2), vec![6, 9, 2, 7, 0, 1, 0, 2, 9, 0]].concat(),
        [update(2), vec![9, 1, 9, 1, 9, 1, 9, 1, 7]].concat(),
        [update(2), vec![5, 9, 0], update(3), vec![5, 9, 0], update(5), vec![5, 9, 3]].concat(),
        [half, vec![5, 9, 0]].concat(),
        [vec![10, 5, 2], update(2), vec![9, 0, 5, 9, 0]].concat(),
        [update(2), vec![10, 3, 5, 5, 9, 0, 9, 0]].concat(),
        [update(2), vec![5, 9, 0, 11, 0, 9, 1, 7, 9, 0]].concat(),
        [update(2), vec![5, 9, 0, 0x8B, 9, 0, 5, 7], update(4)].concat(),
        [update(2), vec![12, 9, 1, 12, 5, 9, 0, 12]].concat(),
        [update(2), vec![11, 2, 6, 9, 2, 7], update(3), vec![6, 9, 2, 5, 9, 2]].concat(),
        [vec![8, 7, 13, 10, 9, 3], update(2), vec![10, 12, 6, 9, 1, 10, 2, 4, 6, 9, 2]].concat(),
    ];
    let devices = [0u8, 1, 2, 0x80, 0x81];
    let all =
        devices.iter().flat_map(|device| lives.iter().map(move |life| [&[*device, 1], &life[..]].concat()));
    all.collect()
}
