//! Flash that checks what it reads.

use super::*;

fn corrected(mode: CutMode, data: &[u8]) -> Flash<8, PAGE> {
    let mut flash = Flash::new(2 * PAGE, 0xFF, 3);
    flash.set_error_correction(true);
    cut_next(&mut flash, mode, |flash| flash.write(0, data));
    flash
}

#[test]
fn unit_torn_under_error_correction_reads_as_an_error_until_voided() {
    for mode in [CutMode::RandomBits(50), CutMode::Marginal] {
        let mut flash = corrected(mode, &[0x5A; 16]);
        for (at, len) in [(0, 1), (7, 1), (7, 2), (15, 3), (0, 32)] {
            assert_eq!(flash.read(at, &mut vec![0; len]), Err(SimError::Uncorrectable), "{mode:?}");
        }
        assert_eq!(read(&mut flash, 16), [0xFF; 8], "its neighbour is fine");
        assert_eq!(flash.write(0, &[0x5A; 8]), Err(SimError::ProgrammedTwice));
        flash.write(0, &[0; 8]).unwrap();
        assert_eq!(read(&mut flash, 0), [0; 8]);
        assert_eq!(flash.read(8, &mut [0]), Err(SimError::Uncorrectable), "the other one still");
    }
}

#[test]
fn unit_torn_under_error_correction_reads_as_an_error_until_erased() {
    let mut flash = corrected(CutMode::Marginal, &[0x5A; 16]);
    flash.erase(0, SECOND).unwrap();
    assert_eq!(read(&mut flash, 0), [0xFF; 16]);
}

#[test]
fn half_a_write_has_whole_units_and_at_most_one_torn() {
    let mut flash = corrected(CutMode::FirstHalf, &[0x5A; 24]);
    assert_eq!(read(&mut flash, 0), [0x5A; 8]);
    assert_eq!(flash.read(8, &mut [0]), Err(SimError::Uncorrectable));
    assert_eq!(read(&mut flash, 16), [0xFF; 8]);
    let mut flash = corrected(CutMode::LastHalf, &[0x5A; 16]);
    assert_eq!((read(&mut flash, 0), read(&mut flash, 8)), ([0xFF; 8], [0x5A; 8]));
    let mut flash = corrected(CutMode::RandomWords, &[0x5A; 512]);
    let page: [u8; 512] = read(&mut flash, 0);
    assert!(page.chunks(8).all(|unit| unit == [0x5A; 8] || unit == [0xFF; 8]));
}

#[test]
fn torn_erase_makes_the_whole_page_unreadable() {
    for mode in [CutMode::RandomBits(50), CutMode::Marginal] {
        let mut flash = corrected(CutMode::After, &[0x5A; 16]);
        cut_next(&mut flash, mode, |flash| flash.erase(0, SECOND));
        for at in [0, 8, 512, 1023] {
            assert_eq!(flash.read(at, &mut [0]), Err(SimError::Uncorrectable), "{mode:?}");
        }
        flash.write(512, &[0; 8]).unwrap();
        assert_eq!(read(&mut flash, 512), [0; 8], "voided");
    }
}

#[test]
fn single_undecided_bit_is_always_put_right() {
    for (mode, reads_as) in [
        (CutMode::AlmostDone(1), 0x5A),
        (CutMode::BarelyBegun(1), 0xFF),
        (CutMode::WeaklyDone(1), 0x5A),
        (CutMode::WeaklyBegun(1), 0xFF),
    ] {
        let mut flash = corrected(mode, &[0x5A; 8]);
        assert!((0..1000).all(|_| read(&mut flash, 0) == [reads_as; 8]), "{mode:?}");
    }
}

#[test]
fn two_undecided_bits_are_an_error_when_both_are_wrong_and_never_a_wrong_byte() {
    for (mode, often) in [
        (CutMode::AlmostDone(2), 200..300),
        (CutMode::AlmostDone(3), 400..600),
        (CutMode::BarelyBegun(2), 200..300),
    ] {
        let mut flash = corrected(mode, &[0x5A; 8]);
        let right = if mode == CutMode::BarelyBegun(2) { [0xFF; 8] } else { [0x5A; 8] };
        let errors = (0..1000).filter(|_| {
            let mut bytes = [0; 8];
            let result = flash.read(0, &mut bytes);
            assert!(result == Err(SimError::Uncorrectable) || bytes == right);
            result.is_err()
        });
        let errors = errors.count();
        assert!(often.contains(&errors), "{mode:?}: {errors} of 1000");
    }
}

#[test]
fn one_bit_flipped_at_rest_is_put_right_and_two_are_an_error() {
    let mut flash = corrected(CutMode::After, &[0x5A; 8]);
    flash.flip(3);
    assert_eq!(read(&mut flash, 0), [0x5A; 8]);
    assert_eq!(flash.bytes()[0], 0x52, "wrong underneath");
    flash.flip(60);
    assert_eq!(flash.read(1, &mut [0]), Err(SimError::Uncorrectable));
    flash.flip(3);
    assert_eq!(read(&mut flash, 0), [0x5A; 8], "back to one");
    flash.set_error_correction(false);
    assert_ne!(read(&mut flash, 0), [0x5A; 8]);
}

#[test]
fn without_error_correction_torn_units_read_without_an_error() {
    let mut flash = torn_write(0xFF, CutMode::RandomBits(50), &[0; 32]);
    let _readable: [u8; 32] = read(&mut flash, 0);
}
