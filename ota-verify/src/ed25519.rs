//! Ed25519, strict.
//!
//! Strict means: S below the order of the group, R compared as the bytes it came in, no small-order keys or commitments,
//! no cofactor. A lenient equation accepts signatures that other verifiers refuse, and a device whose agent and bootloader
//! disagree bricks itself. So there is one equation, here, over the points of `curve25519-dalek`; the tests hold it
//! against `verify_strict` of `ed25519-dalek`. With that function itself a check takes 5 KB more: for
//! the library's reduction of scalars, and for a commitment that is decompressed as well as recomputed.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ota_manifest::{Alg, KeyId};

use crate::hash::sha512;
use crate::key::key_id;
use crate::{KeyAlgorithm, SignatureRefused, Tbs, VerifyKey};

/// An Ed25519 public key, 32 bytes, as it stands in ROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519Key([u8; 32]);

impl Ed25519Key {
    /// Wraps a key. Whether it is a point of the curve shows at the first verification, which fails if not.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl VerifyKey for Ed25519Key {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn key_id(&self) -> KeyId {
        key_id(Alg::Ed25519, &self.0)
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(&self.0, tbs.as_bytes(), signature)
    }
}

/// Ed25519 for keys that come from a trust document; see [`KeyAlgorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl KeyAlgorithm for Ed25519 {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(key, tbs.as_bytes(), signature)
    }
}

/// The one place where a signature is checked. Of any message, so that foreign vectors test what devices run.
pub(crate) fn verify_message(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
    is_signed(key, message, signature).filter(|signed| *signed).map(|_| ()).ok_or(SignatureRefused)
}

/// `None` where bytes are too few or too many, or the key is no point of the curve.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let (commitment, s) = signature.split_first_chunk::<32>()?;
    let s = s.try_into().ok().filter(is_reduced)?;
    let point = CompressedEdwardsY(key.try_into().ok()?).decompress()?;
    let challenge = sha512(&[commitment, key, message]);
    // Both are below the order, as the arithmetic of points wants them.
    let k = Scalar::from_bits(reduce(&challenge));
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-point, &Scalar::from_bits(s));
    // Of these bytes no other encoding of the point is accepted, and what is compared with is that of a point.
    let is_commitment = expected.compress().as_bytes() == commitment;
    Some(is_commitment && !point.is_small_order() && !expected.is_small_order())
}

/// A little-endian number modulo the order of the group, bit by bit: the library's own reduction takes 2 KB of flash.
fn reduce(number: &[u8]) -> [u8; 32] {
    let (order, _) = ORDER.as_chunks();
    let mut rest = [0; 8];
    for position in (0..8 * number.len()).rev() {
        let byte = number.get(position / 8).copied().unwrap_or(0);
        let mut carry = u32::from(byte >> (position % 8) & 1);
        let (mut borrow, mut less) = (0, rest);
        for ((limb, less), order) in rest.iter_mut().zip(&mut less).zip(order) {
            // Twice what is left stays below 2^254: nothing is shifted out of the last limb.
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
            let difference = i64::from(*limb) - i64::from(u32::from_le_bytes(*order)) + borrow;
            (*less, borrow) = (low(difference), difference >> 32);
        }
        if borrow == 0 {
            rest = less;
        }
    }
    let mut bytes = [0; 32];
    bytes.as_chunks_mut().0.iter_mut().zip(rest).for_each(|(to, limb)| *to = limb.to_le_bytes());
    bytes
}

const fn low(difference: i64) -> u32 {
    let [a, b, c, d, ..] = difference.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The order L of the group, little endian (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether S is below L (RFC 8032, section 5.1.7): otherwise it would be another signature of the same message.
fn is_reduced(scalar: &[u8; 32]) -> bool {
    scalar.iter().rev().lt(ORDER.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reduced_as_the_library_does() {
        let mut number = [0xFF; 64];
        for _ in 0..200 {
            assert_eq!(reduce(&number), Scalar::from_bytes_mod_order_wide(&number).to_bytes());
            number = sha512(&[&number]);
        }
        for (multiple, more) in (0..8).flat_map(|multiple| [0, 1, 255].map(|more| (multiple, more))) {
            let (mut number, mut carry) = ([0; 64], more);
            for (to, from) in number.iter_mut().zip(ORDER.iter().chain(&[0; 32])) {
                carry += u32::from(*from) * multiple;
                *to = u8::try_from(carry & 0xFF).unwrap();
                carry >>= 8;
            }
            assert_eq!(reduce(&number), Scalar::from_bytes_mod_order_wide(&number).to_bytes());
        }
        assert_eq!(reduce(&ORDER), [0; 32]);
    }

    #[test]
    fn scalar_is_reduced_below_the_order_alone() {
        let mut below = ORDER;
        below[0] -= 1;
        let mut far_below = ORDER;
        (far_below[31], far_below[0]) = (0x0F, 0xFF);
        for good in [[0; 32], below, far_below] {
            assert!(is_reduced(&good));
        }
        let mut above = ORDER;
        above[0] += 1;
        let mut twice = [0; 32];
        twice[31] = 0x20;
        for bad in [ORDER, above, twice, [0xFF; 32]] {
            assert!(!is_reduced(&bad));
        }
    }
}
