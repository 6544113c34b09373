//! What is actually signed: 48 bytes that say everything, short enough for any HSM mechanism.
//!
//! ```text
//! offset  size  field
//!      0    12  "ota-sign/v1\0"
//!     12     1  kind of envelope
//!     13     1  format of envelope
//!     14     1  algorithm
//!     15     1  role of the key
//!     16    32  SHA-256(envelope header and payload)
//! ```

use ota_manifest::{Alg, Digest, FORMAT, Frame, Kind, ManifestId, Role};

use crate::Sha256;

const DOMAIN: [u8; 12] = *b"ota-sign/v1\0";

/// The 48 bytes a key signs.
///
/// Role and algorithm are part of it, so a signature made in one role never counts in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tbs([u8; Self::LEN]);

impl Tbs {
    /// Length in bytes.
    pub const LEN: usize = 48;

    /// To be signed for an envelope whose header and payload have digest `content`.
    #[must_use]
    pub fn new(kind: Kind, alg: Alg, role: Role, content: &Digest) -> Self {
        let mut bytes = [0; Self::LEN];
        let numbers = [kind as u8, FORMAT, alg as u8, role as u8];
        if let Some(to) = bytes.first_chunk_mut() {
            *to = DOMAIN;
        }
        if let Some(to) = bytes.get_mut(12..).and_then(<[u8]>::first_chunk_mut) {
            *to = numbers;
        }
        if let Some(to) = bytes.last_chunk_mut() {
            *to = *content.as_bytes();
        }
        Self(bytes)
    }

    /// The bytes to sign.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// SHA-256 over the envelope's header and payload.
#[must_use]
pub fn frame_digest(frame: &Frame<'_>) -> Digest {
    Sha256::of(&[frame.signed_bytes()])
}

/// The name a manifest goes by in journals and reports.
#[must_use]
pub fn manifest_id(frame: &Frame<'_>) -> ManifestId {
    let digest = frame_digest(frame);
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    ManifestId::new([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_frozen() {
        let tbs = Tbs::new(Kind::Manifest, Alg::P256, Role::Approval, &Digest::new([0xDD; 32]));
        assert_eq!(&tbs.as_bytes()[..16], b"ota-sign/v1\0\x01\x01\x02\x03");
        assert_eq!(tbs.as_bytes()[16..], [0xDD; 32]);
    }
}
