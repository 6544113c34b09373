//! Full-jitter back-off: each pause is drawn evenly from zero to a limit that doubles.
//!
//! Anything less random lets a fleet that lost its server together come back together (AWS Architecture Blog,
//! "Exponential Backoff And Jitter").

/// Seeded pauses.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    random: u64,
    failures: u32,
    first_ms: u32,
    longest_ms: u32,
}

impl Backoff {
    pub(crate) const fn new(seed: u64, (first_ms, longest_ms): (u32, u32)) -> Self {
        // xorshift must not start at zero.
        Self { random: seed ^ 0x9E37_79B9_7F4A_7C15 | 1, failures: 0, first_ms, longest_ms }
    }

    pub(crate) const fn succeed(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure, ms.
    pub(crate) fn fail(&mut self) -> u32 {
        let limit = self.first_ms.saturating_mul(1 << self.failures.min(20)).min(self.longest_ms);
        self.failures = self.failures.saturating_add(1);
        self.below(limit.saturating_add(1))
    }

    /// `interval` shortened by up to a fifth, so that devices switched on together drift apart.
    pub(crate) fn spread(&mut self, interval_ms: u32) -> u32 {
        interval_ms.saturating_sub(self.below(interval_ms / 5 + 1))
    }

    /// Below `end`, evenly. Multiplied and not divided: a division of 64 bits is 860 bytes of library on a Cortex-M.
    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let [.., a, b, c, d] = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
        let scaled = u64::from(u32::from_le_bytes([a, b, c, d])) * u64::from(end);
        let [.., a, b, c, d] = scaled.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_fill_their_whole_range_and_the_range_doubles_up_to_its_limit() {
        for (failures, limit) in [(0, 100), (1, 200), (3, 800), (9, 1000), (60, 1000)] {
            let mut pauses = [0u32; 10];
            let mut random = 5;
            for _ in 0..2000 {
                let mut backoff = Backoff { random, failures, ..Backoff::new(1, (100, 1000)) };
                let pause = backoff.fail();
                random = backoff.random;
                assert!(pause <= limit);
                pauses[(pause * 10 / (limit + 1)).min(9) as usize] += 1;
            }
            assert!(pauses.iter().all(|count| *count > 100), "{failures} failures: {pauses:?}");
        }
    }
}
