//! Messages between device and server: postcard, numbered, append-only.
//!
//! ```text
//!   device                                   server
//!     | -- Up::Poll ------------------------> |     asked by a timer or by a doorbell
//!     | <------------- Down::Offer / Idle --- |
//!     | -- Up::Fetch{object, first, count} -> |     object 0: leaf list, object 1: payload
//!     | <------------------- Down::Chunk ---- |
//!     | -- Up::Report{job, attempt, seq} ---> |     at least once, until acknowledged
//!     | <------------ Down::Ack or Cancel --- |     either way the report is stored
//! ```
//! A notification is a doorbell: it says "ask", nothing else. The same messages travel in MQTT payloads, HTTP bodies and
//! framed byte streams; over HTTP, `Fetch` becomes a ranged `GET` (see [`path`]); for MQTT see [`topic`], for byte streams
//! [`stream`].
//!
//! # Compatibility
//! Variants are numbered by their order and only ever appended; a released variant's fields never change. Golden vectors
//! freeze the bytes. [`PROTOCOL`] rises only for what an older peer could misread.

pub mod lwm2m;
pub mod path;
pub mod stream;
pub mod topic;

mod codec;
mod message;
mod report;

pub use codec::{MAX_REPORT, WireError, decode, encode};
pub use message::{Down, Fetch, Object, Poll, Up};
pub use report::{FailedStage, Refusal, Report, Stage};

pub use crate::{ResetCause, RollbackReason};

/// Version of the conversation, carried in every [`Poll`].
pub const PROTOCOL: u8 = 1;
