//! Memory that keeps what is written, probed by marches.

use thiserror::Error;

use super::march::{Damage, Path};
use super::memory::Cells;
use super::{Fault, Outcome, Probe, Step};

/// Tests memory with March C-, word by word in slices, and leaves zeros behind.
///
/// Finds every bit that is stuck or does not change, and every bit that changes with, or is held by, another bit of
/// the same memory. It does not find two faults that hide each other, a cell that loses its charge with time, a read
/// that disturbs only the read after it, nor the parts of an address that reach beyond what is lent. 90 accesses a
/// word.
///
/// ```
/// use ota_agent::self_test::{March, Outcome, Probe, Step};
/// let mut memory = [0xDEAD_BEEF; 64];
/// let mut march = March::new(&mut memory, 100).unwrap();
/// let mut slices = 1;
/// while march.poll(0) == Step::Progress {
///     slices += 1;
/// }
/// assert_eq!((slices, memory), (5, [0; 64]));
/// ```
#[derive(Debug)]
pub struct March<'m, C: ?Sized> {
    cells: &'m mut C,
    path: Path,
    slice: usize,
    timeout_ms: u32,
}

impl<'m, C: Cells + ?Sized> March<'m, C> {
    /// Tests all of `cells`, `slice` words a poll (at least one), each by one of the seven elements of the march: at
    /// most two accesses a word, and 80 in the last element. Within 60 s.
    ///
    /// # Errors
    /// [`MemoryRefused::Empty`].
    pub fn new(cells: &'m mut C, slice: usize) -> Result<Self, MemoryRefused> {
        if cells.count() == 0 {
            return Err(MemoryRefused::Empty);
        }
        Ok(Self { cells, path: Path::default(), slice: slice.max(1), timeout_ms: 60_000 })
    }

    /// Takes `timeout_ms` at most.
    #[must_use]
    pub fn within_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }
}

impl<C: Cells + ?Sized> Probe for March<'_, C> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, _: u64) -> Step {
        let len = self.cells.count();
        for _ in 0..self.slice {
            match self.path.step(self.cells, 0, len) {
                Ok(false) => {}
                Ok(true) => return Step::Done(Outcome::Passed),
                Err(damage) => return Step::Done(damaged(damage)),
            }
        }
        Step::Progress
    }
}

/// Tests memory with March C-, window by window, and puts the contents back.
///
/// Between two polls the memory holds what it held before: the test may be dropped there at any time. Within a poll
/// one window, as long as the lent scratch memory, holds the test's patterns: whoever else uses the memory, an
/// interrupt or a DMA channel, must be kept away for that long. A reset in the middle of a poll costs a window.
///
/// Windows overlap by half. So it finds what [`March`] finds as long as the two bits of a pair are at most half a
/// window apart; a bit that disturbs one farther away is not found, and the disturbed word does not get its contents
/// back. The scratch memory is tested first, because contents are entrusted to it. 186 accesses a word.
///
/// ```
/// use ota_agent::self_test::{MarchPreserving, Outcome, Probe, Step};
/// let (mut memory, mut scratch) = ([0xDEAD_BEEF; 64], [0; 16]);
/// let mut march = MarchPreserving::new(&mut memory, &mut scratch).unwrap();
/// let mut windows = 0;
/// while march.poll(0) == Step::Progress {
///     windows += 1;
/// }
/// assert_eq!((windows, memory), (7, [0xDEAD_BEEF; 64]));
/// ```
#[derive(Debug)]
pub struct MarchPreserving<'m, C: ?Sized, S: ?Sized = [u32]> {
    cells: &'m mut C,
    scratch: &'m mut S,
    /// The next window's first word; `None` until the scratch memory is proven.
    next: Option<usize>,
    timeout_ms: u32,
}

/// Why memory is not tested: the probe could not fail, or not find what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemoryRefused {
    /// There is no word to be tested.
    #[error("no memory to test")]
    Empty,
    /// The scratch memory is shorter than two words: no pair of them would ever be tested.
    #[error("a window has at least two words")]
    WindowTooSmall,
}

impl<'m, C: Cells + ?Sized, S: Cells + ?Sized> MarchPreserving<'m, C, S> {
    /// Tests all of `cells` in windows as long as `scratch`, one a poll; within 60 s.
    ///
    /// # Errors
    /// [`MemoryRefused`].
    pub fn new(cells: &'m mut C, scratch: &'m mut S) -> Result<Self, MemoryRefused> {
        if cells.count() == 0 {
            return Err(MemoryRefused::Empty);
        }
        if scratch.count() < 2 {
            return Err(MemoryRefused::WindowTooSmall);
        }
        Ok(Self { cells, scratch, next: None, timeout_ms: 60_000 })
    }

    /// Takes `timeout_ms` at most.
    #[must_use]
    pub fn within_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Tests the window from `first` on and puts its contents back, whatever the test says.
    fn test_window(&mut self, first: usize, len: usize) -> Outcome {
        for at in 0..len {
            self.scratch.set_word(at, self.cells.word(first + at));
        }
        let marched = march(self.cells, first, len);
        for at in 0..len {
            self.cells.set_word(first + at, self.scratch.word(at));
        }
        // Only then: putting one word back may disturb another.
        let lost = (0..len).find(|at| self.cells.word(first + at) != self.scratch.word(*at));
        match (marched, lost) {
            (Err(damage), _) => damaged(damage),
            (Ok(()), Some(at)) => Outcome::Failed(Fault::NotRestored { word: number(first + at) }),
            (Ok(()), None) => Outcome::Passed,
        }
    }
}

impl<C: Cells + ?Sized, S: Cells + ?Sized> Probe for MarchPreserving<'_, C, S> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, _: u64) -> Step {
        let Some(next) = self.next else {
            let scratch = march(self.scratch, 0, self.scratch.count());
            self.next = Some(0);
            return match scratch {
                Ok(()) => Step::Progress,
                Err(Damage { at, bits }) => {
                    Step::Done(Outcome::Failed(Fault::ScratchMemory { word: number(at), bits }))
                }
            };
        };
        let (count, window) = (self.cells.count(), self.scratch.count());
        // The last window ends with the memory.
        let first = next.min(count.saturating_sub(window));
        let len = window.min(count);
        match self.test_window(first, len) {
            Outcome::Passed if first + len < count => {
                self.next = Some(first + window / 2);
                Step::Progress
            }
            outcome => Step::Done(outcome),
        }
    }
}

fn march<C: Cells + ?Sized>(cells: &mut C, first: usize, len: usize) -> Result<(), Damage> {
    let mut path = Path::default();
    while !path.step(cells, first, len)? {}
    Ok(())
}

fn damaged(damage: Damage) -> Outcome {
    Outcome::Failed(Fault::Memory { word: number(damage.at), bits: damage.bits })
}

/// No device has more words than that.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
