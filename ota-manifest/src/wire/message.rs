//! The two directions of the conversation.

use serde::{Deserialize, Serialize};

use super::{Refusal, Report};
use crate::{JobId, ManifestId, Nonce, Order, SecurityVersion, Version};

/// From device to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// "Is there anything for me?"
    Poll(Poll),
    /// What became of a job so far.
    Report(Report),
    /// "Send me these chunks."
    Fetch(Fetch),
    /// "What time is it, and what is there?" Answered by [`Down::Fresh`].
    Ask(Question),
    /// "Send me this trust document." Answered by [`Down::Trust`].
    Trust {
        /// Its version: the one after the device's own.
        version: u32,
    },
}

/// A device introduces itself and asks for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// [`PROTOCOL`](super::PROTOCOL) of the device.
    pub protocol: u8,
    /// Version that is running.
    pub version: Version,
    /// Order of the manifest that is running.
    pub order: Order,
    /// Anti-rollback floor.
    pub floor: SecurityVersion,
    /// Manifest that is running.
    pub running: ManifestId,
    /// Version of the bootloader.
    pub bootloader: u16,
    /// Hardware revision.
    pub hardware: u16,
}

/// A device asks for freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Drawn from a random source for this question; the reply carries it.
    pub nonce: Nonce,
    /// Version of the trust that is in force on the device.
    pub trust: u32,
}

/// A range of chunks of one object of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Which job.
    pub job: JobId,
    /// Which image of its manifest, counted from 0.
    pub image: u8,
    /// Which object of that image.
    pub object: Object,
    /// Number of the first chunk, or of the first leaf.
    pub first: u32,
    /// How many chunks or leaves, at least 1.
    pub count: u16,
}

/// What can be fetched of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Object {
    /// The list of leaf hashes, 32 bytes a chunk.
    Leaves,
    /// The image, or what it is decoded from.
    Payload,
}

/// From server to device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down<'a> {
    /// Nothing to do; ask again after so many milliseconds.
    Idle {
        /// Milliseconds, 0 for "as you are configured".
        retry_after_ms: u32,
    },
    /// A job.
    Offer {
        /// Which job.
        job: JobId,
        /// Which attempt at it, from 1.
        attempt: u8,
        /// The signed envelope with the manifest.
        #[serde(borrow)]
        envelope: &'a [u8],
    },
    /// A report has been stored for good.
    Ack {
        /// Its sequence number.
        seq: u32,
    },
    /// Some of what was asked for.
    Chunk {
        /// Which job.
        job: JobId,
        /// Which object.
        object: Object,
        /// Number of the first chunk, or of the first leaf, in `bytes`.
        first: u32,
        /// Whole chunks, or whole leaves of 32 bytes; only the last chunk of an image is shorter.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Give the job up. Legal until the device has made it pending. Also the answer to a report, which is stored then.
    Cancel {
        /// Which job.
        job: JobId,
    },
    /// The request cannot be served.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Milliseconds to wait before anything is asked again.
        retry_after_ms: u32,
    },
    /// The answer to [`Up::Ask`].
    Fresh {
        /// The signed envelope with the freshness reply.
        #[serde(borrow)]
        envelope: &'a [u8],
    },
    /// The answer to [`Up::Trust`].
    Trust {
        /// The signed envelope with the trust document.
        #[serde(borrow)]
        envelope: &'a [u8],
    },
}

impl Down<'_> {
    /// Bytes that a message has besides its envelope or chunks, at most.
    pub const MAX_HEADER: usize = 28;
}
