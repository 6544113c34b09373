//! What is swept, section by section, and doing it.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use ota_slots::Strategy;
use ota_slots::sim::CutMode;

use crate::board::{Board, STRATEGIES};
use crate::chance::Draw;
use crate::course::live;
use crate::double::{Pairs, double};
use crate::grid;
use crate::life::Life;
use crate::modes;
use crate::pool::{self, Job};
use crate::progress::Ticker;
use crate::stage::Stage;
use crate::sweep::{Share, single};
use crate::tally::Tally;
use crate::world::World;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Small boards and samples only.
    pub quick: bool,
    /// Stops at the first broken promise.
    pub fail_fast: bool,
    /// Threads.
    pub threads: usize,
    /// Where everything random comes from.
    pub seed: u64,
}

/// The sections of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// One power failure at every operation, large images.
    Single,
    /// Two, at every pair of operations.
    Double,
    /// Three, at random.
    Triple,
    /// A weak tail and a clean failure.
    Tail,
    /// One power failure at every operation, on boards of every kind.
    Grid,
}

impl Section {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Single, Self::Double, Self::Triple, Self::Tail, Self::Grid];

    /// Its name in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "strategies",
            Self::Double => "double",
            Self::Triple => "triple",
            Self::Tail => "tail",
            Self::Grid => "grid",
        }
    }
}

/// The outcome of one life on one board.
pub struct Row {
    /// The board.
    pub board: Board,
    /// The life.
    pub life: &'static str,
    /// What was tried and what went wrong.
    pub tally: Tally,
}

/// Sweeps one section.
///
/// # Errors
/// When a life does not even begin.
pub fn sweep(section: Section, settings: &Settings) -> Result<Vec<Row>> {
    let started = Instant::now();
    let stages = stages(section, settings)?;
    let steps = stages.iter().map(|stage| steps(section, stage, &stages, settings)).sum();
    let ticker = Ticker::new(section.name(), steps, settings.fail_fast);
    let jobs: Vec<Job<'_>> =
        (0..).zip(&stages).flat_map(|(row, stage)| jobs(section, row, stage, &stages, settings)).collect();
    let tallies = pool::run(&jobs, stages.len(), settings.threads, &ticker);
    drop(jobs);
    let sum = tallies.iter().fold(Tally::default(), |mut sum, tally| {
        sum.add(tally);
        sum
    });
    let seconds = started.elapsed().as_secs_f64();
    let (lives, broken) = (sum.lives, sum.total());
    ticker.close(&format!("{lives} lives with power failures in {seconds:.1} s, {broken} broken promises"));
    let rows = stages.iter().zip(tallies);
    Ok(rows
        .map(|(stage, tally)| Row { board: stage.world.board.clone(), life: stage.life.name, tally })
        .collect())
}

fn boards(section: Section, settings: &Settings) -> Vec<Board> {
    let of = |strategy| match section {
        Section::Single if !settings.quick => vec![Board::large(strategy)],
        Section::Single | Section::Double => vec![Board::small(strategy)],
        Section::Grid if settings.quick => grid::quick(strategy),
        Section::Triple | Section::Tail => {
            (0..grid::ALIGNMENTS).map(|records| grid::aligned(strategy, records)).collect()
        }
        Section::Grid => grid::boards(strategy),
    };
    STRATEGIES.into_iter().flat_map(of).collect()
}

/// The board of this name.
#[must_use]
pub fn find_board(name: &str) -> Option<Board> {
    let of = |strategy: Strategy| {
        [Board::large(strategy), Board::small(strategy)].into_iter().chain(grid::boards(strategy))
    };
    STRATEGIES.into_iter().flat_map(of).find(|board| board.name == name)
}

fn stages(section: Section, settings: &Settings) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for board in boards(section, settings) {
        let lives = Life::of(&board);
        let world = Arc::new(World::new(board)?);
        for life in lives.filter(|life| section != Section::Double || is_doubled(life)) {
            stages.push(Stage::new(&world, life)?);
        }
    }
    Ok(stages)
}

/// Lives that are cut at every pair of operations; between them they have every record and every move.
fn is_doubled(life: &Life) -> bool {
    matches!(life.name, "update" | "fails" | "confirmed-lost" | "journal-lost" | "saves")
}

/// Operations of the undisturbed life.
fn operations(stage: &Stage) -> usize {
    let mut device = stage.device();
    live(&mut device, stage.cause(), None);
    device.chip.operations()
}

/// Lives drawn for one stage of a section, so that each strategy gets its number.
fn draws(section: Section, stage: &Stage, stages: &[Stage], settings: &Settings) -> u64 {
    let all: u64 = match (section, settings.quick) {
        (Section::Tail, false) => 10_000,
        (_, false) => 5_000,
        (_, true) => 1_200,
    };
    let strategy = stage.world.board.strategy;
    let alike = stages.iter().filter(|other| other.world.board.strategy == strategy).count();
    all.div_ceil(alike as u64)
}

fn steps(section: Section, stage: &Stage, stages: &[Stage], settings: &Settings) -> u64 {
    match section {
        Section::Triple | Section::Tail => draws(section, stage, stages, settings),
        Section::Double => operations(stage).div_ceil(sampling(settings).0) as u64,
        Section::Single | Section::Grid => operations(stage) as u64,
    }
}

/// Modes of both failures. Moving images takes ten times the operations, so a hundred times the pairs; weak failures come
/// first.
fn mode_pairs(stage: &Stage) -> Vec<(CutMode, CutMode)> {
    if stage.world.board.strategy.moves() { modes::few_pairs() } else { modes::pairs() }
}

/// Of the first and of the second failure of a pair, every so many-th.
const fn sampling(settings: &Settings) -> (usize, usize) {
    if settings.quick { (7, 3) } else { (1, 1) }
}

fn jobs<'s>(
    section: Section,
    row: usize,
    stage: &'s Stage,
    stages: &[Stage],
    settings: &Settings,
) -> Vec<Job<'s>> {
    let seed = settings.seed;
    let job = |work: Box<dyn Fn(&Ticker) -> Tally + Send + Sync + 's>| Job { row, work };
    match section {
        Section::Single | Section::Grid => {
            // What is known of a life is known within a job only.
            let of = if stage.world.board.is_large() { 2 } else { 1 };
            let shares = (0..of).map(|first| Share { first, of });
            shares.map(|share| job(Box::new(move |t| single(stage, &CutMode::ALL, share, seed, t)))).collect()
        }
        Section::Double => {
            let (first_every, every) = sampling(settings);
            let of = if settings.quick { first_every } else { 2 };
            let firsts = (0..of).filter(|first| first % first_every == 0);
            let pairs =
                firsts.map(|first| Pairs { modes: mode_pairs(stage), first: Share { first, of }, every });
            pairs.map(|pairs| job(Box::new(move |t| double(stage, &pairs, seed, t)))).collect()
        }
        Section::Triple | Section::Tail => {
            let count = draws(section, stage, stages, settings);
            let first = (row as u64 * count).wrapping_add(seed << 32);
            vec![job(Box::new(move |t| match section {
                Section::Tail => Draw::new(stage).tails(first..first + count, t),
                _ => Draw::new(stage).triples(first..first + count, t),
            }))]
        }
    }
}
