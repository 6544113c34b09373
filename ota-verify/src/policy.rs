//! Is an authentic manifest for this device, and is it an improvement?

use ota_manifest::{
    ClassId, Dependency, DeviceId, Image, Manifest, ManifestId, Order, Payload, SecurityVersion, VendorId,
};

use crate::{AdmitError, AlgSet, Applicable, Authentic, Expiry, TrustedTime};

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
    /// Bytes the image alone may take, rounded up to erase pages: a slot whose image moves to another one is bounded by
    /// both.
    pub largest_image: u32,
    /// Erase page, bytes, a power of two; nothing fits a slot with another one.
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
    /// What time it is, if a freshness reply has told; `None` at boot, where time decides nothing. Without it an end of
    /// validity is not checked, see [`Applicable::expiry`].
    pub now: Option<TrustedTime>,
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
    /// [`AdmitError`], the first that is found, in a fixed order: identity, history, validity, bootloader, contents.
    pub fn admit(self, state: &DeviceState<'_>) -> Result<Applicable<'a>, AdmitError> {
        let manifest = self.manifest();
        check_identity(manifest, &state.identity)?;
        check_history(&self, state)?;
        let expiry = check_validity(manifest, state.now)?;
        check_bootloader(&self, state.bootloader)?;
        check_contents(manifest)?;
        check_dependencies(manifest, state.running)?;
        let (index, image) = choose_image(manifest, state.target)?;
        Ok(Applicable::new(self, index, image, expiry))
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

fn check_history(authentic: &Authentic<'_>, state: &DeviceState<'_>) -> Result<(), AdmitError> {
    let manifest = authentic.manifest();
    if manifest.order < authentic.open.min {
        return Err(AdmitError::BelowMinOrder);
    }
    if manifest.order.epoch > authentic.open.epoch {
        return Err(AdmitError::EpochNotOpen);
    }
    if state.running.is_some_and(|running| manifest.order <= running) {
        return Err(AdmitError::NotNewer);
    }
    if manifest.security_version < state.floor {
        return Err(AdmitError::BelowFloor);
    }
    if state.rejected.contains(&authentic.id()) { Err(AdmitError::RejectedBefore) } else { Ok(()) }
}

fn check_validity(manifest: &Manifest<'_>, now: Option<TrustedTime>) -> Result<Expiry, AdmitError> {
    match (manifest.not_after, now) {
        (None, _) => Ok(Expiry::Never),
        (Some(_), None) => Ok(Expiry::Unchecked),
        (Some(end), Some(now)) if now.seconds() <= end => Ok(Expiry::NotYet),
        (Some(_), Some(_)) => Err(AdmitError::Expired),
    }
}

/// Refuses now what this bootloader could not prove later: it must be able to check as many signatures as are needed.
fn check_bootloader(authentic: &Authentic<'_>, found: Bootloader) -> Result<(), AdmitError> {
    let needed = authentic.manifest().min_bootloader;
    if needed > found.version {
        return Err(AdmitError::BootloaderTooOld { needed, found: found.version });
    }
    if authentic.is_provable_with(found.algorithms) { Ok(()) } else { Err(AdmitError::BootloaderAlgorithm) }
}

fn check_contents(manifest: &Manifest<'_>) -> Result<(), AdmitError> {
    if let Some(extension) = manifest.extensions.iter().find(|extension| extension.critical) {
        return Err(AdmitError::UnknownExtension(extension.id));
    }
    match manifest.images.iter().find(|image| image.component != 0) {
        Some(image) => Err(AdmitError::UnknownComponent(image.component)),
        None => Ok(()),
    }
}

/// Asked when a release is chosen, not at boot: what it was installed over is gone by then.
fn check_dependencies(manifest: &Manifest<'_>, running: Option<Order>) -> Result<(), AdmitError> {
    let met = |dependency: Dependency| {
        let range = dependency.min_sequence..=dependency.max_sequence.unwrap_or(u32::MAX);
        let in_range =
            |running: Order| running.epoch == manifest.order.epoch && range.contains(&running.sequence);
        dependency.component == 0 && running.is_none_or(in_range)
    };
    if manifest.dependencies.iter().all(met) { Ok(()) } else { Err(AdmitError::UnmetDependency) }
}

/// The first image for the slot that travels in a way known here.
fn choose_image(manifest: &Manifest<'_>, target: TargetSlot) -> Result<(u8, Image), AdmitError> {
    let mut refusal = AdmitError::NoImageForSlot;
    for (index, image) in (0u8..).zip(manifest.images.iter()) {
        if image.link_address != target.link_address {
            continue;
        }
        if image.payload != Payload::Raw {
            refusal = AdmitError::UnsupportedPayload;
        } else if fits(&image, target) {
            return Ok((index, image));
        } else {
            return Err(AdmitError::TooLarge { size: image.size });
        }
    }
    Err(refusal)
}

/// Whether the slot has room for the image, and for the image and its leaf list. What overflows does not fit.
fn fits(image: &Image, target: TargetSlot) -> bool {
    let rounded = |bytes| whole_pages(bytes, target.erase_page);
    let list_bytes = image.chunks().checked_mul(32).and_then(rounded);
    rounded(image.size).zip(list_bytes).is_some_and(|(image_bytes, list_bytes)| {
        image_bytes <= target.largest_image
            && image_bytes.checked_add(list_bytes).is_some_and(|together| together <= target.usable)
    })
}

/// `bytes` rounded up to pages of a power of two. With a mask: dividing 64-bit numbers at run time, which
/// `u64::next_multiple_of` does, takes 860 bytes of library on a Cortex-M.
fn whole_pages(bytes: u32, page: u32) -> Option<u32> {
    let mask = page.checked_sub(1).filter(|mask| page & mask == 0)?;
    Some(bytes.checked_add(mask)? & !mask)
}
