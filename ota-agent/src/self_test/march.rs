//! The marches themselves: which word is read and written when.
//!
//! ```text
//! 0  up    (w0)              March C-: coupling between words, stuck cells, cells that do not change
//! 1  up    (r0, w1)
//! 2  up    (r1, w0)
//! 3  down  (r0, w1)
//! 4  down  (r1, w0)
//! 5  up    (r0)
//! 6  up    (eight writes, each read back, for each of five patterns): coupling inside a word
//! ```
//! 0 is a word of zeros and 1 a word of ones. Ten accesses a word, then eighty.

use super::memory::Cells;

/// Every two bits of a word differ in at least one of these.
const PATTERNS: [u32; 5] = [0x5555_5555, 0x3333_3333, 0x0F0F_0F0F, 0x00FF_00FF, 0x0000_FFFF];

/// What one element of the march does with each word.
#[derive(Debug, Clone, Copy)]
struct Element {
    down: bool,
    expected: Option<u32>,
    written: Option<u32>,
}

const fn element(down: bool, expected: Option<u32>, written: Option<u32>) -> Element {
    Element { down, expected, written }
}

const ELEMENTS: [Element; 6] = [
    element(false, None, Some(0)),
    element(false, Some(0), Some(!0)),
    element(false, Some(!0), Some(0)),
    element(true, Some(0), Some(!0)),
    element(true, Some(!0), Some(0)),
    element(false, Some(0), None),
];

/// How far a march over some words has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Path {
    element: usize,
    /// Words that the element has seen.
    seen: usize,
}

/// A word that did not read as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) at: usize,
    pub(super) bits: u32,
}

impl Path {
    /// Takes one step over `len` words from `first` on; true behind the last.
    pub(super) fn step<C: Cells + ?Sized>(
        &mut self,
        cells: &mut C,
        first: usize,
        len: usize,
    ) -> Result<bool, Damage> {
        let left = len.saturating_sub(self.seen);
        let Some(last) = left.checked_sub(1) else {
            *self = Self { element: self.element + 1, seen: 0 };
            return Ok(len == 0 || self.element > ELEMENTS.len());
        };
        match ELEMENTS.get(self.element) {
            Some(element) => {
                let at = first + if element.down { last } else { self.seen };
                visit(cells, at, *element)?;
            }
            None => weave(cells, first + self.seen)?,
        }
        self.seen += 1;
        Ok(false)
    }
}

fn visit<C: Cells + ?Sized>(cells: &mut C, at: usize, element: Element) -> Result<(), Damage> {
    if let Some(expected) = element.expected {
        expect(cells, at, expected)?;
    }
    if let Some(word) = element.written {
        cells.set_word(at, word);
    }
    Ok(())
}

/// Drives each bit of a word up and down while each other bit keeps still, at zero and at one, and ends at zero.
fn weave<C: Cells + ?Sized>(cells: &mut C, at: usize) -> Result<(), Damage> {
    for pattern in &PATTERNS {
        for word in &[*pattern, !0, !pattern, 0, !pattern, !0, *pattern, 0] {
            cells.set_word(at, *word);
            expect(cells, at, *word)?;
        }
    }
    Ok(())
}

fn expect<C: Cells + ?Sized>(cells: &C, at: usize, expected: u32) -> Result<(), Damage> {
    match cells.word(at) ^ expected {
        0 => Ok(()),
        bits => Err(Damage { at, bits }),
    }
}
