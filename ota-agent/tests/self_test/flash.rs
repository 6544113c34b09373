//! Flash that holds what it should, something else, or does not read.

use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};
use ota_agent::self_test::{Check, Fault, FlashDigest, Outcome, Probe, RangeRefused, SelfTest, Step, Turn};
use ota_manifest::Digest;
use ota_verify::Sha256;
use proptest::prelude::*;

use crate::run;

const UNIT: usize = 4;

/// A flash of 128 bytes that insists on its units, and fails to read at one place.
struct Flash {
    bytes: [u8; 128],
    bad: Option<u32>,
    reads: Vec<(u32, usize)>,
}

impl Flash {
    fn new() -> Self {
        Self { bytes: std::array::from_fn(|at| u8::try_from(at).unwrap()), bad: None, reads: Vec::new() }
    }

    fn digest(&self, start: u32, end: u32) -> Digest {
        Sha256::of(&[&self.bytes[start as usize..end as usize]])
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = UNIT;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let at = offset as usize;
        if !at.is_multiple_of(UNIT) || !bytes.len().is_multiple_of(UNIT) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        let read = self.bytes.get(at..at + bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
        if self.bad.is_some_and(|bad| (at..at + bytes.len()).contains(&(bad as usize))) {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(read);
        self.reads.push((offset, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

#[test]
fn one_slice_is_read_a_poll_and_the_last_one_in_whole_units() {
    let mut flash = Flash::new();
    let (expected, mut slice) = (flash.digest(4, 39), [0; 16]);
    let mut probe = FlashDigest::new(&mut flash, 4..39, expected, &mut slice).unwrap();
    assert_eq!([probe.poll(0), probe.poll(0)], [Step::Progress; 2]);
    assert_eq!(probe.poll(0), Step::Done(Outcome::Passed));
    assert_eq!(flash.reads, [(4, 16), (20, 16), (36, 4)]);
}

#[test]
fn every_flipped_byte_in_the_range_is_seen_and_none_outside() {
    let expected = Flash::new().digest(8, 61);
    for at in 0..64 {
        let (mut flash, mut slice) = (Flash::new(), [0; 12]);
        flash.bytes[at] ^= 0x10;
        let found = run(&mut FlashDigest::new(flash, 8..61, expected, &mut slice).unwrap()).0;
        let inside = (8..61).contains(&at);
        assert_eq!(found, if inside { Outcome::Failed(Fault::WrongDigest) } else { Outcome::Passed }, "{at}");
    }
}

#[test]
fn flash_that_does_not_read_is_told_from_flash_that_holds_something_else() {
    for bad in [8, 30, 60] {
        let (mut flash, mut slice) = (Flash::new(), [0; 16]);
        flash.bad = Some(bad);
        let expected = flash.digest(8, 61);
        let found = run(&mut FlashDigest::new(flash, 8..61, expected, &mut slice).unwrap()).0;
        assert_eq!(found, Outcome::Failed(Fault::FlashUnreadable), "{bad}");
    }
}

#[test]
fn slow_flash_has_timed_out_after_its_time() {
    let (flash, mut slice) = (Flash::new(), [0; 4]);
    let expected = flash.digest(0, 128);
    let mut probe = FlashDigest::new(flash, 0..128, expected, &mut slice).unwrap().within_ms(10);
    let mut checks = [Check::required(&mut probe)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert!((0..10).all(|now| test.poll(now) == Turn::Progress));
    let _ = test.poll(10);
    assert_eq!(test.checks()[0].outcome(), Some(Outcome::Failed(Fault::TimedOut)));
}

#[test]
fn ranges_and_buffers_that_cannot_be_read_are_refused() {
    let new =
        |range, buffer: &mut [u8]| FlashDigest::new(Flash::new(), range, Digest::new([0; 32]), buffer).err();
    let buffer = &mut [0; 16];
    assert_eq!(new(8..8, buffer), Some(RangeRefused::Empty));
    #[expect(clippy::reversed_empty_ranges, reason = "what an addition that wrapped would give")]
    let reversed = 8..4;
    assert_eq!(new(reversed, buffer), Some(RangeRefused::Empty));
    assert_eq!(new(0..4, &mut []), Some(RangeRefused::BufferLength));
    assert_eq!(new(0..4, &mut [0; 6]), Some(RangeRefused::BufferLength));
    assert_eq!(new(2..8, buffer), Some(RangeRefused::Unaligned));
    assert_eq!(new(0..129, buffer), Some(RangeRefused::BeyondFlash));
    assert_eq!(new(0..u32::MAX, buffer), Some(RangeRefused::BeyondFlash));
    assert_eq!(new(0..128, buffer), None);
    assert_eq!(new(0..127, buffer), None);
}

proptest! {
    #[test]
    fn any_range_in_any_slices_gives_the_digest_of_its_bytes(start in 0_u32..32, len in 1_u32..=96, units in 1_usize..=40) {
        let start = start / 4 * 4;
        let end = (start + len).min(128);
        let (flash, mut slice) = (Flash::new(), vec![0; units * UNIT]);
        let expected = flash.digest(start, end);
        let found = run(&mut FlashDigest::new(flash, start..end, expected, &mut slice).unwrap()).0;
        prop_assert_eq!(found, Outcome::Passed);
    }
}
