//! RNG (product specification, "RNG - Random number generator"): a byte at a time, from a seed of the test's choice.

use super::peripheral::{Context, Peripheral, mask, micros};

const VALRDY: u32 = 0x100;
/// Cycles for a byte, without and with bias correction.
const FAST: u64 = micros(30);
const CORRECTED: u64 = micros(120);

#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
    due: Option<u64>,
    value: u8,
    shorts: u32,
    config: u32,
}

impl Default for Rng {
    fn default() -> Self {
        Self { state: 0x9E37_79B9_7F4A_7C15, due: None, value: 0, shorts: 0, config: 0 }
    }
}

impl Rng {
    pub(crate) const fn seed(&mut self, seed: u64) {
        self.state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    /// After a reset: chance does not begin again.
    pub(super) fn reset(&self) -> Self {
        Self { state: self.state, ..Self::default() }
    }

    const fn pace(&self) -> u64 {
        if self.config & 1 != 0 { CORRECTED } else { FAST }
    }
}

impl Peripheral for Rng {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x200 => self.shorts,
            0x504 => self.config,
            0x508 => u32::from(self.value),
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x200 => self.shorts = value & 1,
            0x504 => self.config = value & 1,
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x00 => self.due = self.due.or(Some(context.now + self.pace())),
            0x04 => self.due = None,
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        mask(&[VALRDY])
    }

    fn due(&self, _enabled: u32) -> Option<u64> {
        self.due
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.due.is_none_or(|due| due > context.now) {
            return;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.value = (self.state >> 32 & 0xFF) as u8;
        self.due = (self.shorts == 0).then(|| context.now + self.pace());
        context.raise(VALRDY);
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    #[test]
    fn bytes_come_at_their_pace_until_stopped_and_a_seed_repeats_them() {
        let run = |seed| {
            let (mut bench, mut rng) = (Bench::new(), Rng::default());
            rng.seed(seed);
            bench.task(&mut rng, 0);
            let bytes: Vec<_> = (0..8)
                .map(|_| {
                    assert_eq!(bench.next(&mut rng), [VALRDY]);
                    rng.read(0x508, 0)
                })
                .collect();
            assert_eq!(bench.now, FAST * 8);
            bench.write(&mut rng, 0x200, 1);
            bench.next(&mut rng);
            assert_eq!(rng.due(0), None);
            bytes
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
