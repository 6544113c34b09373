//! From untrusted bytes to a proven firmware image.
//!
//! **Promise.** A [`VerifiedImage`] exists only where every step below has been taken, in this order, on the bytes
//! themselves: each step consumes the proof of the step before, constructors are private, and no proof can be cloned.
//! Verification allocates nothing, works in bounded time and keeps under 1 KiB of state.
//!
//! **Not here.** No flash access (`ota-slots` feeds the bytes), no transport, no clock.
//!
//! ```text
//!   bytes --Frame::parse--> Frame --Trust::authenticate--> Authentic --admit--> Applicable
//!                        (nobody)    (a release key signed)      (for this device, newer, fits)
//!                                                                                  |
//!                     flash bytes --ImageStream::update--> ... --finish--> VerifiedImage
//! ```
//!
//! Which keys those are can change: [`Trust::successor`] takes a trust document that follows the trust in force, and
//! [`Trust::documented`] puts it in force. Firmware that calls neither does not link them.
//!
//! The smallest loop, with a key that signs and a device that checks:
//!
//! ```
//! # #[cfg(all(feature = "sign", feature = "ed25519"))] {
//! use ota_manifest::{ChunkSize, ClassId, Frame, ManifestDraft, Role, SecurityVersion, VendorId, Version};
//! use ota_verify::{AlgSet, Bootloader, DeviceState, Ed25519Key, Identity, TargetSlot, Trust, TrustedKey};
//! # use ota_verify::sign::{Signature, Signer, SignerError, describe_image, seal_manifest};
//! # struct Dev(ed25519_dalek::SigningKey);
//! # impl Signer for Dev {
//! #     fn public_key(&self) -> ota_verify::PublicKey { ota_verify::PublicKey::ed25519(self.0.verifying_key().to_bytes()) }
//! #     fn sign(&self, tbs: &ota_verify::Tbs) -> Result<Signature, SignerError> {
//! #         use ed25519_dalek::ed25519::signature::Signer as _;
//! #         Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
//! #     }
//! # }
//! # let signing = Dev(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
//! # let public = signing.0.verifying_key().to_bytes();
//! // The release tool:
//! let firmware = [0x55; 10_000];
//! let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
//! draft.order.sequence = 2;
//! draft.images.push(describe_image(&firmware, 0x8000, ChunkSize::KIB4).unwrap().image).unwrap();
//! let envelope = seal_manifest(&draft, &[(&signing, Role::Release)]).unwrap();
//!
//! // The device:
//! let key = Ed25519Key::new(public);
//! let keys = [TrustedKey::new(Role::Release, &key)];
//! let trust = Trust::pinned(&keys);
//! let state = DeviceState {
//!     identity: Identity { vendor: VendorId::new([1; 16]), class: ClassId::new([2; 16]), hardware: 1, device: [3; 16].into() },
//!     running: None,
//!     now: None,
//!     floor: SecurityVersion(0),
//!     rejected: &[],
//!     target: TargetSlot { link_address: 0x8000, usable: 0x10000, largest_image: 0x10000, erase_page: 4096 },
//!     bootloader: Bootloader { version: 1, algorithms: AlgSet::ED25519 },
//! };
//! let authentic = trust.authenticate(Frame::parse(&envelope)?, Role::Release).unwrap();
//! let mut stream = authentic.admit(&state).unwrap().into_stream();
//! firmware.chunks(1000).for_each(|bytes| stream.update(bytes));
//! assert_eq!(stream.finish().unwrap().order().sequence, 2);
//! # }
//! # Ok::<(), ota_manifest::FrameError>(())
//! ```
//!
//! # Features
//! - `ed25519` (default): [`Ed25519Key`] and [`Ed25519`], strict verification (RFC 8032 with the extra checks of `verify_strict`).
//! - `p256`: [`P256Key`] and [`P256`], ECDSA over P-256 with SHA-256, for keys in tokens that know no Ed25519.
//! - `lms`: [`LmsKey`] and [`Lms`], LMS and HSS with SHA-256 (RFC 8554), which a quantum computer does not break.
//! - `ml-dsa`: [`MlDsa44Key`], ML-DSA-44 (FIPS 204), for hosts: a verification takes up to 120 KiB of stack.
//! - `sign`: building and signing envelopes ([`sign`]); uses an allocator, for servers and release tools.
//!
//! For a small bootloader build with `RUSTFLAGS='--cfg sha2_backend_soft="compact"'`: SHA-2 is computed in loops. Measured,
//! an Ed25519 verifier takes 26.8 KB less and the same time; hashing an image takes 55.6 instructions a byte instead of 38.2.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "sign")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod authentic;
mod chunks;
mod document;
#[cfg(feature = "ed25519")]
mod ed25519;
mod error;
mod freshness;
mod hardened;
mod hash;
mod key;
#[cfg(feature = "lms")]
mod lms;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
#[cfg(feature = "p256")]
mod p256;
mod policy;
mod proof;
#[cfg(feature = "sign")]
pub mod sign;
mod tally;
mod tbs;
mod trust;
#[cfg(test)]
mod vectors;

#[cfg(feature = "ml-dsa")]
pub use self::ml_dsa::MlDsa44Key;
#[cfg(feature = "p256")]
pub use self::p256::{P256, P256Key};
pub use authentic::Authentic;
pub use chunks::{ChunkTree, LEAF_LEN, leaf_hash};
pub use document::AuthenticTrust;
#[cfg(feature = "ed25519")]
pub use ed25519::{Ed25519, Ed25519Key};
pub use error::{AdmitError, AuthError, FreshnessError, ProofError, TrustError};
pub use freshness::{AuthenticFreshness, TrustedTime};
pub use hardened::Hardened;
pub use hash::{Sha256, digests_equal};
pub use key::{AlgSet, KeyAlgorithm, NotAKey, PublicKey, SignatureRefused, VerifyKey};
#[cfg(feature = "lms")]
pub use lms::{Lms, LmsKey};
pub use policy::{Bootloader, DeviceState, Identity, TargetSlot};
pub use proof::{Applicable, Expiry, ImageStream, VerifiedImage};
pub use tbs::{Tbs, frame_digest, manifest_id};
pub use trust::{Trust, TrustTerms, TrustedKey};
