//! Trust documents on a device: offered by the application, adopted by the bootloader, kept in the guard region. Each boot
//! here does all that a real bootloader does, in its order.

use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use ota_manifest::{
    ChunkSize, Frame, ManifestDraft, Order, ResetCause, Role, SecurityVersion, TrustDraft, Version,
};
use ota_slots::sim::{Cut, CutMode, Lab, LabFlash};
use ota_slots::{
    Adopt, AdoptError, App, Boot, BootDescriptor, Confirmed, Geometry, Guard, Handover, Layout, Machine,
    OfferError, Opened, Partition, Policy, Provision, Region, SlotId, SlotRegion, SlotState, Strategy,
    TRUST_MEMORY, TrustOffer, WORK_BUFFER, run_blocking,
};
use ota_verify::sign::{Signature, Signer, SignerError, describe_image, seal_manifest, seal_trust};
use ota_verify::{AlgSet, AuthenticTrust, Ed25519, KeyAlgorithm, PublicKey, Tbs, Trust, TrustedKey};
use proptest::prelude::*;

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];
const PAGE: usize = 1024;
const JOURNAL: usize = 2 * PAGE;
const GUARD: usize = 4 * PAGE;
const KEPT: usize = 6 * PAGE;
const INBOX: usize = 10 * PAGE;
/// Bytes of one kept copy.
const COPY: usize = 2 * PAGE;
/// The newest document of the chain.
const LAST: u32 = 6;

struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}

/// The root of documents 1 to 3, and the one from 3 on.
fn root(version: u32) -> Key {
    Key::new(if version < 3 { 1 } else { 2 })
}

/// Release keys: the pinned one, its successor, and one that nobody has used yet.
fn release_key(number: u8) -> Key {
    Key::new(10 + number)
}

/// A document with these release keys, signed by the roots of the version before it and its own.
fn document(version: u32, releases: &[u8]) -> Vec<u8> {
    opening(version, 0, Order::default(), releases)
}

/// As [`document`], with epochs open to `epoch` and orders below `min_order` withdrawn.
fn opening(version: u32, epoch: u16, min_order: Order, releases: &[u8]) -> Vec<u8> {
    let (old, new) = (root(version - 1), root(version));
    let mut draft = TrustDraft::new(version);
    (draft.epoch, draft.min_order) = (epoch, min_order);
    draft.keys.push(new.public_key().draft(Role::Root)).unwrap();
    for number in releases {
        draft.keys.push(release_key(*number).public_key().draft(Role::Release)).unwrap();
    }
    let same = old.public_key() == new.public_key();
    let signers: &[&dyn Signer] = if same { &[&new] } else { &[&old, &new] };
    seal_trust(&draft, signers).unwrap()
}

/// The chain: release key 1 goes out of use with version 4.
fn chain(version: u32) -> Vec<u8> {
    static CHAIN: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let keys = |version| if version < 4 { &[1, 2][..] } else { &[2] };
    let chain = CHAIN.get_or_init(|| (2..=LAST).map(|version| document(version, keys(version))).collect());
    chain[version as usize - 2].clone()
}

struct Image {
    bytes: Vec<u8>,
    leaves: Vec<u8>,
    envelope: Vec<u8>,
}

/// An image for both slots of a strategy that moves, or for the given slot.
fn image(
    layout: &Layout,
    policy: &Policy<'_>,
    number: u16,
    slot: SlotId,
    keys: &[u8],
    security: u32,
) -> Image {
    image_of(layout, policy, Order { epoch: 0, sequence: u32::from(number) }, slot, keys, security)
}

fn image_of(
    layout: &Layout,
    policy: &Policy<'_>,
    order: Order,
    slot: SlotId,
    keys: &[u8],
    security: u32,
) -> Image {
    let [.., number] = order.sequence.to_be_bytes();
    let bytes: Vec<u8> = (0..2000u16).map(|byte| byte.wrapping_mul(31).to_be_bytes()[1] ^ number).collect();
    let mut draft =
        ManifestDraft::new(policy.identity.vendor, policy.identity.class, Version::new(number.into(), 0, 0));
    draft.order = order;
    draft.security_version = SecurityVersion(security);
    let chunk = ChunkSize::from_log2(10).unwrap();
    let described = describe_image(&bytes, layout.slot(slot).link_address, chunk).unwrap();
    draft.images.push(described.image).unwrap();
    let keys: Vec<Key> = keys.iter().map(|number| release_key(*number)).collect();
    let signers: Vec<(&dyn Signer, Role)> =
        keys.iter().map(|key| (key as &dyn Signer, Role::Release)).collect();
    let envelope = seal_manifest(&draft, &signers).unwrap();
    Image { bytes, leaves: described.leaves, envelope }
}

/// A device with a place for trust documents, and what its bootloader was built with.
#[derive(Clone)]
struct Device {
    layout: &'static Layout,
    policy: &'static Policy<'static>,
    flash: LabFlash,
}

/// What a boot came to.
#[derive(Debug)]
struct Ran {
    trust: u32,
    slot: SlotId,
    state: SlotState,
    release: u32,
    floor: SecurityVersion,
    /// How the adoption ended, if there was something that follows the trust in force.
    adoption: Option<Result<(), AdoptError>>,
    locked: Vec<Region>,
}

/// The document in force, if it is not the pinned keys.
fn adopted<'m>(
    len: Option<usize>,
    memory: &'m [u8; TRUST_MEMORY],
    pinned: &Policy<'_>,
) -> Option<AuthenticTrust<'m>> {
    let frame = Frame::parse(&memory[..len?]).ok()?;
    AuthenticTrust::from_guard_unchained(frame, &pinned.trust, ALGORITHMS).ok()
}

const fn pages(start: u32, len: u32) -> Region {
    Region::new(Geometry { erase_page: 1024, write_size: 4, erased: 0xFF }, start * 1024, len * 1024)
}

fn layout(strategy: Strategy) -> Layout {
    let a = SlotRegion::new(pages(12, 8), 0x10_0000);
    let partition = match strategy {
        Strategy::DirectXip => {
            Partition::direct_xip(pages(0, 2), a, SlotRegion::new(pages(20, 8), 0x20_0000))
        }
        _ => Partition::swap_offset(pages(0, 2), a, pages(20, 10), pages(2, 2)),
    };
    Layout::new(partition.with_guard(pages(4, 2)).with_trust(pages(6, 4), pages(10, 2))).unwrap()
}

fn policy(layout: &Layout) -> Policy<'static> {
    let leak = |key: Key| -> &'static PublicKey { Box::leak(Box::new(key.public_key())) };
    let keys =
        [TrustedKey::new(Role::Root, leak(root(1))), TrustedKey::new(Role::Release, leak(release_key(1)))];
    let trust = Trust::pinned(Box::leak(Box::new(keys)));
    let descriptor = BootDescriptor::new(1, AlgSet::ED25519, layout, trust.digest());
    Policy { trust, identity: Lab::new().policy().identity, descriptor }
}

impl Device {
    /// Runs release 1, signed by the release keys 1 and 2.
    fn new(strategy: Strategy) -> Self {
        static DEVICES: [OnceLock<Device>; 2] = [const { OnceLock::new() }; 2];
        DEVICES[usize::from(strategy.moves())].get_or_init(|| Self::provisioned(strategy)).clone()
    }

    fn provisioned(strategy: Strategy) -> Self {
        let layout: &Layout = Box::leak(Box::new(layout(strategy)));
        let policy: &Policy<'_> = Box::leak(Box::new(policy(layout)));
        let mut device = Self { layout, policy, flash: LabFlash::new(30 * PAGE, 0xFF, 1) };
        let Image { bytes, leaves, envelope } = image(layout, policy, 1, SlotId::A, &[1, 2], 1);
        let provision = Provision::new(layout, policy, SlotId::A, &bytes, &leaves, &envelope);
        assert!(device.run(provision).is_ok());
        device
    }

    /// Runs under this version of the chain, adopted one by one.
    fn with_trust(strategy: Strategy, version: u32) -> Self {
        let mut device = Self::new(strategy);
        for next in 2..=version {
            device.offer(&chain(next)).unwrap();
            assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
        }
        assert_eq!(device.boot().unwrap().trust, version);
        device
    }

    fn reseeded(&self, seed: u64) -> Self {
        Self { flash: self.flash.reseeded(seed), ..*self }
    }

    fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        run_blocking(machine, &mut self.flash, self.layout, &mut [0; WORK_BUFFER], || ())
    }

    /// A boot by the power switch. `None` if it ends in recovery, or power fails.
    fn boot(&mut self) -> Option<Ran> {
        self.boot_after(ResetCause::PowerOn)
    }

    fn boot_after(&mut self, cause: ResetCause) -> Option<Ran> {
        let (layout, pinned) = (self.layout, self.policy);
        let mut guard = self.run(Guard::read(layout));
        let mut memory = [0; TRUST_MEMORY];
        let len = self.run(guard.read_trust(&mut memory, layout).unwrap());
        let adopted = adopted(len, &memory, pinned);
        let trust = adopted.as_ref().map_or(pinned.trust, Trust::documented);
        let policy = Policy { trust, ..*pinned };
        let handover = self.decide(&policy, &guard, cause)?;
        // A region that takes no cell keeps nothing from running.
        let _ = self.run(guard.note(layout, &handover));
        let adoption = self.adopt(&mut guard, &handover, &policy);
        let (slot, state, floor) = (handover.slot(), handover.state(), handover.floor());
        let release = handover.image().order().sequence;
        let mut locked = Vec::new();
        let address = handover.lock(layout, |region| locked.push(region));
        assert_eq!(address, layout.slot(slot).link_address);
        let ran = Ran { trust: trust.version(), slot, state, release, floor, adoption, locked };
        self.flash.is_powered().then_some(ran)
    }

    fn decide(&mut self, policy: &Policy<'_>, guard: &Guard, cause: ResetCause) -> Option<Handover> {
        let layout = self.layout;
        let decided = if layout.strategy().moves() {
            self.run(Boot::moving(layout, policy, cause).with_guard(guard))
        } else {
            self.run(Boot::new(layout, policy, cause).with_guard(guard))
        };
        decided.ok()
    }

    /// Looks into the inbox, and adopts what follows the trust in force.
    fn adopt(
        &mut self,
        guard: &mut Guard,
        handover: &Handover,
        policy: &Policy<'_>,
    ) -> Option<Result<(), AdoptError>> {
        let mut inbox = [0; TRUST_MEMORY];
        let len = self.run(guard.read_inbox(&mut inbox, self.layout, &policy.trust).unwrap())?;
        let successor = policy.trust.successor(Frame::parse(&inbox[..len]).ok()?, ALGORITHMS).ok()?;
        let next = Policy { trust: Trust::documented(&successor), ..*policy };
        let adopt = Adopt::new(self.layout, guard, handover, &next, (&successor, &inbox[..len]));
        Some(adopt.and_then(|adopt| self.run(adopt)))
    }

    fn app(&mut self) -> App<'static, Confirmed> {
        let slot = self.running();
        let opened = self.run(Opened::open(self.layout, self.policy, slot));
        match opened {
            Ok(Opened::Confirmed(app)) => app,
            other => panic!("{other:?}"),
        }
    }

    /// The slot whose firmware can open the journal.
    fn running(&mut self) -> SlotId {
        let opens = |slot: &SlotId| self.run(Opened::open(self.layout, self.policy, *slot)).is_ok();
        SlotId::BOTH.into_iter().find(opens).expect("one of them runs")
    }

    /// The application hands a document to the bootloader.
    fn offer(&mut self, envelope: &[u8]) -> Result<TrustOffer, OfferError> {
        let offer = self.app().offer_trust(envelope)?;
        self.run(offer)
    }

    /// Stages release 2 and, if `request`ed, asks for its boot. The application reads the trust in force for itself.
    fn update(&mut self, keys: &[u8], security: u32, request: bool) {
        self.update_to(Order { epoch: 0, sequence: 2 }, keys, security, request);
    }

    fn update_to(&mut self, order: Order, keys: &[u8], security: u32, request: bool) {
        let (layout, pinned, slot) = (self.layout, self.policy, self.running());
        let linked = if layout.strategy().moves() { SlotId::A } else { slot.other() };
        let Image { bytes, leaves, envelope } = image_of(layout, pinned, order, linked, keys, security);
        let guard = self.run(Guard::read(layout));
        let mut memory = [0; TRUST_MEMORY];
        let len = self.run(guard.read_trust(&mut memory, layout).unwrap());
        let adopted = adopted(len, &memory, pinned);
        let trust = adopted.as_ref().map_or(pinned.trust, Trust::documented);
        let policy = Policy { trust, ..*pinned };
        let Ok(Opened::Confirmed(mut app)) = self.run(Opened::open(layout, &policy, slot)) else { panic!() };
        let authentic = trust.authenticate(Frame::parse(&envelope).unwrap(), Role::Release).unwrap();
        let update = authentic.admit(&app.device_state()).unwrap();
        let begin = app.begin(&update, &envelope).unwrap();
        let mut staging = self.run(begin).unwrap();
        self.run(staging.erase_leaves()).unwrap();
        self.run(staging.store_leaves(0, &leaves).unwrap()).unwrap();
        for (block, chunk) in (0..).zip(bytes.chunks(PAGE)) {
            self.run(staging.erase_block(block)).unwrap();
            self.run(staging.store_chunk(block, chunk)).unwrap();
        }
        if request {
            let staged = self.run(app.finish(&staging)).unwrap();
            let asked = app.request_boot(&staged, 3.try_into().unwrap()).unwrap();
            let _ = self.run(asked).unwrap();
        }
    }

    fn confirm(&mut self) {
        let slot = self.running();
        let opened = self.run(Opened::open(self.layout, self.policy, slot));
        let Ok(Opened::Trial(app)) = opened else { panic!("{opened:?}") };
        assert!(self.run(app.confirm()).is_ok());
    }
}

const STRATEGIES: [Strategy; 2] = [Strategy::DirectXip, Strategy::SwapOffset];

mod adoption {
    use super::*;

    #[test]
    fn chain_goes_from_1_to_5_one_document_per_boot_and_writes_nothing_in_between() {
        for strategy in STRATEGIES {
            let mut device = Device::new(strategy);
            assert_eq!(device.boot().unwrap().trust, 1);
            for next in 2..=5 {
                device.offer(&chain(next)).unwrap();
                let ran = device.boot().unwrap();
                assert_eq!(
                    (ran.trust, ran.adoption),
                    (next - 1, Some(Ok(()))),
                    "in force from the next boot on"
                );
                let mut operations = 0;
                for _ in 0..4 {
                    let ran = device.boot().unwrap();
                    assert_eq!((ran.trust, ran.adoption, ran.release), (next, None, 1));
                    operations = if operations == 0 { device.flash.operations() } else { operations };
                }
                assert_eq!(device.flash.operations(), operations, "what is adopted is left alone");
            }
            assert_eq!(device.flash.violations(), 0);
        }
    }

    #[test]
    fn document_over_a_gap_an_older_one_and_a_forged_one_are_not_adopted() {
        let mut device = Device::with_trust(Strategy::DirectXip, 3);
        let by_a_stranger = {
            let mut draft = TrustDraft::new(4);
            draft.keys.push(Key::new(77).public_key().draft(Role::Root)).unwrap();
            draft.keys.push(release_key(1).public_key().draft(Role::Release)).unwrap();
            seal_trust(&draft, &[&Key::new(77)]).unwrap()
        };
        for envelope in [chain(5), chain(3), chain(2), by_a_stranger] {
            device.offer(&envelope).unwrap();
            let operations = device.flash.operations();
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.adoption), (3, None));
            assert_eq!(device.flash.operations(), operations);
        }
        device.offer(&chain(4)).unwrap();
        assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
        assert_eq!(device.boot().unwrap().trust, 4);
    }

    #[test]
    fn device_on_version_5_does_not_adopt_version_7() {
        let mut device = Device::with_trust(Strategy::DirectXip, 5);
        device.offer(&document(7, &[2])).unwrap();
        for _ in 0..3 {
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.adoption), (5, None));
        }
    }

    /// The thief of release key 1 has made devices run the last order of epoch 0, so that no release is newer.
    #[test]
    fn fast_forward_by_a_stolen_key_is_recovered_from_by_a_new_epoch() {
        let order = |epoch, sequence| Order { epoch, sequence };
        for strategy in STRATEGIES {
            let mut device = Device::new(strategy);
            device.update_to(order(0, u32::MAX), &[1], 1, true);
            assert!(device.boot().is_some());
            device.confirm();
            assert_eq!(device.boot().unwrap().release, u32::MAX);
            // To withdraw at once what runs would leave nothing to boot: the bootloader sees to that.
            let adopt = |device: &mut Device, envelope: &[u8]| {
                device.offer(envelope).unwrap();
                device.boot().unwrap().adoption
            };
            let at_once = adopt(&mut device, &opening(2, 1, order(1, 0), &[2]));
            assert!(matches!(at_once, Some(Err(AdoptError::WouldNotBoot(_)))), "{at_once:?}");
            // First the epoch, then a release in it by another key, then the stolen key and its orders go.
            assert_eq!(adopt(&mut device, &opening(2, 1, order(0, 0), &[1, 2])), Some(Ok(())));
            assert_eq!(device.boot().unwrap().trust, 2);
            device.update_to(order(1, 7), &[2], 1, true);
            assert!(device.boot().is_some());
            device.confirm();
            assert_eq!(adopt(&mut device, &opening(3, 1, order(1, 0), &[2])), Some(Ok(())));
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.state, ran.release), (3, SlotState::Confirmed, 7));
            // And no document opens the way back.
            assert_eq!(adopt(&mut device, &opening(4, 0, order(0, 0), &[1, 2])), None);
            assert_eq!(adopt(&mut device, &opening(4, 1, order(0, 9), &[1, 2])), None);
            assert_eq!(device.boot().unwrap().trust, 3);
        }
    }

    #[test]
    fn update_that_was_given_up_does_not_keep_a_document_from_being_adopted() {
        for strategy in STRATEGIES {
            let mut device = Device::new(strategy);
            device.update(&[1, 2], 1, false);
            device.offer(&chain(2)).unwrap();
            assert_eq!(device.boot().unwrap().adoption, Some(Ok(())), "what is staged is no hindrance");
            device.update(&[1, 2], 1, true);
            let ran = device.boot().unwrap();
            assert_eq!((ran.state, ran.release, ran.trust), (SlotState::Trial, 2, 2));
        }
    }

    #[test]
    fn document_that_is_offered_again_is_not_written_again() {
        let mut device = Device::new(Strategy::DirectXip);
        assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::Written));
        let operations = device.flash.operations();
        assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::HeldBefore));
        assert_eq!(device.flash.operations(), operations);
        // The same beginning is not the same document.
        assert_eq!(device.offer(&chain(3)), Ok(TrustOffer::Written));
        assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::Written));
        assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
    }

    #[test]
    fn nothing_is_adopted_while_an_image_is_on_trial() {
        for strategy in STRATEGIES {
            let mut device = Device::new(strategy);
            device.update(&[1, 2], 1, true);
            device.offer(&chain(2)).unwrap();
            let ran = device.boot().unwrap();
            assert_eq!((ran.state, ran.release), (SlotState::Trial, 2));
            assert_eq!((ran.trust, ran.adoption), (1, Some(Err(AdoptError::NotNow))), "on trial");
            device.confirm();
            let ran = device.boot().unwrap();
            assert_eq!((ran.state, ran.adoption), (SlotState::Confirmed, Some(Ok(()))), "and then it is");
            assert_eq!(device.boot().unwrap().trust, 2);
        }
    }

    #[test]
    fn document_under_which_the_running_image_would_not_boot_is_not_adopted() {
        let mut device = Device::new(Strategy::DirectXip);
        device.offer(&document(2, &[3])).unwrap();
        (0..2).for_each(|_| assert!(device.boot().is_some()));
        for _ in 0..3 {
            let operations = device.flash.operations();
            let ran = device.boot().unwrap();
            assert!(matches!(ran.adoption, Some(Err(AdoptError::WouldNotBoot(_)))), "{ran:?}");
            assert_eq!(
                (ran.trust, ran.release, device.flash.operations()),
                (1, 1, operations),
                "and nothing is written"
            );
        }
        device.offer(&chain(2)).unwrap();
        assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
    }

    #[test]
    fn image_that_needs_the_new_keys_runs_after_the_adoption() {
        for strategy in STRATEGIES {
            let mut device = Device::with_trust(strategy, 4);
            device.update(&[2], 1, true);
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.state, ran.release), (4, SlotState::Trial, 2));
            device.confirm();
            let ran = device.boot().unwrap();
            assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 2));
        }
    }

    #[test]
    fn guard_and_kept_trust_are_locked_and_the_inbox_is_not() {
        let mut device = Device::new(Strategy::DirectXip);
        let locked = device.boot().unwrap().locked;
        assert_eq!(locked, [pages(4, 2), pages(6, 4)]);
        assert_eq!(device.layout.kept_trust(), Some(pages(6, 4)));
    }

    #[test]
    fn what_is_no_trust_document_is_not_even_offered() {
        let mut device = Device::new(Strategy::DirectXip);
        let manifest = image(device.layout, device.policy, 2, SlotId::B, &[1], 1).envelope;
        let operations = device.flash.operations();
        assert_eq!(device.offer(&manifest), Err(OfferError::WrongEnvelope));
        assert_eq!(device.offer(&chain(2)[1..]), Err(OfferError::WrongEnvelope));
        assert_eq!(device.offer(&[&chain(2)[..], &[0]].concat()), Err(OfferError::WrongEnvelope));
        assert_eq!(device.flash.operations(), operations);
    }

    #[test]
    fn envelope_must_be_the_one_the_trust_was_read_from() {
        let mut device = Device::new(Strategy::DirectXip);
        let (layout, pinned) = (device.layout, device.policy);
        let (second, other) = (chain(2), document(2, &[1]));
        let successor = pinned.trust.successor(Frame::parse(&second).unwrap(), ALGORITHMS).unwrap();
        let mut guard = device.run(Guard::read(layout));
        let handover = device.decide(pinned, &guard, ResetCause::PowerOn).unwrap();
        let next = Policy { trust: Trust::documented(&successor), ..*pinned };
        let wrong = Adopt::new(layout, &mut guard, &handover, &next, (&successor, &other)).err();
        assert_eq!(wrong, Some(AdoptError::WrongEnvelope));
        let under_the_old = Adopt::new(layout, &mut guard, &handover, pinned, (&successor, &second)).err();
        assert_eq!(under_the_old, Some(AdoptError::WrongEnvelope));
    }
}

mod power_cuts {
    use super::*;

    const SEEDS: u64 = 3;

    fn offer_and_boot(device: &mut Device, version: u32) {
        if device.offer(&chain(version)).is_ok() {
            let _ = device.boot();
        }
    }

    /// Boots of a device that was under `old` and is to be under `new`: one of them is in force, and the image runs.
    fn judge(device: &mut Device, allowed: &[u32], what: &dyn std::fmt::Debug) {
        for _ in 0..3 {
            let ran = device.boot().unwrap_or_else(|| panic!("does not boot after {what:?}"));
            assert!(allowed.contains(&ran.trust), "trust {} in force after {what:?}", ran.trust);
            assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 1), "{what:?}");
        }
    }

    fn sweep(strategy: Strategy, old: u32) {
        let before = Device::with_trust(strategy, old).reseeded(1);
        let mut undisturbed = before.clone();
        offer_and_boot(&mut undisturbed, old + 1);
        let operations = undisturbed.flash.operations();
        assert!(operations > 10, "{operations}");
        for operation in 0..operations {
            for mode in CutMode::ALL {
                for seed in 0..SEEDS {
                    let cut = Cut { operation, mode };
                    let mut device = before.reseeded(seed);
                    device.flash.cut(cut);
                    offer_and_boot(&mut device, old + 1);
                    assert!(device.flash.cut_fired(), "{cut:?}");
                    device.flash.power_on();
                    judge(&mut device, &[old, old + 1], &cut);
                    // And the chain goes on.
                    device.offer(&chain(old + 1)).unwrap();
                    judge(&mut device, &[old, old + 1], &cut);
                    assert_eq!(device.flash.violations(), 0, "{cut:?}");
                }
            }
        }
    }

    #[test]
    fn at_any_operation_of_the_first_adoption_leave_the_pinned_or_the_new_document_in_force() {
        sweep(Strategy::DirectXip, 1);
    }

    #[test]
    fn at_any_operation_of_a_later_adoption_leave_the_old_or_the_new_document_in_force() {
        sweep(Strategy::DirectXip, 2);
        sweep(Strategy::SwapOffset, 3);
    }

    /// Offers what follows the trust in force, until version 5 is. Ends early if power fails.
    fn follow(device: &mut Device) -> Option<u32> {
        let mut trust = device.boot()?.trust;
        for _ in 0..12 {
            if trust == 5 {
                return Some(5);
            }
            if device.offer(&chain(trust + 1)).is_err() && !device.flash.is_powered() {
                return None;
            }
            let ran = device.boot()?;
            assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 1));
            assert!(ran.trust >= trust, "{} after {trust}", ran.trust);
            trust = ran.trust;
        }
        Some(trust)
    }

    fn journey(strategy: Strategy) {
        let before = Device::new(strategy).reseeded(1);
        let mut undisturbed = before.clone();
        assert_eq!(follow(&mut undisturbed), Some(5));
        let operations = undisturbed.flash.operations();
        for operation in 0..operations {
            for mode in CutMode::ALL {
                let cut = Cut { operation, mode };
                let mut device = before.reseeded(operation as u64);
                device.flash.cut(cut);
                let _ = follow(&mut device);
                assert!(device.flash.cut_fired(), "{cut:?}");
                device.flash.power_on();
                assert_eq!(follow(&mut device), Some(5), "{cut:?}");
                assert_eq!(device.flash.violations(), 0, "{cut:?}");
            }
        }
        println!("{operations} operations, {} cuts", operations * CutMode::ALL.len());
    }

    #[test]
    fn at_any_operation_of_a_chain_from_1_to_5_do_not_keep_the_device_from_5() {
        journey(Strategy::DirectXip);
    }

    #[test]
    fn at_any_operation_of_a_chain_do_not_keep_a_device_that_swaps_from_its_end() {
        journey(Strategy::SwapOffset);
    }

    /// A cell of the guard region that was almost written reads either way. Nothing irreversible may be done on its word:
    /// the copy of the document that it names tomorrow must still be there tomorrow.
    #[test]
    fn in_two_adoptions_on_end_leave_one_of_three_documents_in_force() {
        let before = Device::with_trust(Strategy::DirectXip, 3).reseeded(1);
        let mut undisturbed = before.clone();
        offer_and_boot(&mut undisturbed, 4);
        let first_operations = undisturbed.flash.operations();
        for operation in 0..first_operations {
            for mode in [CutMode::AlmostDone(1), CutMode::WeaklyDone(1), CutMode::BarelyBegun(1)] {
                for second in 0..first_operations {
                    let cuts = [(operation, mode), (second, CutMode::Before)];
                    let mut device = before.reseeded((operation + second) as u64);
                    device.flash.cut(Cut { operation, mode });
                    offer_and_boot(&mut device, 4);
                    device.flash.power_on();
                    let Some(ran) = device.boot() else { panic!("does not boot after {cuts:?}") };
                    device.flash = device.flash.reseeded(second as u64);
                    device.flash.cut(Cut { operation: second, mode: CutMode::Before });
                    offer_and_boot(&mut device, ran.trust.max(4) + u32::from(ran.trust == 4));
                    if !device.flash.cut_fired() {
                        // What was there already took fewer operations.
                        continue;
                    }
                    device.flash.power_on();
                    judge(&mut device, &[3, 4, 5], &cuts);
                }
            }
        }
    }
}

mod decay {
    use super::*;

    #[test]
    fn second_copy_serves_when_the_first_has_rotted_and_the_first_when_the_second_has() {
        for version in [2, 3] {
            let before = Device::with_trust(Strategy::DirectXip, version);
            let len = chain(version).len();
            for copy in [KEPT, KEPT + COPY] {
                for bit in (8 * copy..8 * (copy + len)).step_by(97) {
                    let mut device = before.reseeded(1);
                    device.flash.flip(bit);
                    let ran = device.boot().unwrap();
                    assert_eq!((ran.trust, ran.release), (version, 1), "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn one_flipped_bit_of_the_guard_region_changes_no_trust() {
        for version in [2, 3] {
            let before = Device::with_trust(Strategy::DirectXip, version);
            for bit in 8 * GUARD..8 * KEPT {
                let mut device = before.reseeded(1);
                device.flash.flip(bit);
                let ran = device.boot().unwrap();
                assert_eq!((ran.trust, ran.release), (version, 1), "bit {bit}");
            }
        }
    }

    #[test]
    fn two_rotten_copies_leave_the_pinned_keys_and_a_device_that_boots_what_they_sign() {
        let mut device = Device::with_trust(Strategy::DirectXip, 3);
        for copy in [KEPT, KEPT + COPY] {
            device.flash.corrupt(copy + 20, &[0x55; 8]);
        }
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.release), (1, 1));
    }

    #[test]
    fn floor_and_trust_outlive_the_journal() {
        for strategy in STRATEGIES {
            let mut device = Device::with_trust(strategy, 3);
            device.update(&[2], 7, true);
            assert_eq!(
                device.boot().map(|ran| ran.floor),
                Some(SecurityVersion(1)),
                "a trial raises nothing"
            );
            device.confirm();
            assert_eq!(device.boot().map(|ran| ran.floor), Some(SecurityVersion(7)));
            for journal in [[0x00; JOURNAL], [0xFF; JOURNAL], [0xA5; JOURNAL]] {
                let mut device = device.clone();
                device.flash.corrupt(0, &journal);
                let ran = device.boot().unwrap();
                assert_eq!((ran.trust, ran.floor, ran.release), (3, SecurityVersion(7), 2), "{strategy:?}");
                assert_eq!(ran.state, SlotState::Trial);
            }
        }
    }

    #[test]
    fn lost_journal_does_not_keep_the_next_document_from_being_adopted() {
        for strategy in STRATEGIES {
            let mut device = Device::with_trust(strategy, 2);
            device.flash.corrupt(0, &[0xA5; JOURNAL]);
            assert_eq!(device.boot().map(|ran| ran.state), Some(SlotState::Trial));
            device.confirm();
            assert_eq!(device.boot().map(|ran| ran.state), Some(SlotState::Confirmed));
            device.offer(&chain(3)).unwrap();
            assert_eq!(device.boot().and_then(|ran| ran.adoption), Some(Ok(())), "{strategy:?}");
        }
    }

    /// The floor is raised by a cell of its own, which must not forget the document, nor a document the floor.
    #[test]
    fn floor_and_trust_do_not_overwrite_each_other() {
        let mut device = Device::with_trust(Strategy::DirectXip, 2);
        device.update(&[1, 2], 5, true);
        assert!(device.boot().is_some());
        device.confirm();
        assert!(device.boot().is_some());
        device.offer(&chain(3)).unwrap();
        assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.floor, ran.slot), (3, SecurityVersion(5), SlotId::B));
        let guard = device.run(Guard::read(device.layout));
        assert_eq!((guard.floor(), guard.trust_version()), (SecurityVersion(5), 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_lies_in_the_inbox_the_device_boots_under_the_trust_it_had(
            at in 0usize..2048, garbage in prop::collection::vec(any::<u8>(), 1..600), whole in any::<bool>(),
        ) {
            let mut device = Device::with_trust(Strategy::DirectXip, 2);
            device.offer(&chain(3)).unwrap();
            let at = if whole { 0 } else { at };
            let end = (at + garbage.len()).min(2048);
            device.flash.corrupt(INBOX + at, &garbage[..end - at]);
            let ran = device.boot().unwrap();
            prop_assert_eq!((ran.trust, ran.release), (2, 1));
            prop_assert!(matches!(device.boot().map(|ran| ran.trust), Some(2 | 3)));
        }

        #[test]
        fn whatever_lies_in_guard_and_kept_trust_the_device_boots(
            at in 0usize..6 * PAGE, garbage in prop::collection::vec(any::<u8>(), 1..2000),
        ) {
            let mut device = Device::with_trust(Strategy::DirectXip, 2);
            let end = (at + garbage.len()).min(6 * PAGE);
            device.flash.corrupt(GUARD + at, &garbage[..end - at]);
            for _ in 0..3 {
                prop_assert_eq!(device.boot().map(|ran| ran.release), Some(1));
            }
        }
    }
}
