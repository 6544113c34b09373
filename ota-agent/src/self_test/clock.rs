//! Whether two clocks agree.

use thiserror::Error;

use super::{Fault, Outcome, Probe, Step};

const MILLION: u64 = 1_000_000;

/// Compares two clocks over a span of time: the one that is under test with one that runs from another source.
///
/// New firmware may have set up a crystal, a divider or a PLL otherwise; then every timeout, baud rate and radio slot
/// is off. Both clocks are free-running counters of 32 bits, read together, best with interrupts off. One tick of
/// each is allowed for on top of the tolerance, because a counter shows whole ticks.
///
/// Whether both are off by the same factor no comparison can tell, except that the reference must have counted at
/// least half of what the span asks for, as measured by the time that polls tell.
///
/// ```
/// use ota_agent::self_test::{ClockRatio, Fault, Outcome, Probe, Step};
///
/// // A 64 MHz core clock that runs 0.1 % fast, against a 32,768 Hz crystal, both read at 0 and 1000 ms:
/// let mut reads = [(0, 0), (64_064_000, 32_768)].into_iter();
/// let mut clock = ClockRatio::new(|| reads.next().unwrap(), (64_000_000, 32_768), 1_000, 500).unwrap();
/// assert_eq!(clock.poll(0), Step::Wait { until: 1_000 });
/// assert_eq!(clock.poll(1_000), Step::Done(Outcome::Failed(Fault::ClockOff { ppm: 1_000 })));
/// ```
#[derive(Debug)]
pub struct ClockRatio<F> {
    read: F,
    subject_hz: u32,
    reference_hz: u32,
    span_ms: u32,
    tolerance_ppm: u32,
    begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    /// When, ms.
    at: u64,
    subject: u32,
    reference: u32,
}

/// Why a span of time does not compare two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpanRefused {
    /// A frequency is zero.
    #[error("a clock of no frequency")]
    NoFrequency,
    /// The tolerance is 0, or 1,000,000 parts per million or more: a clock that stands still would pass.
    #[error("the tolerance is none, or holds everything")]
    Tolerance,
    /// So short that the one tick of each clock would allow more than the tolerance does.
    #[error("a tick is more than the tolerance in so short a span")]
    TooShort,
    /// So long that a counter may run over twice.
    #[error("a counter may run over in so long a span")]
    TooLong,
}

impl<F: FnMut() -> (u32, u32)> ClockRatio<F> {
    /// `read` gives the counters of the clock under test and of the reference, which run at `hz`, in this order. Over
    /// `span_ms` they may differ by `tolerance_ppm`, parts per million.
    ///
    /// # Errors
    /// [`SpanRefused`].
    pub fn new(read: F, hz: (u32, u32), span_ms: u32, tolerance_ppm: u32) -> Result<Self, SpanRefused> {
        let (subject_hz, reference_hz) = hz;
        if subject_hz == 0 || reference_hz == 0 {
            return Err(SpanRefused::NoFrequency);
        }
        if tolerance_ppm == 0 || u64::from(tolerance_ppm) >= MILLION {
            return Err(SpanRefused::Tolerance);
        }
        let ratio = Self { read, subject_hz, reference_hz, span_ms, tolerance_ppm, begun: None };
        let ticks = |hz: u32, ms: u32| u64::from(hz) * u64::from(ms) / 1000;
        // A clock may run at almost twice its frequency and still be told from one that stands.
        if ticks(subject_hz.max(reference_hz), ratio.timeout_ms()) > u64::from(u32::MAX / 2) {
            return Err(SpanRefused::TooLong);
        }
        // No overflow: both factors are now known to be below 2^32.
        let expected = u64::from(subject_hz) * ticks(reference_hz, span_ms);
        if ratio.tolerated(expected) < ratio.one_tick_each() {
            return Err(SpanRefused::TooShort);
        }
        Ok(ratio)
    }

    /// What the tolerance allows of `expected`.
    fn tolerated(&self, expected: u64) -> u64 {
        let ppm = u64::from(self.tolerance_ppm);
        // In two parts: the product of the whole would not fit. Each part is below 2^64, because the tolerance is
        // below a million.
        expected / MILLION * ppm + expected % MILLION * ppm / MILLION
    }

    /// One tick of each clock, in the product of both.
    fn one_tick_each(&self) -> u64 {
        u64::from(self.subject_hz) + u64::from(self.reference_hz)
    }

    fn compare(&self, subject: u32, reference: u32) -> Outcome {
        let half_ms = u64::from(self.span_ms / 2);
        let too_few = u64::from(reference) * 1000 < u64::from(self.reference_hz) * half_ms;
        if subject == 0 || reference == 0 || too_few {
            return Outcome::Failed(Fault::ClockStopped);
        }
        // Ticks times the other's frequency: no division, no loss.
        let found = u64::from(subject) * u64::from(self.reference_hz);
        let expected = u64::from(reference) * u64::from(self.subject_hz);
        let off = found.abs_diff(expected);
        if off <= self.tolerated(expected).saturating_add(self.one_tick_each()) {
            return Outcome::Passed;
        }
        let ppm = (off / (expected / MILLION).max(1)).min(i32::MAX.unsigned_abs().into());
        let ppm = i32::try_from(ppm).unwrap_or(i32::MAX);
        Outcome::Failed(Fault::ClockOff { ppm: if found < expected { -ppm } else { ppm } })
    }
}

impl<F: FnMut() -> (u32, u32)> Probe for ClockRatio<F> {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn timeout_ms(&self) -> u32 {
        self.span_ms.saturating_mul(2).saturating_add(100)
    }

    fn poll(&mut self, now: u64) -> Step {
        let Some(begun) = self.begun else {
            let (subject, reference) = (self.read)();
            self.begun = Some(Begun { at: now, subject, reference });
            return Step::Wait { until: now.saturating_add(u64::from(self.span_ms)) };
        };
        let until = begun.at.saturating_add(u64::from(self.span_ms));
        if now < until {
            return Step::Wait { until };
        }
        let (subject, reference) = (self.read)();
        let outcome =
            self.compare(subject.wrapping_sub(begun.subject), reference.wrapping_sub(begun.reference));
        Step::Done(outcome)
    }
}
