//! Verification results that a single glitched instruction does not turn around.

use core::hint::black_box;

/// 32 bits with a Hamming distance of 32 to [`FAIL`].
const PASS: u32 = 0x5A3C_96E1;
const FAIL: u32 = !PASS;

/// The verdict of a check, held as a wide constant and its complement, and looked at twice.
///
/// A `bool` is one bit away from its opposite; skipping one branch or flipping one bit (voltage glitch, laser) would turn
/// "no" into "yes". Used at exactly three places: signature, image digest, hand-over by the bootloader.
///
/// ```
/// use ota_verify::Hardened;
/// assert!(Hardened::of(1 + 1 == 2).passed());
/// assert!(!Hardened::of(1 + 1 == 3).passed());
/// ```
#[derive(Debug)]
#[must_use]
pub struct Hardened {
    verdict: u32,
    complement: u32,
}

impl Hardened {
    /// Records the outcome of a check.
    #[inline(never)]
    pub fn of(passed: bool) -> Self {
        // Starts as "failed" and is overwritten, so that a skipped store fails closed.
        let mut result = Self { verdict: black_box(FAIL), complement: black_box(PASS) };
        if black_box(passed) {
            result.verdict = black_box(PASS);
        }
        if black_box(passed) {
            result.complement = black_box(FAIL);
        }
        result
    }

    /// Whether the check passed; both words must say so, each time they are asked.
    #[must_use]
    #[inline(never)]
    pub fn passed(&self) -> bool {
        if black_box(self.verdict) != PASS || black_box(self.complement) != FAIL {
            return false;
        }
        black_box(self.complement) == FAIL && black_box(self.verdict) == PASS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_single_bit_flip_turns_a_refusal_into_a_pass() {
        for bit in 0..32 {
            let flipped = Hardened { verdict: FAIL ^ (1 << bit), complement: PASS };
            assert!(!flipped.passed());
            let flipped = Hardened { verdict: FAIL, complement: PASS ^ (1 << bit) };
            assert!(!flipped.passed());
        }
        assert!(!Hardened { verdict: PASS, complement: PASS }.passed(), "one word alone is not enough");
    }
}
