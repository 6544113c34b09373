//! What a program may do to flash, and what is refused.

use super::*;

fn unit_is_programmed_once<const WRITE: usize>(erased: u8) {
    let mut flash = Flash::<WRITE, PAGE>::new(2 * PAGE, erased, 1);
    let unit = u32::try_from(WRITE).unwrap();
    let at = 3 * unit;
    flash.write(at, &[0x5A; WRITE]).unwrap();
    assert_eq!(flash.write(at, &[0x5A; WRITE]), Err(SimError::ProgrammedTwice));
    assert_eq!(flash.write(at, &[erased; WRITE]), Err(SimError::ProgrammedTwice), "blank data counts");
    assert_eq!(flash.write(at + 1, &[0; WRITE]).is_err(), WRITE > 1, "alignment is by the unit");
    flash.write(at + 2 * unit, &[0x5A; WRITE]).unwrap();
    assert_eq!(flash.violations(), if WRITE > 1 { 3 } else { 2 });
    assert_eq!(read::<_, _, WRITE>(&mut flash, at), [0x5A; WRITE]);
    flash.erase(0, SECOND).unwrap();
    assert_eq!(read::<_, _, WRITE>(&mut flash, at), [erased; WRITE]);
    flash.write(at, &[0xA5; WRITE]).unwrap();
}

#[test]
fn unit_is_programmed_once_per_erase_at_every_write_size_and_erased_value() {
    for erased in ERASED {
        unit_is_programmed_once::<1>(erased);
        unit_is_programmed_once::<2>(erased);
        unit_is_programmed_once::<4>(erased);
        unit_is_programmed_once::<8>(erased);
        unit_is_programmed_once::<16>(erased);
        unit_is_programmed_once::<32>(erased);
    }
}

#[test]
fn programming_all_bits_of_a_unit_is_always_legal() {
    for erased in ERASED {
        let mut flash = words(erased);
        flash.write(0, &[0x5A; 8]).unwrap();
        flash.write(4, &[!erased; 4]).unwrap();
        flash.write(4, &[!erased; 8]).unwrap();
        assert_eq!(flash.write(0, &[0x5A; 4]), Err(SimError::ProgrammedTwice));
        assert_eq!(flash.bytes_in(4..12), [!erased; 8]);
    }
}

#[test]
fn void_unit_and_blank_unit_in_one_write_are_each_judged_alone() {
    let mut flash = words(0xFF);
    flash.write(0, &[0x5A; 4]).unwrap();
    flash.write(0, &[0, 0, 0, 0, 1, 2, 3, 4]).unwrap();
    assert_eq!(flash.write(0, &[0, 0, 0, 0, 1, 2, 3, 4]), Err(SimError::ProgrammedTwice));
    assert_eq!(flash.bytes_in(0..8), [0, 0, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn multiwrite_flash_takes_so_many_programs_and_bits_change_one_way() {
    for (erased, both) in [(0xFF, 0x5A & 0xC6), (0x00, 0x5A | 0xC6)] {
        let mut flash = words(erased);
        flash.set_multiwrite(2);
        flash.write(0, &[0x5A; 8]).unwrap();
        flash.write(0, &[0xC6; 4]).unwrap();
        assert_eq!(flash.bytes_in(0..8), [[both; 4], [0x5A; 4]].concat());
        assert_eq!(flash.write(0, &[0x5A; 8]), Err(SimError::ProgrammedTwice));
        flash.write(4, &[0xC6; 4]).unwrap();
        assert_eq!(flash.violations(), 1);
    }
}

#[test]
fn unaligned_and_out_of_bounds_requests_are_refused_and_counted() {
    let mut flash = words(0xFF);
    let refused = [
        (flash.write(2, &[0; 4]), SimError::Unaligned),
        (flash.write(0, &[0; 3]), SimError::Unaligned),
        (flash.write(4 * SECOND - 4, &[0; 8]), SimError::OutOfBounds),
        (flash.write(u32::MAX - 3, &[0; 8]), SimError::OutOfBounds),
        (flash.erase(4, SECOND), SimError::Unaligned),
        (flash.erase(0, SECOND + 4), SimError::Unaligned),
        (flash.erase(SECOND, 0), SimError::OutOfBounds),
        (flash.erase(0, 5 * SECOND), SimError::OutOfBounds),
        (flash.read(4 * SECOND, &mut [0]), SimError::OutOfBounds),
    ];
    for (index, (result, expected)) in refused.iter().enumerate() {
        assert_eq!(*result, Err(*expected), "{index}");
    }
    assert_eq!((flash.violations(), flash.operations()), (refused.len(), 0));
    assert_eq!(flash.bytes(), [0xFF; 4 * PAGE]);
}

#[test]
fn requests_for_nothing_are_no_operations() {
    let mut flash = words(0xFF);
    flash.write(4, &[]).unwrap();
    flash.erase(SECOND, SECOND).unwrap();
    flash.read(4 * SECOND, &mut []).unwrap();
    assert_eq!((flash.operations(), flash.violations()), (0, 0));
}

#[test]
fn nothing_works_without_power_and_nobody_is_blamed() {
    let mut flash = words(0xFF);
    flash.power_off();
    assert_eq!(flash.write(1, &[0; 4]), Err(SimError::PowerLost));
    assert_eq!(flash.erase(1, 9000), Err(SimError::PowerLost));
    assert_eq!(flash.read(0, &mut [0]), Err(SimError::PowerLost));
    assert_eq!((flash.operations(), flash.violations()), (0, 0));
    flash.power_on();
    flash.write(0, &[0; 4]).unwrap();
}

#[test]
fn errors_have_the_kinds_of_the_trait() {
    assert_eq!(SimError::Unaligned.kind(), NorFlashErrorKind::NotAligned);
    assert_eq!(SimError::OutOfBounds.kind(), NorFlashErrorKind::OutOfBounds);
    assert_eq!(SimError::Uncorrectable.kind(), NorFlashErrorKind::Other);
    assert_eq!(SimError::Worn.to_string(), "the page is worn out");
}
