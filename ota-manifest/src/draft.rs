//! Writing a manifest: owned, plain fields, encoded by postcard and read back before it is handed out.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    ClassId, DeviceId, Digest, EncodeError, HardwareRange, Manifest, Order, SecurityVersion, VendorId,
    Version,
};

/// A manifest to be written. Field for field what [`Manifest`] reads.
///
/// ```
/// use ota_manifest::{ClassId, Digest, ImageDraft, Manifest, ManifestDraft, Version, VendorId};
///
/// let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
/// draft.order.sequence = 7;
/// draft.images.push(ImageDraft::raw(0x8000, 300_000, Digest::new([3; 32]), Digest::new([4; 32]))).unwrap();
/// let mut buffer = [0; 512];
/// let bytes = draft.encode(&mut buffer)?;
/// assert_eq!(Manifest::decode_unauthenticated(bytes).unwrap().order.sequence, 7);
/// # Ok::<(), ota_manifest::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestDraft {
    /// See [`Manifest::order`].
    pub order: Order,
    /// See [`Manifest::security_version`].
    pub security_version: SecurityVersion,
    /// See [`Manifest::vendor`].
    pub vendor: VendorId,
    /// See [`Manifest::classes`].
    pub classes: Vec<ClassId, 4>,
    /// See [`Manifest::hardware`].
    pub hardware: HardwareRange,
    /// See [`Manifest::version`].
    pub version: Version,
    /// See [`Manifest::issued`].
    pub issued: u64,
    /// See [`Manifest::not_after`].
    pub not_after: Option<u64>,
    /// See [`Manifest::target`].
    pub target: Option<DeviceId>,
    /// See [`Manifest::min_bootloader`].
    pub min_bootloader: u16,
    /// See [`Manifest::confirm_window_s`].
    pub confirm_window_s: u16,
    /// See [`Manifest::trial_attempts`].
    pub trial_attempts: u8,
    /// See [`Manifest::images`].
    pub images: Vec<ImageDraft, 4>,
    /// See [`Manifest::dependencies`].
    pub dependencies: Vec<DependencyDraft, 4>,
    /// See [`Manifest::extensions`]; in any order, [`encode`](Self::encode) sorts them.
    pub extensions: Vec<ExtensionDraft, 4>,
}

impl ManifestDraft {
    /// A draft with the defaults of the field: any hardware revision, 900 s to confirm, three boots, no images yet.
    #[must_use]
    pub fn new(vendor: VendorId, class: ClassId, version: Version) -> Self {
        Self {
            order: Order::default(),
            security_version: SecurityVersion(0),
            vendor,
            classes: Vec::from_iter([class]),
            hardware: HardwareRange::ANY,
            version,
            issued: 0,
            not_after: None,
            target: None,
            min_bootloader: 0,
            confirm_window_s: 900,
            trial_attempts: 3,
            images: Vec::new(),
            dependencies: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Writes the canonical encoding into `buffer` and returns the part used.
    ///
    /// # Errors
    /// [`EncodeError::Refused`] if a device would refuse the values: nothing is signed that cannot be installed.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let mut sorted = self.clone();
        sorted.extensions.sort_unstable_by_key(|extension| extension.id);
        let bytes: &'b [u8] = postcard::to_slice(&sorted, buffer).map_err(|_| EncodeError::BufferFull)?;
        Manifest::decode_unauthenticated(bytes).map_err(EncodeError::Refused)?;
        Ok(bytes)
    }
}

/// An image to be written. See [`Image`](crate::Image).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDraft {
    /// See [`Image::component`](crate::Image::component).
    pub component: u8,
    /// See [`Image::link_address`](crate::Image::link_address).
    pub link_address: u32,
    /// See [`Image::size`](crate::Image::size).
    pub size: u32,
    /// See [`Image::digest`](crate::Image::digest).
    pub digest: Digest,
    /// Base-2 logarithm of the chunk length, see [`ChunkSize`](crate::ChunkSize).
    pub chunk_log2: u8,
    /// See [`Image::chunk_root`](crate::Image::chunk_root).
    pub chunk_root: Digest,
    /// See [`Image::payload`](crate::Image::payload).
    pub payload: PayloadDraft,
}

impl ImageDraft {
    /// An application image that travels as it is, in 4 KiB chunks.
    #[must_use]
    pub const fn raw(link_address: u32, size: u32, digest: Digest, chunk_root: Digest) -> Self {
        Self {
            component: 0,
            link_address,
            size,
            digest,
            chunk_log2: 12,
            chunk_root,
            payload: PayloadDraft::Raw,
        }
    }
}

/// How an image travels. See [`Payload`](crate::Payload).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadDraft {
    /// See [`Payload::Raw`](crate::Payload::Raw).
    Raw,
    /// See [`Payload::Compressed`](crate::Payload::Compressed).
    Compressed {
        /// Which compression.
        codec: u8,
        /// Compressed length, bytes.
        size: u32,
        /// SHA-256 over the compressed bytes.
        digest: Digest,
        /// Chunk root over the compressed bytes.
        chunk_root: Digest,
    },
    /// See [`Payload::Delta`](crate::Payload::Delta).
    Delta {
        /// Which difference format.
        codec: u8,
        /// SHA-256 of the base image.
        base: Digest,
        /// Length of the difference, bytes.
        size: u32,
        /// SHA-256 over the difference.
        digest: Digest,
        /// Chunk root over the difference.
        chunk_root: Digest,
    },
}

/// A dependency to be written. See [`Dependency`](crate::Dependency).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyDraft {
    /// Which component.
    pub component: u8,
    /// Lowest sequence.
    pub min_sequence: u32,
    /// Highest sequence, if there is one.
    pub max_sequence: Option<u32>,
}

/// An extension to be written. See [`Extension`](crate::Extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionDraft {
    /// Which one.
    pub id: u16,
    /// Whether a device that does not know it must refuse the manifest.
    pub critical: bool,
    /// Its value.
    pub bytes: Vec<u8, 64>,
}
