//! Bits that change while nobody looks.

use super::*;

#[test]
fn rot_flips_so_many_different_bits_of_the_range_and_says_which() {
    let mut flash = words(0xFF);
    let before = flash.bytes();
    let bits = flash.rot(1000..1100, 300);
    let after = flash.bytes();
    let flipped: Vec<usize> =
        (0..8 * 4 * PAGE).filter(|bit| (before[bit / 8] ^ after[bit / 8]) >> (bit % 8) & 1 == 1).collect();
    assert_eq!(bits, flipped);
    assert!(bits.len() == 300 && bits.iter().all(|bit| (8000..8800).contains(bit)));
    assert_eq!(flash.rot(0..2, 16), (0..16).collect::<Vec<_>>(), "all there are");
}

#[test]
fn flipped_bit_leaves_a_blank_unit_free_and_goes_with_an_erase() {
    for erased in ERASED {
        let mut flash = words(erased);
        flash.flip(8 * 1030 + 2);
        assert_eq!(flash.bytes()[1030], erased ^ 4);
        flash.write(1028, &[erased; 4]).unwrap();
        assert_eq!(read(&mut flash, 1030), [erased ^ 4], "programming does not clear it");
        flash.erase(1024, 2048).unwrap();
        assert_eq!(read(&mut flash, 1030), [erased]);
    }
}

#[test]
fn corrupted_bytes_are_certain_and_count_as_programmed() {
    let mut flash = torn_write(0xFF, CutMode::Marginal, &[0; 32]);
    flash.set_error_correction(true);
    flash.corrupt(0, &[0x12; 32]);
    flash.corrupt(PAGE - 2, &[1, 2, 3, 4]);
    assert!((0..20).all(|_| read(&mut flash, 0) == [0x12; 32]));
    assert_eq!(read(&mut flash, SECOND - 2), [1, 2]);
    assert_eq!(flash.write(SECOND, &[0x5A; 32]), Err(SimError::ProgrammedTwice));
    assert_eq!(flash.operations(), 1, "no operation");
}
