//! Is an authentic manifest for this device, and is it an improvement?

use ota_manifest::{
    Alg, ClassId, DeviceId, Image, Manifest, ManifestId, Order, Payload, SecurityVersion, VendorId,
};

use crate::{AdmitError, AlgSet, Applicable, Authentic};

/// What a device is; burnt in at the factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub vendor: VendorId,
    /// What it is.
    pub class: ClassId,
    /// Which revision of the hardware.
    pub hardware: u16,
    /// Which one.
    pub device: DeviceId,
}

/// What the bootloader of this device can do, from its boot descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootloader {
    /// Its version.
    pub version: u16,
    /// Signature algorithms it can check.
    pub algorithms: AlgSet,
}

/// The slot an image is to live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetSlot {
    /// Address that firmware for it is linked for.
    pub link_address: u32,
    /// Bytes for image and leaf list together, each rounded up to erase pages.
    pub usable: u32,
    /// Erase page, bytes.
    pub erase_page: u32,
}

/// What a manifest is held against.
#[derive(Debug, Clone, Copy)]
pub struct DeviceState<'d> {
    /// What the device is.
    pub identity: Identity,
    /// Order of the running manifest; a candidate must be above it. `None` at boot, where a slot is proven rather than
    /// chosen.
    pub running: Option<Order>,
    /// Anti-rollback floor.
    pub floor: SecurityVersion,
    /// Manifests that were rolled back here.
    pub rejected: &'d [ManifestId],
    /// Where the image is to live.
    pub target: TargetSlot,
    /// What the bootloader can do.
    pub bootloader: Bootloader,
}

impl<'a> Authentic<'a> {
    /// Decides whether this manifest applies to the device described by `state`.
    ///
    /// # Errors
    /// [`AdmitError`], the first that is found, in a fixed order: identity, history, bootloader, contents.
    pub fn admit(self, state: &DeviceState<'_>) -> Result<Applicable<'a>, AdmitError> {
        let manifest = self.manifest();
        check_identity(manifest, &state.identity)?;
        check_history(manifest, self.id(), state)?;
        check_bootloader(manifest, self.algorithms(), state.bootloader)?;
        check_contents(manifest)?;
        let (index, image) = choose_image(manifest, state.target)?;
        Ok(Applicable::new(self, index, image))
    }
}

fn check_identity(manifest: &Manifest<'_>, identity: &Identity) -> Result<(), AdmitError> {
    if manifest.vendor != identity.vendor {
        return Err(AdmitError::WrongVendor);
    }
    if !manifest.classes.iter().any(|class| class == identity.class) {
        return Err(AdmitError::WrongClass);
    }
    if !manifest.hardware.contains(identity.hardware) {
        return Err(AdmitError::WrongHardware);
    }
    match manifest.target {
        Some(device) if device != identity.device => Err(AdmitError::WrongDevice),
        _ => Ok(()),
    }
}

fn check_history(manifest: &Manifest<'_>, id: ManifestId, state: &DeviceState<'_>) -> Result<(), AdmitError> {
    if state.running.is_some_and(|running| manifest.order <= running) {
        return Err(AdmitError::NotNewer);
    }
    if manifest.security_version < state.floor {
        return Err(AdmitError::BelowFloor);
    }
    if state.rejected.contains(&id) { Err(AdmitError::RejectedBefore) } else { Ok(()) }
}

/// Refuses now what this bootloader could not prove later.
fn check_bootloader(manifest: &Manifest<'_>, signed: AlgSet, found: Bootloader) -> Result<(), AdmitError> {
    if manifest.min_bootloader > found.version {
        return Err(AdmitError::BootloaderTooOld { needed: manifest.min_bootloader, found: found.version });
    }
    let provable = [Alg::Ed25519, Alg::P256, Alg::Lms]
        .iter()
        .any(|alg| signed.contains(*alg) && found.algorithms.contains(*alg));
    if provable { Ok(()) } else { Err(AdmitError::BootloaderAlgorithm) }
}

fn check_contents(manifest: &Manifest<'_>) -> Result<(), AdmitError> {
    if let Some(extension) = manifest.extensions.iter().find(|extension| extension.critical) {
        return Err(AdmitError::UnknownExtension(extension.id));
    }
    if let Some(image) = manifest.images.iter().find(|image| image.component != 0) {
        return Err(AdmitError::UnknownComponent(image.component));
    }
    if manifest.dependencies.is_empty() { Ok(()) } else { Err(AdmitError::UnmetDependency) }
}

fn choose_image(manifest: &Manifest<'_>, target: TargetSlot) -> Result<(u8, Image), AdmitError> {
    let (index, image) = (0u8..)
        .zip(manifest.images.iter())
        .find(|(_, image)| image.link_address == target.link_address)
        .ok_or(AdmitError::NoImageForSlot)?;
    if image.payload != Payload::Raw {
        return Err(AdmitError::UnsupportedPayload);
    }
    let page = u64::from(target.erase_page.max(1));
    let image_bytes = u64::from(image.size).next_multiple_of(page);
    let list_bytes = (u64::from(image.chunks()) * 32).next_multiple_of(page);
    if image_bytes + list_bytes > u64::from(target.usable) {
        return Err(AdmitError::TooLarge { size: image.size });
    }
    Ok((index, image))
}
