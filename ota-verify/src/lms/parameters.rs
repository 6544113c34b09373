//! The parameter sets with SHA-256 and 32-byte hashes, computed from their type codes (RFC 8554, sections 4.1 and 5.1).

#[cfg(feature = "sign")]
use crate::sign::{LmsHeight, LmsWidth};

/// Bytes of a hash, n and m of RFC 8554.
pub(crate) const HASH: usize = 32;

/// A digest and its checksum: the string that is cut into digits of w bits.
const DIGITS: usize = HASH + 2;

/// One set: a tree of height `h` over one-time keys with digits of 2 to the `log_w` bits.
///
/// A table would cost more flash than these few shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parameters {
    height: u32,
    log_w: u32,
}

impl Parameters {
    /// By type codes: `LMS_SHA256_M32_H5` to `H25` are 5 to 9, `LMOTS_SHA256_N32_W1` to `W8` are 1 to 4.
    pub(crate) const fn from_types(lms: u32, ots: u32) -> Option<Self> {
        match (lms, ots) {
            (5..=9, 1..=4) => Some(Self { height: 5 * (lms - 4), log_w: ots - 1 }),
            _ => None,
        }
    }

    /// The set of a key that signs; its enumerations are the type codes.
    #[cfg(feature = "sign")]
    pub(crate) const fn signing(height: LmsHeight, width: LmsWidth) -> Self {
        Self { height: 5 * (height as u32 - 4), log_w: width as u32 - 1 }
    }

    /// h: the tree has 2 to the h one-time keys.
    pub(crate) const fn height(self) -> u32 {
        self.height
    }

    /// w: bits of a digit.
    const fn width(self) -> u32 {
        1 << self.log_w
    }

    /// The largest digit, and the number of steps in a whole chain.
    pub(crate) const fn longest(self) -> u32 {
        (1 << self.width()) - 1
    }

    /// u: digits of a digest.
    const fn message_digits(self) -> u32 {
        256 >> self.log_w
    }

    /// Digits of the largest checksum, v in Appendix B.
    const fn checksum_digits(self) -> u32 {
        let bits = 32 - (self.longest() * self.message_digits()).leading_zeros();
        (bits + self.width() - 1) >> self.log_w
    }

    /// p: chains of a one-time key.
    pub(crate) const fn chains(self) -> u32 {
        self.message_digits() + self.checksum_digits()
    }

    /// Length of an LMS signature (section 5.4): q, type, C, y\[p\], type, path\[h\].
    pub(crate) const fn signature_len(self) -> usize {
        12 + HASH * (1 + self.chains() + self.height) as usize
    }

    /// A digest with its checksum appended (section 4.4).
    pub(crate) fn digits(self, digest: &[u8; HASH]) -> Digits {
        let mut digits = Digits { bytes: [0; DIGITS], parameters: self };
        let [message @ .., _, _] = &mut digits.bytes;
        message.copy_from_slice(digest);
        let sum = (0..self.message_digits()).map(|i| self.longest() - digits.at(i)).sum::<u32>();
        // ls of section 4.1: puts the checksum's digits to the left of the 16 bits.
        let [.., high, low] = &mut digits.bytes;
        let shift = 16 - (self.checksum_digits() << self.log_w);
        [_, _, *high, *low] = (sum << shift).to_be_bytes();
        digits
    }
}

/// The digits that say how far each chain of a signature has gone.
pub(crate) struct Digits {
    bytes: [u8; DIGITS],
    parameters: Parameters,
}

impl Digits {
    /// Digit `i`, `coef` of section 3.1.3; the largest where there are no more, so that a chain never runs on.
    pub(crate) fn at(&self, i: u32) -> u32 {
        let Parameters { log_w, .. } = self.parameters;
        let bit = i << log_w;
        let byte = self.bytes.get((bit >> 3) as usize).map_or(u32::MAX, |byte| u32::from(*byte));
        let shift = 8 - self.parameters.width() - (bit & 7);
        (byte >> shift) & self.parameters.longest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_give_table_1_of_rfc_8554() {
        for (ots, w, p, ls) in [(1, 1, 265, 7), (2, 2, 133, 6), (3, 4, 67, 4), (4, 8, 34, 0)] {
            let set = Parameters::from_types(5, ots).unwrap();
            assert_eq!((set.width(), set.chains(), set.longest()), (w, p, (1 << w) - 1));
            assert_eq!(16 - set.checksum_digits() * w, ls);
        }
    }

    #[test]
    fn formulas_give_table_2_of_rfc_8554() {
        for (lms, h) in [(5, 5), (6, 10), (7, 15), (8, 20), (9, 25)] {
            assert_eq!(Parameters::from_types(lms, 1).unwrap().height(), h);
        }
    }

    #[test]
    fn other_type_codes_have_no_parameters() {
        // Beside 32-byte SHA-256, SP 800-208 has 24-byte hashes (LMS from 10, LM-OTS from 5) and SHAKE256.
        for (lms, ots) in [(0, 3), (4, 3), (10, 3), (u32::MAX, 3), (6, 0), (6, 5), (6, u32::MAX), (11, 6)] {
            assert_eq!(Parameters::from_types(lms, ots), None);
        }
    }

    #[test]
    fn digits_are_those_of_the_example_in_section_3_1_3() {
        // S = 0x1234: for w = 4 the digits 1, 2, 3, 4; for w = 2 the digits 0, 1, 0, 2; for w = 1 0, 0, 0, 1.
        let mut digest = [0; HASH];
        digest[..2].copy_from_slice(&[0x12, 0x34]);
        let digits = |ots| {
            let digits = Parameters::from_types(5, ots).unwrap().digits(&digest);
            [0, 1, 2, 3].map(|i| digits.at(i))
        };
        assert_eq!([digits(3), digits(2), digits(1)], [[1, 2, 3, 4], [0, 1, 0, 2], [0, 0, 0, 1]]);
        assert_eq!(digits(4), [0x12, 0x34, 0, 0]);
    }

    #[test]
    fn checksum_counts_what_the_message_digits_leave() {
        for (ots, sum) in [(1, 256 << 7), (2, (3 * 128) << 6), (3, (15 * 64) << 4), (4, 255 * 32)] {
            let set = Parameters::from_types(5, ots).unwrap();
            let [.., high, low] = set.digits(&[0; HASH]).bytes;
            assert_eq!(u16::from_be_bytes([high, low]), sum);
            let [.., high, low] = set.digits(&[0xFF; HASH]).bytes;
            assert_eq!([high, low], [0, 0]);
        }
    }
}
