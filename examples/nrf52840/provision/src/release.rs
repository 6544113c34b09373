//! A signed release.

use anyhow::{Context, Result};
use ota_manifest::{ChunkSize, ManifestDraft, Order, Role, SecurityVersion, Version};
use ota_slots::SlotId;
use ota_verify::sign::{Signer, describe_image, seal_manifest};

use crate::Image;

/// What a manifest says beside its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What it is called.
    pub version: Version,
    /// Its place among the releases.
    pub sequence: u32,
    /// The floor that it raises once it is confirmed.
    pub security_version: SecurityVersion,
    /// How long firmware may take to confirm itself, seconds.
    pub confirm_window_s: u16,
    /// Boots that it gets to confirm itself, 2 or more.
    pub trial_attempts: u8,
}

impl Terms {
    /// The release with this number: version `number.0.0`, 15 minutes to confirm, three boots.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        Self {
            version: Version::new(number, 0, 0),
            sequence: number.into(),
            security_version: SecurityVersion(0),
            confirm_window_s: 900,
            trial_attempts: 3,
        }
    }
}

/// An image with its leaf list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The image.
    pub image: Image,
    /// SHA-256 of each chunk: what a device checks a download against.
    pub leaves: Vec<u8>,
}

/// Images and the envelope that is signed over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The signed manifest.
    pub envelope: Vec<u8>,
    /// In the order of the manifest.
    pub packed: Vec<Packed>,
}

impl Release {
    /// Describes and signs images, one for each slot that the release is for.
    ///
    /// # Errors
    /// If the manifest is not one that a device would take, or the key does not sign.
    pub fn sign(images: Vec<Image>, terms: &Terms, signer: &dyn Signer) -> Result<Self> {
        let mut draft = ManifestDraft::new(layout::VENDOR, layout::CLASS, terms.version);
        draft.order = Order { epoch: 0, sequence: terms.sequence };
        draft.security_version = terms.security_version;
        draft.confirm_window_s = terms.confirm_window_s;
        draft.trial_attempts = terms.trial_attempts;
        let mut packed = Vec::new();
        for image in images {
            let address = layout::LAYOUT.slot(image.slot).link_address;
            let described = describe_image(&image.bytes, address, ChunkSize::KIB4)?;
            draft.images.push(described.image).ok().context("a release has no more than four images")?;
            packed.push(Packed { image, leaves: described.leaves });
        }
        let envelope = seal_manifest(&draft, &[(signer, Role::Release)])?;
        Ok(Self { envelope, packed })
    }

    /// The image for a slot, if there is one.
    #[must_use]
    pub fn for_slot(&self, slot: SlotId) -> Option<&Packed> {
        self.packed.iter().find(|packed| packed.image.slot == slot)
    }
}
