//! The two firmware images of a life, and the numbers everything random is drawn from.

/// The image a device runs and the one it is updated to. No two pages of them are alike.
#[derive(Debug)]
pub struct Images {
    old: Vec<u8>,
    new: Vec<u8>,
    leftover: Vec<u8>,
}

impl Images {
    /// Images of so many bytes.
    #[must_use]
    pub fn new(len: usize, seed: u64) -> Self {
        Self { old: noise(len, seed, 1), new: noise(len, seed, 2), leftover: noise(len, seed, 3) }
    }

    /// The image the device runs.
    #[must_use]
    pub fn old(&self) -> &[u8] {
        &self.old
    }

    /// The image it is updated to.
    #[must_use]
    pub fn new_image(&self) -> &[u8] {
        &self.new
    }

    /// What an earlier update left in DFU.
    #[must_use]
    pub fn leftover(&self) -> &[u8] {
        &self.leftover
    }
}

/// One number out of several: neighbours in, strangers out.
#[must_use]
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |state, part| finish(state.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ part))
}

fn noise(len: usize, seed: u64, which: u64) -> Vec<u8> {
    let words = (0u64..).flat_map(|index| mix(&[seed, which, index]).to_le_bytes());
    words.take(len).collect()
}

/// The finisher of SplitMix64 (Steele, Lea, Flood 2014).
fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
