//! The simulated flash keeps the rules of flash, and breaks them in exactly the ways it says.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use ota_slots::sim::{Bank, Cut, CutMode, Flash, Logged, SimError};
use proptest::prelude::*;

const PAGE: usize = 1024;
/// Where the second page begins.
const SECOND: u32 = 1024;
const ERASED: [u8; 2] = [0xFF, 0x00];
/// Reads enough to see what happens one time in 32, and to tell it from one time in two.
const READS: u32 = 3200;

type Words = Flash<4, PAGE>;
type Lines = Flash<32, PAGE>;

fn words(erased: u8) -> Words {
    Words::new(4 * PAGE, erased, 1)
}

fn read<const W: usize, const P: usize, const N: usize>(flash: &mut Flash<W, P>, at: u32) -> [u8; N] {
    let mut bytes = [0; N];
    flash.read(at, &mut bytes).unwrap();
    bytes
}

/// Fails the next operation in this mode, and brings the power back.
fn cut_next<const W: usize, const P: usize>(
    flash: &mut Flash<W, P>,
    mode: CutMode,
    operation: impl FnOnce(&mut Flash<W, P>) -> Result<(), SimError>,
) {
    flash.cut(Cut { operation: flash.operations(), mode });
    assert_eq!(operation(flash), Err(SimError::PowerLost), "{mode:?}");
    assert!(flash.cut_fired() && !flash.is_powered(), "{mode:?}");
    flash.power_on();
}

/// A flash whose write of `data` to byte 0 was cut.
fn torn_write(erased: u8, mode: CutMode, data: &[u8]) -> Lines {
    let mut flash = Lines::new(2 * PAGE, erased, 7);
    cut_next(&mut flash, mode, |flash| flash.write(0, data));
    flash
}

/// A flash whose first page was all programmed, and then its erase was cut.
fn torn_erase(erased: u8, mode: CutMode) -> Lines {
    let mut flash = Lines::new(2 * PAGE, erased, 7);
    flash.write(0, &[!erased; PAGE]).unwrap();
    cut_next(&mut flash, mode, |flash| flash.erase(0, SECOND));
    flash
}

/// How many of `READS` reads of the first page differ from `expected`, and in how many different bits.
fn deviations(flash: &mut Lines, expected: &[u8; PAGE]) -> (u32, usize) {
    let (mut deviating, mut bits) = (0, BTreeSet::new());
    for _ in 0..READS {
        let found: [u8; PAGE] = read(flash, 0);
        deviating += u32::from(found != *expected);
        for at in (0..PAGE).filter(|at| found[*at] != expected[*at]) {
            bits.extend(
                (0..8).filter(|bit| (found[at] ^ expected[at]) >> bit & 1 == 1).map(|bit| 8 * at + bit),
            );
        }
    }
    (deviating, bits.len())
}

fn with_start(erased: u8, data: &[u8]) -> [u8; PAGE] {
    let mut page = [erased; PAGE];
    page[..data.len()].copy_from_slice(data);
    page
}

mod rules {
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
}

mod torn_writes {
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
}

mod torn_erases {
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
        for mode in CutMode::ALL.into_iter().filter(|mode| !matches!(mode, CutMode::Before | CutMode::After))
        {
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
}

mod cuts {
    use super::*;

    #[test]
    fn several_cuts_hit_their_own_operations_and_say_what_they_hit() {
        let mut flash = words(0xFF);
        let cuts = [1, 4].map(|operation| Cut { operation, mode: CutMode::Before });
        cuts.iter().for_each(|cut| flash.cut(*cut));
        flash.write(0, &[0; 4]).unwrap();
        assert_eq!(flash.fired(), None);
        assert_eq!(flash.write(4, &[0; 4]), Err(SimError::PowerLost));
        assert_eq!(flash.fired(), Some((cuts[0], Logged::Write { at: 4, len: 4 })));
        assert!(!flash.cut_fired(), "one is left");
        flash.power_on();
        flash.write(4, &[0; 4]).unwrap();
        assert_eq!(flash.erase(0, 3 * SECOND), Err(SimError::PowerLost), "the second page of three");
        assert_eq!(flash.fired(), Some((cuts[1], Logged::Erase { at: 1024 })));
        assert!(flash.cut_fired());
        assert_eq!((flash.operations(), flash.log().len()), (5, 5));
    }

    #[test]
    fn reseeded_flash_counts_from_zero_and_keeps_contents_wear_damage_and_settings() {
        let mut flash = words(0xFF);
        flash.set_error_correction(true);
        flash.erase(0, 1024).unwrap();
        cut_next(&mut flash, CutMode::Marginal, |flash| flash.write(0, &[0; 4]));
        flash.cut(Cut { operation: 9, mode: CutMode::Before });
        let mut flash = flash.reseeded(2);
        assert_eq!((flash.operations(), flash.log().len(), flash.counts().erases), (0, 0, 0));
        assert_eq!((flash.cut_fired(), flash.fired(), flash.violations()), (true, None, 0));
        assert_eq!((flash.wear(), flash.wear_of(0)), (&[1, 0, 0, 0][..], 1));
        assert_eq!(flash.read(0, &mut [0]), Err(SimError::Uncorrectable));
    }

    #[test]
    fn log_can_do_without_but_operations_are_counted_and_cut_all_the_same() {
        let mut flash = words(0xFF);
        flash.write(0, &[0; 4]).unwrap();
        flash.keep_log(false);
        flash.write(4, &[0; 4]).unwrap();
        assert_eq!((flash.log(), flash.operations()), (&[][..], 2));
        cut_next(&mut flash, CutMode::Before, |flash| flash.write(8, &[0; 4]));
        flash.keep_log(true);
        flash.write(8, &[0; 4]).unwrap();
        assert_eq!((flash.log(), flash.operations()), (&[Logged::Write { at: 8, len: 4 }][..], 4));
    }

    fn life(seed: u64) -> (Vec<u8>, Vec<[u8; 64]>) {
        let mut flash = words(0xFF).reseeded(seed);
        for mode in CutMode::ALL {
            flash.erase(0, 1024).unwrap();
            cut_next(&mut flash, mode, |flash| flash.write(0, &[0x5A; 64]));
        }
        cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(0, 1024));
        cut_next(&mut flash, CutMode::RandomBits(50), |flash| flash.write(2048, &[0; 64]));
        flash.rot(3072..4096, 20);
        (flash.bytes(), (0..50).map(|_| read(&mut flash, 0)).collect())
    }

    #[test]
    fn same_seed_has_the_same_bytes_and_the_same_reads_and_another_seed_has_others() {
        for seed in [0, 1, 0x61C8_8646_80B5_83EB] {
            assert_eq!(life(seed), life(seed));
            let (bytes, reads) = life(seed);
            let (other_bytes, other_reads) = life(seed + 1);
            assert!(bytes != other_bytes && reads != other_reads);
        }
    }

    #[test]
    fn all_has_a_mode_of_every_kind() {
        let kinds = CutMode::ALL.map(|mode| std::mem::discriminant(&mode));
        assert_eq!(kinds.into_iter().collect::<std::collections::HashSet<_>>().len(), 11);
        assert_eq!(CutMode::ALL.into_iter().collect::<std::collections::HashSet<_>>().len(), 16);
    }
}

mod error_correction {
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
}

mod wear {
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
}

mod at_rest {
    use super::*;

    #[test]
    fn rot_flips_so_many_different_bits_of_the_range_and_says_which() {
        let mut flash = words(0xFF);
        let before = flash.bytes();
        let bits = flash.rot(1000..1100, 300);
        let after = flash.bytes();
        let flipped: Vec<usize> = (0..8 * 4 * PAGE)
            .filter(|bit| (before[bit / 8] ^ after[bit / 8]) >> (bit % 8) & 1 == 1)
            .collect();
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
}

mod reads {
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
}

mod banks {
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
        assert_eq!(
            (all.writes, all.bytes_written, all.erases, all.reads, all.bytes_read),
            (2, 19, 2, 1, 100)
        );
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
}

mod clones {
    use super::*;

    #[test]
    fn clone_and_original_lead_their_own_lives() {
        let mut flash = words(0xFF);
        flash.write(0, &[0x5A; 8]).unwrap();
        let mut other = flash.clone();
        other.write(8, &[1; 4]).unwrap();
        flash.write(8, &[2; 4]).unwrap();
        other.erase(1024, 2048).unwrap();
        cut_next(&mut flash, CutMode::Marginal, |flash| flash.erase(0, 1024));
        assert_eq!(other.bytes_in(0..12), [0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 1, 1, 1, 1]);
        assert!((0..20).all(|_| read(&mut other, 0) == [0x5A; 8]));
        other.write(0, &[0; 4]).unwrap();
        other.erase(0, 1024).unwrap();
        flash.power_on();
        assert_eq!(flash.bytes_in(0..12), [0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 2, 2, 2, 2]);
    }

    #[test]
    fn clone_has_the_damage_of_the_original() {
        let mut flash = words(0xFF);
        flash.write(0, &[0x5A; 8]).unwrap();
        flash.write(1024, &[0x5A; 4]).unwrap();
        flash.stick(0);
        flash.stick_page(1024);
        let mut other = flash.clone();
        other.erase(0, 2048).unwrap();
        assert_eq!(other.bytes_in(0..8), [0x5A, 0x5A, 0x5A, 0x5A, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!((other.bytes_in(1024..1028), flash.bytes_in(4..8)), (vec![0x5A; 4], vec![0x5A; 4]));
    }

    #[test]
    fn flash_can_move_to_another_thread() {
        fn sendable<T: Send + Sync>(_: &T) {}
        sendable(&words(0xFF));
    }
}

/// The simulated flash never waits, so one poll finishes.
fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("simulated flash does not wait"),
    }
}

#[test]
fn asynchronous_flash_is_the_same_flash() {
    async fn life(flash: &mut impl embedded_storage_async::nor_flash::NorFlash<Error = SimError>) -> [u8; 4] {
        flash.erase(0, 1024).await.unwrap();
        flash.write(0, &[1; 4]).await.unwrap();
        assert_eq!(flash.write(0, &[1; 4]).await, Err(SimError::ProgrammedTwice));
        let mut bytes = [0; 4];
        flash.read(0, &mut bytes).await.unwrap();
        bytes
    }

    let mut flash = words(0xFF);
    assert_eq!(finish(life(&mut flash)), [1; 4]);
    assert_eq!((flash.operations(), flash.violations()), (2, 1));
}

mod model {
    //! Against the simplest flash there can be.

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Write { at: u32, data: Vec<u8> },
        Erase { page: u32 },
        Clone,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let data = prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..600),
            (1..80_usize).prop_map(|len| vec![0; len]),
            (1..80_usize).prop_map(|len| vec![0xFF; len]),
        ];
        let write = (0..520_u32, data).prop_map(|(unit, mut data)| {
            data.resize(data.len().next_multiple_of(4), 0);
            Step::Write { at: 4 * unit, data }
        });
        let step = prop_oneof![8 => write, 2 => (0..4_u32).prop_map(|page| Step::Erase { page }), 1 => Just(Step::Clone)];
        proptest::collection::vec(step, 1..40)
    }

    fn cut_mode() -> impl Strategy<Value = CutMode> {
        proptest::sample::select(CutMode::ALL.to_vec())
    }

    struct Simplest {
        bytes: Vec<u8>,
        programmed: Vec<bool>,
        erased: u8,
    }

    impl Simplest {
        fn apply(&mut self, step: &Step) -> Result<(), SimError> {
            match step {
                Step::Clone => {}
                Step::Erase { page } => {
                    let page = *page as usize * 512..(*page as usize + 1) * 512;
                    self.programmed[page.start / 4..page.end / 4].fill(false);
                    self.bytes[page].fill(self.erased);
                }
                Step::Write { at, data } => {
                    let at = *at as usize;
                    if at + data.len() > self.bytes.len() {
                        return Err(SimError::OutOfBounds);
                    }
                    let units = || (at / 4..).zip(data.chunks(4));
                    let legal = |(unit, data): (usize, &[u8])| {
                        !self.programmed[unit] || data.iter().all(|byte| *byte == !self.erased)
                    };
                    if !units().all(legal) {
                        return Err(SimError::ProgrammedTwice);
                    }
                    units().for_each(|(unit, _)| self.programmed[unit] = true);
                    for (index, byte) in (at..).zip(data) {
                        let now = self.bytes[index];
                        self.bytes[index] = if self.erased == 0 { now | byte } else { now & byte };
                    }
                }
            }
            Ok(())
        }
    }

    fn apply(flash: &mut Flash<4, 512>, step: &Step) -> Result<(), SimError> {
        match step {
            Step::Clone => {
                *flash = flash.clone();
                Ok(())
            }
            Step::Erase { page } => flash.erase(page * 512, (page + 1) * 512),
            Step::Write { at, data } => flash.write(*at, data),
        }
    }

    proptest! {
        #[test]
        fn undisturbed_flash_does_what_the_simplest_flash_does(steps in steps(), blank_is_zero: bool) {
            let erased = if blank_is_zero { 0x00 } else { 0xFF };
            let mut flash = Flash::<4, 512>::new(2048, erased, 1);
            let mut kept = Vec::new();
            let mut simplest = Simplest { bytes: vec![erased; 2048], programmed: vec![false; 512], erased };
            for step in &steps {
                kept.push((flash.clone(), simplest.bytes.clone()));
                prop_assert_eq!(apply(&mut flash, step), simplest.apply(step));
                prop_assert_eq!(&read::<_, _, 2048>(&mut flash, 0)[..], &simplest.bytes[..]);
            }
            for (flash, bytes) in kept {
                prop_assert_eq!(flash.bytes(), bytes);
            }
        }

        /// What embedded-storage promises: outside the bytes of the operation nothing changes.
        #[test]
        fn cut_changes_nothing_outside_its_operation_and_no_bit_the_wrong_way(
            steps in steps(), mode in cut_mode(), at in 0..40_usize, seed: u64,
        ) {
            let mut flash = Flash::<4, 512>::new(2048, 0xFF, seed);
            flash.cut(Cut { operation: at, mode });
            for step in &steps {
                let before = flash.bytes();
                if apply(&mut flash, step) != Err(SimError::PowerLost) {
                    continue;
                }
                flash.power_on();
                let (start, len) = match flash.fired().unwrap().1 {
                    Logged::Write { at, len } => (at as usize, len as usize),
                    Logged::Erase { at } => (at as usize, 512),
                };
                let range = start..start + len;
                for _ in 0..50 {
                    let after: [u8; 2048] = read(&mut flash, 0);
                    prop_assert_eq!(&after[..start], &before[..start]);
                    prop_assert_eq!(&after[range.end..], &before[range.end..]);
                    let wrong_way = range.clone().any(|index| match step {
                        Step::Write { .. } => after[index] & !before[index] != 0,
                        _ => before[index] & !after[index] != 0,
                    });
                    prop_assert!(!wrong_way);
                }
                break;
            }
        }
    }
}
