//! The two directions of the conversation.

use super::codec::Message;
use super::writer::Writer;
use super::{Refusal, Report};
use crate::codec::Reader;
use crate::{DecodeError, JobId, ManifestId, Nonce, Order, SecurityVersion, Version};

/// From device to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

#[expect(private_interfaces, reason = "see Message")]
impl Message<'_> for Up {
    fn read(r: &mut Reader<'_>) -> Self {
        match r.tag() {
            0 => Self::Poll(Poll::read(r)),
            1 => Self::Report(Report::read(r)),
            2 => Self::Fetch(Fetch::read(r)),
            3 => Self::Ask(Question { nonce: Nonce::new(r.array()), trust: r.u32() }),
            4 => Self::Trust { version: r.u32() },
            unknown => {
                r.refuse(DecodeError::UnknownTag(unknown));
                Self::Trust { version: 0 }
            }
        }
    }

    fn write(&self, w: &mut impl Writer) {
        match self {
            Self::Poll(poll) => {
                w.u8(0);
                poll.write(w);
            }
            Self::Report(report) => {
                w.u8(1);
                report.write(w);
            }
            Self::Fetch(fetch) => {
                w.u8(2);
                fetch.write(w);
            }
            Self::Ask(Question { nonce, trust }) => {
                w.u8(3);
                w.array(nonce.as_bytes());
                w.u32(*trust);
            }
            Self::Trust { version } => {
                w.u8(4);
                w.u32(*version);
            }
        }
    }
}

/// A device introduces itself and asks for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl Poll {
    fn read(r: &mut Reader<'_>) -> Self {
        Self {
            protocol: r.u8(),
            version: Version { major: r.u16(), minor: r.u16(), patch: r.u16(), build: r.u32() },
            order: Order { epoch: r.u16(), sequence: r.u32() },
            floor: SecurityVersion(r.u32()),
            running: ManifestId::new(r.array()),
            bootloader: r.u16(),
            hardware: r.u16(),
        }
    }

    fn write(&self, w: &mut impl Writer) {
        let Self { protocol, version, order, floor, running, bootloader, hardware } = self;
        w.u8(*protocol);
        w.u16(version.major);
        w.u16(version.minor);
        w.u16(version.patch);
        w.u32(version.build);
        w.u16(order.epoch);
        w.u32(order.sequence);
        w.u32(floor.0);
        w.array(running.as_bytes());
        w.u16(*bootloader);
        w.u16(*hardware);
    }
}

/// A device asks for freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Question {
    /// Drawn from a random source for this question; the reply carries it.
    pub nonce: Nonce,
    /// Version of the trust that is in force on the device.
    pub trust: u32,
}

/// A range of chunks of one object of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl Fetch {
    fn read(r: &mut Reader<'_>) -> Self {
        Self {
            job: JobId::new(r.array()),
            image: r.u8(),
            object: Object::read(r),
            first: r.u32(),
            count: r.u16(),
        }
    }

    fn write(&self, w: &mut impl Writer) {
        w.array(self.job.as_bytes());
        w.u8(self.image);
        w.u8(self.object as u8);
        w.u32(self.first);
        w.u16(self.count);
    }
}

/// What can be fetched of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Object {
    /// The list of leaf hashes, 32 bytes a chunk.
    Leaves = 0,
    /// The image, or what it is decoded from.
    Payload = 1,
}

impl Object {
    fn read(r: &mut Reader<'_>) -> Self {
        if r.bool() { Self::Payload } else { Self::Leaves }
    }
}

/// From server to device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
        #[cfg_attr(feature = "serde", serde(borrow))]
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
        #[cfg_attr(feature = "serde", serde(borrow))]
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
        #[cfg_attr(feature = "serde", serde(borrow))]
        envelope: &'a [u8],
    },
    /// The answer to [`Up::Trust`].
    Trust {
        /// The signed envelope with the trust document.
        #[cfg_attr(feature = "serde", serde(borrow))]
        envelope: &'a [u8],
    },
    /// "Ask for work now": the doorbell of byte streams, unasked. Elsewhere bells are rung beside the messages.
    Ring,
}

impl Down<'_> {
    /// Bytes that a message has besides its envelope or chunks, at most.
    pub const MAX_HEADER: usize = 28;
}

#[expect(private_interfaces, reason = "see Message")]
impl<'a> Message<'a> for Down<'a> {
    fn read(r: &mut Reader<'a>) -> Self {
        match r.tag() {
            0 => Self::Idle { retry_after_ms: r.u32() },
            1 => Self::Offer { job: JobId::new(r.array()), attempt: r.u8(), envelope: r.list_of_bytes() },
            2 => Self::Ack { seq: r.u32() },
            3 => Self::Chunk {
                job: JobId::new(r.array()),
                object: Object::read(r),
                first: r.u32(),
                bytes: r.list_of_bytes(),
            },
            4 => Self::Cancel { job: JobId::new(r.array()) },
            5 => Self::Refused { refusal: Refusal::read(r), retry_after_ms: r.u32() },
            6 => Self::Fresh { envelope: r.list_of_bytes() },
            7 => Self::Trust { envelope: r.list_of_bytes() },
            8 => Self::Ring,
            unknown => {
                r.refuse(DecodeError::UnknownTag(unknown));
                Self::Idle { retry_after_ms: 0 }
            }
        }
    }

    fn write(&self, w: &mut impl Writer) {
        match self {
            Self::Idle { retry_after_ms } => {
                w.u8(0);
                w.u32(*retry_after_ms);
            }
            Self::Offer { job, attempt, envelope } => {
                w.u8(1);
                w.array(job.as_bytes());
                w.u8(*attempt);
                w.list(envelope);
            }
            Self::Ack { seq } => {
                w.u8(2);
                w.u32(*seq);
            }
            Self::Chunk { job, object, first, bytes } => {
                w.u8(3);
                w.array(job.as_bytes());
                w.u8(*object as u8);
                w.u32(*first);
                w.list(bytes);
            }
            Self::Cancel { job } => {
                w.u8(4);
                w.array(job.as_bytes());
            }
            Self::Refused { refusal, retry_after_ms } => {
                w.u8(5);
                w.u8(*refusal as u8);
                w.u32(*retry_after_ms);
            }
            Self::Fresh { envelope } => {
                w.u8(6);
                w.list(envelope);
            }
            Self::Trust { envelope } => {
                w.u8(7);
                w.list(envelope);
            }
            Self::Ring => w.u8(8),
        }
    }
}
