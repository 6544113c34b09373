//! Jobs on threads.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::progress::Ticker;
use crate::tally::Tally;

/// A piece of work for one row of the report.
pub struct Job<'j> {
    /// Which row.
    pub row: usize,
    /// The work.
    pub work: Box<dyn Fn(&Ticker) -> Tally + Send + Sync + 'j>,
}

/// Does all jobs; the tallies by row.
#[must_use]
pub fn run(jobs: &[Job<'_>], rows: usize, threads: usize, ticker: &Ticker) -> Vec<Tally> {
    let tallies = Mutex::new(vec![Tally::default(); rows]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if ticker.is_stopped() {
                        break;
                    }
                    let tally = (job.work)(ticker);
                    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(row) = tallies.get_mut(job.row) {
                        row.add(&tally);
                    }
                }
            });
        }
    });
    tallies.into_inner().unwrap_or_else(PoisonError::into_inner)
}
