//! Two clocks, right, wrong and standing.

use ota_agent::self_test::{ClockRatio, Fault, Outcome, Probe, SpanRefused};
use proptest::prelude::*;

use crate::run;

const CORE: u32 = 64_000_000;
const CRYSTAL: u32 = 32_768;

/// Counters that have counted so much after the span, from `start` on.
fn counters(start: (u32, u32), counted: (u32, u32)) -> impl FnMut() -> (u32, u32) {
    let mut reads = [start, (start.0.wrapping_add(counted.0), start.1.wrapping_add(counted.1))].into_iter();
    move || reads.next().expect("read twice")
}

fn compare(start: (u32, u32), counted: (u32, u32)) -> Outcome {
    let mut probe = ClockRatio::new(counters(start, counted), (CORE, CRYSTAL), 1_000, 200).unwrap();
    run(&mut probe).0
}

#[test]
fn clocks_that_agree_pass_wherever_their_counters_stand() {
    for start in [(0, 0), (u32::MAX, u32::MAX), (u32::MAX - 1000, 7)] {
        assert_eq!(compare(start, (CORE, CRYSTAL)), Outcome::Passed);
    }
}

#[test]
fn tolerance_holds_on_both_sides() {
    // 200 ppm of 64,000,000 are 12,800; a tick of the crystal are 1,953.
    for (counted, outcome) in [
        (CORE + 12_800, Outcome::Passed),
        (CORE - 12_800, Outcome::Passed),
        (CORE + 14_700, Outcome::Passed),
        (CORE - 14_700, Outcome::Passed),
        (CORE + 14_800, Outcome::Failed(Fault::ClockOff { ppm: 231 })),
        (CORE - 14_800, Outcome::Failed(Fault::ClockOff { ppm: -231 })),
        (CORE * 2, Outcome::Failed(Fault::ClockOff { ppm: 1_000_000 })),
        (CORE / 2, Outcome::Failed(Fault::ClockOff { ppm: -500_000 })),
    ] {
        assert_eq!(compare((0, 0), (counted, CRYSTAL)), outcome, "{counted}");
    }
}

#[test]
fn clock_that_stands_still_is_told_from_one_that_is_off() {
    for counted in [(0, CRYSTAL), (CORE, 0), (0, 0), (1, 1), (CORE, CRYSTAL / 3)] {
        assert_eq!(compare((7, 7), counted), Outcome::Failed(Fault::ClockStopped), "{counted:?}");
    }
}

#[test]
fn clock_is_read_twice_and_not_before_the_span_is_over() {
    let mut reads = 0;
    let mut probe = ClockRatio::new(
        || {
            reads += 1;
            (reads * CORE, reads * CRYSTAL)
        },
        (CORE, CRYSTAL),
        1_000,
        200,
    )
    .unwrap();
    let _ = probe.poll(5);
    let _ = probe.poll(1_004);
    let _ = probe.poll(1_005);
    assert_eq!(reads, 2);
}

#[test]
fn spans_that_would_prove_nothing_are_refused() {
    let new = |hz, span, ppm| ClockRatio::new(|| (0, 0), hz, span, ppm).err();
    assert_eq!(new((0, CRYSTAL), 1_000, 200), Some(SpanRefused::NoFrequency));
    assert_eq!(new((CORE, 0), 1_000, 200), Some(SpanRefused::NoFrequency));
    assert_eq!(new((CORE, CRYSTAL), 1_000, 0), Some(SpanRefused::Tolerance));
    assert_eq!(new((CORE, CRYSTAL), 1_000, 1_000_000), Some(SpanRefused::Tolerance));
    // A tick of the crystal is 31 ppm of a second.
    assert_eq!(new((CORE, CRYSTAL), 1_000, 30), Some(SpanRefused::TooShort));
    assert_eq!(new((CORE, CRYSTAL), 1_000, 31), None);
    assert_eq!(new((CORE, CRYSTAL), 0, 200), Some(SpanRefused::TooShort));
    // 2^31 ticks of 64 MHz are 33.5 s, and a probe may take twice its span.
    assert_eq!(new((CORE, CRYSTAL), 16_000, 200), None);
    assert_eq!(new((CORE, CRYSTAL), 17_000, 200), Some(SpanRefused::TooLong));
    assert_eq!(new((u32::MAX, u32::MAX), u32::MAX, 999_999), Some(SpanRefused::TooLong));
}

proptest! {
    #[test]
    fn verdict_is_that_of_exact_arithmetic(
        hz in (1_000_u32..200_000_000, 1_000_u32..200_000_000), span in 1_u32..5_000, ppm in 1_u32..500_000,
        off in (-900_000_i32..900_000, -1000_i32..1000),
    ) {
        let ticks = |hz: u32, off: i32| {
            let nominal = u64::from(hz) * u64::from(span) / 1000;
            u32::try_from(nominal * 1_000_000_u64.saturating_add_signed(off.into()) / 1_000_000).unwrap()
        };
        let counted = (ticks(hz.0, off.0), ticks(hz.1, off.1));
        let Ok(mut probe) = ClockRatio::new(counters((0, 0), counted), hz, span, ppm) else {
            // Only a span too short for this tolerance is left to be refused.
            let tick_ppm = (1.0 / f64::from(hz.0) + 1.0 / f64::from(hz.1)) * 1e9 / f64::from(span);
            prop_assert!(tick_ppm > f64::from(ppm) * 0.9);
            return Ok(());
        };
        let exact = f64::from(counted.0) * f64::from(hz.1) / (f64::from(counted.1) * f64::from(hz.0)) - 1.0;
        match run(&mut probe).0 {
            // A tick of each clock is at most as much again; a hair for the arithmetic of this test.
            Outcome::Passed => prop_assert!(exact.abs() * 1e6 <= f64::from(ppm) * 2.01 + 1.0, "{exact}"),
            Outcome::Failed(Fault::ClockOff { ppm: told }) => {
                prop_assert!(exact.abs() * 1e6 >= f64::from(ppm) * 0.999, "{exact}");
                prop_assert!((exact * 1e6 - f64::from(told)).abs() <= exact.abs() * 1e6 * 0.5 + 2.0, "{exact} {told}");
            }
            outcome => prop_assert!(counted.0 == 0, "{outcome:?}"),
        }
    }

    #[test]
    fn no_numbers_whatever_overflow(
        hz in (any::<u32>(), any::<u32>()), span in 0_u32..100_000, ppm in any::<u32>(), counted in (any::<u32>(), any::<u32>()),
    ) {
        if let Ok(mut probe) = ClockRatio::new(counters((0, 0), counted), hz, span, ppm) {
            let (outcome, at) = run(&mut probe);
            prop_assert!(outcome != Outcome::Inconclusive && at == u64::from(span));
        }
    }
}
