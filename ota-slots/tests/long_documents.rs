//! Trust documents of 4 to 8 KiB, signed by roots with long signatures: adopted with the power cut at every operation, and
//! never given up for the pinned keys because somebody lent too little memory.

mod long;

use std::sync::OnceLock;

use long::{LongKey, LongSignatures, sealed};
use ota_manifest::{Alg, Frame, KeyDraft, Kind, ResetCause, Role, SecurityVersion, TrustDraft};
use ota_slots::sim::{Cut, CutMode, Lab, LabFlash, Release};
use ota_slots::{
    Adopt, AdoptError, Boot, BootDescriptor, Geometry, Guard, Layout, Machine, OfferError, OpenError, Opened,
    Partition, Policy, Provision, Region, SlotId, SlotRegion, SlotState, TRUST_MEMORY, TrustMemoryError,
    TrustOffer, WORK_BUFFER, run_blocking,
};
use ota_verify::sign::{Signature, Signer, SignerError, cosign};
use ota_verify::{
    AlgSet, AuthenticTrust, Ed25519, KeyAlgorithm, PublicKey, Tbs, Trust, TrustError, TrustedKey, VerifyKey,
};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519, &LongSignatures];
const LIMIT: usize = 8192;
const PAGE: usize = 1024;
const KEPT: usize = 4 * PAGE;
const INBOX: usize = 20 * PAGE;
/// Lengths of the documents from version 2 on: of each number of pieces there is, the longest included.
const LENGTHS: [usize; 4] = [4100, LIMIT, 6144, 7777];
const ROOTS: [LongKey; 2] = [LongKey(1), LongKey(2)];

/// The release key that the documents put in the place of the laboratory's.
struct NextKey(ed25519_dalek::SigningKey);

impl NextKey {
    fn new() -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[9; 32]))
    }
}

impl Signer for NextKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        use ed25519_dalek::ed25519::signature::Signer as _;
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}

const fn pages(start: u32, len: u32) -> Region {
    Region::new(Geometry { erase_page: 1024, write_size: 4, erased: 0xFF }, start * 1024, len * 1024)
}

fn partition() -> Partition {
    let slot = |start| SlotRegion::new(pages(start, 7), 0x10_0000 * start);
    Partition::direct_xip(pages(0, 2), slot(28), slot(35))
        .with_guard(pages(2, 2))
        .with_trust(pages(4, 16), pages(20, 8))
}

/// A draft whose roots are both long keys, and both must sign. The laboratory's release key is withdrawn by version 2.
fn draft(version: u32) -> TrustDraft {
    let mut draft = TrustDraft::new(version);
    for root in ROOTS {
        draft.keys.push(KeyDraft::new(Role::Root, Alg::Lms, &root.bytes())).unwrap();
    }
    draft.keys.push(NextKey::new().public_key().draft(Role::Release)).unwrap();
    draft.thresholds.root = 2;
    draft
}

fn document_of(version: u32, len: usize) -> Vec<u8> {
    let mut buffer = [0; 1024];
    sealed(Kind::Trust, Role::Root, draft(version).encode(&mut buffer).unwrap(), &ROOTS, len)
}

fn document(version: u32) -> Vec<u8> {
    document_of(version, LENGTHS[(version as usize - 2) % LENGTHS.len()])
}

fn policy(layout: &Layout) -> Policy<'static> {
    let lab: &'static PublicKey = Box::leak(Box::new(Lab::new().public_key()));
    let keys = [
        TrustedKey::new(Role::Root, &ROOTS[0]),
        TrustedKey::new(Role::Root, &ROOTS[1]),
        TrustedKey::new(Role::Release, lab),
    ];
    let trust = Trust::pinned(Box::leak(Box::new(keys)));
    let algorithms = AlgSet::ED25519.with(Alg::Lms);
    let descriptor = BootDescriptor::new(1, algorithms, layout, trust.digest());
    Policy { trust, descriptor: Box::leak(Box::new(descriptor)), ..Lab::new().policy() }
}

/// A release signed by the pinned release key and by the next one.
fn release(lab: &Lab, number: u16) -> Release {
    let release = lab.release(number, 2000);
    let envelope = cosign(&release.envelope, &NextKey::new(), Role::Release).unwrap();
    Release { envelope, ..release }
}

#[derive(Clone)]
struct Device {
    layout: &'static Layout,
    policy: &'static Policy<'static>,
    flash: LabFlash,
}

/// What a boot came to: the trust in force, and how the adoption of the next one ended.
type Ran = (u32, Option<Result<(), AdoptError>>);

impl Device {
    /// Runs release 1 under the pinned keys.
    fn new() -> Self {
        static DEVICE: OnceLock<Device> = OnceLock::new();
        DEVICE.get_or_init(|| Self::with(partition().with_trust_limit(8192))).clone()
    }

    fn with(partition: Partition) -> Self {
        let layout: &Layout = Box::leak(Box::new(Layout::new(partition).unwrap()));
        let policy: &Policy<'_> = Box::leak(Box::new(policy(layout)));
        let mut device = Self { layout, policy, flash: LabFlash::new(42 * PAGE, 0xFF, 1) };
        let first = release(&Lab::with_layout(*layout), 1);
        let built = first.for_slot(SlotId::A);
        let provision =
            Provision::new(layout, policy, SlotId::A, &built.image, &built.leaves, &first.envelope);
        assert!(device.run(provision).is_ok());
        device
    }

    /// Runs under this version, adopted one by one.
    fn with_trust(version: u32) -> Self {
        let mut device = Self::new();
        for next in 2..=version {
            device.offer(&document(next)).unwrap();
            assert_eq!(device.boot(), Some((next - 1, Some(Ok(())))));
        }
        assert_eq!(device.boot(), Some((version, None)));
        device
    }

    fn reseeded(&self, seed: u64) -> Self {
        Self { flash: self.flash.reseeded(seed), ..*self }
    }

    fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        run_blocking(machine, &mut self.flash, self.layout, &mut [0; WORK_BUFFER], || ())
    }

    /// All that a bootloader does, in its order. `None` if it ends in recovery, or power fails.
    fn boot(&mut self) -> Option<Ran> {
        let (layout, pinned) = (self.layout, self.policy);
        let mut guard = self.run(Guard::read(layout));
        let mut memory = [0; LIMIT];
        let len = self.run(guard.read_trust(&mut memory, layout).unwrap());
        let kept = &memory[..len.unwrap_or(0)];
        let adopted = Frame::parse(kept)
            .ok()
            .and_then(|frame| AuthenticTrust::from_guard_unchained(frame, &pinned.trust, ALGORITHMS).ok());
        let trust = adopted.as_ref().map_or(pinned.trust, Trust::documented);
        let policy = Policy { trust, ..*pinned };
        let boot = Boot::new(layout, &policy, ResetCause::PowerOn).with_guard(&guard);
        let handover = self.run(boot).ok()?;
        let _ = self.run(guard.note(layout, &handover));
        let _ = self.run(guard.mend_trust(layout, kept));
        assert_eq!((handover.state(), handover.image().order().sequence), (SlotState::Confirmed, 1));
        let mut inbox = [0; LIMIT];
        let len = self.run(guard.read_inbox(&mut inbox, layout, &trust).unwrap());
        let envelope = &inbox[..len.unwrap_or(0)];
        let successor = Frame::parse(envelope).ok().and_then(|frame| trust.successor(frame, ALGORITHMS).ok());
        let adoption = successor.map(|successor| {
            let next = Policy { trust: Trust::documented(&successor), ..policy };
            let adopt = Adopt::new(layout, &mut guard, &handover, &next, (&successor, envelope));
            adopt.and_then(|adopt| self.run(adopt))
        });
        self.flash.is_powered().then_some((trust.version(), adoption))
    }

    /// The application hands a document to the bootloader.
    fn offer(&mut self, envelope: &[u8]) -> Result<TrustOffer, OfferError> {
        let opened = self.run(Opened::open(self.layout, self.policy, SlotId::A));
        let Ok(Opened::Confirmed(app)) = opened else { panic!("{opened:?}") };
        let offer = app.offer_trust(envelope)?;
        self.run(offer)
    }
}

mod adoption {
    use super::*;

    #[test]
    fn documents_of_4_to_8_kib_are_adopted_one_per_boot_and_then_nothing_is_written() {
        let mut device = Device::with_trust(5);
        let operations = device.flash.operations();
        assert_eq!(device.boot(), Some((5, None)));
        assert_eq!((device.flash.operations(), device.flash.violations()), (operations, 0));
    }

    #[test]
    fn document_longer_than_the_layout_keeps_is_not_even_offered() {
        for (limit, len) in [(8192, LIMIT), (4352, 4352)] {
            let mut device = Device::with(partition().with_trust_limit(limit));
            let operations = device.flash.operations();
            assert_eq!(device.offer(&document_of(2, len + 1)), Err(OfferError::WrongEnvelope), "{limit}");
            assert_eq!(device.flash.operations(), operations);
            assert_eq!(device.offer(&document_of(2, len)), Ok(TrustOffer::Written), "{limit}");
        }
    }

    /// Whoever can write the inbox can put a document there that is longer than what the bootloader reads.
    #[test]
    fn longer_document_that_was_put_into_the_inbox_all_the_same_is_left_alone() {
        let mut device = Device::with(partition().with_trust_limit(4352));
        for len in [4353, 6000, LIMIT] {
            device.flash.corrupt(INBOX, &document_of(2, len));
            assert_eq!(device.boot(), Some((1, None)), "{len}");
        }
        device.flash.corrupt(INBOX, &document_of(2, 4352));
        assert_eq!(device.boot(), Some((1, Some(Ok(())))));
    }

    #[test]
    fn document_that_ends_early_or_has_one_wrong_bit_is_not_adopted() {
        let (before, whole) = (Device::with_trust(2), document(3));
        for end in (0..whole.len()).step_by(61) {
            let mut device = before.reseeded(1);
            device.flash.corrupt(INBOX, &vec![0xFF; LIMIT]);
            device.flash.corrupt(INBOX, &whole[..end]);
            assert_eq!(device.boot(), Some((2, None)), "{end} bytes");
            device.flash.corrupt(INBOX, &whole);
            device.flash.flip(8 * (INBOX + end) + end % 8);
            assert_eq!(device.boot(), Some((2, None)), "bit of byte {end}");
        }
    }

    #[test]
    fn classical_document_has_2_kib_and_one_with_long_signatures_8_whatever_the_layout_keeps() {
        let mut document = document_of(2, 4100);
        let policy = policy(Device::new().layout);
        let successor = |bytes: &[u8]| {
            policy
                .trust
                .successor(Frame::parse(bytes).unwrap(), ALGORITHMS)
                .map(|adopted| adopted.encoded_len())
        };
        assert_eq!(successor(&document), Ok(4100));
        assert_eq!(successor(&document_of(2, LIMIT)), Ok(LIMIT));
        assert_eq!(successor(&document_of(2, LIMIT + 1)), Err(TrustError::TooLarge { len: LIMIT + 1 }));
        let algorithm = document.windows(9).position(|entry| entry[1..] == ROOTS[0].key_id().as_bytes()[..]);
        let other = document.windows(9).position(|entry| entry[1..] == ROOTS[1].key_id().as_bytes()[..]);
        for at in [algorithm.unwrap(), other.unwrap()] {
            assert_eq!(document[at], Alg::Lms as u8);
            document[at] = Alg::Ed25519 as u8;
        }
        assert_eq!(successor(&document), Err(TrustError::TooLarge { len: 4100 }));
    }
}

mod power_cuts {
    use super::*;

    fn sweep(old: u32) {
        let before = Device::with_trust(old);
        let next = document(old + 1);
        let mut undisturbed = before.reseeded(1);
        undisturbed.offer(&next).unwrap();
        assert_eq!(undisturbed.boot(), Some((old, Some(Ok(())))));
        let operations = undisturbed.flash.operations();
        assert!(operations > 3 * next.len() / PAGE, "three copies are written: {operations}");
        for operation in 0..operations {
            for mode in CutMode::ALL {
                let cut = Cut { operation, mode };
                let mut device = before.reseeded(operation as u64);
                device.flash.cut(cut);
                if device.offer(&next).is_ok() {
                    let _ = device.boot();
                }
                assert!(device.flash.cut_fired(), "{cut:?}");
                device.flash.power_on();
                for _ in 0..2 {
                    let ran = device.boot();
                    assert!(
                        matches!(ran, Some((trust, _)) if [old, old + 1].contains(&trust)),
                        "{cut:?}: {ran:?}"
                    );
                }
                // And the chain goes on.
                device.offer(&next).unwrap();
                let _ = device.boot();
                assert_eq!(device.boot(), Some((old + 1, None)), "{cut:?}");
                assert_eq!(device.flash.violations(), 0, "{cut:?}");
            }
        }
    }

    #[test]
    fn at_any_operation_of_the_first_adoption_leave_the_pinned_or_the_new_document_in_force() {
        sweep(1);
    }

    #[test]
    fn at_any_operation_of_the_longest_documents_adoption_leave_the_old_or_the_new_one_in_force() {
        sweep(2);
    }
}

mod decay {
    use super::*;

    #[test]
    fn one_copy_serves_when_a_bit_of_the_other_has_rotted_wherever_it_lies() {
        for version in [2, 3] {
            let before = Device::with_trust(version);
            for copy in [KEPT, KEPT + LIMIT] {
                for byte in (0..document(version).len()).step_by(127) {
                    let mut device = before.reseeded(1);
                    device.flash.flip(8 * (copy + byte) + byte % 8);
                    assert_eq!(device.boot(), Some((version, None)), "byte {byte} of the copy at {copy}");
                }
            }
        }
    }
}

mod mending {
    use super::*;

    /// Both copies are whole and the guard knows of one: power failed before the last cell. Then the one it knows rots.
    fn rotten() -> Device {
        let next = document(2);
        let before = Device::new();
        let mut undisturbed = before.reseeded(1);
        undisturbed.offer(&next).unwrap();
        let _ = undisturbed.boot();
        let last_cell = undisturbed.flash.operations() - 1;
        let mut device = before.reseeded(1);
        device.flash.cut(Cut { operation: last_cell, mode: CutMode::Before });
        device.offer(&next).unwrap();
        let _ = device.boot();
        assert!(device.flash.cut_fired());
        device.flash.power_on();
        // The document is in force, and one that follows nothing waits no more.
        device.flash.corrupt(INBOX, &vec![0xFF; LIMIT]);
        device.flash.flip(8 * (KEPT + 1000));
        device
    }

    #[test]
    fn copy_that_was_read_is_not_erased_before_the_other_is_whole() {
        let before = rotten();
        let mut undisturbed = before.reseeded(1);
        assert_eq!(undisturbed.boot(), Some((2, None)));
        let operations = undisturbed.flash.operations();
        assert!(operations > 10, "{operations}: both copies are written");
        for operation in 0..operations {
            for mode in CutMode::ALL {
                let cut = Cut { operation, mode };
                let mut device = before.reseeded(operation as u64);
                device.flash.cut(cut);
                let _ = device.boot();
                assert!(device.flash.cut_fired(), "{cut:?}");
                device.flash.power_on();
                for _ in 0..2 {
                    assert_eq!(device.boot(), Some((2, None)), "{cut:?}");
                }
            }
        }
        // And then each serves alone.
        for copy in [KEPT, KEPT + LIMIT] {
            let mut device = undisturbed.reseeded(1);
            device.flash.flip(8 * (copy + 1000));
            assert_eq!(device.boot(), Some((2, None)));
        }
    }
}

/// Version 2 has withdrawn the laboratory's release key. Who lends too little memory gets to know, and no old keys.
mod memory {
    use super::*;

    #[test]
    fn less_than_the_layouts_documents_may_have_is_an_error_even_if_there_is_none_yet() {
        for version in [1, 2] {
            let mut device = Device::with_trust(version);
            let (layout, policy) = (device.layout, device.policy);
            let guard = device.run(Guard::read(layout));
            for lent in [0, 1, TRUST_MEMORY, 4100, LIMIT - 1] {
                let mut memory = vec![0; lent];
                let short = Err(TrustMemoryError { needed: LIMIT, lent });
                assert_eq!(guard.read_trust(&mut memory, layout).map(|_| ()), short, "{version}");
                assert_eq!(guard.read_inbox(&mut memory, layout, &policy.trust).map(|_| ()), short);
            }
            for lent in [LIMIT, LIMIT + 1] {
                let mut memory = vec![0; lent];
                let len = device.run(guard.read_trust(&mut memory, layout).unwrap());
                assert_eq!(len, (version == 2).then_some(4100), "{version}");
            }
        }
    }

    /// A bootloader that was replaced by one with a lower limit still finds the longer document that the first adopted.
    #[test]
    fn document_longer_than_the_limit_of_a_later_bootloader_is_asked_for_in_full() {
        let mut device = Device::with_trust(3);
        let lower = Layout::new(partition()).unwrap();
        assert_eq!(lower.trust_limit(), TRUST_MEMORY);
        let guard = device.run(Guard::read(&lower));
        let short = guard.read_trust(&mut [0; TRUST_MEMORY], &lower).map(|_| ());
        assert_eq!(short, Err(TrustMemoryError { needed: LIMIT, lent: TRUST_MEMORY }));
        let mut memory = [0; LIMIT];
        let len = device.run(guard.read_trust(&mut memory, &lower).unwrap());
        assert_eq!(&memory[..len.unwrap()], document(3));
    }

    #[test]
    fn layout_without_a_place_for_documents_needs_none() {
        let slot = |start| SlotRegion::new(pages(start, 7), 0x10_0000 * start);
        let layout = Layout::new(Partition::direct_xip(pages(0, 2), slot(28), slot(35))).unwrap();
        let mut device = Device::new();
        let guard = device.run(Guard::read(&layout));
        assert_eq!((layout.trust_limit(), guard.floor()), (0, SecurityVersion(0)));
        let mut memory = [];
        let len = run_blocking(
            guard.read_trust(&mut memory, &layout).unwrap(),
            &mut device.flash,
            &layout,
            &mut [0; WORK_BUFFER],
            || (),
        );
        assert_eq!(len, None);
    }
}

#[test]
fn application_with_another_trust_limit_than_its_bootloader_is_refused_with_the_bootloaders() {
    let mut device = Device::new();
    let other = Layout::new(partition().with_trust_limit(4096)).unwrap();
    for (bootloader, application) in [(*device.layout, other), (other, *device.layout)] {
        let policy = policy(&bootloader);
        let opened = device.run(Opened::open(&application, &policy, SlotId::A));
        let limits = OpenError::LimitsDiffer { envelope: 1536, trust: bootloader.trust_limit() };
        assert_eq!(opened.err(), Some(limits));
    }
}
