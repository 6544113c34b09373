//! Whatever stands in the journal, a slot that proves itself boots; whatever stands in the slots, only a proven one does.

mod common;

use common::{Device, Firmware};
use embedded_storage::nor_flash::NorFlash;
use ota_manifest::{Frame, ResetCause, Role, RollbackReason, SecurityVersion};
use ota_slots::sim::Lab;
use ota_slots::{
    Boot, Opened, RECORD, Recovery, Site, SlotId, SlotState, Snapshot, WORK_BUFFER, run_blocking,
};
use ota_verify::{AdmitError, manifest_id};
use proptest::prelude::*;

const PAGE: usize = 1024;
const JOURNAL: usize = 2 * PAGE;

fn boot(device: &mut Device, cause: ResetCause) -> Result<(SlotId, SlotState, u32), Recovery> {
    let (layout, policy) = (device.layout, device.policy);
    let boot = Boot::new(&layout, &policy, cause);
    let handover = run_blocking(boot, &mut device.flash, &layout, &mut [0; WORK_BUFFER], || ())?;
    Ok((handover.slot(), handover.state(), handover.image().order().sequence))
}

fn updated() -> Device {
    let mut device = Device::new(Firmware::Healthy, 1);
    device.live();
    device
}

fn slot_start(device: &Device, slot: SlotId) -> usize {
    device.layout.slot(slot).region.start as usize
}

#[test]
fn lost_journal_boots_the_newest_proven_slot_on_trial_and_tells_of_it() {
    for journal in [[0x00; JOURNAL], [0xFF; JOURNAL], [0xA5; JOURNAL]] {
        let mut device = updated();
        device.flash.corrupt(0, &journal);
        assert_eq!(boot(&mut device, ResetCause::PowerOn), Ok((SlotId::B, SlotState::Trial, 2)));
        let (layout, policy) = (device.layout, device.policy);
        let open = Opened::open(&layout, &policy, SlotId::B);
        let opened = run_blocking(open, &mut device.flash, &layout, &mut [0; WORK_BUFFER], || ());
        let Ok(Opened::Trial(app)) = opened else { panic!("{opened:?}") };
        assert_eq!(app.event().map(|event| event.reason), Some(RollbackReason::JournalLost));
    }
}

/// What is not known of the running release is lower than anything: any older one would be newer.
#[test]
fn image_gone_back_to_without_a_journal_is_known_by_its_order() {
    let mut device = updated();
    device.flash.corrupt(0, &[0xA5; JOURNAL]);
    let mut booted = boot(&mut device, ResetCause::PowerOn);
    for _ in 0..10 {
        assert_eq!(booted, Ok((SlotId::B, SlotState::Trial, 2)));
        booted = boot(&mut device, ResetCause::Watchdog);
        if booted == Ok((SlotId::A, SlotState::Stranded, 1)) {
            break;
        }
    }
    let (layout, policy) = (device.layout, device.policy);
    let open = Opened::open(&layout, &policy, SlotId::A);
    let opened = run_blocking(open, &mut device.flash, &layout, &mut [0; WORK_BUFFER], || ());
    let Ok(Opened::Stranded(app)) = opened else { panic!("{opened:?}") };
    let frame = Frame::parse(&device.old.envelope).unwrap();
    assert_eq!(app.manifest_id(), manifest_id(&frame));
    assert_eq!(app.order().sequence, 1);
    let authentic = policy.trust.authenticate(frame, Role::Release).unwrap();
    assert_eq!(authentic.admit(&app.device_state()).err(), Some(AdmitError::NotNewer));
}

#[test]
fn records_that_come_back_to_life_after_a_lost_journal_count_for_nothing() {
    let mut device = updated();
    let flip_a_bit_in_every_cell = |device: &mut Device, cells: std::ops::Range<usize>| {
        for cell in cells {
            let at = cell * RECORD + 10;
            let byte = device.flash.bytes()[at] ^ 0x10;
            device.flash.corrupt(at, &[byte]);
        }
    };
    let cells = JOURNAL / RECORD;
    flip_a_bit_in_every_cell(&mut device, 0..cells);
    assert_eq!(boot(&mut device, ResetCause::PowerOn), Ok((SlotId::B, SlotState::Trial, 2)));
    // What could not be read yesterday can be read today; it would outrank everything written since.
    flip_a_bit_in_every_cell(&mut device, cells / 2..cells);
    assert_eq!(boot(&mut device, ResetCause::PowerOn), Ok((SlotId::B, SlotState::Trial, 2)));
}

#[test]
fn damaged_confirmed_image_gives_way_to_the_other_slot_and_tells_of_it() {
    let mut device = updated();
    let start = slot_start(&device, SlotId::B);
    device.flash.corrupt(start + 100, &[0; 4]);
    assert_eq!(boot(&mut device, ResetCause::PowerOn), Ok((SlotId::A, SlotState::Confirmed, 1)));
    assert_eq!(
        boot(&mut device, ResetCause::PowerOn),
        Ok((SlotId::A, SlotState::Confirmed, 1)),
        "and it stays"
    );
}

#[test]
fn two_damaged_slots_are_not_booted_and_nothing_is_written() {
    let mut device = updated();
    for slot in SlotId::BOTH {
        let start = slot_start(&device, slot);
        device.flash.corrupt(start + 100, &[0; 4]);
    }
    let operations = device.flash.log().len();
    assert!(boot(&mut device, ResetCause::PowerOn).is_err());
    assert_eq!(device.flash.log().len(), operations);
}

#[test]
fn trial_with_nothing_to_go_back_to_is_stranded_and_may_still_confirm() {
    let mut device = Device::new(Firmware::Hangs, 1);
    let mut cause = ResetCause::PowerOn;
    while let common::Ended::Reset(why) = device.session(cause) {
        cause = why;
        if device.trial_handovers == 3 {
            break;
        }
    }
    let start = slot_start(&device, SlotId::A);
    device.flash.corrupt(start + 100, &[0; 4]);
    assert_eq!(boot(&mut device, ResetCause::Watchdog), Ok((SlotId::B, SlotState::Stranded, 2)));
    let (layout, policy) = (device.layout, device.policy);
    let mut buffer = [0; WORK_BUFFER];
    let open = Opened::open(&layout, &policy, SlotId::B);
    let opened = run_blocking(open, &mut device.flash, &layout, &mut buffer, || ()).unwrap();
    let Opened::Stranded(app) = opened else { panic!("{opened:?}") };
    assert_eq!(app.event().map(|event| event.reason), Some(RollbackReason::AttemptsExhausted));
    let confirmed = run_blocking(app.confirm(), &mut device.flash, &layout, &mut buffer, || ());
    assert!(confirmed.is_ok());
    assert_eq!(boot(&mut device, ResetCause::Watchdog), Ok((SlotId::B, SlotState::Confirmed, 2)));
}

#[test]
fn journal_cell_that_does_not_take_its_record_is_given_up_for_the_next() {
    for cell in 0..JOURNAL / RECORD {
        let mut device = Device::new(Firmware::Healthy, 1);
        device.flash.stick(cell * RECORD + 64);
        device.live();
        assert_eq!(device.handovers.last(), Some(&2), "cell {cell}");
        device.stays();
        assert_eq!((&device.events[..], device.flash.violations()), (&[][..], 0), "cell {cell}");
    }
}

#[test]
fn confirm_raises_the_floor_and_what_is_below_it_never_runs_again() {
    let lab = Lab::new();
    let mut device = Device::new(Firmware::Healthy, 1);
    device.new = lab.release_with(2, 5500, |draft| draft.security_version = SecurityVersion(7));
    assert_eq!(floor(&mut device), SecurityVersion(1));
    device.live();
    assert_eq!(floor(&mut device), SecurityVersion(7));
    // The confirmed image is lost; the old one proves itself, but it is below the floor.
    let start = slot_start(&device, SlotId::B);
    device.flash.corrupt(start + 100, &[0; 4]);
    assert!(boot(&mut device, ResetCause::PowerOn).is_err());
}

#[test]
fn trial_does_not_raise_the_floor_so_the_way_back_stays_open() {
    let lab = Lab::new();
    let mut device = Device::new(Firmware::Fails, 1);
    device.new = lab.release_with(2, 5500, |draft| draft.security_version = SecurityVersion(7));
    device.live();
    assert_eq!(device.handovers.last(), Some(&1));
    assert_eq!(floor(&mut device), SecurityVersion(1));
}

fn floor(device: &mut Device) -> SecurityVersion {
    let (layout, policy) = (device.layout, device.policy);
    let (slot, ..) = boot(device, ResetCause::PowerOn).unwrap();
    let open = Opened::open(&layout, &policy, slot);
    match run_blocking(open, &mut device.flash, &layout, &mut [0; WORK_BUFFER], || ()) {
        Ok(Opened::Confirmed(app)) => app.floor(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn older_signed_image_slipped_into_a_pending_slot_does_not_boot() {
    let mut device = Device::new(Firmware::Healthy, 1);
    assert_eq!(device.session(ResetCause::PowerOn), common::Ended::Reset(ResetCause::Software));
    // Release 2 is pending in slot B. Whoever can write that flash puts a properly signed release 1 there instead.
    let lab = Lab::new();
    let old = lab.release(1, 3000);
    let region = device.layout.slot(SlotId::B).region;
    let built = old.for_slot(SlotId::B);
    device.flash.erase(region.start, region.start + region.len).unwrap();
    for (at, bytes) in [
        (0, &built.image),
        (device.layout.leaves_offset(SlotId::B, 3), &built.leaves),
        (device.layout.envelope_offset(Site::Slot(SlotId::B)), &old.envelope),
    ] {
        device.flash.corrupt((region.start + at) as usize, bytes);
    }
    assert_eq!(boot(&mut device, ResetCause::Software), Ok((SlotId::A, SlotState::Confirmed, 1)));
}

#[test]
fn bytes_behind_the_image_on_its_last_page_keep_it_from_booting() {
    let mut device = updated();
    let start = slot_start(&device, SlotId::B);
    device.flash.corrupt(start + 5500, &[0x12]);
    assert_eq!(boot(&mut device, ResetCause::PowerOn).map(|(_, _, sequence)| sequence), Ok(1));
}

#[test]
fn image_for_the_other_slots_address_does_not_boot_even_if_signed() {
    let lab = Lab::new();
    let mut release = lab.release(1, 3000);
    release.built.swap(0, 1);
    let mut device = Device::new(Firmware::Healthy, 1);
    let start = slot_start(&device, SlotId::A);
    device.flash.erase(u32::try_from(start).unwrap(), u32::try_from(start + 4096).unwrap()).unwrap();
    device.flash.write(u32::try_from(start).unwrap(), &release.built[0].image).unwrap();
    assert!(boot(&mut device, ResetCause::PowerOn).is_err());
}

#[test]
fn every_single_bit_flip_in_a_journal_at_rest_still_boots_the_confirmed_image() {
    let mut settled = updated();
    settled.stays();
    let journal = settled.flash.bytes()[..JOURNAL].to_vec();
    for bit in 0..8 * JOURNAL {
        // Most of the journal is blank; every bit of what is written, and a sample of the rest.
        if journal[bit / 8] == 0xFF && bit % 37 != 0 {
            continue;
        }
        let mut device = Device::new(Firmware::Healthy, 1);
        device.flash = settled.flash.reseeded(1);
        device.flash.corrupt(bit / 8, &[journal[bit / 8] ^ (1 << (bit % 8))]);
        assert_eq!(
            boot(&mut device, ResetCause::PowerOn),
            Ok((SlotId::B, SlotState::Confirmed, 2)),
            "bit {bit}"
        );
    }
}

/// Records a device could have written, in any order, among noise.
fn journal_cells() -> impl Strategy<Value = Vec<u8>> {
    let record = (any::<u32>(), any::<bool>(), 0u8..8, 0u8..8, any::<bool>(), any::<u8>(), any::<u8>())
        .prop_map(|(sequence, copy, a, b, running_b, attempts, brown_outs)| {
            let state = |number| {
                [
                    SlotState::Empty,
                    SlotState::Staging,
                    SlotState::Staged,
                    SlotState::Pending,
                    SlotState::Trial,
                    SlotState::Failed,
                    SlotState::Confirmed,
                    SlotState::Stranded,
                ][usize::from(number)]
            };
            let mut snapshot = Snapshot::blank();
            snapshot.set_running(if running_b { SlotId::B } else { SlotId::A });
            snapshot.set_state(SlotId::A, state(a));
            snapshot.set_state(SlotId::B, state(b));
            snapshot.set_attempts(attempts);
            snapshot.set_brown_outs(brown_outs);
            snapshot.encode(sequence, copy).to_vec()
        });
    let noise = prop::collection::vec(any::<u8>(), RECORD);
    let blank = Just(vec![0xFF; RECORD]);
    let cell = prop_oneof![record, noise, blank];
    prop::collection::vec(cell, JOURNAL / RECORD).prop_map(|cells| cells.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two good slots and any journal at all: every boot hands over a proven image, and the device settles.
    #[test]
    fn any_journal_boots_a_proven_slot_and_settles(journal in journal_cells()) {
        let mut device = Device::new(Firmware::Healthy, 1);
        device.flash = settled_flash();
        device.flash.erase(0, 2 * 1024).unwrap();
        for (cell, bytes) in journal.chunks(RECORD).enumerate().filter(|(_, bytes)| bytes != &[0xFF; RECORD]) {
            device.flash.corrupt(cell * RECORD, bytes);
        }
        for cause in [ResetCause::PowerOn, ResetCause::Watchdog].repeat(4) {
            let (_, _, sequence) = boot(&mut device, cause).expect("both slots are good");
            prop_assert!((1..=2).contains(&sequence));
        }
        prop_assert_eq!(device.flash.violations(), 0);
    }
}

fn settled_flash() -> ota_slots::sim::LabFlash {
    static FLASH: std::sync::OnceLock<ota_slots::sim::LabFlash> = std::sync::OnceLock::new();
    FLASH.get_or_init(|| updated().flash).reseeded(1)
}
