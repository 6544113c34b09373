//! What the figures say about the peer, checked on the peer itself.

use ota_slots::sim::{Cut, CutMode};
use peers::lives::Life;
use peers::power_cut::{ByMode, Extent, SMALL_SLOT, sweep};
use peers::slots::{self, Figures, Wear};
use peers::stage::Stage;
use peers::verdict::Verdict;

const KIB: u32 = 1024;

fn large() -> Figures {
    slots::figures(400 * KIB, 400 * KIB, 1).unwrap()
}

#[test]
fn swap_of_a_400_kib_image_takes_the_erases_the_peer_documents() {
    let swap = large().phases.swap;
    assert_eq!((swap.erases_active, swap.erases_dfu, swap.erases_state), (100, 100, 0));
    assert_eq!(swap.bytes_written, 2 * 409_600 + 200 * 4, "every page twice, and a word for each");
}

#[test]
fn idle_boot_reads_one_word() {
    let idle = large().phases.idle_boot;
    assert_eq!((idle.read_calls, idle.bytes_read, idle.erases, idle.bytes_written), (1, 4, 0, 0));
}

#[test]
fn swap_moves_the_whole_slot_however_small_the_image() {
    let small = slots::figures(64 * KIB, 496 * KIB, 1).unwrap();
    assert_eq!(small.phases.download.erases, 16);
    assert_eq!(small.phases.swap.erases, 2 * 124);
}

#[test]
fn update_wears_one_state_page_twice() {
    assert_eq!(large().wear_per_update, Wear { active: 1, dfu: 2, state: 2 });
}

#[test]
fn cut_that_is_planned_fires() {
    for life in Life::ALL {
        let stage = Stage::new(life, SMALL_SLOT, 1).unwrap();
        for operation in [0, stage.log().len() / 2, stage.log().len() - 1] {
            let (device, history) = stage.cut(Cut { operation, mode: CutMode::Before }, 0).unwrap();
            assert!(device.flash(|flash| flash.cut_fired()));
            assert_eq!(history.power_cuts, 1);
        }
    }
}

#[test]
fn cut_that_cannot_fire_is_an_error() {
    let stage = Stage::new(Life::Confirm, SMALL_SLOT, 1).unwrap();
    let beyond = Cut { operation: stage.log().len(), mode: CutMode::Before };
    assert!(stage.cut(beyond, 0).is_err());
}

#[test]
fn same_seed_finds_the_same() {
    let run = || {
        let mut by_mode = CutMode::ALL.map(ByMode::new);
        let extent = Extent { slot: SMALL_SLOT, draws: 1, stride: 7 };
        (sweep(extent, Life::Revert, 5, &mut by_mode).unwrap(), by_mode)
    };
    assert_eq!(run(), run());
}

#[test]
fn clean_single_cut_never_leaves_half_an_image() {
    for life in Life::ALL {
        let stage = Stage::new(life, SMALL_SLOT, 1).unwrap();
        for operation in 0..stage.log().len() {
            for mode in [CutMode::Before, CutMode::After] {
                let (_, history) = stage.cut(Cut { operation, mode }, 0).unwrap();
                assert!(!Verdict::of(life, &history).unbootable, "{life:?} {operation} {mode:?}");
            }
        }
    }
}
