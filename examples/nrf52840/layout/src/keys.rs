//! Trust version 1, as `build.rs` found it.

use ota_manifest::{Alg, Digest, Role};
#[cfg(feature = "ed25519")]
use ota_verify::Ed25519;
#[cfg(feature = "lms")]
use ota_verify::Lms;
use ota_verify::{AlgSet, KeyAlgorithm, TrustedKey};

include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// Kinds of keys that a trust document may bring.
pub const ALGORITHMS: &[&dyn KeyAlgorithm] = &[
    #[cfg(feature = "ed25519")]
    &Ed25519,
    #[cfg(feature = "lms")]
    &Lms,
];

/// The same for the boot descriptor.
pub const ALGORITHM_SET: AlgSet = set();

const fn set() -> AlgSet {
    let set = AlgSet::from_bits(0);
    #[cfg(feature = "ed25519")]
    let set = set.with(Alg::Ed25519);
    #[cfg(feature = "lms")]
    let set = set.with(Alg::Lms);
    set
}
