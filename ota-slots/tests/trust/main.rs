//! Trust documents on a device: offered by the application, adopted by the bootloader, kept in the guard region. Each boot
//! here does all that a real bootloader does, in its order.

mod adoption;
mod decay;
mod power_cuts;

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
    let descriptor = Box::leak(Box::new(BootDescriptor::new(1, AlgSet::ED25519, layout, trust.digest())));
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
        // Read again where a bit was programmed by half.
        let len = (0..3).find_map(|_| self.next_document(guard, policy, &mut inbox))?;
        let successor = policy.trust.successor(Frame::parse(&inbox[..len]).ok()?, ALGORITHMS).ok()?;
        let next = Policy { trust: Trust::documented(&successor), ..*policy };
        let adopt = Adopt::new(self.layout, guard, handover, &next, (&successor, &inbox[..len]));
        Some(adopt.and_then(|adopt| self.run(adopt)))
    }

    /// Length of the document in the inbox, if it follows the trust in force.
    fn next_document(
        &mut self,
        guard: &Guard,
        policy: &Policy<'_>,
        inbox: &mut [u8; TRUST_MEMORY],
    ) -> Option<usize> {
        let len = self.run(guard.read_inbox(inbox, self.layout, &policy.trust).unwrap())?;
        policy.trust.successor(Frame::parse(&inbox[..len]).ok()?, ALGORITHMS).ok().map(|_| len)
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
