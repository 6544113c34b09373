//! Erases that power was lost in.

use super::*;

#[test]
fn before_leaves_the_page_alone_and_after_leaves_it_blank_and_free() {
    for erased in ERASED {
        let flash = torn_erase(erased, CutMode::Before);
        assert_eq!((flash.bytes_in(0..PAGE), flash.wear_of(0)), (vec![!erased; PAGE], 0));
        let mut flash = torn_erase(erased, CutMode::After);
        assert_eq!((flash.bytes_in(0..PAGE), flash.wear_of(0)), (vec![erased; PAGE], 1));
        flash.write(0, &[0x5A; PAGE]).unwrap();
    }
}

#[test]
fn page_takes_no_program_until_it_is_erased_again_whatever_it_reads() {
    for mode in CutMode::ALL.into_iter().filter(|mode| !matches!(mode, CutMode::Before | CutMode::After)) {
        for programmed in [0, PAGE] {
            let mut flash = Lines::new(2 * PAGE, 0xFF, 7);
            flash.write(0, &vec![0; programmed]).unwrap();
            cut_next(&mut flash, mode, |flash| flash.erase(0, SECOND));
            assert_eq!(flash.write(64, &[0x5A; 32]), Err(SimError::ProgrammedTwice), "{mode:?}");
            flash.erase(0, SECOND).unwrap();
            flash.write(64, &[0x5A; 32]).unwrap();
            assert_eq!(
                deviations(&mut flash, &{
                    let mut page = [0xFF; PAGE];
                    page[64..96].fill(0x5A);
                    page
                }),
                (0, 0),
                "{mode:?}"
            );
        }
    }
}

#[test]
fn halves_and_random_parts_are_set_back() {
    for erased in ERASED {
        let (old, new) = ([!erased; PAGE / 2], [erased; PAGE / 2]);
        assert_eq!(torn_erase(erased, CutMode::FirstHalf).bytes_in(0..PAGE), [new, old].concat());
        assert_eq!(torn_erase(erased, CutMode::LastHalf).bytes_in(0..PAGE), [old, new].concat());
        let page = torn_erase(erased, CutMode::RandomBits(90)).bytes_in(0..PAGE);
        let left: u32 = page.iter().map(|byte| (byte ^ erased).count_ones()).sum();
        assert!(left.abs_diff(819) < 200, "{left} bits");
        let page = torn_erase(erased, CutMode::RandomWords).bytes_in(0..PAGE);
        assert!(page.chunks(32).all(|unit| unit == [0; 32] || unit == [0xFF; 32]));
    }
}

#[test]
fn marginal_erase_leaves_every_programmed_bit_undecided_and_no_other() {
    for erased in ERASED {
        let mut flash = Lines::new(2 * PAGE, erased, 7);
        flash.write(0, &[0x3C; 32]).unwrap();
        cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(0, SECOND));
        assert_eq!(deviations(&mut flash, &[erased; PAGE]), (READS, 128));
    }
}

#[test]
fn erase_that_got_nearly_all_done_settles_what_an_earlier_cut_left() {
    let mut flash = torn_write(0xFF, CutMode::Marginal, &[0; 32]);
    flash.write(32, &[0x5A; 32]).unwrap();
    cut_next(&mut flash, CutMode::AlmostDone(1), |flash| flash.erase(0, SECOND));
    assert_eq!(deviations(&mut flash, &[0xFF; PAGE]).1, 1, "one of those that were decided");
    flash.set_error_correction(true);
    assert_eq!(read(&mut flash, 0), [0xFF; 64], "no unit is torn, and one bit is put right");
}

#[test]
fn few_undecided_bits_after_an_erase_are_of_the_page_it_was_or_is() {
    for erased in ERASED {
        let cases = [
            (CutMode::AlmostDone(2), erased, 2000..2800),
            (CutMode::BarelyBegun(2), !erased, 2000..2800),
            (CutMode::WeaklyDone(2), erased, 100..300),
            (CutMode::WeaklyBegun(2), !erased, 100..300),
        ];
        for (mode, mostly, often) in cases {
            let (deviating, bits) = deviations(&mut torn_erase(erased, mode), &[mostly; PAGE]);
            assert!(bits == 2 && often.contains(&deviating), "{mode:?}: {deviating} reads, {bits} bits");
        }
    }
}
