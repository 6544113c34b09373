//! A sign of life on standard error.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(3);

/// Says now and then how far a long stretch of work is.
#[derive(Debug)]
pub struct Progress {
    label: String,
    total: usize,
    done: usize,
    said: Instant,
}

impl Progress {
    /// So many steps lie ahead.
    #[must_use]
    pub fn new(label: impl Into<String>, total: usize) -> Self {
        Self { label: label.into(), total, done: 0, said: Instant::now() }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.said.elapsed() >= PAUSE {
            eprintln!("{}: {} of {}", self.label, self.done, self.total);
            self.said = Instant::now();
        }
    }
}
