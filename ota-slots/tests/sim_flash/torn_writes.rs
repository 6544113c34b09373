//! Writes that power was lost in.

use super::*;

const DATA: [u8; 64] = [0x3C; 64];

#[test]
fn before_leaves_the_units_blank_and_free() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::Before, &DATA);
        assert_eq!(flash.bytes(), [erased; 2 * PAGE]);
        flash.write(0, &DATA).unwrap();
    }
}

#[test]
fn every_other_mode_uses_the_units_up() {
    for mode in CutMode::ALL.into_iter().filter(|mode| *mode != CutMode::Before) {
        let mut flash = torn_write(0xFF, mode, &DATA);
        assert_eq!(flash.write(32, &DATA[..32]), Err(SimError::ProgrammedTwice), "{mode:?}");
        flash.write(64, &DATA).unwrap();
    }
}

#[test]
fn after_is_a_write_that_nobody_was_told_of() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::After, &DATA);
        assert_eq!(deviations(&mut flash, &with_start(erased, &DATA)), (0, 0));
    }
}

#[test]
fn halves_are_halves_of_the_bytes_even_of_one_unit_or_one_byte() {
    for erased in ERASED {
        let blank = [erased; 16];
        let first = torn_write(erased, CutMode::FirstHalf, &DATA[..32]);
        assert_eq!(first.bytes_in(0..32), [&DATA[..16], &blank].concat());
        let last = torn_write(erased, CutMode::LastHalf, &DATA[..32]);
        assert_eq!(last.bytes_in(0..32), [&blank, &DATA[..16]].concat());
    }
    for (mode, left) in [(CutMode::FirstHalf, 0xF0), (CutMode::LastHalf, 0x0F)] {
        let mut flash = Flash::<1, PAGE>::new(PAGE, 0xFF, 1);
        cut_next(&mut flash, mode, |flash| flash.write(9, &[0]));
        assert_eq!(flash.bytes()[9], left);
    }
}

#[test]
fn random_bits_happen_as_often_as_said_and_stay() {
    for erased in ERASED {
        for percent in [1, 10, 50, 90, 99] {
            let mut flash = torn_write(erased, CutMode::RandomBits(percent), &[!erased; PAGE]);
            let page: [u8; PAGE] = read(&mut flash, 0);
            let happened: u32 = page.iter().map(|byte| (byte ^ erased).count_ones()).sum();
            let expected = 8 * SECOND * u32::from(percent) / 100;
            assert!(happened.abs_diff(expected) < 200, "{happened} bits at {percent} %");
            assert_eq!(deviations(&mut flash, &page), (0, 0), "decided once and for all");
        }
    }
}

#[test]
fn random_words_happen_whole_or_not_at_all() {
    let flash = torn_write(0xFF, CutMode::RandomWords, &[0; PAGE]);
    let page = flash.bytes_in(0..PAGE);
    assert!(page.chunks(32).all(|unit| unit == [0; 32] || unit == [0xFF; 32]));
    let happened = page.iter().filter(|byte| **byte == 0).count() / 32;
    assert!((5..28).contains(&happened), "{happened} of 32");
}

#[test]
fn marginal_bits_are_all_that_were_to_change_and_read_anew_every_time() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::Marginal, &DATA);
        let changing = 64 * (0x3C ^ erased).count_ones() as usize;
        assert_eq!(deviations(&mut flash, &[erased; PAGE]), (READS, changing));
    }
}

#[test]
fn almost_done_write_reads_wrong_in_so_many_bits_every_second_time() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::AlmostDone(1), &DATA);
        let (deviating, bits) = deviations(&mut flash, &with_start(erased, &DATA));
        assert!(bits == 1 && deviating.abs_diff(READS / 2) < READS / 8, "{deviating} reads, {bits} bits");
        let mut flash = torn_write(erased, CutMode::AlmostDone(3), &DATA);
        assert_eq!(deviations(&mut flash, &with_start(erased, &DATA)).1, 3);
    }
}

#[test]
fn barely_begun_write_reads_blank_every_second_time() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::BarelyBegun(1), &DATA);
        let (deviating, bits) = deviations(&mut flash, &[erased; PAGE]);
        assert!(bits == 1 && deviating.abs_diff(READS / 2) < READS / 8, "{deviating} reads, {bits} bits");
    }
}

#[test]
fn weakly_done_write_reads_wrong_one_time_in_32() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::WeaklyDone(1), &DATA);
        let (deviating, bits) = deviations(&mut flash, &with_start(erased, &DATA));
        assert!(bits == 1 && (50..=160).contains(&deviating), "{deviating} reads, {bits} bits");
    }
}

#[test]
fn weakly_begun_cell_reads_blank_most_of_the_time() {
    for erased in ERASED {
        let mut flash = torn_write(erased, CutMode::WeaklyBegun(2), &DATA);
        let (deviating, bits) = deviations(&mut flash, &[erased; PAGE]);
        assert!(bits == 2 && (100..=300).contains(&deviating), "{deviating} reads, {bits} bits");
    }
}

#[test]
fn more_undecided_bits_than_change_are_all_that_change() {
    let mut flash = torn_write(0xFF, CutMode::AlmostDone(200), &with_start(0xFF, &[0xF0])[..32]);
    assert_eq!(deviations(&mut flash, &with_start(0xFF, &[0xF0])).1, 4);
}

#[test]
fn programming_all_bits_settles_what_was_undecided() {
    for mode in [CutMode::Marginal, CutMode::AlmostDone(3), CutMode::WeaklyBegun(3)] {
        let mut flash = torn_write(0xFF, mode, &DATA);
        flash.write(0, &[0; 64]).unwrap();
        assert_eq!(deviations(&mut flash, &with_start(0xFF, &[0; 64])), (0, 0), "{mode:?}");
    }
}

#[test]
fn write_over_a_page_boundary_is_one_operation_and_tears_in_both_pages() {
    let mut flash = words(0xFF);
    let at = SECOND - 8;
    cut_next(&mut flash, CutMode::Marginal, |flash| flash.write(at, &[0; 16]));
    assert_eq!(flash.log(), [Logged::Write { at, len: 16 }]);
    let seen = (0..100).fold([0xFF_u8; 16], |seen, _| {
        let now: [u8; 16] = read(&mut flash, at);
        std::array::from_fn(|index| seen[index] & now[index])
    });
    assert_eq!(seen, [0; 16]);
    assert_eq!(flash.write(SECOND + 4, &[1; 4]), Err(SimError::ProgrammedTwice));
}
