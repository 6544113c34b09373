//! Arbitrary bytes as a manifest: the canonical reader says what postcard and the rules of `docs/wire.md` say. Signed as they
//! are, they are admitted only to the device that they are for.

use ota_manifest::{
    ChunkSize, ClassId, DependencyDraft, DeviceId, ExtensionDraft, Frame, HardwareRange, ImageDraft, Kind,
    ManifestDraft, Order, Payload, PayloadDraft, Role, SecurityVersion, VendorId, Version,
};
use ota_verify::sign::{Signer as _, describe_image, seal};
use ota_verify::{
    AlgSet, Applicable, Bootloader, DeviceState, Identity, TargetSlot, Trust, TrustTerms, TrustedKey,
};

use crate::keys::Key;
use crate::{Target, oracle};

/// The target.
pub const TARGET: Target = Target { name: "manifest", run, seeds };

const RUNNING: Order = Order { epoch: 1, sequence: 7 };

fn run(input: &[u8]) {
    let readable = oracle::check_manifest(input);
    let release = Key::seeded(1);
    let Ok(envelope) = seal(Kind::Manifest, input, &[(&release, Role::Release)]) else { return };
    let key = release.public_key();
    let keys = [TrustedKey::new(Role::Release, &key)];
    let terms = TrustTerms { epoch: 2, min_order: Order { epoch: 1, sequence: 3 }, ..TrustTerms::FIRST };
    let trust = Trust::pinned_on(&terms, &keys);
    let frame = Frame::parse(&envelope).expect("an envelope");
    let authentic = trust.authenticate(frame, Role::Release);
    assert_eq!(authentic.is_ok(), readable);
    if let Some(applicable) = authentic.ok().and_then(|authentic| authentic.admit(&state()).ok()) {
        is_for_the_device(&applicable);
    }
}

fn state() -> DeviceState<'static> {
    DeviceState {
        identity: Identity {
            vendor: VendorId::new([1; 16]),
            class: ClassId::new([2; 16]),
            hardware: 4,
            device: DeviceId::new([3; 16]),
        },
        running: Some(RUNNING),
        now: None,
        floor: SecurityVersion(3),
        rejected: &[],
        target: TargetSlot { link_address: 0x8000, usable: 0x5000, largest_image: 0x4000, erase_page: 4096 },
        bootloader: Bootloader { version: 2, algorithms: AlgSet::ED25519 },
    }
}

fn is_for_the_device(applicable: &Applicable<'_>) {
    let (manifest, image, state) = (applicable.manifest(), applicable.image(), state());
    let identity = state.identity;
    assert_eq!(manifest.vendor, identity.vendor);
    assert!(manifest.classes.iter().any(|class| class == identity.class));
    assert!(manifest.hardware.contains(identity.hardware));
    assert!(manifest.target.is_none_or(|device| device == identity.device));
    assert!(manifest.order > RUNNING && manifest.order.epoch <= 2);
    assert!(manifest.security_version >= state.floor && manifest.min_bootloader <= 2);
    assert!(manifest.extensions.iter().all(|extension| !extension.critical));
    assert!(manifest.images.iter().all(|image| image.component == 0));
    assert!(manifest.dependencies.iter().all(|dependency| {
        let highest = dependency.max_sequence.unwrap_or(u32::MAX);
        manifest.order.epoch == 1 && (dependency.min_sequence..=highest).contains(&RUNNING.sequence)
    }));
    assert_eq!((image.link_address, image.payload), (0x8000, Payload::Raw));
    let pages = |bytes: u64| bytes.div_ceil(4096);
    let leaves = u64::from(image.size).div_ceil(1 << image.chunk_size.log2()) * 32;
    assert!(pages(image.size.into()) <= 4 && pages(image.size.into()) + pages(leaves) <= 5);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut minimal =
        ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    minimal.order = Order { epoch: 1, sequence: 8 };
    minimal.security_version = SecurityVersion(3);
    let raw = describe_image(&[0x55; 10_000], 0x8000, ChunkSize::KIB4).expect("an image").image;
    minimal.images.push(raw.clone()).expect("room for four");

    let mut full = minimal.clone();
    let digest = raw.digest;
    let compressed = PayloadDraft::Compressed { codec: 1, size: 300, digest, chunk_root: digest };
    let delta = PayloadDraft::Delta { codec: 1, base: digest, size: 300, digest, chunk_root: digest };
    full.images.insert(0, ImageDraft { payload: compressed, ..raw.clone() }).expect("room for four");
    full.images.push(ImageDraft { payload: delta, link_address: 0x4_8000, ..raw }).expect("room for four");
    full.classes.push(ClassId::new([9; 16])).expect("room for four");
    full.hardware = HardwareRange::new(2, 300).expect("a range");
    (full.not_after, full.target) = (Some(1_790_000_000), Some(DeviceId::new([3; 16])));
    let dependency = DependencyDraft { component: 0, min_sequence: 3, max_sequence: Some(300) };
    full.dependencies.push(dependency).expect("room for four");
    for id in [7, 300] {
        let bytes = [0xEE; 4].into_iter().collect();
        full.extensions.push(ExtensionDraft { id, critical: false, bytes }).expect("room for four");
    }
    [minimal, full].map(|draft| draft.encode(&mut [0; 1536]).expect("a manifest").to_vec()).to_vec()
}
