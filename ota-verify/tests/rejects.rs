//! One test per attack: each refused with its own code, and the untouched control accepted.

#[path = "common/device.rs"]
mod device;

use device::ed25519;
use ota_manifest::{
    ChunkSize, ClassId, DependencyDraft, DeviceId, ExtensionDraft, Frame, HardwareRange, ImageDraft,
    MAX_ENVELOPE, ManifestDraft, ManifestId, Order, PayloadDraft, Role, SecurityVersion, VendorId, Version,
};
use ota_verify::sign::{SealError, Signature, Signer, SignerError, describe_image, seal_manifest};
use ota_verify::{
    AdmitError, AlgSet, AuthError, Bootloader, DeviceState, Ed25519Key, Identity, ProofError, PublicKey,
    TargetSlot, Tbs, Trust, TrustTerms, TrustedKey, VerifiedImage,
};

const FIRMWARE: [u8; 10_000] = [0x55; 10_000];

fn draft() -> ManifestDraft {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    draft.order = Order { epoch: 0, sequence: 5 };
    draft.security_version = SecurityVersion(3);
    draft.images.push(describe_image(&FIRMWARE, 0x8000, ChunkSize::KIB4).unwrap().image).unwrap();
    draft
}

fn state() -> DeviceState<'static> {
    let state = device::state();
    DeviceState {
        identity: Identity { hardware: 4, ..state.identity },
        running: Some(Order { epoch: 0, sequence: 4 }),
        floor: SecurityVersion(3),
        bootloader: Bootloader { algorithms: AlgSet::ED25519, ..state.bootloader },
        ..state
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Frame,
    Auth(AuthError),
    Admit(AdmitError),
    Proof(ProofError),
}

/// The whole chain, as a device walks it, with release key seed 7.
fn prove(envelope: &[u8], state: &DeviceState<'_>, firmware: &[u8]) -> Result<VerifiedImage, Verdict> {
    prove_on(0, envelope, state, firmware)
}

fn prove_on(
    epoch: u16,
    envelope: &[u8],
    state: &DeviceState<'_>,
    firmware: &[u8],
) -> Result<VerifiedImage, Verdict> {
    let terms = TrustTerms { epoch, ..TrustTerms::FIRST };
    let key = ed25519(7).public_key();
    let keys = [TrustedKey::new(Role::Release, &key)];
    let frame = Frame::parse(envelope).map_err(|_| Verdict::Frame)?;
    let trust = Trust::pinned_on(&terms, &keys);
    let authentic = trust.authenticate(frame, Role::Release).map_err(Verdict::Auth)?;
    let mut stream = authentic.admit(state).map_err(Verdict::Admit)?.into_stream();
    firmware.chunks(777).for_each(|bytes| stream.update(bytes));
    stream.finish().map_err(Verdict::Proof)
}

fn sealed(draft: &ManifestDraft) -> Vec<u8> {
    seal_manifest(draft, &[(&ed25519(7), Role::Release)]).unwrap()
}

fn refusal(change: impl FnOnce(&mut ManifestDraft), state: &DeviceState<'_>) -> Option<Verdict> {
    refusal_on(0, change, state)
}

/// As [`refusal`], of a device whose trust has opened epochs up to `epoch`.
fn refusal_on(
    epoch: u16,
    change: impl FnOnce(&mut ManifestDraft),
    state: &DeviceState<'_>,
) -> Option<Verdict> {
    let mut draft = draft();
    change(&mut draft);
    prove_on(epoch, &sealed(&draft), state, &FIRMWARE).err()
}

fn admit_refusal(change: impl FnOnce(&mut ManifestDraft)) -> Option<AdmitError> {
    match refusal(change, &state()) {
        Some(Verdict::Admit(error)) => Some(error),
        other => panic!("expected a refusal by admit, got {other:?}"),
    }
}

#[test]
fn untouched_control_is_proven() {
    let image = prove(&sealed(&draft()), &state(), &FIRMWARE).unwrap();
    assert_eq!((image.size(), image.order().sequence, image.trial_attempts().get()), (10_000, 5, 3));
    assert_eq!((image.version(), image.confirm_window_s()), (Version::new(1, 1, 0), 900));
}

#[test]
fn foreign_key_and_wrong_role_are_unknown_keys() {
    let foreign = seal_manifest(&draft(), &[(&ed25519(8), Role::Release)]).unwrap();
    assert_eq!(prove(&foreign, &state(), &FIRMWARE).err(), Some(Verdict::Auth(AuthError::UnknownKey)));
    // The right key, but it signed as approver: the role is part of what is signed.
    let approval = seal_manifest(&draft(), &[(&ed25519(7), Role::Approval)]).unwrap();
    assert_eq!(prove(&approval, &state(), &FIRMWARE).err(), Some(Verdict::Auth(AuthError::BadSignature)));
}

#[test]
fn an_approval_alone_never_becomes_a_proof_of_a_release() {
    let approved = seal_manifest(&draft(), &[(&ed25519(7), Role::Approval)]).unwrap();
    let key = ed25519(7).public_key();
    let keys = [TrustedKey::new(Role::Approval, &key)];
    let frame = Frame::parse(&approved).unwrap();
    let verdict = Trust::pinned(&keys).authenticate(frame, Role::Approval).err();
    assert_eq!(verdict, Some(AuthError::WrongRole(Role::Approval)));
}

#[test]
fn signed_envelope_is_frozen_to_the_byte() {
    let vector: String = include_str!("vectors/envelope.hex").split_whitespace().collect();
    let found: String = sealed(&draft()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, vector, "devices in the field verify exactly these bytes: bump a format instead");
}

#[test]
fn a_foreign_signature_beside_the_right_one_does_no_harm() {
    let both =
        seal_manifest(&draft(), &[(&ed25519(8), Role::Release), (&ed25519(7), Role::Release)]).unwrap();
    assert!(prove(&both, &state(), &FIRMWARE).is_ok());
}

#[test]
fn small_order_key_that_lenient_verifiers_accept_is_refused() {
    // The identity point as public key and as R with S = 0: "valid" for every message in the lenient equation.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    struct Null([u8; 32], [u8; 64]);
    impl Signer for Null {
        fn public_key(&self) -> PublicKey {
            PublicKey::ed25519(self.0)
        }
        fn sign(&self, _: &Tbs) -> Result<Signature, SignerError> {
            Signature::new(&self.1)
        }
    }
    let envelope = seal_manifest(&draft(), &[(&Null(identity, signature), Role::Release)]).unwrap();
    let key = Ed25519Key::new(identity);
    let keys = [TrustedKey::new(Role::Release, &key)];
    let frame = Frame::parse(&envelope).unwrap();
    let verdict = Trust::pinned(&keys).authenticate(frame, Role::Release).err();
    assert_eq!(verdict, Some(AuthError::BadSignature));
}

#[test]
fn manifest_for_somebody_else_is_refused() {
    assert_eq!(admit_refusal(|d| d.vendor = VendorId::new([9; 16])), Some(AdmitError::WrongVendor));
    assert_eq!(admit_refusal(|d| d.classes[0] = ClassId::new([9; 16])), Some(AdmitError::WrongClass));
    let other = HardwareRange::new(5, 9).unwrap();
    assert_eq!(admit_refusal(|d| d.hardware = other), Some(AdmitError::WrongHardware));
    assert_eq!(admit_refusal(|d| d.target = Some(DeviceId::new([9; 16]))), Some(AdmitError::WrongDevice));
    assert!(refusal(|d| d.target = Some(DeviceId::new([3; 16])), &state()).is_none());
}

#[test]
fn old_repeated_rejected_and_below_floor_manifests_are_refused() {
    assert_eq!(admit_refusal(|d| d.order.sequence = 4), Some(AdmitError::NotNewer));
    assert_eq!(admit_refusal(|d| d.order.sequence = 3), Some(AdmitError::NotNewer));
    assert_eq!(admit_refusal(|d| d.security_version = SecurityVersion(2)), Some(AdmitError::BelowFloor));
    let id = prove(&sealed(&draft()), &state(), &FIRMWARE).unwrap().manifest_id();
    let rejected = [ManifestId::NONE, id];
    let state = DeviceState { rejected: &rejected, ..state() };
    assert_eq!(refusal(|_| (), &state), Some(Verdict::Admit(AdmitError::RejectedBefore)));
}

#[test]
fn at_boot_an_older_order_is_proven_but_the_floor_still_holds() {
    let boot = DeviceState { running: None, ..state() };
    assert_eq!(refusal(|d| d.order.sequence = 1, &boot), None);
    let below = |d: &mut ManifestDraft| d.security_version = SecurityVersion(2);
    assert_eq!(refusal(below, &boot), Some(Verdict::Admit(AdmitError::BelowFloor)));
}

#[test]
fn what_this_bootloader_could_not_prove_is_refused_before_the_download() {
    let needs = |d: &mut ManifestDraft| d.min_bootloader = 2;
    assert_eq!(admit_refusal(needs), Some(AdmitError::BootloaderTooOld { needed: 2, found: 1 }));
    let bootloader = Bootloader { version: 1, algorithms: AlgSet::NONE };
    let state = DeviceState { bootloader, ..state() };
    assert_eq!(refusal(|_| (), &state), Some(Verdict::Admit(AdmitError::BootloaderAlgorithm)));
}

#[test]
fn contents_a_format_1_device_does_not_know_are_refused_each_with_its_code() {
    assert_eq!(admit_refusal(|d| d.images[0].component = 1), Some(AdmitError::UnknownComponent(1)));
    assert_eq!(admit_refusal(|d| d.images[0].link_address = 1), Some(AdmitError::NoImageForSlot));
    let digest = draft().images[0].digest;
    let compressed = PayloadDraft::Compressed { codec: 0, size: 1, digest, chunk_root: digest };
    assert_eq!(admit_refusal(|d| d.images[0].payload = compressed), Some(AdmitError::UnsupportedPayload));
    let ext = |critical| ExtensionDraft { id: 77, critical, bytes: [1].into_iter().collect() };
    assert_eq!(
        admit_refusal(|d| d.extensions.push(ext(true)).unwrap()),
        Some(AdmitError::UnknownExtension(77))
    );
    assert_eq!(refusal(|d| d.extensions.push(ext(false)).unwrap(), &state()), None);
    let big = |d: &mut ManifestDraft| d.images[0].size = u32::MAX;
    assert_eq!(admit_refusal(big), Some(AdmitError::TooLarge { size: u32::MAX }));
}

#[test]
fn stepping_stone_is_asked_for_when_a_release_is_chosen_and_not_at_boot() {
    let verdict = |epoch, range: (u32, Option<u32>), running| {
        let (min_sequence, max_sequence) = range;
        let dependency = DependencyDraft { component: 0, min_sequence, max_sequence };
        let depends = |d: &mut ManifestDraft| {
            d.order.epoch = epoch;
            d.dependencies.push(dependency).unwrap();
        };
        refusal_on(1, depends, &DeviceState { running, ..state() })
    };
    let runs = |epoch, sequence| Some(Order { epoch, sequence });
    let unmet = Some(Verdict::Admit(AdmitError::UnmetDependency));
    assert_eq!(verdict(0, (4, None), runs(0, 4)), None);
    assert_eq!(verdict(0, (5, None), runs(0, 4)), unmet);
    assert_eq!(verdict(0, (1, Some(4)), runs(0, 4)), None);
    assert_eq!(verdict(0, (1, Some(3)), runs(0, 4)), unmet);
    assert_eq!(verdict(1, (4, None), runs(0, 4)), unmet, "sequences of two epochs do not compare");
    assert_eq!(verdict(0, (5, None), None), None, "what it was installed over is gone at boot");
    let other = DependencyDraft { component: 1, min_sequence: 0, max_sequence: None };
    assert_eq!(admit_refusal(|d| d.dependencies.push(other).unwrap()), Some(AdmitError::UnmetDependency));
}

#[test]
fn image_that_travels_as_it_is_is_found_behind_a_compressed_one_and_a_delta() {
    let raw = draft().images[0].clone();
    let digest = raw.digest;
    let compressed = PayloadDraft::Compressed { codec: 0, size: 9, digest, chunk_root: digest };
    let delta = PayloadDraft::Delta { codec: 0, base: digest, size: 9, digest, chunk_root: digest };
    let three = |d: &mut ManifestDraft| {
        d.images[0].payload = compressed.clone();
        d.images.push(ImageDraft { payload: delta.clone(), ..raw.clone() }).unwrap();
        d.images.push(raw.clone()).unwrap();
    };
    assert_eq!(refusal(three, &state()), None);
    let two = |d: &mut ManifestDraft| {
        three(d);
        d.images.pop();
    };
    assert_eq!(admit_refusal(two), Some(AdmitError::UnsupportedPayload));
}

#[test]
fn image_is_bounded_by_its_own_room_and_by_what_it_shares_with_the_leaf_list() {
    // 10 000 bytes are three pages of 4 KiB, and three leaves a fourth.
    let verdict = |usable, largest_image, erase_page| {
        let target = TargetSlot { link_address: 0x8000, usable, largest_image, erase_page };
        refusal(|_| (), &DeviceState { target, ..state() })
    };
    let too_large = Some(Verdict::Admit(AdmitError::TooLarge { size: 10_000 }));
    assert_eq!(verdict(0x4000, 0x3000, 4096), None);
    assert_eq!(verdict(0x3FFF, 0x3000, 4096), too_large);
    assert_eq!(verdict(0x4000, 0x2FFF, 4096), too_large);
    assert_eq!(verdict(10_096, 10_000, 1), None, "a page of one byte rounds nothing");
    assert_eq!(verdict(10_095, 10_000, 1), too_large);
    for no_page in [0, 3000, u32::MAX] {
        assert_eq!(verdict(u32::MAX, u32::MAX, no_page), too_large, "{no_page} is no power of two");
    }
}

#[test]
fn image_one_byte_short_long_or_different_is_refused() {
    let envelope = sealed(&draft());
    let verdict = |bytes: &[u8]| prove(&envelope, &state(), bytes).err();
    let wrong_length = Some(Verdict::Proof(ProofError::WrongLength { expected: 10_000 }));
    assert_eq!(verdict(&FIRMWARE[1..]), wrong_length);
    assert_eq!(verdict(&[0x55; 10_001]), wrong_length);
    let mut flipped = FIRMWARE;
    flipped[9_999] ^= 0x80;
    assert_eq!(verdict(&flipped), Some(Verdict::Proof(ProofError::WrongDigest)));
}

#[test]
fn envelope_without_signer_or_with_one_key_twice_is_not_made() {
    assert_eq!(seal_manifest(&draft(), &[]), Err(SealError::SignerCount(0)));
    let (a, b) = (ed25519(7), ed25519(7));
    let twice: [(&dyn Signer, Role); 2] = [(&a, Role::Release), (&b, Role::Approval)];
    assert_eq!(seal_manifest(&draft(), &twice), Err(SealError::SameKeyTwice));
}

#[test]
fn minimal_envelope_is_at_most_220_bytes_for_one_image_and_295_for_two() {
    let one = sealed(&draft()).len();
    let mut two = draft();
    let other = describe_image(&[0x66; 10_000], 0x4_8000, ChunkSize::KIB4).unwrap().image;
    two.images.push(other).unwrap();
    let two = sealed(&two).len();
    println!("one image: {one} bytes, two: {two}");
    assert!(one <= 220 && two <= 295, "{one}, {two}");
}

#[test]
fn largest_classical_envelope_is_at_most_1536_bytes() {
    let digest = draft().images[0].digest;
    let mut draft = draft();
    draft.order = Order { epoch: u16::MAX, sequence: u32::MAX };
    draft.security_version = SecurityVersion(u32::MAX);
    draft.classes = (1..5).map(|n| ClassId::new([n; 16])).collect();
    draft.hardware = HardwareRange::new(u16::MAX, u16::MAX).unwrap();
    draft.version = Version { build: u32::MAX, ..Version::new(u16::MAX, u16::MAX, u16::MAX) };
    (draft.issued, draft.not_after) = (u64::MAX, Some(u64::MAX));
    draft.target = Some(DeviceId::new([3; 16]));
    (draft.min_bootloader, draft.confirm_window_s, draft.trial_attempts) = (u16::MAX, u16::MAX, u8::MAX);
    let delta =
        PayloadDraft::Delta { codec: u8::MAX, base: digest, size: u32::MAX, digest, chunk_root: digest };
    draft.images = (0..4)
        .map(|n| ImageDraft {
            component: 0,
            link_address: u32::MAX - n,
            size: u32::MAX,
            digest,
            chunk_log2: 16,
            chunk_root: digest,
            payload: delta.clone(),
        })
        .collect();
    let dependency = DependencyDraft { component: 0, min_sequence: u32::MAX, max_sequence: Some(u32::MAX) };
    draft.dependencies = core::iter::repeat_n(dependency, 4).collect();
    let extension = ExtensionDraft { id: 0, critical: true, bytes: [0xEE; 64].into_iter().collect() };
    draft.extensions = (0..4).map(|n| ExtensionDraft { id: u16::MAX - n, ..extension.clone() }).collect();
    let keys: Vec<_> = (1..=8).map(ed25519).collect();
    let signers: Vec<_> = keys.iter().map(|key| (key as &dyn Signer, Role::Release)).collect();
    let four = seal_manifest(&draft, &signers[..4]).unwrap().len();
    println!("everything at its largest and four signatures: {four} bytes");
    assert!(four <= MAX_ENVELOPE);
    // What would be longer is not made: no device has to find out.
    assert!(matches!(seal_manifest(&draft, &signers), Err(SealError::TooLarge(_))));
}
