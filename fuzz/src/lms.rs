//! Arbitrary bytes as an LMS key and a signature by it: nothing is believed but what was signed.
//!
//! ```text
//! input:   public key, 60 bytes | signature
//! ```

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use ota_manifest::{Alg, Digest, Kind, Role};
use ota_verify::sign::{LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, Signer as _, SignerError};
use ota_verify::{LmsKey, Tbs, VerifyKey as _};

use crate::{Target, vectors};

/// The target.
pub const TARGET: Target = Target { name: "lms", run, seeds };

fn run(input: &[u8]) {
    let Some((key, signature)) = input.split_first_chunk::<{ LmsKey::LEN }>() else { return };
    static SIGNED: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let is_signed = SIGNED.get_or_init(signed).iter().any(|seed| seed == input);
    assert_eq!(LmsKey::new(*key).verify(&tbs(), signature).is_ok(), is_signed);
}

fn tbs() -> Tbs {
    Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new([0x5A; 32]))
}

/// Counts in memory: nobody believes these keys.
struct Counter(AtomicU32);

impl LmsState for Counter {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Keys of both widths with signatures by their first, a middle and their last leaf.
fn signed() -> Vec<Vec<u8>> {
    let signed = |(width, leaf)| {
        let key = LmsSigningKey::generate(LmsHeight::H5, width, &[7; 32]);
        let signer = LmsSigner::new(key, Counter(AtomicU32::new(leaf)));
        let signature = signer.sign(&tbs()).expect("a leaf is left");
        [signer.public_key().as_bytes(), signature.as_bytes()].concat()
    };
    [(LmsWidth::W8, 0), (LmsWidth::W4, 9), (LmsWidth::W4, 31)].map(signed).to_vec()
}

/// And RFC 8554, Appendix F: two levels, and somebody else's message.
fn seeds() -> Vec<Vec<u8>> {
    let words = vectors::read(include_str!("../../ota-verify/tests/vectors/lms-rfc8554.txt"));
    let cases = words.chunks(3).map(|case| [&case[0].1[..], &case[2].1].concat());
    signed().into_iter().chain(cases).collect()
}
