//! The vocabulary of signed firmware updates: who, which version, which bytes, and the messages about them.
//!
//! **Promise.** Every byte string this crate reads has exactly one meaning and every value exactly one byte string: readers
//! refuse whatever a writer would not have written. Nothing here allocates, panics on outside bytes, recurses, or does work
//! that is not bounded by the length of its input.
//!
//! **Not here.** No cryptography (that is `ota-verify`), no flash (`ota-slots`), no I/O. A parsed [`Manifest`] says what its
//! author wrote, not that the author may be believed.
//!
//! ```text
//!   envelope   "OTAM" | format | kind | payload_len | payload ............ | n | n x {alg, key_id, len, signature}
//!                                                      |
//!   manifest                                           '-> order, version, hardware, images[], extensions[]
//!                                                                                     |
//!   image                                                                             '-> size, SHA-256, chunk root
//! ```
//! A second kind of payload, the [`TrustDocument`], says which keys count; a third, [`Freshness`], what time it is and what is new.
//!
//! The smallest loop: take a frame apart and look at what it claims.
//!
//! ```
//! use ota_manifest::{Frame, FrameError, Kind};
//!
//! let bytes = b"OTAM\x01\x01\x03\x00abc\x00"; // a frame without a single signature
//! assert!(matches!(Frame::parse(bytes), Err(FrameError::NoSignature)));
//!
//! let mut signed = b"OTAM\x01\x01\x03\x00abc\x01\x01".to_vec(); // one Ed25519 signature ...
//! signed.extend_from_slice(&[7; 8]); // ... by key id 07..07
//! signed.extend_from_slice(&[64, 0]);
//! signed.extend_from_slice(&[0; 64]);
//! let frame = Frame::parse(&signed)?;
//! assert_eq!(frame.kind(), Kind::Manifest);
//! assert_eq!(frame.payload_unauthenticated(), b"abc");
//! # Ok::<(), FrameError>(())
//! ```
//!
//! # Features
//! - `wire`: the messages between device and server ([`wire`]).
//! - `encode`: writing manifests (`ManifestDraft`), trust documents (`TrustDraft`) and freshness replies (`FreshnessDraft`); servers and release tools.
//! - `serde`: `Serialize` and `Deserialize` on the vocabulary and the messages; switched on by `encode`.
//!
//! # Compatibility
//! The bytes of a released format never change; golden vectors in `tests/` freeze them. New information arrives as a
//! manifest extension or under a new format number, never as another reading of old bytes.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod codec;
mod digest;
#[cfg(feature = "encode")]
mod draft;
mod envelope;
mod error;
mod freshness;
#[cfg(feature = "encode")]
mod freshness_draft;
mod id;
mod image;
mod manifest;
mod outcome;
mod trust;
#[cfg(feature = "encode")]
mod trust_draft;
mod version;
#[cfg(feature = "wire")]
pub mod wire;

pub use codec::{MAX_ENVELOPE, MAX_ENVELOPE_POST_QUANTUM};
pub use digest::Digest;
#[cfg(feature = "encode")]
pub use draft::{DependencyDraft, ExtensionDraft, ImageDraft, ManifestDraft, PayloadDraft};
pub use envelope::{
    Alg, FORMAT, FRAME_HEADER, Frame, Kind, MAX_SIGNATURES, Role, Roles, SignatureEntry, frame_header,
};
#[cfg(feature = "encode")]
pub use error::EncodeError;
pub use error::{DecodeError, Field, FrameError, ParseIdError};
pub use freshness::Freshness;
#[cfg(feature = "encode")]
pub use freshness_draft::FreshnessDraft;
pub use id::{ClassId, DeviceId, JobId, KeyId, ManifestId, Nonce, VendorId};
pub use image::{ChunkSize, Image, Payload};
pub use manifest::{
    Dependency, Entries, Extension, HardwareRange, MAX_CLASSES, MAX_DEPENDENCIES, MAX_EXTENSION_BYTES,
    MAX_EXTENSIONS, MAX_IMAGES, Manifest,
};
pub use outcome::{ResetCause, RollbackReason};
pub use trust::{
    DocumentKey, MAX_PUBLIC_KEY, MAX_TRUST_ENVELOPE, MAX_TRUST_ENVELOPE_POST_QUANTUM, MAX_TRUST_KEYS,
    Thresholds, TrustDocument,
};
#[cfg(feature = "encode")]
pub use trust_draft::{KeyDraft, TrustDraft};
pub use version::{Order, SecurityVersion, Version};
