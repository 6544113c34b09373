//! Marches and the watermark: every fault they promise to find, and those they do not.

use ota_agent::self_test::{
    Cells, Fault, March, MarchPreserving, MemoryRefused, Outcome, Probe, StackWatermark, Step, Words,
};
use proptest::prelude::*;

use crate::faulty::{Bit, Faulty, Flaw};
use crate::run;

/// First and last bits of a word, and some between.
const BITS: [u32; 5] = [0, 1, 15, 30, 31];

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap()
}

fn march(memory: &mut Faulty) -> Outcome {
    run(&mut March::new(memory, 7).unwrap()).0
}

fn is_found(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed(Fault::Memory { .. } | Fault::NotRestored { .. }))
}

/// Everything that one bit can do to another.
fn couplings(aggressor: Bit, victim: Bit) -> Vec<Flaw> {
    let both = [false, true];
    let values = || both.into_iter().flat_map(|a| both.map(|b| (a, b)));
    let forced = values().flat_map(|(when, value)| {
        [Flaw::Idempotent(aggressor, when, victim, value), Flaw::State(aggressor, when, victim, value)]
    });
    forced.chain(both.map(|rises| Flaw::Inversion(aggressor, rises, victim))).collect()
}

#[test]
fn memory_without_a_fault_passes_and_ends_as_zeros() {
    let mut memory = Faulty::new([0x1234_5678, !0, 0, 7], &[]);
    assert_eq!(march(&mut memory), Outcome::Passed);
    assert_eq!(memory.contents(), [0; 4]);
}

#[test]
fn every_stuck_bit_and_every_bit_that_does_not_change_is_found_and_named() {
    for bit in (0..3).flat_map(|word| (0..32).map(move |bit| Bit(word, bit))) {
        for value in [false, true] {
            for flaw in [Flaw::Stuck(bit, value), Flaw::Transition(bit, value)] {
                for before in [0, !0] {
                    let named = Outcome::Failed(Fault::Memory { word: number(bit.0), bits: 1 << bit.1 });
                    assert_eq!(march(&mut Faulty::new([before; 3], &[flaw])), named, "{flaw:?}");
                }
            }
        }
    }
}

#[test]
fn every_coupling_between_two_words_is_found_in_both_directions() {
    let bits = || (0..4).flat_map(|word| BITS.map(|bit| Bit(word, bit)));
    for (aggressor, victim) in bits().flat_map(|a| bits().map(move |v| (a, v))) {
        if aggressor.0 == victim.0 {
            continue;
        }
        for flaw in couplings(aggressor, victim) {
            assert!(is_found(march(&mut Faulty::new([0; 4], &[flaw]))), "{flaw:?}");
        }
    }
}

#[test]
fn every_coupling_inside_a_word_is_found_whether_or_not_a_write_outdoes_it() {
    for (a, v) in (0..32).flat_map(|a| (0..32).map(move |v| (a, v))).filter(|(a, v)| a != v) {
        for flaw in couplings(Bit(0, a), Bit(0, v)) {
            assert!(is_found(march(&mut Faulty::new([0], &[flaw]))), "{flaw:?}");
            let mut memory = Faulty::new([0], &[flaw]).where_the_write_wins();
            assert!(is_found(march(&mut memory)), "{flaw:?}, where the write wins");
        }
    }
}

#[test]
fn every_address_that_leads_elsewhere_is_found() {
    for (from, to) in (0..5).flat_map(|from| (0..5).map(move |to| (from, to))).filter(|(a, b)| a != b) {
        for flaw in [Flaw::Alias(from, to), Flaw::WritesBoth(from, to)] {
            assert!(is_found(march(&mut Faulty::new([0; 5], &[flaw]))), "{flaw:?}");
        }
        for reads in [0, !0, 0x5555_5555] {
            assert!(is_found(march(&mut Faulty::new([0; 5], &[Flaw::NoWord(from, reads)]))));
        }
    }
}

#[test]
fn what_documentation_says_a_march_does_not_find_it_does_not_find() {
    // A bit that changes behind the back of the read that just saw it.
    assert_eq!(march(&mut Faulty::new([0; 4], &[Flaw::DeceptiveRead(Bit(1, 3))])), Outcome::Passed);
    // Two couplings that undo each other before anybody looks.
    let undone = [
        Flaw::Inversion(Bit(0, 3), true, Bit(3, 3)),
        Flaw::Inversion(Bit(1, 3), true, Bit(3, 3)),
        Flaw::Inversion(Bit(0, 3), false, Bit(3, 3)),
        Flaw::Inversion(Bit(1, 3), false, Bit(3, 3)),
    ];
    assert_eq!(march(&mut Faulty::new([0; 4], &undone)), Outcome::Passed);
    assert!(
        undone.iter().all(|flaw| is_found(march(&mut Faulty::new([0; 4], &[*flaw])))),
        "each alone is found"
    );
}

#[test]
fn slices_of_any_length_find_the_same() {
    let flaw = Flaw::Idempotent(Bit(4, 3), true, Bit(1, 7), true);
    let found: Vec<_> = (0..80)
        .map(|slice| run(&mut March::new(&mut Faulty::new([0; 6], &[flaw]), slice).unwrap()).0)
        .collect();
    assert!(is_found(found[0]));
    assert!(found.iter().all(|outcome| *outcome == found[0]));
}

/// Counts accesses.
struct Counting(Faulty, std::cell::Cell<usize>);

impl Words for Counting {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn word(&self, at: usize) -> u32 {
        self.1.set(self.1.get() + 1);
        self.0.word(at)
    }
}

impl Cells for Counting {
    fn set_word(&mut self, at: usize, word: u32) {
        self.1.set(self.1.get() + 1);
        self.0.set_word(at, word);
    }
}

#[test]
fn a_march_takes_ninety_accesses_a_word_and_a_preserving_one_186() {
    let mut memory = Counting(Faulty::new([0; 20], &[]), 0.into());
    assert_eq!(run(&mut March::new(&mut memory, 8).unwrap()).0, Outcome::Passed);
    assert_eq!(memory.1.take(), 20 * 90);
    // Five windows of eight words: all words but the first and last four are in two of them.
    let mut scratch = [0; 8];
    let mut probe = MarchPreserving::new(&mut memory, &mut scratch).unwrap();
    assert_eq!(run(&mut probe).0, Outcome::Passed);
    assert_eq!(memory.1.take(), 4 * 8 * 93);
}

fn words(count: usize) -> Vec<u32> {
    (1..).map(|at: u32| at.wrapping_mul(0x9E37_79B1)).take(count).collect()
}

#[test]
fn contents_are_there_whenever_a_preserving_test_is_dropped() {
    for (count, window) in [(1, 2), (2, 2), (7, 2), (16, 5), (16, 16), (5, 16), (17, 16)] {
        let (mut memory, mut scratch) = (words(count), vec![0; window]);
        for polls in 0..40 {
            let mut probe = MarchPreserving::new(&mut memory[..], &mut scratch[..]).unwrap();
            let _ = (0..polls).find(|_| matches!(probe.poll(0), Step::Done(_)));
            assert_eq!(memory, words(count), "{count} words, windows of {window}, {polls} polls");
        }
        let mut probe = MarchPreserving::new(&mut memory[..], &mut scratch[..]).unwrap();
        assert_eq!(run(&mut probe).0, Outcome::Passed);
    }
}

#[test]
fn preserving_test_finds_every_coupling_within_half_a_window() {
    const COUNT: usize = 9;
    let bits = || (0..COUNT).flat_map(|word| [0, 31].map(|bit| Bit(word, bit)));
    for (aggressor, victim) in bits().flat_map(|a| bits().map(move |v| (a, v))) {
        if aggressor == victim || aggressor.0.abs_diff(victim.0) > 2 {
            continue;
        }
        for flaw in couplings(aggressor, victim) {
            let (mut memory, mut scratch) = (Faulty::new(words(COUNT), &[flaw]), [0; 4]);
            let found = run(&mut MarchPreserving::new(&mut memory, &mut scratch).unwrap()).0;
            assert!(is_found(found), "{flaw:?}");
        }
    }
}

#[test]
fn preserving_test_does_not_find_what_lies_farther_apart() {
    let flaw = Flaw::Inversion(Bit(0, 0), true, Bit(8, 0));
    let (mut memory, mut scratch) = (Faulty::new(words(9), &[flaw]), [0; 4]);
    assert_eq!(run(&mut MarchPreserving::new(&mut memory, &mut scratch).unwrap()).0, Outcome::Passed);
    assert!(is_found(march(&mut memory)), "the destructive one does");
}

#[test]
fn preserving_test_finds_every_stuck_bit_and_puts_all_other_words_back() {
    for bit in (0..9).flat_map(|word| BITS.map(|bit| Bit(word, bit))) {
        for flaw in [Flaw::Stuck(bit, true), Flaw::Stuck(bit, false), Flaw::Transition(bit, true)] {
            let (mut memory, mut scratch) = (Faulty::new(words(9), &[flaw]), [0; 4]);
            let found = run(&mut MarchPreserving::new(&mut memory, &mut scratch).unwrap()).0;
            assert_eq!(
                found,
                Outcome::Failed(Fault::Memory { word: number(bit.0), bits: 1 << bit.1 }),
                "{flaw:?}"
            );
            let (found, before) = (memory.contents(), words(9));
            assert!((0..9).all(|at| at == bit.0 || found[at] == before[at]), "{flaw:?}");
        }
    }
}

/// Memory in which a word goes bad as its contents are put back: no march has seen it.
struct Fading(Vec<u32>, usize);

impl Words for Fading {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn word(&self, at: usize) -> u32 {
        self.0[at]
    }
}

impl Cells for Fading {
    fn set_word(&mut self, at: usize, word: u32) {
        // Patterns are a few; anything else is contents.
        let is_contents = words(self.0.len()).contains(&word);
        self.0[at] = if is_contents && at == self.1 { word ^ 4 } else { word };
    }
}

#[test]
fn contents_that_do_not_come_back_are_told() {
    for bad in 0..6 {
        let (mut memory, mut scratch) = (Fading(words(6), bad), [0; 4]);
        let found = run(&mut MarchPreserving::new(&mut memory, &mut scratch).unwrap()).0;
        assert_eq!(found, Outcome::Failed(Fault::NotRestored { word: number(bad) }));
    }
}

#[test]
fn nothing_is_entrusted_to_scratch_memory_that_is_faulty() {
    for bit in (0..4).flat_map(|word| BITS.map(|bit| Bit(word, bit))) {
        let (mut memory, mut scratch) = (words(9), Faulty::new([0; 4], &[Flaw::Stuck(bit, true)]));
        let found = run(&mut MarchPreserving::new(&mut memory[..], &mut scratch).unwrap()).0;
        assert_eq!(found, Outcome::Failed(Fault::ScratchMemory { word: number(bit.0), bits: 1 << bit.1 }));
        assert_eq!(memory, words(9));
    }
}

#[test]
fn memory_that_proves_nothing_is_refused() {
    let (empty, some) = (&mut [][..], &mut [0; 4][..]);
    assert_eq!(March::new(empty, 8).err(), Some(MemoryRefused::Empty));
    assert_eq!(MarchPreserving::new(empty, some).err(), Some(MemoryRefused::Empty));
    assert_eq!(MarchPreserving::new(some, empty).err(), Some(MemoryRefused::WindowTooSmall));
    assert_eq!(MarchPreserving::new(some, &mut [0][..]).err(), Some(MemoryRefused::WindowTooSmall));
}

const PAINT: u32 = 0xC5C5_C5C5;

#[test]
fn watermark_counts_up_to_the_first_word_that_was_used() {
    for used_from in [0, 1, 1023, 1024, 1025, 3000] {
        let mut stack = vec![PAINT; 3000];
        stack[used_from..].fill(0);
        // A hole that a frame left unwritten is not free.
        stack[2990..].fill(PAINT);
        let free = used_from.min(2990);
        let mut probe = StackWatermark::new(&stack[..], PAINT, free);
        let at_least_one = Outcome::Failed(Fault::StackMargin { free_words: 0 });
        assert_eq!(run(&mut probe).0, if free == 0 { at_least_one } else { Outcome::Passed });
        assert_eq!(probe.free_words(), if used_from == 3000 { 3000 } else { free });
        if used_from < 3000 {
            let failed = Outcome::Failed(Fault::StackMargin { free_words: number(free) });
            assert_eq!(run(&mut StackWatermark::new(&stack[..], PAINT, free + 1)).0, failed);
        }
    }
    assert_eq!(
        run(&mut StackWatermark::new(&[][..], PAINT, 0)).0,
        Outcome::Failed(Fault::StackMargin { free_words: 0 }),
        "no stack, no margin"
    );
}

proptest! {
    #[test]
    fn preserving_test_keeps_any_contents(memory in prop::collection::vec(any::<u32>(), 1..40), window in 2_usize..20) {
        let (mut tested, mut scratch) = (memory.clone(), vec![0; window]);
        let found = run(&mut MarchPreserving::new(&mut tested[..], &mut scratch[..]).unwrap()).0;
        prop_assert_eq!(found, Outcome::Passed);
        prop_assert_eq!(tested, memory);
    }
}
