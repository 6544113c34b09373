//! Who owns the staging chip, and who owns a release key but not the operators': what reaches the hand-over.

mod common;

use common::{Device, Ended, Firmware};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use ota_manifest::{Frame, ResetCause, Role};
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{
    Boot, FinishError, Opened, Policy, Provision, Recovery, Site, SlotError, SlotId, Strategy, WORK_BUFFER,
    run_blocking,
};
use ota_verify::sign::{Signature, Signer, SignerError, cosign};
use ota_verify::{AuthError, PublicKey, Tbs, Trust, TrustedKey};

/// A staging chip that answers truly a number of times, and then with one bit flipped.
struct Liar {
    flash: LabFlash,
    /// The chip's place.
    chip: core::ops::Range<u32>,
    reads: u32,
    /// Which reads of the chip are lies.
    lies: core::ops::Range<u32>,
}

impl ErrorType for Liar {
    type Error = <LabFlash as ErrorType>::Error;
}

impl ReadNorFlash for Liar {
    const READ_SIZE: usize = LabFlash::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(offset, bytes)?;
        if self.chip.contains(&offset) {
            if self.lies.contains(&self.reads) {
                bytes[0] ^= 1;
            }
            self.reads += 1;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Liar {
    const WRITE_SIZE: usize = LabFlash::WRITE_SIZE;
    const ERASE_SIZE: usize = LabFlash::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash.write(offset, bytes)
    }
}

/// Boots a device with an update pending behind this liar; the sequence that is handed over, and how often the chip was read.
fn boot(device: &Device, lies: core::ops::Range<u32>) -> (Option<u32>, u32) {
    let region = device.layout.slot(SlotId::B).region;
    let chip = region.start..region.start + region.len;
    let mut liar = Liar { flash: device.flash.clone(), chip, reads: 0, lies };
    let boot = Boot::moving(&device.layout, &device.policy, ResetCause::Software);
    let handover = run_blocking(boot, &mut liar, &device.layout, &mut [0; WORK_BUFFER], || ()).ok();
    let sequence = handover.map(|handover| {
        let sequence = handover.image().order().sequence;
        let release = if sequence == 1 { &device.old } else { &device.new };
        let image = &release.for_slot(SlotId::A).image;
        let start = device.layout.slot(handover.slot()).region.start as usize;
        assert_eq!(
            liar.flash.bytes()[start..start + image.len()],
            image[..],
            "handed over what nobody signed"
        );
        sequence
    });
    (sequence, liar.reads)
}

#[test]
fn staging_chip_that_lies_after_the_proof_runs_nothing_that_is_not_signed() {
    for strategy in [Strategy::SwapOffset, Strategy::Overwrite] {
        let mut device = Device::with(strategy, Firmware::Healthy, 1);
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
        let (honest, reads) = boot(&device, 0..0);
        assert_eq!(honest, Some(2));
        assert!(reads > 12, "proof and move read the chip: {reads}");
        let mut ends = [0; 2];
        for first in 0..reads {
            // For good, and for once.
            for lies in [first..u32::MAX, first..first + 1] {
                ends[usize::from(boot(&device, lies).0.is_some())] += 1;
            }
        }
        assert!(ends[1] > 0, "{strategy:?}: no lie was survived");
    }
}

#[test]
fn signed_image_that_is_slipped_in_before_the_slot_is_proven_is_not_staged() {
    let lab = Lab::new();
    let (layout, policy) = (lab.layout(), lab.policy());
    let mut flash = lab.provisioned(&lab.release(1, 3000));
    let [admitted, slipped] = [2, 3].map(|number| lab.release(number, 2048));
    let mut buffer = [0; WORK_BUFFER];
    let open = Opened::open(&layout, &policy, SlotId::A);
    let opened = run_blocking(open, &mut flash, &layout, &mut buffer, || ()).unwrap();
    let Opened::Confirmed(mut app) = opened else { panic!("release 1 is confirmed") };

    let frame = Frame::parse(&admitted.envelope).unwrap();
    let update = policy.trust.authenticate(frame, Role::Release).unwrap().admit(&app.device_state()).unwrap();
    let begin = app.begin(&update, &admitted.envelope).unwrap();
    let staging = run_blocking(begin, &mut flash, &layout, &mut buffer, || ()).unwrap();
    // Both are signed, for this device, and newer than what runs.
    let region = layout.slot(SlotId::B).region;
    let envelope = region.start + layout.envelope_offset(Site::Slot(SlotId::B));
    let padded = [&slipped.envelope[..], &[0xFF; 3]].concat();
    flash.erase(region.start, region.start + region.len).unwrap();
    flash.write(region.start, &slipped.for_slot(SlotId::B).image).unwrap();
    flash.write(envelope, &padded[..padded.len() / 4 * 4]).unwrap();

    let finished = run_blocking(app.finish(&staging), &mut flash, &layout, &mut buffer, || ());
    assert_eq!(finished.err(), Some(FinishError::Slot(SlotError::AnotherImage)));
    let open = Opened::open(&layout, &policy, SlotId::A);
    let reopened = run_blocking(open, &mut flash, &layout, &mut buffer, || ()).unwrap();
    let Opened::Confirmed(app) = reopened else { panic!("release 1 runs on") };
    assert_eq!(app.order().sequence, 1);
}

struct Operator(ed25519_dalek::SigningKey);

impl Signer for Operator {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        use ed25519_dalek::ed25519::signature::Signer as _;
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}

#[test]
fn release_that_no_operator_approved_does_not_boot_where_the_bootloader_asks_for_approval() {
    let lab = Lab::new();
    let operator = Operator(ed25519_dalek::SigningKey::from_bytes(&[9; 32]));
    let (release_key, approval_key) = (lab.public_key(), operator.public_key());
    let keys = [TrustedKey::new(Role::Release, &release_key), TrustedKey::new(Role::Approval, &approval_key)];
    let policy = Policy { trust: Trust::pinned(&keys), ..lab.policy() };
    let (layout, release) = (lab.layout(), lab.release(1, 3000));
    let mut flash = lab.provisioned(&release);
    let mut buffer = [0; WORK_BUFFER];

    // The journal says confirmed, and the vendor's signature is good.
    let handover = |flash: &mut LabFlash, buffer: &mut [u8; WORK_BUFFER]| {
        let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
        run_blocking(boot, flash, &layout, buffer, || ())
    };
    assert_eq!(handover(&mut flash, &mut buffer).err(), Some(Recovery::NothingProven));
    let image = |envelope: &[u8], flash: &mut LabFlash, buffer: &mut [u8; WORK_BUFFER]| {
        let built = release.for_slot(SlotId::A);
        let provision = Provision::new(&layout, &policy, SlotId::A, &built.image, &built.leaves, envelope);
        run_blocking(provision, flash, &layout, buffer, || ())
    };
    let unapproved = image(&release.envelope, &mut flash, &mut buffer);
    let none = SlotError::Auth(AuthError::NotApproved { found: 0, needed: 1 });
    assert!(format!("{unapproved:?}").contains(&format!("{none:?}")), "{unapproved:?}");

    let approved = cosign(&release.envelope, &operator, Role::Approval).unwrap();
    let _proof = image(&approved, &mut flash, &mut buffer).unwrap();
    assert!(handover(&mut flash, &mut buffer).is_ok());
}
