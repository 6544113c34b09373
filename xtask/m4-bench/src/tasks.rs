//! What programs do, but for the call that is measured.

use ota_manifest::{Digest, FRAME_HEADER, Frame, Role};
use ota_verify::{Tbs, VerifyKey, frame_digest};

use crate::start::fail;
use crate::{Inputs, Report};

/// Verifies the signature of an envelope. Inputs: public key, envelope with one signature.
///
/// What is measured is the check of the signature over the 48 bytes. It must refuse a signature with one bit changed, one
/// that ends early, and the signature of another payload.
pub fn signature<K: VerifyKey, const N: usize>(mut inputs: Inputs, key: impl FnOnce([u8; N]) -> K) -> Report {
    let key = key(inputs.array());
    let envelope = inputs.field();
    let (tbs, signature) = opened(&key, envelope);
    let mut report = Report::of_good(|| is_good(&key, &tbs, signature));
    let shorter = signature.split_last().map_or(signature, |(_, shorter)| shorter);
    report.try_bad(|| is_good(&key, &tbs, shorter));
    let (end, len) = (envelope.len(), signature.len());
    // First, middle and last byte of the signature; first byte of the payload.
    for place in [end - len, end - len / 2, end - 1, FRAME_HEADER] {
        flip(envelope, place);
        let (tbs, signature) = opened(&key, envelope);
        report.try_bad(|| is_good(&key, &tbs, signature));
        flip(envelope, place);
    }
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

/// Reads a document. Inputs: number of entries in its lists (u32, little endian), the document.
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

/// What is signed, and the signature.
fn opened<'e>(key: &impl VerifyKey, envelope: &'e [u8]) -> (Tbs, &'e [u8]) {
    let Ok(frame) = Frame::parse(envelope) else { fail("the inputs hold no envelope") };
    let Some(entry) = frame.signatures().next() else { fail("an envelope without a signature") };
    (Tbs::new(frame.kind(), key.alg(), Role::Release, &frame_digest(&frame)), entry.bytes)
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
