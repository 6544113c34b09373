//! A published release: a signed envelope and the artifacts it names.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ota_manifest::wire::{Object, Poll, Refusal};
use ota_manifest::{Digest, HardwareRange, ManifestId, Order, SecurityVersion, Version};
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;

/// Number of a release on this server, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseNo(pub u32);

impl fmt::Display for ReleaseNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A release. What it says of itself was read from the proven manifest, not from what an author typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its number.
    pub no: ReleaseNo,
    /// Its name for people.
    pub version: Version,
    /// Which manifest is newer.
    pub order: Order,
    /// Anti-rollback counter.
    pub security_version: SecurityVersion,
    /// The signed manifest's name.
    pub manifest: ManifestId,
    /// Maker of the devices, in hexadecimal.
    pub vendor: String,
    /// First kind of device, in hexadecimal.
    pub class: String,
    /// Hardware revisions.
    pub hardware: HardwareRange,
    /// Lowest bootloader.
    pub min_bootloader: u16,
    /// Artifacts, in the manifest's order.
    pub images: Vec<ReleaseImage>,
    /// The signed envelope.
    pub envelope: Vec<u8>,
    /// Who published it.
    pub author: String,
    /// When.
    pub published: UnixMs,
}

/// The artifacts of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseImage {
    /// Where it is linked for.
    pub link_address: u32,
    /// The image.
    pub payload: Blob,
    /// Its leaf list.
    pub leaves: Blob,
}

impl ReleaseImage {
    /// The artifact behind an object.
    #[must_use]
    pub fn blob(&self, object: Object) -> Blob {
        match object {
            Object::Leaves => self.leaves,
            Object::Payload => self.payload,
        }
    }
}

/// An artifact: named by what it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 over the bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// What a release is to a device that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It may be offered.
    Applies,
    /// It is what the device runs.
    Installed,
    /// The device runs something as new or newer.
    Outdated,
    /// The device would refuse it.
    Refused(Refusal),
}

impl Release {
    /// Looks at a release from the device's side.
    #[must_use]
    pub fn fit(&self, poll: &Poll) -> Fit {
        if poll.running == self.manifest {
            Fit::Installed
        } else if poll.order >= self.order {
            Fit::Outdated
        } else if poll.floor > self.security_version {
            Fit::Refused(Refusal::BelowFloor)
        } else if !self.hardware.contains(poll.hardware) {
            Fit::Refused(Refusal::NotForThisDevice)
        } else if poll.bootloader < self.min_bootloader {
            Fit::Refused(Refusal::Unsupported)
        } else {
            Fit::Applies
        }
    }
}
