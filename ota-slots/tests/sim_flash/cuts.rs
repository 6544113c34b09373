//! When a cut comes, and what it leaves alone.

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
