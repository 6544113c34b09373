//! Chunk numbers as ranges of bytes.

use core::ops::Range;

use ota_manifest::wire::{Down, Fetch, Object};
use ota_manifest::{Frame, JobId, Manifest};

/// Bytes of a leaf hash.
const LEAF: u64 = 32;
/// As many images as a manifest can have.
const IMAGES: usize = ota_manifest::MAX_IMAGES as usize;

/// Says which bytes of an object a [`Fetch`] means, for links that fetch ranges of bytes.
///
/// A `Fetch` counts in chunks; how long these are stands in the manifest of the job, which the device has been offered. So a
/// link shows every answer that it brings to [`Self::hear`], and needs to be told nothing. The manifest is believed without a
/// proof here: where it is a forged one, the agent fetches nothing.
///
/// ```
/// # use ota_agent::ObjectRanges;
/// # use ota_manifest::{JobId, wire::{Down, Fetch, Object}};
/// # let lab = ota_slots::sim::Lab::new(); // its chunks have 1024 bytes
/// # let envelope = &lab.release(2, 5000).envelope;
/// let mut ranges = ObjectRanges::new();
/// let job = JobId::new([7; 16]);
/// let fetch = Fetch { job, image: 0, object: Object::Payload, first: 2, count: 2 };
/// assert_eq!(ranges.of(&fetch), None, "a job that nobody has offered");
///
/// ranges.hear(&Down::Offer { job, attempt: 1, envelope });
/// assert_eq!(ranges.of(&fetch), Some(2048..4096));
/// assert_eq!(ranges.of(&Fetch { object: Object::Leaves, ..fetch }), Some(64..128));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectRanges {
    offered: Option<Offered>,
}

/// The job of the last offer that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offered {
    job: JobId,
    /// Length of a chunk of each image, bytes; 0 where there is none.
    chunk_bytes: [u32; IMAGES],
}

impl ObjectRanges {
    /// Knows of no job yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { offered: None }
    }

    /// Takes note of an offer; of nothing else.
    pub fn hear(&mut self, down: &Down<'_>) {
        if let Down::Offer { job, envelope, .. } = down {
            self.offered = Offered::read(*job, envelope).or(self.offered);
        }
    }

    /// The bytes that are meant; `None` if the job was not offered, has no such image, or the range is empty.
    ///
    /// The range may go beyond the object's end: the last chunk is shorter, and how long an object is, its server knows.
    #[must_use]
    pub fn of(&self, fetch: &Fetch) -> Option<Range<u64>> {
        let offered = self.offered.filter(|offered| offered.job == fetch.job)?;
        let chunk = *offered.chunk_bytes.get(usize::from(fetch.image))?;
        let unit = match fetch.object {
            Object::Leaves => LEAF,
            Object::Payload => u64::from(chunk),
        };
        let start = u64::from(fetch.first) * unit;
        let range = start..start + u64::from(fetch.count) * unit;
        (chunk > 0 && !range.is_empty()).then_some(range)
    }
}

impl Offered {
    fn read(job: JobId, envelope: &[u8]) -> Option<Self> {
        let frame = Frame::parse(envelope).ok()?;
        let manifest = Manifest::decode_unauthenticated(frame.payload_unauthenticated()).ok()?;
        let mut chunk_bytes = [0; IMAGES];
        for (place, image) in chunk_bytes.iter_mut().zip(manifest.images.iter()) {
            *place = image.chunk_size.bytes();
        }
        Some(Self { job, chunk_bytes })
    }
}
