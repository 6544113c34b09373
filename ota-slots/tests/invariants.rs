//! The eleven invariants of the architecture, one property each, and what breaks bootloaders beside power: regions lost in
//! the middle of a move, pages that wear out, chips that go silent.

mod rig;

use core::ops::Range;

use ota_manifest::{Frame, MAX_ENVELOPE, ManifestDraft, ResetCause, Role, RollbackReason, SecurityVersion};
use ota_slots::sim::{Cut, CutMode, Lab, LabFlash, Logged};
use ota_slots::{BROWN_OUT_BUDGET, Opened, Site, SlotId, SlotState, Staging, Strategy, run_blocking};
use proptest::prelude::*;
use rig::{Booted, GUARD, JOURNAL, PAGE, PROGRESS, Reply, Rig, STRATEGIES};

const MOVING: [Strategy; 2] = [Strategy::SwapOffset, Strategy::Overwrite];
const CAUSES: [ResetCause; 6] = [
    ResetCause::PowerOn,
    ResetCause::Watchdog,
    ResetCause::Software,
    ResetCause::BrownOut,
    ResetCause::Pin,
    ResetCause::Lockup,
];

/// A device that runs release 1, confirmed.
fn settled(strategy: Strategy) -> Rig {
    let mut rig = Rig::new(strategy, 1);
    assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Confirmed, 1)));
    rig
}

/// A device whose next boot starts the trial of release 2.
fn pending(strategy: Strategy, attempts: u8) -> Rig {
    let mut rig = settled(strategy);
    rig.update(2, attempts);
    rig
}

/// A device that runs release 2, on trial.
fn trial(strategy: Strategy) -> Rig {
    let mut rig = pending(strategy, 3);
    assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, 2)));
    rig
}

/// A device that runs release 2, confirmed; release 1 is where it can be gone back to, but with `Overwrite`.
fn updated(strategy: Strategy) -> Rig {
    let mut rig = trial(strategy);
    assert_eq!(rig.confirm(), Reply::Done);
    for _ in 0..2 {
        assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 2)));
    }
    rig
}

/// A device whose next boot goes back to release 1.
fn failed(strategy: Strategy) -> Rig {
    let mut rig = trial(strategy);
    assert_eq!(rig.fail(RollbackReason::SelfTest), Reply::Done);
    rig
}

/// One boot; `None` for one that ends in recovery.
fn ran(rig: &mut Rig, cause: ResetCause) -> Option<(SlotState, u32)> {
    rig.boot(cause).ran()
}

/// The device right before each kind of move.
fn about_to_move() -> [(&'static str, Rig); 3] {
    [
        ("swap", pending(Strategy::SwapOffset, 3)),
        ("restore", failed(Strategy::SwapOffset)),
        ("install", pending(Strategy::Overwrite, 3)),
    ]
}

/// Operations of the next boot.
fn operations_of_boot(rig: &Rig) -> usize {
    let mut rig = rig.twin(1);
    assert!(ran(&mut rig, ResetCause::Software).is_some());
    rig.flash.operations()
}

/// Cuts the next boot at every operation, in a few modes, and shows what is left.
fn at_every_cut(rig: &Rig, mut look: impl FnMut(Cut, Rig)) {
    for operation in 0..operations_of_boot(rig) {
        for mode in [CutMode::Before, CutMode::FirstHalf, CutMode::RandomBits(50), CutMode::AlmostDone(1)] {
            let cut = Cut { operation, mode };
            let mut rig = rig.twin(operation as u64);
            rig.flash.cut(cut);
            assert_eq!(rig.boot(ResetCause::Software), Booted::PowerLost);
            assert!(rig.flash.cut_fired(), "{cut:?}");
            rig.flash.power_on();
            look(cut, rig);
        }
    }
}

fn fill(flash: &mut LabFlash, region: Range<usize>, byte: u8) {
    flash.corrupt(region.start, &vec![byte; region.len()]);
}

mod regions_lost_in_the_middle_of_a_move {
    use super::*;

    #[test]
    fn lost_journal_still_ends_on_a_proven_image_and_is_told() {
        for (name, rig) in about_to_move() {
            for byte in [0x00, 0xFF, 0xA5] {
                at_every_cut(&rig, |cut, mut rig| {
                    fill(&mut rig.flash, JOURNAL, byte);
                    for _ in 0..2 {
                        let ran = ran(&mut rig, ResetCause::PowerOn);
                        assert!(matches!(ran, Some((SlotState::Trial, 1 | 2))), "{name} {cut:?}: {ran:?}");
                        assert_eq!(rig.event(), Some((1, RollbackReason::JournalLost)), "{name} {cut:?}");
                    }
                    assert_eq!(rig.flash.violations(), 0, "{name} {cut:?}");
                });
            }
        }
    }

    /// Of a swap neither image may be whole then: it may end in recovery, until help comes over a cable. What only copies
    /// begins again.
    #[test]
    fn lost_progress_never_hands_over_what_is_not_proven_and_what_only_copies_still_arrives() {
        for (name, rig) in about_to_move() {
            for byte in [0x00, 0xFF, 0xA5] {
                at_every_cut(&rig, |cut, mut rig| {
                    fill(&mut rig.flash, PROGRESS, byte);
                    for _ in 0..3 {
                        let booted = rig.boot(ResetCause::PowerOn);
                        assert!(name == "swap" || booted.ran().is_some(), "{name} {cut:?}: {booted:?}");
                    }
                    assert_eq!(rig.flash.violations(), 0, "{name} {cut:?}");
                });
            }
        }
    }

    #[test]
    fn lost_progress_never_confirms_what_nobody_confirmed() {
        at_every_cut(&pending(Strategy::SwapOffset, 3), |cut, mut rig| {
            fill(&mut rig.flash, PROGRESS, 0xA5);
            for _ in 0..3 {
                let ran = ran(&mut rig, ResetCause::PowerOn);
                assert_ne!(ran, Some((SlotState::Confirmed, 2)), "{cut:?}");
            }
        });
    }

    /// The number of a move tells it from the one before. It must not begin anew when the journal does, or the progress of
    /// an older move of the same length counts as its own.
    #[test]
    fn update_after_a_lost_journal_is_not_taken_for_the_one_before() {
        for strategy in MOVING {
            let mut rig = updated(strategy);
            fill(&mut rig.flash, JOURNAL, 0xA5);
            assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Trial, 2)));
            assert_eq!((rig.confirm(), rig.acknowledge()), (Reply::Done, Reply::Done));
            rig.update(5, 3);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, 5)), "{strategy:?}");
        }
    }
}

mod parts_that_wear_out {
    use super::*;

    /// How the page that holds a byte wears out.
    type Wear = fn(&mut LabFlash, usize);

    const WEAR: [(&str, Wear); 2] = [("stuck", LabFlash::stick_page), ("failing", LabFlash::fail_page)];

    fn state_pages() -> impl Iterator<Item = usize> {
        (JOURNAL.start..GUARD.end).step_by(PAGE)
    }

    #[test]
    fn confirmed_image_boots_whatever_page_is_worn() {
        for strategy in STRATEGIES {
            for (rig, release) in [(settled(strategy), 1), (updated(strategy), 2)] {
                for (name, wear) in WEAR {
                    for page in (0..rig.flash.bytes().len()).step_by(PAGE) {
                        let mut rig = rig.twin(1);
                        wear(&mut rig.flash, page);
                        for cause in CAUSES.repeat(3) {
                            let ran = ran(&mut rig, cause);
                            assert_eq!(ran, Some((SlotState::Confirmed, release)), "{name} page at {page}");
                        }
                        // Of a page that says it took a cell and reads blank nobody can know that it is used up.
                        assert!(name == "stuck" || rig.flash.violations() == 0, "page at {page}");
                    }
                }
            }
        }
    }

    #[test]
    fn confirmed_image_boots_with_all_state_pages_worn_at_once() {
        for strategy in STRATEGIES {
            for (_, wear) in WEAR {
                let mut rig = settled(strategy);
                state_pages().for_each(|page| wear(&mut rig.flash, page));
                for cause in CAUSES.repeat(3) {
                    assert_eq!(ran(&mut rig, cause), Some((SlotState::Confirmed, 1)));
                }
                // The application is told, and the device runs on.
                assert_eq!(rig.begin(2), Reply::Refused);
                assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 1)));
            }
        }
    }

    /// Whether a worn page costs a strategy its only place for the image to go back to.
    fn is_needed_to_go_back(rig: &Rig, page: usize) -> bool {
        let region = rig.world.layout.slot(SlotId::A).region;
        let in_place = (region.start as usize..(region.start + region.len) as usize).contains(&page);
        rig.world.layout.strategy() == Strategy::SwapOffset && in_place
    }

    /// With a way back, a page that wears out during an update costs that update at most.
    #[test]
    fn page_that_wears_out_before_a_boot_still_leaves_a_proven_image() {
        for strategy in [Strategy::DirectXip, Strategy::SwapOffset] {
            for (rig, goes_back) in [(pending(strategy, 3), false), (failed(strategy), true)] {
                for (name, wear) in WEAR {
                    for page in (0..rig.flash.bytes().len()).step_by(PAGE) {
                        if goes_back && is_needed_to_go_back(&rig, page) {
                            continue;
                        }
                        let mut rig = rig.twin(1);
                        wear(&mut rig.flash, page);
                        for cause in [ResetCause::Software, ResetCause::PowerOn, ResetCause::Watchdog] {
                            assert!(ran(&mut rig, cause).is_some(), "{strategy:?} {name} page at {page}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn page_that_does_not_erase_is_not_programmed_again() {
        for (name, rig) in about_to_move() {
            for page in (0..rig.flash.bytes().len()).step_by(PAGE) {
                let mut rig = rig.twin(1);
                rig.flash.fail_page(page);
                let _ = rig.boot(ResetCause::Software);
                assert_eq!(rig.flash.violations(), 0, "{name}, page at {page}");
            }
        }
    }

    /// The attempts of a trial are asked for by an application; how often a copy is made is not up to it.
    #[test]
    fn copy_that_never_arrives_is_made_a_few_times_however_many_attempts_the_trial_has() {
        let mut rig = pending(Strategy::Overwrite, 255);
        let page = rig.image_at(Site::Slot(SlotId::A));
        rig.flash.stick_page(page + PAGE);
        let before = rig.flash.wear_of(page);
        for _ in 0..20 {
            let _ = rig.boot(ResetCause::PowerOn);
        }
        let copies = rig.flash.wear_of(page) - before;
        assert!(copies <= 12, "copied {copies} times");
    }

    /// Nothing is lost that the progress region still knows.
    #[test]
    fn journal_that_takes_no_more_records_does_not_stop_a_move_in_the_middle() {
        for (name, rig) in about_to_move() {
            for (kind, wear) in WEAR {
                at_every_cut(&rig, |cut, mut rig| {
                    JOURNAL.step_by(PAGE).for_each(|page| wear(&mut rig.flash, page));
                    for _ in 0..3 {
                        assert!(ran(&mut rig, ResetCause::PowerOn).is_some(), "{name} {kind} {cut:?}");
                    }
                });
            }
        }
    }

    /// A device before its second swap. The first one was cut short so many times at its first step, so the progress of the
    /// second begins that much further on.
    fn second_swap(times: usize) -> Rig {
        let mut rig = pending(Strategy::SwapOffset, 3);
        let first_step = Logged::Erase { at: rig.world.layout.slot(SlotId::B).region.start };
        for _ in 0..times {
            let mut undisturbed = rig.twin(1);
            assert!(ran(&mut undisturbed, ResetCause::PowerOn).is_some());
            let operation = undisturbed.flash.log().iter().position(|logged| *logged == first_step).unwrap();
            rig.flash = rig.flash.reseeded(1);
            rig.flash.cut(Cut { operation, mode: CutMode::Before });
            assert_eq!(rig.boot(ResetCause::PowerOn), Booted::PowerLost);
            rig.flash.power_on();
        }
        assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Trial, 2)));
        assert_eq!(rig.confirm(), Reply::Done);
        assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Confirmed, 2)));
        rig.update(5, 3);
        rig
    }

    #[test]
    fn swap_with_one_worn_page_of_progress_survives_a_cut_at_any_operation() {
        for times in [0, 20, 22, 24, 26] {
            let before = second_swap(times);
            for (name, wear) in WEAR {
                for page in PROGRESS.step_by(PAGE) {
                    let mut rig = before.twin(1);
                    wear(&mut rig.flash, page);
                    at_every_cut(&rig, |cut, mut rig| {
                        let ran = ran(&mut rig, ResetCause::PowerOn);
                        assert!(ran.is_some(), "{name} page at {page}, {times} cuts before, {cut:?}");
                    });
                }
            }
        }
    }

    #[test]
    fn external_staging_chip_that_answers_nothing_does_not_keep_the_confirmed_image_from_running() {
        for strategy in STRATEGIES {
            for (rig, release) in [(settled(strategy), 1), (pending(strategy, 3), 1)] {
                let mut rig = rig.twin(1);
                let staging = rig.world.layout.slot(SlotId::B).region;
                rig.flash.fail_reads_in(staging.start as usize..(staging.start + staging.len) as usize);
                for cause in CAUSES {
                    let ran = ran(&mut rig, cause);
                    assert_eq!(ran, Some((SlotState::Confirmed, release)), "{strategy:?}");
                }
            }
        }
    }

    /// A chip on the same supply comes up late, once. What it holds is not lost by that, nor is what it was to take.
    #[test]
    fn staging_chip_that_is_silent_during_one_boot_in_the_middle_of_a_move_costs_no_image() {
        for (name, rig) in about_to_move() {
            at_every_cut(&rig, |cut, mut rig| {
                let staging = rig.world.layout.slot(SlotId::B).region;
                rig.flash.fail_reads_in(staging.start as usize..(staging.start + staging.len) as usize);
                let _ = rig.boot(ResetCause::PowerOn);
                rig.flash.fail_reads_in(0..0);
                assert!(ran(&mut rig, ResetCause::PowerOn).is_some(), "{name} {cut:?}");
            });
        }
    }
}

mod invariant_1_a_proven_slot_runs {
    use super::*;

    /// An update, cut so often; sessions go on until the device is where it was going.
    fn live(rig: &mut Rig, healthy: bool) -> Option<(SlotState, u32)> {
        let mut cause = ResetCause::PowerOn;
        for _ in 0..40 {
            match rig.boot(cause) {
                Booted::PowerLost => {}
                Booted::Recovery(_) => return None,
                Booted::Ran { release: 1, .. } if rig.event().is_some() => {
                    let _ = rig.acknowledge();
                }
                Booted::Ran { state: SlotState::Trial, .. } if healthy => {
                    let _ = rig.confirm();
                }
                Booted::Ran { state: SlotState::Trial, .. } => {
                    let _ = rig.fail(RollbackReason::SelfTest);
                }
                Booted::Ran { release: 1, .. } => {
                    let update = [rig.begin(2), rig.fill(true), rig.finish(), rig.request(3)];
                    if update.first() == Some(&Reply::Refused) {
                        return Some((SlotState::Confirmed, 1));
                    }
                }
                Booted::Ran { state, release, .. } => return Some((state, release)),
            }
            cause = if rig.flash.is_powered() { ResetCause::Software } else { ResetCause::PowerOn };
            rig.flash.power_on();
        }
        None
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn after_any_three_power_cuts_the_device_arrives(
            strategy in prop::sample::select(&STRATEGIES),
            healthy in any::<bool>(),
            seed in any::<u64>(),
            cuts in prop::collection::vec((0usize..120, prop::sample::select(&CutMode::ALL)), 3),
        ) {
            let mut rig = Rig::new(strategy, seed);
            for (operation, mode) in cuts {
                rig.flash.cut(Cut { operation, mode });
            }
            let end = match (healthy, strategy) {
                (true, _) => (SlotState::Confirmed, 2),
                (false, Strategy::Overwrite) => (SlotState::Stranded, 2),
                (false, _) => (SlotState::Confirmed, 1),
            };
            prop_assert_eq!(live(&mut rig, healthy), Some(end));
            prop_assert_eq!(rig.flash.violations(), 0, "invariant 5: one program per cell per erase");
        }
    }
}

mod invariant_2_attempts {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn unconfirmed_image_gets_n_hand_overs_and_sixteen_more_for_power_failures(
            strategy in prop::sample::select(&STRATEGIES),
            attempts in 2u8..=6,
            causes in prop::collection::vec(prop::sample::select(&CAUSES), 40),
        ) {
            let mut rig = pending(strategy, attempts);
            let (mut hand_overs, mut power) = (0, 0);
            for (boot, cause) in causes.into_iter().enumerate() {
                match ran(&mut rig, cause) {
                    Some((SlotState::Trial, 2)) => {
                        hand_overs += 1;
                        power += u8::from(cause.is_power() && boot > 0);
                    }
                    other => {
                        let way_back = strategy != Strategy::Overwrite;
                        let end = if way_back { (SlotState::Confirmed, 1) } else { (SlotState::Stranded, 2) };
                        prop_assert_eq!(other, Some(end));
                        break;
                    }
                }
            }
            let free = power.min(BROWN_OUT_BUDGET);
            prop_assert!(hand_overs >= 1);
            prop_assert!(hand_overs - free <= attempts, "{} of {}, {} free", hand_overs, attempts, free);
        }
    }

    /// After a swap back both places hold the same image. When that one fails, its own copy is no way back from it.
    #[test]
    fn image_is_not_gone_back_to_from_itself() {
        let mut rig = failed(Strategy::SwapOffset);
        assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 1)));
        fill(&mut rig.flash, JOURNAL, 0xA5);
        let trials =
            (0..10).take_while(|_| ran(&mut rig, ResetCause::Watchdog) == Some((SlotState::Trial, 1)));
        assert_eq!(trials.count(), 3);
        assert_eq!(ran(&mut rig, ResetCause::Watchdog), Some((SlotState::Stranded, 1)));
    }

    #[test]
    fn without_power_failures_it_is_exactly_n() {
        for strategy in STRATEGIES {
            for attempts in 2..6 {
                let mut rig = pending(strategy, attempts);
                let trials =
                    (0..10).filter(|_| ran(&mut rig, ResetCause::Watchdog) == Some((SlotState::Trial, 2)));
                assert_eq!(trials.count(), usize::from(attempts));
            }
        }
    }
}

mod invariant_3_confirmed_stays_and_a_rollback_is_told {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn confirmed_image_never_reverts_and_reports_nothing_even_under_one_bit_flip(
            strategy in prop::sample::select(&STRATEGIES),
            bit in 8 * JOURNAL.start..8 * GUARD.end,
            causes in prop::collection::vec(prop::sample::select(&CAUSES), 20),
        ) {
            let mut rig = updated(strategy);
            rig.flash.flip(bit);
            for cause in causes {
                prop_assert_eq!(ran(&mut rig, cause), Some((SlotState::Confirmed, 2)));
                prop_assert_eq!(rig.event(), None);
            }
        }

        #[test]
        fn rollback_is_reported_under_one_number_until_it_is_acknowledged(
            strategy in prop::sample::select(&STRATEGIES),
            causes in prop::collection::vec(prop::sample::select(&CAUSES), 1..20),
        ) {
            let mut rig = failed(strategy);
            for cause in causes {
                prop_assert!(ran(&mut rig, cause).is_some());
                prop_assert_eq!(rig.event(), Some((1, RollbackReason::SelfTest)));
                prop_assert_eq!(rig.begin(3), Reply::Refused, "no update before it is acknowledged");
            }
            prop_assert_eq!(rig.acknowledge(), Reply::Done);
            prop_assert!(ran(&mut rig, ResetCause::PowerOn).is_some());
            prop_assert_eq!(rig.event(), None);
        }
    }
}

mod invariant_4_floor {
    use super::*;

    fn floor(rig: &Rig) -> SecurityVersion {
        match rig.opened() {
            Some(Opened::Confirmed(app)) => app.floor(),
            Some(Opened::Trial(app)) => app.floor(),
            Some(Opened::Stranded(app)) => app.floor(),
            None => panic!("nothing runs"),
        }
    }

    #[test]
    fn floor_rises_with_a_confirm_alone_and_outlives_the_journal() {
        for strategy in STRATEGIES {
            let mut rig = settled(strategy);
            rig.update(3, 3);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, 3)));
            assert_eq!(floor(&rig), SecurityVersion(1), "a trial raises nothing");
            assert_eq!(rig.confirm(), Reply::Done);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 3)));
            assert_eq!(floor(&rig), SecurityVersion(2));
            fill(&mut rig.flash, JOURNAL, 0xA5);
            assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Trial, 3)));
            assert_eq!(floor(&rig), SecurityVersion(2), "{strategy:?}");
            // Release 1 is below it, so it is not gone back to.
            (0..4).for_each(|_| {
                assert!(ran(&mut rig, ResetCause::Watchdog).is_some_and(|(_, release)| release == 3));
            });
        }
    }

    /// Release 2 has nothing to go back to; release 3, of a higher security version, fails on top of it.
    #[test]
    fn confirm_of_an_image_that_was_gone_back_to_raises_the_floor_to_its_own_version_alone() {
        for strategy in [Strategy::DirectXip, Strategy::SwapOffset] {
            let mut rig = trial(strategy);
            let way_back =
                if strategy == Strategy::DirectXip { Site::Slot(SlotId::A) } else { Site::Displaced };
            let at = rig.image_at(way_back) + 100;
            rig.flash.corrupt(at, &[0; 4]);
            assert_eq!(rig.fail(RollbackReason::SelfTest), Reply::Done);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Stranded, 2)));
            assert_eq!(rig.acknowledge(), Reply::Done);
            rig.update(3, 3);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, 3)));
            assert_eq!(rig.fail(RollbackReason::SelfTest), Reply::Done);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Stranded, 2)));
            assert_eq!(rig.confirm(), Reply::Done);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 2)), "{strategy:?}");
            assert_eq!(floor(&rig), SecurityVersion(1));
        }
    }
}

mod invariant_6_arbitrary_state {
    use super::*;

    /// Erase operations, writes and reads of one boot: an honest one takes a tenth of it.
    const MOST: (usize, u64) = (600, 6000);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Noise has no checksum, so it is a lost journal. What is well-formed and a lie, the fuzz target goes through.
        #[test]
        fn noise_in_all_state_regions_boots_the_proven_image_in_bounded_work(
            strategy in prop::sample::select(&STRATEGIES),
            noise in prop::collection::vec(any::<u8>(), GUARD.end),
        ) {
            let mut rig = updated(strategy);
            rig.flash.corrupt(0, &noise);
            for _ in 0..3 {
                let (operations, reads) = (rig.flash.operations(), rig.flash.counts().reads);
                prop_assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Trial, 2)));
                prop_assert!(rig.flash.operations() - operations < MOST.0);
                prop_assert!(rig.flash.counts().reads - reads < MOST.1);
            }
            prop_assert_eq!(rig.flash.violations(), 0);
        }
    }

    #[test]
    fn record_that_names_the_slot_that_never_runs_still_hands_over_the_one_that_does() {
        for strategy in MOVING {
            let mut rig = settled(strategy);
            let mut record = rig.record().expect("a journal");
            record.set_running(SlotId::B);
            fill(&mut rig.flash, JOURNAL, 0xA5);
            rig.flash.corrupt(JOURNAL.start, &record.encode(1000, false));
            let booted = rig.boot(ResetCause::PowerOn);
            let expected = Booted::Ran { slot: SlotId::A, release: 1, state: SlotState::Confirmed };
            assert_eq!(booted, expected, "{strategy:?}");
        }
    }
}

mod invariant_7_one_flipped_bit {
    use super::*;

    /// Every bit of what is written, and a sample of the rest.
    fn bits(rig: &Rig, bytes: Range<usize>, every: usize) -> Vec<usize> {
        let content = rig.flash.bytes();
        let bits = 8 * bytes.start..8 * bytes.end;
        bits.filter(|bit| bit % every == 0 && (content[bit / 8] != 0xFF || bit % 61 == 0)).collect()
    }

    /// What runs after each flip.
    fn after_flips(
        rig: &Rig,
        bytes: Range<usize>,
        every: usize,
        look: impl Fn(usize, Option<(SlotState, u32)>),
    ) {
        for bit in bits(rig, bytes, every) {
            let mut rig = rig.twin(1);
            rig.flash.flip(bit);
            look(bit, ran(&mut rig, ResetCause::Watchdog));
            assert_eq!(rig.flash.violations(), 0);
        }
    }

    #[test]
    fn in_journal_progress_or_guard_changes_nothing_for_a_confirmed_image() {
        for strategy in STRATEGIES {
            after_flips(&updated(strategy), JOURNAL.start..GUARD.end, 3, |bit, ran| {
                assert_eq!(ran, Some((SlotState::Confirmed, 2)), "{strategy:?} bit {bit}");
            });
        }
    }

    #[test]
    fn in_any_state_region_in_the_middle_of_a_move_still_ends_on_a_proven_image() {
        for (name, rig) in about_to_move() {
            let operations = operations_of_boot(&rig);
            let mut rig = rig.twin(1);
            rig.flash.cut(Cut { operation: operations / 2, mode: CutMode::Before });
            assert_eq!(rig.boot(ResetCause::Software), Booted::PowerLost);
            rig.flash.power_on();
            after_flips(&rig, JOURNAL.start..GUARD.end, 5, |bit, ran| {
                assert!(ran.is_some(), "{name} bit {bit}");
            });
        }
    }

    #[test]
    fn in_the_slot_that_does_not_run_changes_nothing() {
        for strategy in STRATEGIES {
            let rig = updated(strategy);
            let idle = if strategy == Strategy::DirectXip { SlotId::A } else { SlotId::B };
            let region = rig.world.layout.slot(idle).region;
            after_flips(&rig, region.start as usize..(region.start + region.len) as usize, 53, |bit, ran| {
                assert_eq!(ran, Some((SlotState::Confirmed, 2)), "{strategy:?} bit {bit}");
            });
        }
    }

    /// Image, envelope and last page prove nothing then; what is behind them matters to nobody.
    #[test]
    fn in_the_running_slot_leads_to_the_other_image_or_changes_nothing() {
        for strategy in STRATEGIES {
            for (rig, state) in
                [(updated(strategy), SlotState::Confirmed), (trial(strategy), SlotState::Trial)]
            {
                let running = if strategy == Strategy::DirectXip { SlotId::B } else { SlotId::A };
                let region = rig.world.layout.slot(running).region;
                after_flips(
                    &rig,
                    region.start as usize..(region.start + region.len) as usize,
                    53,
                    |bit, ran| {
                        let another_copy = strategy == Strategy::Overwrite;
                        let way_out =
                            if another_copy { (SlotState::Trial, 2) } else { (SlotState::Confirmed, 1) };
                        assert!(
                            ran == Some((state, 2)) || ran == Some(way_out),
                            "{strategy:?} bit {bit}: {ran:?}"
                        );
                    },
                );
            }
        }
    }
}

mod invariant_8_a_crash_leaves_the_old_or_the_new_state {
    use super::*;

    /// A record that an application writes: the device before it, and the operation.
    type Case = (&'static str, Strategy, fn(Strategy) -> Rig, fn(&mut Rig) -> Reply);

    fn application() -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for strategy in STRATEGIES {
            cases.push(("begin", strategy, settled, |rig| rig.begin(2)));
            cases.push(("confirm", strategy, trial, Rig::confirm));
            cases.push(("fail", strategy, trial, |rig| rig.fail(RollbackReason::SelfTest)));
            cases.push(("save", strategy, settled, |rig| rig.save(7)));
        }
        cases
    }

    /// The state the journal has, without what counts boots.
    fn state(rig: &Rig) -> (SlotId, [SlotState; 2], bool, [u8; 32]) {
        let record = rig.record().expect("a journal");
        let states = SlotId::BOTH.map(|slot| record.state(slot));
        (record.running(), states, record.is_event_open(), *record.opaque())
    }

    #[test]
    fn at_any_operation_of_any_record_of_the_application() {
        for (name, strategy, before, operation) in application() {
            let after_boot = |rig: &mut Rig| {
                assert!(ran(rig, ResetCause::PowerOn).is_some());
                state(rig)
            };
            let mut done = before(strategy);
            let start = done.flash.operations();
            assert_eq!(operation(&mut done), Reply::Done);
            let operations = start..done.flash.operations();
            let outcomes = [after_boot(&mut before(strategy)), after_boot(&mut done)];
            for at in operations {
                for mode in CutMode::ALL {
                    let mut rig = before(strategy);
                    let cut = Cut { operation: at, mode };
                    rig.flash.cut(cut);
                    assert_eq!(operation(&mut rig), Reply::PowerLost);
                    rig.flash.power_on();
                    let found = after_boot(&mut rig);
                    assert!(
                        outcomes.contains(&found),
                        "{strategy:?} {name} {cut:?}: {found:?}, not {outcomes:?}"
                    );
                    assert_eq!(rig.flash.violations(), 0);
                }
            }
        }
    }
}

mod invariant_9_stability {
    use super::*;

    /// Boots after the hand-overs of the trial until nothing changes any more: the way back, the copy of its record, and if
    /// that ends a page of the journal, one more in the next.
    const SETTLING: u8 = 3;

    #[test]
    fn device_is_stable_within_n_and_three_reboots() {
        for strategy in STRATEGIES {
            for attempts in 2..6 {
                let mut rig = pending(strategy, attempts);
                (0..attempts + SETTLING).for_each(|_| assert!(ran(&mut rig, ResetCause::Watchdog).is_some()));
                let (bytes, operations) = (rig.flash.bytes(), rig.flash.operations());
                for cause in CAUSES.repeat(2) {
                    assert!(ran(&mut rig, cause).is_some());
                }
                assert_eq!(rig.flash.operations(), operations, "a stable device writes nothing");
                assert!(rig.flash.bytes() == bytes);
            }
        }
    }
}

mod invariant_10_wear_and_the_running_slot {
    use super::*;

    /// Records that two journal pages of 4 KiB take at 10 000 erase cycles.
    const RECORDS: usize = 2 * 10_000 * (4096 / ota_slots::RECORD);

    fn journal_writes(rig: &Rig) -> usize {
        let in_journal =
            |logged: &&Logged| matches!(logged, Logged::Write { at, .. } if (*at as usize) < JOURNAL.end);
        rig.flash.log().iter().filter(in_journal).count()
    }

    #[test]
    fn two_pages_of_journal_last_for_forty_thousand_updates() {
        for strategy in STRATEGIES {
            let mut rig = settled(strategy);
            for release in 2..=5 {
                let before = journal_writes(&rig);
                rig.update(release, 3);
                assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, release)));
                assert_eq!(rig.confirm(), Reply::Done);
                for _ in 0..3 {
                    assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Confirmed, release)));
                }
                let cells = journal_writes(&rig) - before;
                assert!(RECORDS / cells >= 40_000, "{strategy:?}: {cells} cells for release {release}");
            }
        }
    }

    #[test]
    fn update_erases_each_page_of_the_slots_and_of_progress_at_most_twice() {
        for strategy in STRATEGIES {
            let mut rig = settled(strategy);
            let before = rig.flash.wear().to_vec();
            rig.update(2, 3);
            assert!(ran(&mut rig, ResetCause::Software).is_some());
            let worn = rig.flash.wear().iter().zip(&before).map(|(now, before)| now - before).max();
            assert!(worn <= Some(2), "{strategy:?}: {worn:?}");
        }
    }

    /// The whole flash but the slot that is filled and the journal.
    fn forbidden(rig: &Rig) -> Vec<u8> {
        let filled = rig.world.layout.slot(SlotId::B).region;
        let flash = rig.flash.bytes();
        [&flash[JOURNAL.end..filled.start as usize], &flash[(filled.start + filled.len) as usize..]].concat()
    }

    /// Does everything that a staging offers, with numbers that no agent would come up with.
    fn misuse(rig: &mut Rig, staging: &mut Staging<'static>, numbers: &[u32], bytes: &[u8]) {
        for number in numbers {
            let _ = rig.run(staging.erase_block(*number));
            let _ = rig.run(staging.erase_leaves());
            if let Ok(store) = staging.store_leaves(*number, bytes) {
                let _ = rig.run(store);
            }
            let _ = rig.run(staging.store_chunk(*number, bytes));
            let _ = rig.run(staging.load_chunk(*number, &mut bytes.to_vec()));
            let _ = (staging.chunks_of(*number), staging.chunk_len(*number));
        }
        let _ = rig.run(staging.find_resume_point());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// The manifest is signed by somebody who means harm: sizes and chunks are whatever can be encoded.
        #[test]
        fn no_manifest_and_no_number_makes_the_application_write_outside_the_other_slot(
            strategy in prop::sample::select(&STRATEGIES),
            size in prop_oneof![1u32..40_000, any::<u32>()],
            chunk_log2 in 8u8..20,
            numbers in prop::collection::vec(prop_oneof![0u32..64, any::<u32>()], 1..6),
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            let mut rig = settled(strategy);
            let lab = Lab::with_layout(rig.world.layout);
            let envelope = sealed(&lab, size, chunk_log2);
            let before = forbidden(&rig);
            let world = rig.world;
            let mut opened = run_blocking(
                Opened::open(&world.layout, &world.policy, SlotId::A), &mut rig.flash, &world.layout,
                &mut [0; ota_slots::WORK_BUFFER], || (),
            ).unwrap();
            let Opened::Confirmed(app) = &mut opened else { panic!() };
            let authentic = world.policy.trust.authenticate(Frame::parse(&envelope).unwrap(), Role::Release).unwrap();
            let Ok(update) = authentic.admit(&app.device_state()) else { return Ok(()) };
            let begin = app.begin(&update, &envelope).unwrap();
            if let Ok(mut staging) = rig.run(begin) {
                misuse(&mut rig, &mut staging, &numbers, &bytes);
                prop_assert!(rig.run(app.finish(&staging)).is_err(), "no such image was ever there");
            }
            prop_assert!(forbidden(&rig) == before, "written outside the slot");
            prop_assert_eq!(ran(&mut rig, ResetCause::PowerOn), Some((SlotState::Confirmed, 1)));
        }
    }

    /// An envelope for images of this size, if a manifest can say so.
    fn sealed(lab: &Lab, size: u32, chunk_log2: u8) -> Vec<u8> {
        let hostile = |draft: &mut ManifestDraft| {
            let honest = draft.clone();
            draft.images.iter_mut().for_each(|image| (image.size, image.chunk_log2) = (size, chunk_log2));
            if draft.encode(&mut [0; MAX_ENVELOPE]).is_err() {
                *draft = honest;
            }
        };
        lab.release_with(2, 10, hostile).envelope
    }
}

mod invariant_11_rejected_stays_rejected {
    use super::*;

    #[test]
    fn rejected_manifest_is_not_staged_again_and_others_are() {
        for strategy in [Strategy::DirectXip, Strategy::SwapOffset] {
            let mut rig = settled(strategy);
            for release in 2..=5 {
                rig.update(release, 3);
                assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, release)));
                assert_eq!(rig.fail(RollbackReason::SelfTest), Reply::Done);
                assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 1)));
                assert_eq!(rig.acknowledge(), Reply::Done);
                let again = (2..=5).map(|other| rig.twin_that_may_begin(other)).collect::<Vec<_>>();
                let expected: Vec<_> = (2..=5).map(|other| other > release).collect();
                assert_eq!(again, expected, "{strategy:?}, after release {release}");
            }
        }
    }

    /// A failed proof is a verdict on the flash, not on the release.
    #[test]
    fn image_that_failed_its_proof_may_be_fetched_again() {
        for strategy in STRATEGIES {
            let mut rig = pending(strategy, 3);
            let at = rig.image_at(Site::Slot(SlotId::B)) + 100;
            rig.flash.corrupt(at, &[0; 4]);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Confirmed, 1)));
            assert_eq!(rig.event(), Some((1, RollbackReason::Unproven)));
            assert_eq!(rig.acknowledge(), Reply::Done);
            rig.update(2, 3);
            assert_eq!(ran(&mut rig, ResetCause::Software), Some((SlotState::Trial, 2)));
        }
    }

    impl Rig {
        /// Whether a device like this one takes a release; the device itself is left alone.
        fn twin_that_may_begin(&self, release: u32) -> bool {
            let mut twin = self.twin(1);
            assert!(ran(&mut twin, ResetCause::Software).is_some());
            twin.begin(release) == Reply::Done
        }
    }
}
