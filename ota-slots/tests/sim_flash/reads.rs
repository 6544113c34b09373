//! Reads that fail now and then.

use super::*;

#[test]
fn so_many_reads_fail_and_then_all_is_well() {
    let mut flash = words(0xFF);
    flash.fail_reads(2);
    assert_eq!(flash.read(0, &mut [0]), Err(SimError::ReadFailed));
    assert_eq!(flash.read(9000, &mut [0]), Err(SimError::OutOfBounds), "refused: not one of them");
    flash.write(0, &[0; 4]).unwrap();
    assert_eq!(flash.read(0, &mut [0]), Err(SimError::ReadFailed));
    assert_eq!(read(&mut flash, 0), [0; 4]);
}

#[test]
fn silent_area_answers_nothing_and_learns_nothing() {
    let mut flash = words(0xFF);
    flash.fail_reads_in(1024..2048);
    assert_eq!(flash.read(1020, &mut [0; 8]), Err(SimError::NoAnswer));
    assert_eq!(flash.write(2040, &[0; 4]), Err(SimError::NoAnswer));
    assert_eq!(flash.erase(0, 4096), Err(SimError::NoAnswer), "after the first page");
    assert_eq!((flash.operations(), flash.violations()), (1, 0));
    flash.write(2048, &[0; 4]).unwrap();
    assert_eq!(read(&mut flash, 1020), [0xFF; 4]);
    flash.fail_reads_in(0..0);
    assert_eq!(read(&mut flash, 1020), [0xFF; 8]);
}
