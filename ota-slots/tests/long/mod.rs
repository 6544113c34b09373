//! Signatures as long as hash-based ones, by a stand-in that keeps no secret: what is looked at here is where long envelopes
//! lie and travel. Each byte of a signature is determined, so that none may be lost on the way.
#![allow(dead_code, reason = "each test file uses its part")]

use ota_manifest::{Alg, KeyId, Kind, Role, frame_header};
use ota_verify::{KeyAlgorithm, Sha256, SignatureRefused, Tbs, VerifyKey};

/// The algorithm, by the number of the one it stands in for.
pub(crate) struct LongSignatures;

/// A key of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongKey(pub u8);

impl LongKey {
    pub(crate) const fn bytes(self) -> [u8; 60] {
        [self.0; 60]
    }

    fn sign(self, tbs: &Tbs, len: usize) -> Vec<u8> {
        expected(&self.bytes(), tbs, len).collect()
    }
}

/// The signature of `len` bytes.
fn expected(key: &[u8], tbs: &Tbs, len: usize) -> impl Iterator<Item = u8> + use<> {
    let digest = *Sha256::of(&[key, tbs.as_bytes(), &len.to_le_bytes()]).as_bytes();
    let bytes = (0u32..).zip(digest.into_iter().cycle()).map(|(index, byte)| {
        let [high, ..] = index.wrapping_mul(0x9E37_79B1).to_be_bytes();
        byte ^ high
    });
    bytes.take(len)
}

impl KeyAlgorithm for LongSignatures {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let is_whole =
            signature.len() > 1000 && signature.iter().copied().eq(expected(key, tbs, signature.len()));
        if is_whole { Ok(()) } else { Err(SignatureRefused) }
    }
}

impl VerifyKey for LongKey {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn key_id(&self) -> KeyId {
        let digest = Sha256::of(&[&[Alg::Lms as u8], &self.bytes()]);
        KeyId::new(*digest.as_bytes().first_chunk().expect("32 bytes"))
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        LongSignatures.verify(&self.bytes(), tbs, signature)
    }
}

/// An envelope of exactly `len` bytes around `payload`, signed by all of `keys` in `role`.
pub(crate) fn sealed(kind: Kind, role: Role, payload: &[u8], keys: &[LongKey], len: usize) -> Vec<u8> {
    let header = frame_header(kind, u16::try_from(payload.len()).expect("a short payload"));
    let mut envelope = [&header, payload].concat();
    let tbs = Tbs::new(kind, Alg::Lms, role, &Sha256::of(&[&envelope]));
    envelope.push(u8::try_from(keys.len()).expect("a few keys"));
    let mut keys = keys.to_vec();
    keys.sort_unstable_by_key(VerifyKey::key_id);
    for (number, key) in keys.iter().enumerate() {
        let (left, entries) = (len - envelope.len(), keys.len() - number);
        let signature = key.sign(&tbs, left / entries - 11);
        envelope.push(Alg::Lms as u8);
        envelope.extend_from_slice(key.key_id().as_bytes());
        envelope.extend_from_slice(&u16::try_from(signature.len()).expect("some KiB").to_le_bytes());
        envelope.extend_from_slice(&signature);
    }
    assert_eq!(envelope.len(), len);
    envelope
}
