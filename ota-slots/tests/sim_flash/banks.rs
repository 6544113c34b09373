//! Two chips in one address space.

use super::*;

const INTERNAL: Bank = Bank { len: 8192, write_size: 8, erase_page: 2048, erased: 0x00 };
const EXTERNAL: Bank = Bank { len: 16384, write_size: 1, erase_page: 4096, erased: 0xFF };
const EXTERN: u32 = 8192;

fn two() -> Flash<8, 4096> {
    Flash::with_banks(&[INTERNAL, EXTERNAL], 1)
}

#[test]
fn each_bank_keeps_its_own_geometry() {
    let mut flash = two();
    assert_eq!((flash.capacity(), flash.wear().len()), (24576, 8));
    assert_eq!(flash.bytes(), [vec![0; 8192], vec![0xFF; 16384]].concat());
    assert_eq!(flash.write(4, &[1; 8]), Err(SimError::Unaligned));
    flash.write(8, &[1; 8]).unwrap();
    flash.write(EXTERN + 3, &[1; 5]).unwrap();
    assert_eq!(flash.erase(EXTERN, EXTERN + 2048), Err(SimError::Unaligned));
    flash.erase(2048, 4096).unwrap();
    flash.erase(EXTERN, EXTERN + 4096).unwrap();
    assert_eq!(flash.wear(), [0, 1, 0, 0, 1, 0, 0, 0]);
    assert_eq!((flash.wear_of(4095), flash.wear_of(4096), flash.wear_of(12287)), (1, 0, 1));
}

#[test]
fn reads_and_writes_do_not_reach_across_and_erases_do_page_by_page() {
    let mut flash = two();
    assert_eq!(flash.write(EXTERN - 8, &[1; 16]), Err(SimError::OutOfBounds));
    assert_eq!(flash.read(EXTERN - 1, &mut [0; 2]), Err(SimError::OutOfBounds));
    flash.erase(4096, EXTERN + 8192).unwrap();
    let erases = [4096, 6144, 8192, 12288].map(|at| Logged::Erase { at });
    assert_eq!((flash.log(), flash.violations()), (&erases[..], 2));
}

#[test]
fn power_fails_for_all_banks_at_once_and_operations_are_numbered_over_all() {
    let mut flash = two();
    flash.cut(Cut { operation: 1, mode: CutMode::WeaklyDone(1) });
    flash.write(0, &[1; 8]).unwrap();
    assert_eq!(flash.write(EXTERN, &[1; 8]), Err(SimError::PowerLost));
    assert_eq!(flash.read(0, &mut [0]), Err(SimError::PowerLost));
    flash.power_on();
    assert_eq!(read(&mut flash, 0), [1; 8]);
}

#[test]
fn counts_are_kept_for_each_bank_and_can_start_over() {
    let mut flash = two();
    flash.write(0, &[1; 16]).unwrap();
    flash.write(EXTERN, &[1; 3]).unwrap();
    flash.erase(6144, EXTERN + 4096).unwrap();
    flash.read(EXTERN, &mut [0; 100]).unwrap();
    let (internal, external, all) = (flash.counts_of(0), flash.counts_of(1), flash.counts());
    assert_eq!((internal.writes, internal.bytes_written, internal.erases, internal.reads), (1, 16, 1, 0));
    assert_eq!((external.writes, external.bytes_written, external.erases), (1, 3, 1));
    assert_eq!((external.reads, external.bytes_read), (1, 100));
    assert_eq!((all.writes, all.bytes_written, all.erases, all.reads, all.bytes_read), (2, 19, 2, 1, 100));
    flash.reset_counts();
    assert_eq!((flash.counts().writes, flash.operations(), flash.wear_of(6144)), (0, 4, 1));
}

#[test]
fn damage_reaches_where_it_is_told_in_any_bank() {
    let mut flash = two();
    flash.corrupt(8190, &[1, 2, 3, 4]);
    assert_eq!(flash.bytes_in(8188..8196), [0, 0, 1, 2, 3, 4, 0xFF, 0xFF]);
    flash.fail_page(EXTERN as usize + 4096);
    assert_eq!(flash.write(EXTERN + 5000, &[1]), Err(SimError::Worn));
    flash.write(EXTERN + 4095, &[1]).unwrap();
    flash.stick(8199);
    flash.write(EXTERN + 6, &[1; 3]).unwrap();
    assert_eq!(flash.bytes_in(8198..8201), [1, 0xFF, 1]);
}

#[test]
#[should_panic(expected = "multiples of what every bank has")]
fn announced_geometry_that_a_bank_does_not_divide_is_refused() {
    let _ = Flash::<4, 4096>::with_banks(&[INTERNAL, EXTERNAL], 1);
}
