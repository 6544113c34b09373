//! A trust document, as a server keeps it.

use alloc::string::String;
use alloc::vec::Vec;

use ota_manifest::{Digest, DocumentKey, Frame, Role, TrustDocument};
use ota_verify::PublicKey;

use crate::clock::UnixMs;

/// A document of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRow {
    /// Its place in the chain.
    pub version: u32,
    /// SHA-256 of the envelope, as `sha256sum` prints it.
    pub sha256: Digest,
    /// The signed envelope, as it was uploaded.
    pub envelope: Vec<u8>,
    /// Who uploaded it.
    pub author: String,
    /// When.
    pub added: UnixMs,
}

impl TrustRow {
    /// What it says. It was proven before it was kept; `None` if the store has not kept it whole.
    #[must_use]
    pub fn document(&self) -> Option<TrustDocument<'_>> {
        let frame = Frame::parse(&self.envelope).ok()?;
        TrustDocument::decode_unauthenticated(frame.payload_unauthenticated()).ok()
    }

    /// Whether the document gives `key` this role.
    #[must_use]
    pub fn lists(&self, role: Role, key: &PublicKey) -> bool {
        self.document().is_some_and(|document| lists(&document, role, key))
    }
}

/// Whether a document gives `key` a role.
pub(crate) fn lists(document: &TrustDocument<'_>, role: Role, key: &PublicKey) -> bool {
    let is_key = |listed: DocumentKey<'_>| {
        listed.role == role && listed.alg == key.alg() && listed.bytes == key.as_bytes()
    };
    document.keys.iter().any(is_key)
}
