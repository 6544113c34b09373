//! Devices whose layout gives an envelope 4,096 bytes, for signatures longer than the classical ones: whole update lives on
//! every strategy, cut at every operation, and what a bootloader and an application with other ideas get to hear.

mod common;
mod long;

use std::sync::OnceLock;

use common::{Device, Ended, Firmware};
use long::{LongKey, sealed};
use ota_manifest::{Alg, Frame, Kind, ResetCause, Role, RollbackReason, SecurityVersion};
use ota_slots::sim::{Cut, CutMode, Lab, LabFlash, Release};
use ota_slots::{
    BeginError, Boot, BootDescriptor, Geometry, Layout, OpenError, Opened, Partition, Policy, ProveSlot,
    Provision, Recovery, Region, Site, SlotError, SlotId, SlotRegion, Strategy, WORK_BUFFER, run_blocking,
};
use ota_verify::sign::{SealError, cosign};
use ota_verify::{AlgSet, Trust, TrustedKey};

const LIMIT: usize = 4096;
const STRATEGIES: [Strategy; 3] = [Strategy::DirectXip, Strategy::SwapOffset, Strategy::Overwrite];
const KEY: LongKey = LongKey(7);
static KEYS: [TrustedKey<'static>; 1] = [TrustedKey::new(Role::Release, &KEY)];

const fn pages(start: u32, len: u32) -> Region {
    Region::new(Geometry { erase_page: 1024, write_size: 4, erased: 0xFF }, start * 1024, len * 1024)
}

fn partition(strategy: Strategy) -> Partition {
    let (journal, progress) = (pages(0, 2), pages(2, 2));
    let primary = SlotRegion::new(pages(4, 13), 0x10_0000);
    match strategy {
        Strategy::DirectXip => {
            Partition::direct_xip(journal, primary, SlotRegion::new(pages(17, 13), 0x20_0000))
        }
        Strategy::SwapOffset => Partition::swap_offset(journal, primary, pages(17, 18), progress),
        Strategy::Overwrite => {
            Partition::overwrite_without_way_back(journal, primary, pages(17, 13), progress)
        }
    }
}

fn layout(strategy: Strategy, limit: usize) -> Layout {
    let limit = u32::try_from(limit).unwrap();
    Layout::new(partition(strategy).with_envelope_limit(limit)).unwrap()
}

/// A policy that believes the long key alone, of a bootloader with this layout.
fn policy(layout: &Layout) -> Policy<'static> {
    let trust = Trust::pinned(&KEYS);
    let descriptor = BootDescriptor::new(1, AlgSet::NONE.with(Alg::Lms), layout, trust.digest());
    Policy { trust, descriptor: Box::leak(Box::new(descriptor)), ..Lab::new().policy() }
}

/// A release whose envelope is exactly `len` bytes long.
fn release(lab: &Lab, number: u16, size: usize, len: usize) -> Release {
    let release = lab.release(number, size);
    let payload = Frame::parse(&release.envelope).unwrap().payload_unauthenticated().to_vec();
    Release { envelope: sealed(Kind::Manifest, Role::Release, &payload, &[KEY], len), ..release }
}

/// What a device is made of; signing is slow in debug builds.
struct Made {
    layout: Layout,
    policy: Policy<'static>,
    flash: LabFlash,
    old: Release,
    new: Release,
}

/// Runs release 1; release 2 waits to be brought in.
fn device(strategy: Strategy, firmware: Firmware, seed: u64) -> Device {
    static MADE: [OnceLock<Made>; 3] = [const { OnceLock::new() }; 3];
    let Made { layout, policy, flash, old, new } = MADE[strategy as usize].get_or_init(|| {
        let layout = layout(strategy, LIMIT);
        let (lab, policy) = (Lab::with_layout(layout), policy(&layout));
        // The longest there is, and one that does not end with a page, a piece or a program unit.
        let (old, new) = (release(&lab, 1, 3000, LIMIT), release(&lab, 2, 5500, LIMIT - 93));
        let mut flash = LabFlash::new(35 * 1024, 0xFF, 1);
        let built = old.for_slot(SlotId::A);
        let (image, leaves, envelope) = (&built.image, &built.leaves, &old.envelope);
        let provision = Provision::new(&layout, &policy, SlotId::A, image, leaves, envelope);
        assert!(run_blocking(provision, &mut flash, &layout, &mut [0; LIMIT], || ()).is_ok());
        Made { layout, policy, flash, old, new }
    });
    Device {
        layout: *layout,
        policy: *policy,
        flash: flash.reseeded(seed),
        old: old.clone(),
        new: new.clone(),
        ..Device::with(strategy, firmware, seed)
    }
}

/// Lives the whole life once for every operation and each of the ways of cutting it.
fn at_every_cut(
    strategy: Strategy,
    firmware: Firmware,
    modes: &[CutMode],
    judge: impl Fn(&mut Device, &Cut),
) {
    let mut undisturbed = device(strategy, firmware, 1);
    undisturbed.live();
    let operations = undisturbed.flash.operations();
    assert!(operations > 30, "{operations}");
    for operation in 0..operations {
        for mode in modes {
            let cut = Cut { operation, mode: *mode };
            let mut device = device(strategy, firmware, operation as u64);
            device.flash.cut(cut);
            device.live();
            assert!(device.flash.cut_fired(), "{strategy:?} {cut:?}");
            judge(&mut device, &cut);
            device.stays();
            assert_eq!(device.flash.violations(), 0, "{strategy:?} {cut:?}");
        }
    }
}

mod lives {
    use super::*;

    fn ends_on_the_new_image(strategy: Strategy) {
        at_every_cut(strategy, Firmware::Healthy, &CutMode::ALL, |device, cut| {
            assert_eq!(device.handovers.last(), Some(&2), "{strategy:?} {cut:?}");
            assert!(device.saw_confirmed, "{strategy:?} {cut:?}");
        });
    }

    #[test]
    fn update_in_place_ends_on_the_new_image_whatever_operation_is_cut() {
        ends_on_the_new_image(Strategy::DirectXip);
    }

    #[test]
    fn swapped_update_ends_on_the_new_image_whatever_operation_is_cut() {
        ends_on_the_new_image(Strategy::SwapOffset);
    }

    #[test]
    fn overwriting_update_ends_on_the_new_image_whatever_operation_is_cut() {
        ends_on_the_new_image(Strategy::Overwrite);
    }

    /// The old image comes back with its own envelope, all 4,096 bytes of it.
    #[test]
    fn failed_trial_ends_on_the_old_image_whatever_operation_is_cut() {
        const MODES: [CutMode; 4] =
            [CutMode::Before, CutMode::FirstHalf, CutMode::RandomBits(50), CutMode::AlmostDone(1)];
        for strategy in [Strategy::DirectXip, Strategy::SwapOffset] {
            at_every_cut(strategy, Firmware::Fails, &MODES, |device, cut| {
                assert_eq!(device.handovers.last(), Some(&1), "{strategy:?} {cut:?}");
                assert_eq!(device.events.len(), 1, "{strategy:?} {cut:?}: {:?}", device.events);
                let (_, reason) = device.events[0];
                assert!(reason == RollbackReason::SelfTest, "{strategy:?} {cut:?}: {reason:?}");
            });
        }
    }

    #[test]
    fn every_byte_of_a_long_envelope_counts() {
        let device = device(Strategy::DirectXip, Firmware::Healthy, 1);
        let start = (pages(4, 13).start + 13 * 1024) as usize - LIMIT;
        let (layout, policy) = (device.layout, device.policy);
        assert_eq!(layout.envelope_offset(Site::Slot(SlotId::A)), 13 * 1024 - 4096);
        for byte in 0..LIMIT {
            let mut flash = device.flash.clone();
            flash.flip(8 * (start + byte) + byte % 8);
            let prove = ProveSlot::new(&layout, &policy, Site::Slot(SlotId::A), SecurityVersion(0));
            let proven = run_blocking(prove, &mut flash, &layout, &mut [0; LIMIT], || ());
            assert!(matches!(proven, Err(SlotError::Frame(_) | SlotError::Auth(_))), "{byte}: {proven:?}");
        }
    }
}

mod limits {
    use super::*;

    /// What beginning an update with an envelope of this length comes to, and whether anything was written.
    fn begun(limit: usize, len: usize) -> (Result<(), BeginError>, bool) {
        let layout = layout(Strategy::DirectXip, limit);
        let (lab, policy) = (Lab::with_layout(layout), policy(&layout));
        let mut flash = LabFlash::new(35 * 1024, 0xFF, 1);
        let first = release(&lab, 1, 3000, 1500);
        let built = first.for_slot(SlotId::A);
        let mut buffer = [0; LIMIT];
        let provision =
            Provision::new(&layout, &policy, SlotId::A, &built.image, &built.leaves, &first.envelope);
        assert!(run_blocking(provision, &mut flash, &layout, &mut buffer, || ()).is_ok());
        let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
        assert!(run_blocking(boot, &mut flash, &layout, &mut buffer, || ()).is_ok());
        let open = Opened::open(&layout, &policy, SlotId::A);
        let Ok(Opened::Confirmed(mut app)) = run_blocking(open, &mut flash, &layout, &mut buffer, || ())
        else {
            panic!()
        };
        let next = release(&lab, 2, 3000, len);
        let authentic =
            policy.trust.authenticate(Frame::parse(&next.envelope).unwrap(), Role::Release).unwrap();
        let update = authentic.admit(&app.device_state()).unwrap();
        let operations = flash.operations();
        let begun = app
            .begin(&update, &next.envelope)
            .and_then(|begin| run_blocking(begin, &mut flash, &layout, &mut buffer, || ()).map(|_| ()));
        assert_eq!(flash.violations(), 0);
        (begun, flash.operations() > operations)
    }

    #[test]
    fn envelope_as_long_as_the_layout_keeps_is_taken_and_one_byte_more_is_refused_before_a_write() {
        for limit in [1536, 1792, LIMIT] {
            assert_eq!(begun(limit, limit), (Ok(()), true), "{limit}");
            assert_eq!(begun(limit, limit + 1), (Err(BeginError::WrongEnvelope), false), "{limit}");
        }
    }

    #[test]
    fn signer_makes_envelopes_with_long_signatures_as_long_as_4096_bytes_and_documents_as_8192() {
        let (lab, payload) = (Lab::new(), [0; 100]);
        let longest = [(Kind::Manifest, LIMIT), (Kind::Trust, 8192)];
        for (kind, longest) in longest {
            let cosigned = |len| {
                // An Ed25519 entry has 11 bytes and 64 of signature.
                let signed = sealed(kind, Role::Release, &payload, &[KEY, LongKey(8)], len - 75);
                cosign(&signed, &lab, Role::Release).map(|envelope| envelope.len())
            };
            assert_eq!(cosigned(longest), Ok(longest));
            assert_eq!(cosigned(longest + 1), Err(SealError::TooLarge(longest + 1)));
        }
    }

    /// A trial that cannot be proven would be given up: too short a buffer must be no reason.
    #[test]
    fn boot_in_too_short_a_buffer_hands_nothing_over_and_writes_nothing() {
        for strategy in STRATEGIES {
            let mut device = device(strategy, Firmware::Healthy, 1);
            assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
            let (layout, policy, before) = (device.layout, device.policy, device.flash.operations());
            let mut short = |buffer: &mut [u8; LIMIT - 1]| {
                if strategy.moves() {
                    let boot = Boot::moving(&layout, &policy, ResetCause::Software);
                    run_blocking(boot, &mut device.flash, &layout, buffer, || ()).err()
                } else {
                    let boot = Boot::new(&layout, &policy, ResetCause::Software);
                    run_blocking(boot, &mut device.flash, &layout, buffer, || ()).err()
                }
            };
            assert_eq!(short(&mut [0; LIMIT - 1]), Some(Recovery::WrongBoot), "{strategy:?}");
            assert_eq!(device.flash.operations(), before, "{strategy:?}");
            device.live();
            assert_eq!(device.handovers.last(), Some(&2), "{strategy:?}: and with a longer one it goes on");
        }
    }

    #[test]
    fn proof_and_application_say_that_a_buffer_is_too_short() {
        let mut device = device(Strategy::DirectXip, Firmware::Healthy, 1);
        let (layout, policy, mut short) = (device.layout, device.policy, [0; WORK_BUFFER]);
        assert_eq!(layout.work_buffer(), LIMIT);
        let prove = ProveSlot::new(&layout, &policy, Site::Slot(SlotId::A), SecurityVersion(0));
        let proven = run_blocking(prove, &mut device.flash, &layout, &mut short, || ());
        assert_eq!(proven.err().map(|error| (error, error.code())), Some((SlotError::ShortBuffer, 0x0104)));
        let open = Opened::open(&layout, &policy, SlotId::A);
        let opened = run_blocking(open, &mut device.flash, &layout, &mut short, || ());
        assert_eq!(opened.err(), Some(OpenError::ShortBuffer));
    }

    #[test]
    fn application_with_another_envelope_room_than_its_bootloader_is_refused_with_the_bootloaders() {
        let mut device = device(Strategy::DirectXip, Firmware::Healthy, 1);
        let operations = device.flash.operations();
        for (other, limit) in [(1536, LIMIT), (LIMIT, 1536), (3840, LIMIT)] {
            let (bootloader, application) =
                (layout(Strategy::DirectXip, limit), layout(Strategy::DirectXip, other));
            let policy = policy(&bootloader);
            let open = Opened::open(&application, &policy, SlotId::A);
            let opened = run_blocking(open, &mut device.flash, &application, &mut [0; LIMIT], || ());
            let error = opened.err();
            assert_eq!(error, Some(OpenError::LimitsDiffer { envelope: limit, trust: 0 }), "{other} {limit}");
        }
        assert_eq!(device.flash.operations(), operations);
    }
}
