//! Pauses between attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest sleep between two looks at the stop flag.
const NAP: Duration = Duration::from_millis(50);

/// Pauses that double, up to a limit.
#[derive(Debug)]
pub(crate) struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// It has worked: the next pause is the first again.
    pub(crate) const fn worked(&mut self) {
        self.next = self.first;
    }

    /// Sleeps, and wakes when it is to stop.
    pub(crate) fn sleep(&mut self, stop: &AtomicBool) {
        let end = Instant::now() + self.next;
        self.next = self.next.saturating_mul(2).min(self.longest);
        while !stop.load(Ordering::Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}
