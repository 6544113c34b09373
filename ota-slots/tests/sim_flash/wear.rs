//! Pages that are worn out.

use super::*;

#[test]
fn stuck_unit_keeps_what_it_holds_without_a_word_and_its_neighbours_do_not() {
    for erased in ERASED {
        let mut flash = words(erased);
        flash.write(0, &[0x5A; 12]).unwrap();
        flash.stick(5);
        flash.erase(0, SECOND).unwrap();
        flash.write(0, &[0xA5; 12]).unwrap();
        assert_eq!(flash.bytes_in(0..12), [[0xA5; 4], [0x5A; 4], [0xA5; 4]].concat());
        cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(0, SECOND));
        assert!((0..20).all(|_| read(&mut flash, 4) == [0x5A; 4]), "nothing can disturb it");
        assert_eq!(flash.violations(), 0);
    }
}

#[test]
fn stuck_page_keeps_what_it_holds_without_a_word() {
    let mut flash = words(0xFF);
    flash.write(1024, &[0x5A; 4]).unwrap();
    flash.stick_page(1500);
    flash.erase(0, 3 * SECOND).unwrap();
    flash.write(1024, &[0; 8]).unwrap();
    cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(1024, 2048));
    assert_eq!(read(&mut flash, 1024), [0x5A, 0x5A, 0x5A, 0x5A, 0xFF, 0xFF, 0xFF, 0xFF]);
    flash.write(2048, &[0; 8]).unwrap();
    assert_eq!(read(&mut flash, 2048), [0; 8], "the next page is fine");
}

#[test]
fn failed_page_says_so_and_is_an_operation_but_no_violation() {
    let mut flash = words(0xFF);
    flash.write(1024, &[0x5A; 4]).unwrap();
    flash.fail_page(1024);
    assert_eq!(flash.erase(0, 3 * SECOND), Err(SimError::Worn));
    assert_eq!(flash.write(1028, &[0; 4]), Err(SimError::Worn));
    assert_eq!((flash.operations(), flash.violations(), flash.wear()), (4, 0, &[1, 0, 0, 0][..]));
    assert_eq!(flash.counts().erases, 2, "the third page was never tried");
    for mode in CutMode::ALL {
        cut_next(&mut flash, mode, |flash| flash.erase(1024, 2048));
        cut_next(&mut flash, mode, |flash| flash.write(1028, &[0; 4]));
    }
    assert_eq!(read(&mut flash, 1024), [0x5A, 0x5A, 0x5A, 0x5A, 0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn page_fails_at_the_first_erase_beyond_its_endurance_and_others_do_not() {
    let mut flash = words(0xFF);
    flash.endurance(3);
    for _ in 0..3 {
        flash.erase(0, 1024).unwrap();
        flash.write(0, &[0x5A; 4]).unwrap();
    }
    assert_eq!(flash.erase(0, 1024), Err(SimError::Worn));
    assert_eq!(flash.write(4, &[0; 4]), Err(SimError::Worn));
    assert_eq!((read(&mut flash, 0), flash.wear_of(0), flash.violations()), ([0x5A; 4], 3, 0));
    flash.erase(1024, 4096).unwrap();
}
