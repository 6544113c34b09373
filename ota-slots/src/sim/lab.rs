//! Signed test releases and provisioned test devices.

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use ota_manifest::{
    ChunkSize, ClassId, DeviceId, ManifestDraft, Order, Role, SecurityVersion, VendorId, Version,
};
use ota_verify::sign::{Signature, Signer, SignerError, describe_image, seal_manifest};
use ota_verify::{AlgSet, Identity, PublicKey, Tbs, Trust, TrustedKey};

use super::{Flash, LabKey};
use crate::{
    BootDescriptor, Geometry, Layout, Partition, Policy, Provision, Region, SlotId, SlotRegion, run_blocking,
};

/// The flash of a laboratory device: 1 KiB pages, 4-byte words.
pub type LabFlash = Flash<4, 1024>;

const PAGE: u32 = 1024;
const SLOT: u32 = 16 * 1024;
const CHUNK_LOG2: u8 = 10;
/// Work buffer for any layout.
const BUFFER: usize = 32 * 1024;
const KEY: u8 = 0x1A;

/// A release key, a device that trusts it, and releases signed by it. For tests: the key is public knowledge.
#[derive(Debug)]
pub struct Lab {
    key: LabKey,
    layout: Layout,
    policy: Policy<'static>,
}

/// A release: the image for each slot (twice the same one where images move to slot A), and the envelope over them.
#[derive(Debug, Clone)]
pub struct Release {
    /// The signed manifest.
    pub envelope: Vec<u8>,
    /// The images for slot A and slot B.
    pub built: [Built; 2],
}

/// One image of a release.
#[derive(Debug, Clone)]
pub struct Built {
    /// The bytes.
    pub image: Vec<u8>,
    /// Its leaf list.
    pub leaves: Vec<u8>,
}

impl Release {
    /// The image for a slot.
    #[must_use]
    pub fn for_slot(&self, slot: SlotId) -> &Built {
        &self.built[slot as usize]
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// The standard device: two journal pages and two slots of 16 KiB.
    ///
    /// # Panics
    /// Never: the layout is a constant.
    #[must_use]
    pub fn new() -> Self {
        let flash = Geometry { erase_page: PAGE, write_size: 4, erased: 0xFF };
        let slot = |start| SlotRegion::new(Region::new(flash, start, SLOT), 0x10_0000 + start);
        let journal = Region::new(flash, 0, 2 * PAGE);
        Self::with_layout(Layout::constant(Partition::direct_xip(
            journal,
            slot(2 * PAGE),
            slot(2 * PAGE + SLOT),
        )))
    }

    /// A device with another layout.
    #[must_use]
    pub fn with_layout(layout: Layout) -> Self {
        let key = LabKey::seeded(KEY);
        let keys: &'static [TrustedKey<'static>] = Box::leak(Box::new([key.pinned(Role::Release)]));
        let trust = Trust::pinned(keys);
        let descriptor = BootDescriptor::new(1, AlgSet::ED25519, &layout, trust.digest());
        let policy = Policy {
            trust,
            identity: Identity {
                vendor: VendorId::new(*b"laboratory vendo"),
                class: ClassId::new(*b"laboratory class"),
                hardware: 1,
                device: DeviceId::new(*b"laboratory devic"),
            },
            descriptor: Box::leak(Box::new(descriptor)),
        };
        Self { key, layout, policy }
    }

    /// Where everything lives.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What everything is held against.
    #[must_use]
    pub fn policy(&self) -> Policy<'static> {
        self.policy
    }

    /// A release of `size` bytes per image whose version and sequence are `number`.
    #[must_use]
    pub fn release(&self, number: u16, size: usize) -> Release {
        self.release_with(number, size, |_| ())
    }

    /// A release with a manifest that `change` has had a hand in.
    ///
    /// # Panics
    /// If the manifest cannot be encoded any more.
    #[must_use]
    pub fn release_with(&self, number: u16, size: usize, change: impl FnOnce(&mut ManifestDraft)) -> Release {
        let identity = self.policy.identity;
        let mut draft = ManifestDraft::new(identity.vendor, identity.class, Version::new(number, 0, 0));
        draft.order = Order { epoch: 0, sequence: u32::from(number) };
        draft.security_version = SecurityVersion(1);
        let chunk = ChunkSize::from_log2(CHUNK_LOG2).expect("a constant in range");
        let built = SlotId::BOTH.map(|slot| {
            if self.layout.strategy().moves() && slot == SlotId::B {
                // One image for both: it runs from slot A.
                return None;
            }
            let seed = number.to_le_bytes().into_iter().chain([slot as u8]);
            let image: Vec<u8> = seed.cycle().zip(0u32..).take(size).map(|(s, i)| s ^ scramble(i)).collect();
            let described =
                describe_image(&image, self.layout.slot(slot).link_address, chunk).expect("not empty");
            draft.images.push(described.image).expect("two images");
            Some(Built { image, leaves: described.leaves })
        });
        let [a, b] = built;
        let a = a.expect("slot A always has one");
        let built = [a.clone(), b.unwrap_or(a)];
        change(&mut draft);
        let envelope = seal_manifest(&draft, &[(self, Role::Release)]).expect("encodable");
        Release { envelope, built }
    }

    /// A device of the standard layout that runs `release` from slot A.
    ///
    /// # Panics
    /// If the release is not for this device.
    #[must_use]
    pub fn provisioned(&self, release: &Release) -> LabFlash {
        let end = self.layout.slot(SlotId::B).region;
        let mut flash = LabFlash::new((end.start + end.len) as usize, end.geometry.erased, 1);
        self.provision(&mut flash, release);
        flash
    }

    /// Lets a device of any layout run `release` from slot A.
    ///
    /// # Panics
    /// If the release is not for this device, or the flash not for the layout.
    pub fn provision<F: NorFlash>(&self, flash: &mut F, release: &Release) {
        let built = release.for_slot(SlotId::A);
        let provision = Provision::new(
            &self.layout,
            &self.policy,
            SlotId::A,
            &built.image,
            &built.leaves,
            &release.envelope,
        );
        let proven = run_blocking(provision, flash, &self.layout, &mut [0; BUFFER], || ());
        assert!(proven.is_ok(), "{proven:?}");
    }
}

impl Signer for Lab {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        self.key.sign(tbs)
    }
}

/// Bytes that look like code rather than like a pattern.
fn scramble(index: u32) -> u8 {
    let mixed = index.wrapping_mul(0x9E37_79B1);
    mixed.to_be_bytes()[0]
}
