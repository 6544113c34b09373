//! Memory with faults planted in it: the classical models of van de Goor, "Testing Semiconductor Memories" (1991).

use std::cell::RefCell;

use ota_agent::self_test::{Cells, Words};

/// A bit: its word, and its number in the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bit(pub(crate) usize, pub(crate) u32);

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Flaw {
    /// The bit always holds this.
    Stuck(Bit, bool),
    /// The bit does not rise, or does not fall.
    Transition(Bit, bool),
    /// When the first bit rises (or falls), the second changes.
    Inversion(Bit, bool, Bit),
    /// When the first bit rises (or falls), the second becomes this.
    Idempotent(Bit, bool, Bit, bool),
    /// While the first bit is so, the second is this.
    State(Bit, bool, Bit, bool),
    /// The first word's address reaches the second word instead.
    Alias(usize, usize),
    /// A write to the first word also reaches the second.
    WritesBoth(usize, usize),
    /// The word does not exist: reads give this.
    NoWord(usize, u32),
    /// A read gives the bit and then changes it.
    DeceptiveRead(Bit),
}

/// Memory with flaws.
#[derive(Debug)]
pub(crate) struct Faulty {
    words: RefCell<Vec<u32>>,
    flaws: Vec<Flaw>,
    /// Whether a bit that is written keeps what is written where its neighbour in the word disturbs it at the same
    /// moment.
    write_wins: bool,
}

impl Faulty {
    pub(crate) fn new(words: impl Into<Vec<u32>>, flaws: &[Flaw]) -> Self {
        Self { words: RefCell::new(words.into()), flaws: flaws.to_vec(), write_wins: false }
    }

    pub(crate) fn where_the_write_wins(mut self) -> Self {
        self.write_wins = true;
        self
    }

    /// What really stands in it.
    pub(crate) fn contents(&self) -> Vec<u32> {
        self.words.borrow().clone()
    }

    fn bit(&self, Bit(word, bit): Bit) -> bool {
        self.words.borrow()[word] >> bit & 1 == 1
    }

    fn force(&self, Bit(word, bit): Bit, value: bool) {
        let mask = 1 << bit;
        let word = &mut self.words.borrow_mut()[word];
        *word = if value { *word | mask } else { *word & !mask };
    }

    /// What holds at all times.
    fn hold(&self) {
        for flaw in &self.flaws {
            match *flaw {
                Flaw::Stuck(bit, value) => self.force(bit, value),
                Flaw::State(aggressor, state, victim, value) if self.bit(aggressor) == state => {
                    self.force(victim, value);
                }
                _ => {}
            }
        }
    }

    fn store(&self, at: usize, word: u32) {
        let before = self.words.borrow()[at];
        self.words.borrow_mut()[at] = word;
        for flaw in &self.flaws {
            if let Flaw::Transition(bit, rises) = *flaw
                && bit.0 == at
                && (before ^ word) >> bit.1 & 1 == 1
                && self.bit(bit) == rises
            {
                self.force(bit, !rises);
            }
        }
        let changed = before ^ self.words.borrow()[at];
        let moved = |bit: Bit, rises| bit.0 == at && changed >> bit.1 & 1 == 1 && self.bit(bit) == rises;
        let escapes = |bit: Bit| self.write_wins && bit.0 == at && changed >> bit.1 & 1 == 1;
        for flaw in &self.flaws {
            match *flaw {
                Flaw::Inversion(aggressor, rises, victim) if moved(aggressor, rises) && !escapes(victim) => {
                    self.force(victim, !self.bit(victim));
                }
                Flaw::Idempotent(aggressor, rises, victim, value)
                    if moved(aggressor, rises) && !escapes(victim) =>
                {
                    self.force(victim, value);
                }
                _ => {}
            }
        }
        self.hold();
    }

    /// Where an address leads.
    fn lead(&self, at: usize) -> usize {
        let alias = self.flaws.iter().find_map(|flaw| match *flaw {
            Flaw::Alias(from, to) if from == at => Some(to),
            _ => None,
        });
        alias.unwrap_or(at)
    }
}

impl Words for Faulty {
    fn count(&self) -> usize {
        self.words.borrow().len()
    }

    fn word(&self, at: usize) -> u32 {
        self.hold();
        let word = self.words.borrow()[self.lead(at)];
        for flaw in &self.flaws {
            match *flaw {
                Flaw::DeceptiveRead(bit) if bit.0 == at => self.force(bit, !self.bit(bit)),
                Flaw::NoWord(none, reads) if none == at => return reads,
                _ => {}
            }
        }
        word
    }
}

impl Cells for Faulty {
    fn set_word(&mut self, at: usize, word: u32) {
        if self.flaws.iter().any(|flaw| matches!(*flaw, Flaw::NoWord(none, _) if none == at)) {
            return;
        }
        self.store(self.lead(at), word);
        for flaw in self.flaws.clone() {
            if let Flaw::WritesBoth(from, also) = flaw
                && from == at
            {
                self.store(also, word);
            }
        }
    }
}
