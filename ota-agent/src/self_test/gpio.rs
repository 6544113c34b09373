//! A pin that drives and a pin that hears it.

use embedded_hal::digital::{InputPin, OutputPin, PinState};

use super::{Fault, Outcome, Probe, Step};

/// Drives a pin and reads another that is wired to it: at rest, against it, and at rest again.
///
/// Both levels are seen, and both edges. Whatever it finds, the pin is left at rest, unless its driver fails. The
/// line gets `settle_ms` after each edge, as counted by the time that polls tell; 0 reads at the next poll. Fails
/// after 250 ms beyond its three waits.
///
/// ```
/// use embedded_hal::digital::PinState;
/// use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
/// use ota_agent::self_test::{Check, GpioLoopback, SelfTest, Turn, Verdict};
///
/// let levels = [State::Low, State::High, State::Low];
/// let mut enable = Mock::new(&levels.map(Transaction::set));
/// let mut power_good = Mock::new(&levels.map(Transaction::get));
/// let mut loopback = GpioLoopback::new("relay", &mut enable, &mut power_good, PinState::Low, 2);
///
/// let mut checks = [Check::required(&mut loopback)];
/// let mut test = SelfTest::new(&mut checks).unwrap();
/// let verdict = (0..).find_map(|now| if let Turn::Done(verdict) = test.poll(now) { Some(verdict) } else { None });
/// assert_eq!(verdict, Some(Verdict::Passed));
/// enable.done();
/// power_good.done();
/// ```
#[derive(Debug)]
pub struct GpioLoopback<O, I> {
    name: &'static str,
    output: O,
    input: I,
    rest: PinState,
    settle_ms: u32,
    /// Levels seen as they should be.
    seen: u8,
    /// When the level that is driven now may be read, ms.
    settled: Option<u64>,
}

/// At rest, against it, at rest.
const LEVELS: u8 = 3;

impl<O: OutputPin, I: InputPin> GpioLoopback<O, I> {
    /// `output` is wired to `input`, stays at `rest`, and gets `settle_ms` for each level.
    #[must_use]
    pub const fn new(name: &'static str, output: O, input: I, rest: PinState, settle_ms: u32) -> Self {
        Self { name, output, input, rest, settle_ms, seen: 0, settled: None }
    }

    fn level(&self) -> PinState {
        if self.seen == 1 { !self.rest } else { self.rest }
    }

    fn drive(&mut self, now: u64) -> Step {
        if self.output.set_state(self.level()).is_err() {
            return self.fail(Fault::PinFailed);
        }
        let until = now.saturating_add(u64::from(self.settle_ms));
        self.settled = Some(until);
        if until > now { Step::Wait { until } } else { Step::Progress }
    }

    fn hear(&mut self) -> Step {
        let driven_high = self.level() == PinState::High;
        match self.input.is_high() {
            Err(_) => self.fail(Fault::PinFailed),
            Ok(heard) if heard != driven_high => self.fail(Fault::WrongLevel { driven_high }),
            Ok(_) => {
                self.seen += 1;
                self.settled = None;
                if self.seen == LEVELS { Step::Done(Outcome::Passed) } else { Step::Progress }
            }
        }
    }

    fn fail(&mut self, fault: Fault) -> Step {
        self.relax();
        Step::Done(Outcome::Failed(fault))
    }

    fn relax(&mut self) {
        if self.level() != self.rest {
            // What is wrong is known already; a driver that fails here too adds nothing.
            let _ = self.output.set_state(self.rest);
        }
    }
}

impl<O: OutputPin, I: InputPin> Probe for GpioLoopback<O, I> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn timeout_ms(&self) -> u32 {
        self.settle_ms.saturating_mul(u32::from(LEVELS)).saturating_add(250)
    }

    fn poll(&mut self, now: u64) -> Step {
        match self.settled {
            None => self.drive(now),
            Some(until) if now < until => Step::Wait { until },
            Some(_) => self.hear(),
        }
    }

    fn expire(&mut self) -> Outcome {
        self.relax();
        Outcome::Failed(Fault::TimedOut)
    }
}
