//! SHA-2 as FIPS 180-4 writes it, for chips: one round in a loop over words of either size.
//!
//! The schedule is computed before the rounds: that takes more stack than a ring of words, and no remainders for its places.
//! One table of constants serves both sizes: those of SHA-256 are the upper halves of those of SHA-512.

use core::ops::{BitAnd, BitXor, Shr};
use core::slice;

/// SHA-256.
pub(super) type Sha256 = Stream<u32, 64, 64>;
/// SHA-512.
#[cfg(feature = "ed25519")]
pub(super) type Sha512 = Stream<u64, 128, 80>;

/// A hash that is being computed, in blocks of `BLOCK` bytes and `ROUNDS` rounds.
#[derive(Clone, Debug)]
pub(super) struct Stream<W, const BLOCK: usize, const ROUNDS: usize> {
    state: [W; 8],
    /// What does not fill a block yet.
    rest: [u8; BLOCK],
    /// Of everything appended, bytes.
    len: u64,
}

impl<W: Word<BLOCK, ROUNDS>, const BLOCK: usize, const ROUNDS: usize> Stream<W, BLOCK, ROUNDS> {
    pub(super) fn new() -> Self {
        Self { state: W::INITIAL, rest: [0; BLOCK], len: 0 }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let filled = self.filled();
        self.len = self.len.wrapping_add(bytes.len() as u64);
        if filled > 0 {
            let room = self.rest.get_mut(filled..).unwrap_or_default();
            let (now, later) = bytes.split_at_checked(room.len()).unwrap_or((bytes, &[]));
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            if now.len() < room.len() {
                return;
            }
            self.compress_rest();
            bytes = later;
        }
        // Straight from where they are: an image's bytes are not copied.
        let (blocks, rest) = bytes.as_chunks();
        if !blocks.is_empty() {
            compress(&mut self.state, blocks);
        }
        self.rest.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    }

    /// Section 5.1: a one, zeros, and the message's length in bits.
    pub(super) fn finalize(mut self) -> W::Digest {
        let filled = self.filled();
        for (byte, position) in self.rest.iter_mut().zip(0..) {
            if position >= filled {
                *byte = if position == filled { 0x80 } else { 0 };
            }
        }
        // The length takes two words. Of SHA-512's, the upper one is zero.
        if filled >= BLOCK - BLOCK / 8 {
            self.compress_rest();
            self.rest = [0; BLOCK];
        }
        if let Some(end) = self.rest.last_chunk_mut() {
            *end = self.len.wrapping_mul(8).to_be_bytes();
        }
        self.compress_rest();
        W::digest(&self.state)
    }

    fn compress_rest(&mut self) {
        compress(&mut self.state, slice::from_ref(&self.rest));
    }

    fn filled(&self) -> usize {
        // Blocks are of a power of two: the lowest byte tells.
        let [low, ..] = self.len.to_le_bytes();
        usize::from(low) % BLOCK
    }
}

/// What SHA-256 and SHA-512 differ in.
pub(super) trait Word<const BLOCK: usize, const ROUNDS: usize>:
    Copy + Default + BitAnd<Output = Self> + BitXor<Output = Self> + Shr<u32, Output = Self>
{
    type Digest;

    /// Section 5.3.
    const INITIAL: [Self; 8];
    /// Of Σ0 and Σ1, and of σ0 and σ1, whose last one is a shift (sections 4.1.2 and 4.1.3).
    const ROTATIONS: [[u32; 3]; 4];

    /// Section 4.2.
    fn constants() -> impl Iterator<Item = Self>;
    fn words(block: &[u8; BLOCK]) -> impl Iterator<Item = Self>;
    fn digest(state: &[Self; 8]) -> Self::Digest;
    fn plus(self, other: Self) -> Self;
    fn rotated(self, bits: u32) -> Self;

    #[inline(always)]
    fn rotations(self, [a, b, c]: [u32; 3]) -> Self {
        self.rotated(a) ^ self.rotated(b) ^ self.rotated(c)
    }

    #[inline(always)]
    fn rotations_and_shift(self, [a, b, shift]: [u32; 3]) -> Self {
        self.rotated(a) ^ self.rotated(b) ^ (self >> shift)
    }
}

macro_rules! word {
    ($word:ty, $block:literal, $rounds:literal, $digest:literal, $constants:expr, $rotations:expr, $initial:expr) => {
        impl Word<$block, $rounds> for $word {
            type Digest = [u8; $digest];

            const INITIAL: [Self; 8] = $initial;
            const ROTATIONS: [[u32; 3]; 4] = $rotations;

            #[inline(always)]
            fn constants() -> impl Iterator<Item = Self> {
                $constants
            }

            #[inline(always)]
            fn words(block: &[u8; $block]) -> impl Iterator<Item = Self> {
                block.as_chunks().0.iter().map(|bytes| Self::from_be_bytes(*bytes))
            }

            #[inline(always)]
            fn digest(state: &[Self; 8]) -> [u8; $digest] {
                let mut digest = [0; $digest];
                digest
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .zip(state)
                    .for_each(|(to, word)| *to = word.to_be_bytes());
                digest
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn rotated(self, bits: u32) -> Self {
                self.rotate_right(bits)
            }
        }
    };
}

word!(
    u32,
    64,
    64,
    32,
    k256(),
    [[2, 13, 22], [6, 11, 25], [7, 18, 3], [17, 19, 10]],
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19,]
);
#[cfg(feature = "ed25519")]
word!(
    u64,
    128,
    80,
    64,
    TABLE.iter().copied(),
    [[28, 34, 39], [14, 18, 41], [1, 8, 7], [19, 61, 6]],
    [
        0x6A09_E667_F3BC_C908,
        0xBB67_AE85_84CA_A73B,
        0x3C6E_F372_FE94_F82B,
        0xA54F_F53A_5F1D_36F1,
        0x510E_527F_ADE6_82D1,
        0x9B05_688C_2B3E_6C1F,
        0x1F83_D9AB_FB41_BD6B,
        0x5BE0_CD19_137E_2179,
    ]
);

/// Section 6.2.2, for blocks one after the other. The schedule's memory is cleared once for all of them.
#[inline(never)]
fn compress<W: Word<BLOCK, ROUNDS>, const BLOCK: usize, const ROUNDS: usize>(
    state: &mut [W; 8],
    blocks: &[[u8; BLOCK]],
) {
    let mut schedule = [W::default(); ROUNDS];
    for block in blocks {
        expand(&mut schedule, block);
        mix(state, &schedule);
    }
}

#[inline(always)]
fn expand<W: Word<BLOCK, ROUNDS>, const BLOCK: usize, const ROUNDS: usize>(
    schedule: &mut [W; ROUNDS],
    block: &[u8; BLOCK],
) {
    let [.., small_zero, small_one] = W::ROTATIONS;
    schedule.iter_mut().zip(W::words(block)).for_each(|(to, word)| *to = word);
    for start in 0..ROUNDS - 16 {
        if let Some([a, b, _, _, _, _, _, _, _, c, _, _, _, _, d, _, next]) =
            schedule.get_mut(start..start + 17)
        {
            let (b, d) = (b.rotations_and_shift(small_zero), d.rotations_and_shift(small_one));
            *next = a.plus(b).plus(*c).plus(d);
        }
    }
}

#[inline(always)]
fn mix<W: Word<BLOCK, ROUNDS>, const BLOCK: usize, const ROUNDS: usize>(
    state: &mut [W; 8],
    schedule: &[W; ROUNDS],
) {
    let [big_zero, big_one, ..] = W::ROTATIONS;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, constant) in schedule.iter().zip(W::constants()) {
        let choice = g ^ (e & (f ^ g));
        let majority = (a & b) ^ (c & (a ^ b));
        let one = h.plus(e.rotations(big_one)).plus(choice).plus(constant).plus(*word);
        let two = a.rotations(big_zero).plus(majority);
        [a, b, c, d, e, f, g, h] = [one.plus(two), a, b, c, d.plus(one), e, f, g];
    }
    for (to, from) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *to = to.plus(from);
    }
}

/// In flash once, for both sizes.
#[cfg(feature = "ed25519")]
static TABLE: [u64; 80] = K512;

/// The constants of SHA-256, from the table of SHA-512 where a program has it anyway.
#[cfg(feature = "ed25519")]
#[inline(always)]
fn k256() -> impl Iterator<Item = u32> {
    TABLE.iter().take(64).map(|constant| upper(*constant))
}

#[cfg(not(feature = "ed25519"))]
#[inline(always)]
fn k256() -> impl Iterator<Item = u32> {
    static K256: [u32; 64] = {
        let mut uppers = [0; 64];
        let (mut to, mut from): (&mut [u32], &[u64]) = (&mut uppers, &K512);
        while let (Some((first, rest)), Some((constant, later))) = (to.split_first_mut(), from.split_first())
        {
            *first = upper(*constant);
            (to, from) = (rest, later);
        }
        uppers
    };
    K256.iter().copied()
}

const fn upper(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The first 64 bits of the fractions of the cube roots of the first 80 primes (section 4.2.3).
const K512: [u64; 80] = [
    0x428A_2F98_D728_AE22,
    0x7137_4491_23EF_65CD,
    0xB5C0_FBCF_EC4D_3B2F,
    0xE9B5_DBA5_8189_DBBC,
    0x3956_C25B_F348_B538,
    0x59F1_11F1_B605_D019,
    0x923F_82A4_AF19_4F9B,
    0xAB1C_5ED5_DA6D_8118,
    0xD807_AA98_A303_0242,
    0x1283_5B01_4570_6FBE,
    0x2431_85BE_4EE4_B28C,
    0x550C_7DC3_D5FF_B4E2,
    0x72BE_5D74_F27B_896F,
    0x80DE_B1FE_3B16_96B1,
    0x9BDC_06A7_25C7_1235,
    0xC19B_F174_CF69_2694,
    0xE49B_69C1_9EF1_4AD2,
    0xEFBE_4786_384F_25E3,
    0x0FC1_9DC6_8B8C_D5B5,
    0x240C_A1CC_77AC_9C65,
    0x2DE9_2C6F_592B_0275,
    0x4A74_84AA_6EA6_E483,
    0x5CB0_A9DC_BD41_FBD4,
    0x76F9_88DA_8311_53B5,
    0x983E_5152_EE66_DFAB,
    0xA831_C66D_2DB4_3210,
    0xB003_27C8_98FB_213F,
    0xBF59_7FC7_BEEF_0EE4,
    0xC6E0_0BF3_3DA8_8FC2,
    0xD5A7_9147_930A_A725,
    0x06CA_6351_E003_826F,
    0x1429_2967_0A0E_6E70,
    0x27B7_0A85_46D2_2FFC,
    0x2E1B_2138_5C26_C926,
    0x4D2C_6DFC_5AC4_2AED,
    0x5338_0D13_9D95_B3DF,
    0x650A_7354_8BAF_63DE,
    0x766A_0ABB_3C77_B2A8,
    0x81C2_C92E_47ED_AEE6,
    0x9272_2C85_1482_353B,
    0xA2BF_E8A1_4CF1_0364,
    0xA81A_664B_BC42_3001,
    0xC24B_8B70_D0F8_9791,
    0xC76C_51A3_0654_BE30,
    0xD192_E819_D6EF_5218,
    0xD699_0624_5565_A910,
    0xF40E_3585_5771_202A,
    0x106A_A070_32BB_D1B8,
    0x19A4_C116_B8D2_D0C8,
    0x1E37_6C08_5141_AB53,
    0x2748_774C_DF8E_EB99,
    0x34B0_BCB5_E19B_48A8,
    0x391C_0CB3_C5C9_5A63,
    0x4ED8_AA4A_E341_8ACB,
    0x5B9C_CA4F_7763_E373,
    0x682E_6FF3_D6B2_B8A3,
    0x748F_82EE_5DEF_B2FC,
    0x78A5_636F_4317_2F60,
    0x84C8_7814_A1F0_AB72,
    0x8CC7_0208_1A64_39EC,
    0x90BE_FFFA_2363_1E28,
    0xA450_6CEB_DE82_BDE9,
    0xBEF9_A3F7_B2C6_7915,
    0xC671_78F2_E372_532B,
    0xCA27_3ECE_EA26_619C,
    0xD186_B8C7_21C0_C207,
    0xEADA_7DD6_CDE0_EB1E,
    0xF57D_4F7F_EE6E_D178,
    0x06F0_67AA_7217_6FBA,
    0x0A63_7DC5_A2C8_98A6,
    0x113F_9804_BEF9_0DAE,
    0x1B71_0B35_131C_471B,
    0x28DB_77F5_2304_7D84,
    0x32CA_AB7B_40C7_2493,
    0x3C9E_BE0A_15C9_BEBC,
    0x431D_67C4_9C10_0D4C,
    0x4CC5_D4BE_CB3E_42B6,
    0x597F_299C_FC65_7E2A,
    0x5FCB_6FAB_3AD6_FAEC,
    0x6C44_198C_4A47_5817,
];

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize()
    }

    fn sha512(parts: &[&[u8]]) -> [u8; 64] {
        let mut hash = Sha512::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize()
    }

    fn hex(bytes: &[u8]) -> std::string::String {
        bytes.iter().map(|byte| std::format!("{byte:02x}")).collect()
    }

    /// Of one byte after the other, so that no part repeats.
    fn message(len: usize) -> Vec<u8> {
        (0..len).map(|position| u8::try_from(position * 7 % 251).unwrap()).collect()
    }

    #[test]
    fn examples_of_nist_come_out() {
        let two = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (message, digest) in [
            (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (two, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        ] {
            assert_eq!(hex(&sha256(&[message])), digest);
        }
        let million = std::vec![b'a'; 1_000_000];
        let digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(hex(&sha256(&[&million])), digest);
        assert_eq!(
            hex(&sha512(&[b"abc"])),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
        assert_eq!(
            hex(&sha512(&[&million])),
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb\
             de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
        );
    }

    #[test]
    fn every_length_and_every_split_comes_out_as_elsewhere() {
        let message = message(300);
        for len in 0..=message.len() {
            let message = &message[..len];
            let expected: [u8; 32] = sha2::Sha256::digest(message).into();
            for at in 0..=len {
                let (first, second) = message.split_at(at);
                assert_eq!(sha256(&[first, second]), expected, "{len} bytes, split at {at}");
            }
            let expected: [u8; 64] = sha2::Sha512::digest(message).into();
            assert_eq!(sha512(&[message]), expected, "{len} bytes");
            let (first, second) = message.split_at(len / 3);
            assert_eq!(sha512(&[first, second]), expected, "{len} bytes in two");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_come_out_as_elsewhere(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)
        ) {
            let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            let whole = parts.concat();
            prop_assert_eq!(sha256(&parts)[..].to_vec(), sha2::Sha256::digest(&whole).to_vec());
            prop_assert_eq!(sha512(&parts)[..].to_vec(), sha2::Sha512::digest(&whole).to_vec());
        }
    }
}
