//! Messages between device and server: in postcard's encoding, numbered, append-only. [`encode`] and [`decode`] need no serde.
//!
//! ```text
//!   device                                   server
//!     | -- Up::Poll ------------------------> |     asked by a timer or by a doorbell
//!     | <------------- Down::Offer / Idle --- |
//!     | -- Up::Fetch{object, first, count} -> |     object 0: leaf list, object 1: payload
//!     | <------------------- Down::Chunk ---- |
//!     | -- Up::Report{job, attempt, seq} ---> |     at least once, until acknowledged
//!     | <------------ Down::Ack or Cancel --- |     either way the report is stored
//!     | -- Up::Ask{nonce, trust} -----------> |     what time it is, which release and which trust are the latest
//!     | <---------------------- Down::Fresh - |     signed by a freshness key, for this nonce
//!     | -- Up::Trust{version} --------------> |     the trust document after the device's own
//!     | <---------------------- Down::Trust - |
//! ```
//! A notification is a doorbell: it says "ask", nothing else. The same messages travel in MQTT payloads, HTTP bodies and
//! framed byte streams; over HTTP, `Fetch` and `Trust` become a `GET`, of ranges (see [`path`]); for MQTT see [`topic`], for byte streams
//! [`stream`].
//!
//! # Compatibility
//! Variants are numbered by their order and only ever appended; a released variant's fields never change. Golden vectors
//! freeze the bytes.
//!
//! **What an older peer can do without** is appended and nothing else: a message that a peer does not know is passed over by a
//! device and refused as [`Refusal::Malformed`] by a server, and the conversation goes on.
//!
//! **What it cannot** raises [`PROTOCOL`]. A server speaks all numbers from [`OLDEST_PROTOCOL`] and answers each device in its
//! own; so servers are brought up to date first. A device with a number that its server does not speak is told
//! [`Refusal::Unsupported`] in answer to its poll, in every version of the conversation, and asks again at its usual pace. Its
//! reports are taken all the same: they carry no number.

pub mod lwm2m;
pub mod path;
pub mod stream;
pub mod topic;

mod codec;
mod message;
mod report;
mod writer;

pub use codec::{MAX_REPORT, Message, WireError, decode, encode};
pub use message::{Down, Fetch, Object, Poll, Question, Up};
pub use report::{FailedProbes, FailedStage, Refusal, Report, Stage};

pub use crate::{ResetCause, RollbackReason};

/// Version of the conversation, carried in every [`Poll`].
pub const PROTOCOL: u8 = 1;
/// The oldest version that this server still speaks.
pub const OLDEST_PROTOCOL: u8 = 1;

/// Whether a server of this version serves a device of that one.
///
/// ```
/// use ota_manifest::wire::{PROTOCOL, is_spoken};
/// assert!(is_spoken(PROTOCOL));
/// assert!(!is_spoken(PROTOCOL + 1), "a newer device has to wait for its server");
/// assert!(!is_spoken(0), "there never was such a version");
/// ```
#[must_use]
pub const fn is_spoken(protocol: u8) -> bool {
    OLDEST_PROTOCOL <= protocol && protocol <= PROTOCOL
}
