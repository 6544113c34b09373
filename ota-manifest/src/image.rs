//! One image of a manifest: the bytes that end up in flash and the payload that carries them.

use crate::codec::Reader;
use crate::{DecodeError, Digest, Field};

/// One firmware image, for one place in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// What is updated: 0 is the application. Devices of format 1 admit no other number.
    pub component: u8,
    /// The address the image is linked for; it runs from nowhere else.
    pub link_address: u32,
    /// Length in flash, bytes, at least 1.
    pub size: u32,
    /// SHA-256 over the `size` bytes in flash.
    pub digest: Digest,
    /// Length of every chunk but the last.
    pub chunk_size: ChunkSize,
    /// Root of the chunk tree over the bytes in flash.
    pub chunk_root: Digest,
    /// How the bytes travel.
    pub payload: Payload,
}

impl Image {
    /// Number of chunks of the image in flash.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        self.size.div_ceil(self.chunk_size.bytes())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let image = Self {
            component: reader.u8(),
            link_address: reader.u32(),
            size: reader.u32(),
            digest: reader.digest(),
            chunk_size: ChunkSize::read(reader),
            chunk_root: reader.digest(),
            payload: Payload::read(reader),
        };
        reader.require(image.size > 0, DecodeError::OutOfRange(Field::ImageSize));
        image
    }
}

/// The bytes of an [`Image`] that say what ends up in flash, as they stand in the manifest: all but how they travel. What is
/// canonical can be compared as it is, without two images on a bootloader's stack.
pub(crate) struct InFlash<'a> {
    /// Component and address.
    place: (u8, u32),
    bytes: &'a [u8],
}

impl<'a> InFlash<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let start = reader.rest();
        let component = reader.u8();
        let link_address = reader.u32();
        reader.u32();
        // Digest, chunk size and chunk root.
        reader.bytes(32 + 1 + 32);
        let bytes = start.get(..start.len() - reader.rest().len()).unwrap_or(start);
        Payload::read(reader);
        Self { place: (component, link_address), bytes }
    }

    /// Whether both claim one place for different bytes.
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        self.place == other.place && self.bytes != other.bytes
    }
}

/// How the bytes of an image travel. Tag 3 is reserved for encrypted payloads and refused by format 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// As they are.
    Raw,
    /// Compressed.
    Compressed {
        /// Which compression; none is defined yet.
        codec: u8,
        /// Compressed length, bytes.
        size: u32,
        /// SHA-256 over the compressed bytes.
        digest: Digest,
        /// Chunk root over the compressed bytes, checked before anything is decoded.
        chunk_root: Digest,
    },
    /// As a difference to an image that the device holds.
    Delta {
        /// Which difference format; none is defined yet.
        codec: u8,
        /// SHA-256 of the image the difference applies to.
        base: Digest,
        /// Length of the difference, bytes.
        size: u32,
        /// SHA-256 over the difference.
        digest: Digest,
        /// Chunk root over the difference, checked before anything is decoded.
        chunk_root: Digest,
    },
}

impl Payload {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.tag() {
            0 => Self::Raw,
            1 => Self::Compressed {
                codec: reader.u8(),
                size: reader.u32(),
                digest: reader.digest(),
                chunk_root: reader.digest(),
            },
            2 => Self::Delta {
                codec: reader.u8(),
                base: reader.digest(),
                size: reader.u32(),
                digest: reader.digest(),
                chunk_root: reader.digest(),
            },
            tag => {
                reader.refuse(DecodeError::UnknownTag(tag));
                Self::Raw
            }
        }
    }
}

/// Length of a chunk: a power of two from 256 B to 64 KiB.
///
/// ```
/// use ota_manifest::ChunkSize;
/// assert_eq!(ChunkSize::from_log2(12)?.bytes(), 4096);
/// assert!(ChunkSize::from_log2(7).is_err());
/// # Ok::<(), ota_manifest::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize(u8);

impl ChunkSize {
    /// 4 KiB, the erase page of most microcontrollers.
    pub const KIB4: Self = Self(12);

    /// A chunk of 2^`log2` bytes.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] below 2^8 or above 2^16 bytes.
    pub const fn from_log2(log2: u8) -> Result<Self, DecodeError> {
        if log2 < 8 || log2 > 16 { Err(DecodeError::OutOfRange(Field::ChunkSize)) } else { Ok(Self(log2)) }
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        let read = Self::from_log2(reader.u8());
        reader.checked(read, Self::KIB4)
    }

    /// Length in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        1 << self.0
    }

    /// Base-2 logarithm of the length, as it stands in the manifest.
    #[must_use]
    pub const fn log2(self) -> u8 {
        self.0
    }
}
