//! The freshness reply: what time it is, and what a device that hears nothing may be missing.
//!
//! ```text
//! nonce, 16 bytes | time | latest order | latest trust version
//! ```
//! It travels as the payload of an envelope of [`Kind::Freshness`](crate::Kind::Freshness). Whether a device may believe one
//! is decided by `ota-verify`, never here.

use crate::codec::Reader;
use crate::{DecodeError, Field, Nonce, Order};

/// Freshness reply format 1: the server's answer to a device's own nonce.
///
/// A device without a clock learns the time from it, and that nobody keeps old releases in front of it (freeze attack,
/// TUF 1.5.2). Without extensions: it is made for one question, by somebody who knows what the device reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// What the device has drawn.
    pub nonce: Nonce,
    /// Time of the answer, seconds since 1970-01-01 UTC.
    pub time: u64,
    /// Highest order released for this device.
    pub latest: Order,
    /// Version of the newest trust document.
    pub trust_version: u32,
}

impl Freshness {
    /// Reads a reply nobody has vouched for: for tools that show one. Devices get theirs from `ota-verify`.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one canonical encoding.
    pub fn decode_unauthenticated(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let reply = Self {
            nonce: Nonce::new(r.array()),
            time: r.u64(),
            latest: Order { epoch: r.u16(), sequence: r.u32() },
            trust_version: r.u32(),
        };
        r.require(reply.trust_version > 0, DecodeError::OutOfRange(Field::TrustVersion));
        reader.finish().map(|()| reply)
    }
}
