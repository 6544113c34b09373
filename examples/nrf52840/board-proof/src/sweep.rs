//! Every cut of a story, on as many threads as the machine has cores.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use emulator::{Cut, FlashFault};
use ota_slots::Policy;

use crate::life::{Broken, Known, Life};
use crate::story::{Kind, Story, ends_record};

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Of the operations on journal, guard, configuration and pages, every so many.
    pub each: usize,
    /// Of the words of images, envelopes and leaf lists, every so many.
    pub words: usize,
    /// Lives for each record of the journal that is whole but for one bit, which reads differently each time.
    pub records: u64,
    /// Lives with two cuts.
    pub doubles: usize,
    /// Chooses the bits that are torn, and the pairs.
    pub seed: u64,
}

/// What came of the lives of a sweep.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Lives.
    pub lives: usize,
    /// Faults that were reached in them: some have two.
    pub cuts: usize,
    /// The same by what was cut.
    pub by_kind: BTreeMap<Kind, usize>,
    /// Promises that were broken.
    pub broken: BTreeMap<Broken, usize>,
    /// The first lives that broke one: story, faults, and how it ended.
    pub failures: Vec<String>,
    /// Instructions of all lives.
    pub instructions: u64,
}

/// How many broken lives are described.
const DESCRIBED: usize = 20;

impl Tally {
    /// Adds another sweep's.
    pub fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.cuts += other.cuts;
        self.instructions += other.instructions;
        other.by_kind.into_iter().for_each(|(kind, count)| *self.by_kind.entry(kind).or_default() += count);
        other.broken.into_iter().for_each(|(broken, count)| *self.broken.entry(broken).or_default() += count);
        self.failures.extend(other.failures);
        self.failures.truncate(DESCRIBED);
    }

    /// How often a promise was broken.
    #[must_use]
    pub fn count(&self, broken: Broken) -> usize {
        self.broken.get(&broken).copied().unwrap_or(0)
    }

    /// Whether the firmware broke one. A sweep that misses its faults says nothing about it.
    #[must_use]
    pub fn shows_a_defect(&self) -> bool {
        self.broken.keys().any(|broken| *broken != Broken::Missed)
    }
}

impl Plan {
    /// The lives to lead, each with its faults.
    ///
    /// A cut before an operation leaves what a cut after the one before leaves, so the latter is not led again.
    #[must_use]
    pub fn lives(&self, story: &Story) -> Vec<(Kind, Life)> {
        let mut lives = Vec::new();
        let mut seen = BTreeMap::<Kind, usize>::new();
        let staged = story.staged();
        for (number, operation) in story.numbered() {
            let kind = Kind::of(operation);
            let nth = seen.entry(kind).or_default();
            let every = match kind {
                Kind::Image | Kind::Papers => self.words,
                // There are three.
                Kind::Uicr => 1,
                Kind::Journal | Kind::Guard | Kind::Erase => self.each,
            };
            let seed = self.seed ^ number.wrapping_mul(0x9E37_79B9);
            let life = |cut| Life::cut(FlashFault { operation: number, cut });
            // A record that is whole but for a bit that reads differently each time is the hardest of all.
            if ends_record(operation) {
                lives.extend((0..self.records).map(|more| (kind, life(Cut::Marginal(seed + more)))));
            }
            if nth.is_multiple_of(every.max(1)) {
                lives.extend([Cut::Before, Cut::Torn(seed)].map(|cut| (kind, life(cut))));
                if nth.is_multiple_of(every.max(1).saturating_mul(8)) {
                    lives.push((kind, life(Cut::Marginal(seed))));
                }
                // Once an image is whole: a bit of it rots while the power is away.
                if staged.is_some_and(|staged| number > staged)
                    && nth.is_multiple_of(every.max(1).saturating_mul(8))
                {
                    lives.push((kind, Life { rots: Some(seed), ..life(Cut::Before) }));
                }
            }
            *nth += 1;
        }
        let singles = lives.len().max(1);
        for double in 0..self.doubles {
            // Spread over the single ones; the second cut comes soon after the return of power, where it is rewritten.
            let (kind, mut life) = lives[double * singles / self.doubles].clone();
            let seed = self.seed.wrapping_add(double as u64);
            life.rots = None;
            life.faults.push(FlashFault { operation: 1 + seed * 7 % 97, cut: Cut::Torn(seed) });
            lives.push((kind, life));
        }
        lives
    }

    /// Leads all of them.
    ///
    /// # Panics
    /// If a life panics.
    #[must_use]
    pub fn sweep(&self, story: &Story, policy: &Policy<'_>) -> Tally {
        let lives = self.lives(story);
        let known = Known::default();
        let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut tally = Tally::default();
                    while let Some((kind, life)) = lives.get(next.fetch_add(1, Ordering::Relaxed)) {
                        tally.judge(story, *kind, life, (policy, &known));
                        show(story, next.load(Ordering::Relaxed).min(lives.len()), lives.len());
                    }
                    total.lock().expect("no life panics").add(tally);
                });
            }
        });
        eprintln!();
        total.into_inner().expect("no life panics")
    }
}

impl Tally {
    fn judge(&mut self, story: &Story, kind: Kind, life: &Life, (policy, known): (&Policy<'_>, &Known)) {
        self.lives += 1;
        *self.by_kind.entry(kind).or_default() += 1;
        let begun = life
            .faults
            .first()
            .map_or(0, |first| story.before(first.operation).machine.core().instructions());
        let ended = match life.lead(story, policy, known) {
            Ok(bench) => bench,
            Err(broken) => {
                let (broken, bench) = *broken;
                *self.broken.entry(broken).or_default() += 1;
                if self.failures.len() < DESCRIBED {
                    let (reports, resets) = (bench.desk.reports.last(), &bench.resets);
                    let running = bench.running;
                    self.failures.push(format!(
                        "{} {kind:?} {life:?}: {broken:?}; runs {running:?}, resets {resets:?}, last report {reports:?}",
                        story.name
                    ));
                }
                bench
            }
        };
        self.cuts += ended.struck;
        self.instructions += ended.machine.core().instructions().saturating_sub(begun);
    }
}

/// A bar, on the one line that it has.
fn show(story: &Story, done: usize, of: usize) {
    if done.is_multiple_of(20) || done == of {
        let bar = done * 40 / of.max(1);
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "\r{:<24} [{:<40}] {done} of {of} lives", story.name, "=".repeat(bar));
        let _ = err.flush();
    }
}
