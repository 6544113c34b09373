//! How far it is: a bar on a terminal, a line now and then elsewhere. Always on standard error.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::tally::Tally;

const EVERY: Duration = Duration::from_secs(15);

/// Counts what is done of one section.
pub struct Ticker {
    section: &'static str,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    last: Mutex<Instant>,
    fail_fast: bool,
    stopped: AtomicBool,
}

impl Ticker {
    /// For a section of so many steps; `fail_fast` stops it at the first broken promise.
    #[must_use]
    pub fn new(section: &'static str, total: u64, fail_fast: bool) -> Self {
        let bar = stderr().is_terminal().then(|| bar(section, total));
        Self { section, total, bar, fail_fast, ..Self::silent() }
    }

    /// For tests: nothing is shown.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            section: "",
            total: 0,
            done: AtomicU64::new(0),
            bar: None,
            last: Mutex::new(Instant::now()),
            fail_fast: false,
            stopped: AtomicBool::new(false),
        }
    }

    /// Whether there is no use in going on.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Looks at what was counted so far.
    pub fn heed(&self, tally: &Tally) {
        if self.fail_fast && tally.total() > 0 {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// One step is done.
    pub fn tick(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.total > 0
            && let Ok(mut last) = self.last.try_lock()
            && last.elapsed() > EVERY
        {
            *last = Instant::now();
            eprintln!("{}: {done} of {}", self.section, self.total);
        }
    }

    /// All is done; says in one line what came of it.
    pub fn close(&self, outcome: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {outcome}", self.section);
    }
}

fn bar(section: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{msg:8} [{bar:30.green}] {pos}/{len}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(section)
}
