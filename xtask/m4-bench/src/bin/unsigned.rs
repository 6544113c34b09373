//! Hashes and checks nothing: what the algorithms are measured against.
#![no_std]
#![no_main]

use core::hint::black_box;

use ota_manifest::{Alg, KeyId};
use ota_verify::{SignatureRefused, Tbs, VerifyKey};

/// A key whose arithmetic is left out.
struct NoKey([u8; 32]);

impl VerifyKey for NoKey {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn key_id(&self) -> KeyId {
        KeyId::new([7; 8])
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        black_box((&self.0, tbs, signature));
        black_box(Ok(()))
    }
}

m4_bench::program!(|inputs| m4_bench::signature(inputs, NoKey));
