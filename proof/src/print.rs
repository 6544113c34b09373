//! A fingerprint of every page of the flash that follows from its history: equal fingerprints, equal contents.
//!
//! For each page: what was done to it since it was last erased as a whole. Reading the bytes would not do: a cell that was
//! torn and reads blank is not a blank cell.

use ota_slots::sim::CutMode;

use crate::chip::Task;

const ERASED: u64 = 0x5EED_0FB1_A4C0_FFEE;
/// Pages that the rig can tell apart.
const MOST: usize = 256;

/// A set of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct PageSet([u64; MOST / 64]);

impl PageSet {
    pub(crate) const fn has(&self, page: usize) -> bool {
        self.0[page / 64] >> (page % 64) & 1 == 1
    }

    pub(crate) const fn insert(&mut self, page: usize) {
        self.0[page / 64] |= 1 << (page % 64);
    }

    const fn remove(&mut self, page: usize) {
        self.0[page / 64] &= !(1 << (page % 64));
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    /// These without `others`, and with `more`.
    pub(crate) fn without_and_with(mut self, others: &Self, more: &Self) -> Self {
        for ((pages, gone), new) in self.0.iter_mut().zip(others.0).zip(more.0) {
            *pages = *pages & !gone | new;
        }
        self
    }

    /// One number for the fingerprints of these pages.
    pub(crate) fn print(&self, pages: &[u64]) -> u64 {
        let mut sum = 0u64;
        for (word, prints) in self.0.into_iter().zip(pages.chunks(64)) {
            let mut left = word;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let print = prints.get(bit as usize).copied().unwrap_or(0);
                sum = scatter(sum ^ print).wrapping_add(u64::from(bit));
            }
        }
        sum
    }
}

/// A stretch of cells that may read at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loose {
    start: u32,
    end: u32,
}

/// Fingerprints of all pages.
#[derive(Debug, Clone)]
pub(crate) struct Prints {
    pages: Vec<u64>,
    loose: Vec<Loose>,
    loose_pages: PageSet,
    /// The smallest page of any bank: what is told apart.
    page: u32,
    erased: u8,
}

impl Prints {
    pub(crate) fn new(len: usize, page: u32, erased: u8) -> Self {
        let count = len / page as usize;
        assert!(count <= MOST, "a flash of at most {MOST} pages, not {count}");
        let (loose, loose_pages) = (Vec::new(), PageSet::default());
        Self { pages: vec![ERASED; count], loose, loose_pages, page, erased }
    }

    pub(crate) fn pages(&self) -> &[u64] {
        &self.pages
    }

    /// Pages with bits that may read at random.
    pub(crate) const fn loose(&self) -> &PageSet {
        &self.loose_pages
    }

    /// The pages that `len` bytes from `at` on lie in.
    pub(crate) const fn span(&self, at: u32, len: usize) -> std::ops::Range<usize> {
        let start = at as usize;
        start / self.page as usize..(start + len).div_ceil(self.page as usize)
    }

    /// Adds to the history of a page.
    fn add(&mut self, index: usize, event: u64) {
        if let Some(page) = self.pages.get_mut(index) {
            *page = mix(*page, event);
        }
    }

    fn update_loose_pages(&mut self) {
        self.loose_pages = PageSet::default();
        for Loose { start, end } in &self.loose {
            for page in self.span(*start, (end - start) as usize) {
                self.loose_pages.insert(page);
            }
        }
    }

    /// Takes note of written bytes.
    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        let page = self.page as usize;
        let (mut place, mut rest) = (at as usize, bytes);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(page - place % page));
            self.add(place / page, mix(place as u64, hash(piece)));
            place += piece.len();
            rest = later;
        }
        if !self.loose.is_empty() && bytes.iter().all(|byte| *byte == !self.erased) {
            // Programming every bit settles them all.
            let end = place;
            self.loose.retain(|loose| loose.start < at || loose.end as usize > end);
            self.update_loose_pages();
        }
    }

    /// Takes note of an operation that was done. `erased` is the length of the page if it was an erase.
    pub(crate) fn carried_out(&mut self, task: &Task<'_>, erased: u32) {
        match *task {
            Task::Write { at, bytes } => self.write(at, bytes),
            Task::Erase { at } => {
                for index in self.span(at, erased as usize) {
                    if let Some(page) = self.pages.get_mut(index) {
                        *page = ERASED;
                    }
                    self.loose_pages.remove(index);
                }
                if !self.loose.is_empty() {
                    // A write lies within one page, but for pieces of the largest buffers.
                    let end = at + erased;
                    self.loose = self.loose.iter().flat_map(|loose| loose.outside(at, end)).collect();
                    self.update_loose_pages();
                }
            }
        }
    }

    /// Takes note of an operation during which power failed.
    pub(crate) fn torn(&mut self, task: &Task<'_>, erased: u32, mode: CutMode, seed: u64) {
        let len = match task {
            Task::Write { bytes, .. } => bytes.len(),
            Task::Erase { .. } => erased as usize,
        };
        match mode {
            CutMode::Before => {}
            CutMode::After => self.carried_out(task, erased),
            _ => {
                let event = mix(hash(format!("{mode:?} {task:?}").as_bytes()), seed);
                self.span(task.at(), len).for_each(|index| self.add(index, event));
                if may_read_at_random(mode) {
                    let start = task.at();
                    let end = start.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
                    self.loose.push(Loose { start, end });
                    self.update_loose_pages();
                }
            }
        }
    }
}

impl Loose {
    /// What of it lies before `start` and from `end` on.
    fn outside(&self, start: u32, end: u32) -> impl Iterator<Item = Self> + use<> {
        let before = Self { start: self.start, end: self.end.min(start) };
        let behind = Self { start: self.start.max(end), end: self.end };
        [before, behind].into_iter().filter(|loose| loose.start < loose.end)
    }
}

/// Everything but what is known not to, so that a mode that is new is on the safe side.
///
/// With error correction as well: a unit that was torn in one of the others reads as an error every time.
pub(crate) const fn may_read_at_random(mode: CutMode) -> bool {
    !matches!(
        mode,
        CutMode::Before
            | CutMode::After
            | CutMode::FirstHalf
            | CutMode::LastHalf
            | CutMode::RandomBits(_)
            | CutMode::RandomWords
    )
}

/// Two numbers to one (the finaliser of `SplitMix64`, twice).
#[must_use]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    scatter(scatter(a.wrapping_add(0x9E37_79B9_7F4A_7C15)) ^ b)
}

const fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Bytes to a number; quick rather than strong, nobody attacks it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = bytes.len() as u64;
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
    }
    rest.iter().fold(scatter(state), |state, byte| mix(state, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: [u8; 16] = [1; 16];

    fn write(at: u32) -> Task<'static> {
        Task::Write { at, bytes: &ONES }
    }

    #[test]
    fn a_whole_erase_forgets_a_page_and_a_torn_one_does_not() {
        let fresh = Prints::new(1024, 256, 0xFF);
        let mut used = fresh.clone();
        used.carried_out(&write(256), 256);
        assert_ne!(used.pages(), fresh.pages());
        let mut torn = used.clone();
        torn.torn(&Task::Erase { at: 256 }, 256, CutMode::FirstHalf, 1);
        assert_ne!(torn.pages(), used.pages());
        assert_ne!(torn.pages(), fresh.pages());
        for prints in [&mut used, &mut torn] {
            prints.carried_out(&Task::Erase { at: 256 }, 256);
            assert_eq!(prints.pages(), fresh.pages());
        }
    }

    #[test]
    fn marginal_bits_are_loose_until_they_are_erased_or_all_programmed() {
        let mut prints = Prints::new(1024, 256, 0xFF);
        prints.torn(&write(0), 256, CutMode::AlmostDone(1), 1);
        prints.torn(&write(300), 256, CutMode::Marginal, 1);
        prints.carried_out(&write(512), 256);
        assert!(prints.loose().has(0) && prints.loose().has(1) && !prints.loose().has(2));
        prints.carried_out(&Task::Erase { at: 0 }, 256);
        assert!(!prints.loose().has(0));
        prints.carried_out(&Task::Write { at: 300, bytes: &[0; 8] }, 256);
        assert!(prints.loose().has(1), "half of it is not enough");
        prints.carried_out(&Task::Write { at: 296, bytes: &[0; 32] }, 256);
        assert_eq!(*prints.loose(), PageSet::default());
    }

    #[test]
    fn cut_after_an_operation_equals_cut_before_the_next() {
        let mut after = Prints::new(1024, 256, 0xFF);
        let mut done = after.clone();
        after.torn(&write(0), 256, CutMode::After, 1);
        done.carried_out(&write(0), 256);
        done.torn(&write(16), 256, CutMode::Before, 2);
        assert_eq!(after.pages(), done.pages());
    }
}
