//! The last two steps: a manifest that applies, and the flash bytes that are what it says.

use core::num::NonZeroU8;

use ota_manifest::{Digest, Image, Manifest, ManifestId, Order, SecurityVersion, Version};

use crate::{Authentic, Hardened, ProofError, Sha256, digests_equal};

/// An authentic manifest that is for this device, and the image of it that fits the target slot.
#[derive(Debug)]
pub struct Applicable<'a> {
    manifest: Manifest<'a>,
    id: ManifestId,
    index: u8,
    image: Image,
    expiry: Expiry,
}

/// What is known about a manifest's end of validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It has none.
    Never,
    /// Not yet reached.
    NotYet,
    /// It has one, and this device does not know what time it is: worth a line in its log.
    Unchecked,
}

impl<'a> Applicable<'a> {
    pub(crate) fn new(authentic: Authentic<'a>, index: u8, image: Image, expiry: Expiry) -> Self {
        let Authentic { manifest, id, .. } = authentic;
        Self { manifest, id, index, image, expiry }
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ManifestId {
        self.id
    }

    /// The image for the target slot.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Its place in the manifest's list of images.
    #[must_use]
    pub fn image_index(&self) -> u8 {
        self.index
    }

    /// Whether its end of validity has been looked at.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// Starts the proof over the image's bytes.
    #[must_use]
    pub fn into_stream(self) -> ImageStream {
        let attempts = NonZeroU8::new(self.manifest.trial_attempts).unwrap_or(NonZeroU8::MIN);
        ImageStream {
            hash: Sha256::new(),
            left: Some(self.image.size),
            expected: self.image.digest,
            image: VerifiedImage {
                id: self.id,
                order: self.manifest.order,
                security_version: self.manifest.security_version,
                version: self.manifest.version,
                link_address: self.image.link_address,
                size: self.image.size,
                trial_attempts: attempts,
                confirm_window_s: self.manifest.confirm_window_s,
            },
        }
    }
}

/// Hashes an image front to back. Owns all it needs, so the buffer that held the envelope is free again.
#[derive(Debug)]
pub struct ImageStream {
    hash: Sha256,
    /// Bytes still to come; `None` once there were too many.
    left: Option<u32>,
    expected: Digest,
    image: VerifiedImage,
}

impl ImageStream {
    /// Length of the image, bytes.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.image.size
    }

    /// Appends bytes of the image.
    pub fn update(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).ok();
        self.left = self.left.zip(len).and_then(|(left, len)| left.checked_sub(len));
        if self.left.is_some() {
            self.hash.update(bytes);
        }
    }

    /// Ends the proof.
    ///
    /// # Errors
    /// [`ProofError`] if the bytes were not exactly the manifest's image.
    pub fn finish(self) -> Result<VerifiedImage, ProofError> {
        if self.left != Some(0) {
            return Err(ProofError::WrongLength { expected: self.image.size });
        }
        let digest = self.hash.finish();
        if Hardened::of(digests_equal(&digest, &self.expected)).passed() {
            Ok(self.image)
        } else {
            Err(ProofError::WrongDigest)
        }
    }
}

/// Proof that a byte stream was the image of an authentic manifest that applies to this device.
///
/// Made by [`ImageStream::finish`] alone.
///
/// ```compile_fail
/// fn twice(image: ota_verify::VerifiedImage) -> (ota_verify::VerifiedImage, ota_verify::VerifiedImage) {
///     (image.clone(), image) // not Clone
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct VerifiedImage {
    id: ManifestId,
    order: Order,
    security_version: SecurityVersion,
    version: Version,
    link_address: u32,
    size: u32,
    trial_attempts: NonZeroU8,
    confirm_window_s: u16,
}

impl VerifiedImage {
    /// Name of its manifest.
    #[must_use]
    pub fn manifest_id(&self) -> ManifestId {
        self.id
    }

    /// Order of its manifest.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// Anti-rollback counter.
    #[must_use]
    pub fn security_version(&self) -> SecurityVersion {
        self.security_version
    }

    /// The release's name for people.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Address it is linked for.
    #[must_use]
    pub fn link_address(&self) -> u32 {
        self.link_address
    }

    /// Length in flash, bytes.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Boots it gets to confirm itself.
    #[must_use]
    pub fn trial_attempts(&self) -> NonZeroU8 {
        self.trial_attempts
    }

    /// Seconds it has from boot to confirm.
    #[must_use]
    pub fn confirm_window_s(&self) -> u16 {
        self.confirm_window_s
    }
}
