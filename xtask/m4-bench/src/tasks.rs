//! What programs do, but for the call that is measured.

use ota_manifest::{Digest, Kind, Role};
use ota_verify::{Sha256, Tbs, VerifyKey};

use crate::start::fail;
use crate::{Inputs, Report};

/// Verifies a signature over some content. Inputs: public key, signature, content.
pub fn signature<K: VerifyKey, const N: usize>(mut inputs: Inputs, key: impl FnOnce([u8; N]) -> K) -> Report {
    let key = key(inputs.array());
    let (signature, content) = (inputs.field(), inputs.field());
    let tbs = to_be_signed(&key, content);
    let mut report = Report::of_good(|| is_good(&key, &tbs, signature));
    for place in [0, signature.len() / 2, signature.len().saturating_sub(1)] {
        flip(signature, place);
        report.try_bad(|| is_good(&key, &tbs, signature));
        flip(signature, place);
    }
    flip(content, 0);
    let other = to_be_signed(&key, content);
    report.try_bad(|| is_good(&key, &other, signature));
    report
}

/// Hashes some content. Inputs: its SHA-256, the content.
pub fn digest(mut inputs: Inputs, hash: impl Fn(&[u8]) -> Digest) -> Report {
    let (expected, content) = (Digest::new(inputs.array()), inputs.field());
    let mut report = Report::of_good(|| hash(content) == expected);
    flip(content, 0);
    report.try_bad(|| hash(content) == expected);
    report
}

/// Reads a document and walks its lists. Inputs: number of entries (u32, little endian), the document.
///
/// Every document that ends early must be refused.
pub fn list(mut inputs: Inputs, entries: impl Fn(&[u8]) -> Option<u32>) -> Report {
    let expected = u32::from_le_bytes(inputs.array());
    let document = &*inputs.field();
    let mut report = Report::of_good(|| entries(document) == Some(expected));
    for len in 0..document.len() {
        let cut = document.get(..len).unwrap_or(document);
        report.try_bad(|| entries(cut).is_some());
    }
    report
}

fn to_be_signed(key: &impl VerifyKey, content: &[u8]) -> Tbs {
    Tbs::new(Kind::Manifest, key.alg(), Role::Release, &Sha256::of(&[content]))
}

/// One place for the call, so that what is measured is what refuses.
#[inline(never)]
fn is_good(key: &impl VerifyKey, tbs: &Tbs, signature: &[u8]) -> bool {
    key.verify(tbs, signature).is_ok()
}

fn flip(bytes: &mut [u8], place: usize) {
    match bytes.get_mut(place) {
        Some(byte) => *byte ^= 1,
        None => fail("a field of the inputs is empty"),
    }
}
