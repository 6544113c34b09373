//! How deep the stack has been.

use super::memory::Words;
use super::{Fault, Outcome, Probe, Step};

/// Words looked at in one poll.
const SLICE: usize = 1024;

/// Counts the words at the far end of a painted stack that were never used, and wants a margin of them.
///
/// Before the stack is used, startup code fills it with a word of paint. What has been used since does not hold it
/// any more; the count ends at the first such word, from the lowest address on, because stacks grow down. It is a
/// lower bound of the depth, in two ways: it knows what has run, not what may run, and a frame that leaves its lowest
/// words unwritten looks shallower than it is. Put the probe last in the list, so that it sees the others.
///
/// ```
/// use ota_agent::self_test::{Fault, Outcome, Probe, StackWatermark, Step};
/// const PAINT: u32 = 0xC5C5_C5C5;
/// let mut stack = [PAINT; 256];
/// stack[200..].fill(1); // what was used
/// assert_eq!(StackWatermark::new(&stack, PAINT, 64).poll(0), Step::Done(Outcome::Passed));
/// let failed = Outcome::Failed(Fault::StackMargin { free_words: 200 });
/// assert_eq!(StackWatermark::new(&stack, PAINT, 201).poll(0), Step::Done(failed));
/// ```
#[derive(Debug)]
pub struct StackWatermark<'m, W: ?Sized> {
    stack: &'m W,
    paint: u32,
    margin: usize,
    free: usize,
}

impl<'m, W: Words + ?Sized> StackWatermark<'m, W> {
    /// Of `stack`, lowest address first, `margin` words (at least one) must still hold `paint`.
    #[must_use]
    pub const fn new(stack: &'m W, paint: u32, margin: usize) -> Self {
        // Without a free word nobody knows whether the stack ended there or went on.
        let margin = if margin == 0 { 1 } else { margin };
        Self { stack, paint, margin, free: 0 }
    }

    /// Words found unused so far.
    #[must_use]
    pub const fn free_words(&self) -> usize {
        self.free
    }
}

impl<W: Words + ?Sized> Probe for StackWatermark<'_, W> {
    fn name(&self) -> &'static str {
        "stack"
    }

    fn timeout_ms(&self) -> u32 {
        1_000
    }

    fn poll(&mut self, _: u64) -> Step {
        let count = self.stack.count();
        for _ in 0..SLICE {
            if self.free == count || self.stack.word(self.free) != self.paint {
                let free_words = u32::try_from(self.free).unwrap_or(u32::MAX);
                return Step::Done(if self.free >= self.margin {
                    Outcome::Passed
                } else {
                    Outcome::Failed(Fault::StackMargin { free_words })
                });
            }
            self.free += 1;
        }
        Step::Progress
    }
}
