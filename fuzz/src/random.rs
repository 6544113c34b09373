//! Mutations of inputs, for the plain programs.

/// xorshift64*, seeded.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Neighbouring seeds do not begin alike.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self((seed.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 11) as usize % end }
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }

    /// An input made from those of a corpus.
    ///
    /// # Panics
    /// If the corpus is empty.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            let other = &corpus[self.below(corpus.len())];
            self.mutate_once(&mut input, other);
        }
        input.truncate(6144);
        input
    }

    fn mutate_once(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len());
        match self.below(7) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
            2 => input.insert(at.min(input.len()), self.byte()),
            3 => drop(input.drain(at..(at + 1 + self.below(8)).min(input.len()))),
            4 => input.truncate(at),
            5 => {
                let from = self.below(other.len());
                let end = (from + 1 + self.below(160)).min(other.len());
                drop(input.splice(at..at, other[from..end].iter().copied()));
            }
            _ => {
                let end = (at + 1 + self.below(160)).min(input.len());
                let again = input[at..end].to_vec();
                drop(input.splice(end..end, again));
            }
        }
    }
}
