//! What is remembered of lives that were led: most come back to where another has been.
//!
//! A *moment* is a point of a life from which it goes on without anything random: everything that happens from there
//! follows from what the program was told since it was reset (by the flash, and by the world at the reset), and from the
//! pages it has yet to read. So of each moment is kept what the program had been told, which pages the rest of the life
//! read before it erased them, and their fingerprints. A later life at a moment that is equal in these goes on in the
//! same way, whatever the rest of its flash looks like, and need not be led to its end again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::course::Outcome;
use crate::print::{PageSet, Prints, hash, mix};
use crate::witness::Witness;

/// Moments that are kept before all are forgotten and it begins anew.
const MOST: usize = 4_000_000;
/// In each power session the moments before the first so many changes of the flash are kept; that is where a life that was
/// disturbed finds back,
const FIRST: usize = 20;
/// and after that one in so many.
const EVERY: usize = 32;
/// Reads up to so many bytes are told by what was read, longer ones by the fingerprint of the page: both say the same.
const SHORT: usize = 256;

/// Remembers how lives went on.
#[derive(Default)]
pub struct Memory {
    shapes: Vec<PageSet>,
    shape_numbers: HashMap<PageSet, u32>,
    /// By what the program had been told: the sets of pages that mattered.
    shapes_at: HashMap<u64, Vec<u32>>,
    /// By all of it: how the life ended.
    ends: HashMap<u64, u32>,
    lives: Vec<(Outcome, Witness)>,
    life_numbers: HashMap<u64, u32>,
    trail: Trail,
}

/// The life that is being led.
#[derive(Default)]
struct Trail {
    /// What the program has been told since it was reset.
    told: u64,
    changes: usize,
    marks: Vec<Mark>,
    /// Fingerprints of all pages at each mark.
    prints: Vec<u64>,
    /// How the life goes on from here, and the pages that matter for it.
    known: Option<(u32, PageSet)>,
}

/// A moment, and what happened until the next.
struct Mark {
    told: u64,
    loose: PageSet,
    /// Pages that were read or written before they were erased.
    needs: PageSet,
    erased: PageSet,
}

impl Memory {
    /// A power session begins with the world as it is. Whether it is known how it goes on.
    pub(crate) fn reset(&mut self, world: &impl Hash, prints: &Prints) -> bool {
        self.trail.told = number(world);
        self.trail.changes = 0;
        self.pass(prints)
    }

    /// The flash is about to be changed. Whether it is known how it goes on.
    pub(crate) fn before_change(&mut self, prints: &Prints) -> bool {
        let count = self.trail.changes;
        self.trail.changes += 1;
        (count < FIRST || count.is_multiple_of(EVERY)) && self.pass(prints)
    }

    /// The program was told how something went.
    pub(crate) fn tell(&mut self, what: u64) {
        self.trail.told = mix(self.trail.told, what);
    }

    /// Something was read.
    pub(crate) fn read(&mut self, prints: &Prints, at: u32, bytes: &[u8], well: bool) {
        let span = prints.span(at, bytes.len());
        let loose = span.clone().any(|page| prints.loose().has(page));
        self.tell(u64::from(at) << 1 | u64::from(well));
        if well && (bytes.len() <= SHORT || loose) {
            self.tell(hash(bytes));
        } else if well {
            for page in span.clone() {
                self.tell(prints.pages().get(page).copied().unwrap_or(0));
            }
        }
        self.touch(span);
    }

    /// What these pages hold matters.
    pub(crate) fn touch(&mut self, pages: impl Iterator<Item = usize>) {
        if let Some(mark) = self.trail.marks.last_mut() {
            pages.for_each(|page| {
                if !mark.erased.has(page) {
                    mark.needs.insert(page);
                }
            });
        }
    }

    /// What these pages held does not matter any more.
    pub(crate) fn erase(&mut self, pages: impl Iterator<Item = usize>) {
        if let Some(mark) = self.trail.marks.last_mut() {
            pages.for_each(|page| mark.erased.insert(page));
        }
    }

    /// Whether it is known how the life goes on.
    pub(crate) const fn is_known(&self) -> bool {
        self.trail.known.is_some()
    }

    /// How it goes on, if that is known.
    pub(crate) fn known(&self) -> Option<(Outcome, Witness)> {
        let (life, _) = self.trail.known?;
        self.lives.get(life as usize).cloned()
    }

    fn pass(&mut self, prints: &Prints) -> bool {
        let told = self.trail.told;
        let shapes = self.shapes_at.get(&told).map_or(&[][..], |shapes| shapes);
        for number in shapes {
            let Some(shape) = self.shapes.get(*number as usize) else { continue };
            if shape.meets(prints.loose()) {
                continue;
            }
            if let Some(life) = self.ends.get(&key(told, *number, shape.print(prints.pages()))) {
                self.trail.known = Some((*life, *shape));
                return true;
            }
        }
        let nothing = PageSet::default();
        self.trail.marks.push(Mark { told, loose: *prints.loose(), needs: nothing, erased: nothing });
        self.trail.prints.extend_from_slice(prints.pages());
        false
    }

    /// The life is over: so it ended, and from now on that is known of all its moments.
    pub(crate) fn close(&mut self, outcome: Outcome, witness: &Witness) {
        let mut trail = std::mem::take(&mut self.trail);
        if self.ends.len() > MOST {
            *self = Self::default();
        }
        let life = self.life(outcome, witness);
        let mut needs = trail.known.take().map_or_else(PageSet::default, |(_, needs)| needs);
        let pages = trail.prints.len() / trail.marks.len().max(1);
        let prints = trail.prints.chunks(pages.max(1));
        for (mark, prints) in trail.marks.iter().zip(prints).rev() {
            needs = needs.without_and_with(&mark.erased, &mark.needs);
            if !needs.meets(&mark.loose) {
                self.keep(mark.told, needs, prints, life);
            }
        }
        trail.marks.clear();
        trail.prints.clear();
        self.trail = Trail { known: None, told: 0, changes: 0, ..trail };
    }

    fn keep(&mut self, told: u64, needs: PageSet, prints: &[u64], life: u32) {
        let shape = *self.shape_numbers.entry(needs).or_insert_with(|| {
            self.shapes.push(needs);
            u32::try_from(self.shapes.len() - 1).unwrap_or(u32::MAX)
        });
        let shapes = self.shapes_at.entry(told).or_default();
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
        self.ends.insert(key(told, shape, needs.print(prints)), life);
    }

    fn life(&mut self, outcome: Outcome, witness: &Witness) -> u32 {
        *self.life_numbers.entry(number(&(outcome, witness))).or_insert_with(|| {
            self.lives.push((outcome, witness.clone()));
            u32::try_from(self.lives.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

fn key(told: u64, shape: u32, print: u64) -> u64 {
    mix(told ^ u64::from(shape), print)
}

fn number(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
