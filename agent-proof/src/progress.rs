//! Many lives on all processors, and how far they are: a bar on a terminal, a line now and then elsewhere. Always on
//! standard error.

use std::any::Any;
use std::io::{IsTerminal, stderr};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::board::Board;
use crate::life::Life;
use crate::plant::Plant;
use crate::tally::Tally;

const EVERY: Duration = Duration::from_secs(15);

/// Leads the lives of these seeds with this planted fault.
#[must_use]
pub fn lead(seeds: Range<u64>, plant: Plant, threads: usize, shown: bool) -> Tally {
    let ticker = Ticker::new(seeds.end - seeds.start, shown);
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let boards = Board::all();
                let mut tally = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    lead_one(&boards, seed, plant, &mut tally);
                    ticker.tick();
                }
                sum.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
            });
        }
    });
    ticker.close();
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lead_one(boards: &[Board], seed: u64, plant: Plant, tally: &mut Tally) {
    match catch_unwind(AssertUnwindSafe(|| Life::new(boards, seed, plant).lead())) {
        Ok(outcome) => tally.count(seed, &outcome),
        Err(panic) => tally.count_panic(seed, message(&*panic)),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Counts what is done.
struct Ticker {
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    shown: bool,
    last: Mutex<Instant>,
}

impl Ticker {
    fn new(total: u64, shown: bool) -> Self {
        let bar = (shown && stderr().is_terminal()).then(|| bar(total));
        Self { total, done: AtomicU64::new(0), bar, shown, last: Mutex::new(Instant::now()) }
    }

    fn tick(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.shown
            && let Ok(mut last) = self.last.try_lock()
            && last.elapsed() > EVERY
        {
            *last = Instant::now();
            eprintln!("agent: {done} of {} lives", self.total);
        }
    }

    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("lives [{bar:30.green}] {pos}/{len}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
