//! Two pins that are wired together, or should be.

use embedded_hal::digital::PinState;
use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
use ota_agent::self_test::{Fault, GpioLoopback, Outcome, Probe, Step};

use crate::run;

const ERROR: MockError = MockError::Io(std::io::ErrorKind::Other);

fn set(level: State) -> Transaction {
    Transaction::set(level)
}

fn get(level: State) -> Transaction {
    Transaction::get(level)
}

/// Drives `output`, hears `input`, at rest low, 2 ms a level.
fn ask(output: &[Transaction], input: &[Transaction]) -> (Outcome, u64) {
    let (mut out, mut into) = (Mock::new(output), Mock::new(input));
    let found = run(&mut GpioLoopback::new("relay", &mut out, &mut into, PinState::Low, 2));
    out.done();
    into.done();
    found
}

#[test]
fn wired_pins_pass_at_both_levels_and_end_at_rest() {
    let levels = [State::Low, State::High, State::Low];
    assert_eq!(ask(&levels.map(set), &levels.map(get)), (Outcome::Passed, 6));
}

#[test]
fn pin_at_rest_high_is_driven_low_and_back() {
    let levels = [State::High, State::Low, State::High];
    let (mut out, mut into) = (Mock::new(&levels.map(set)), Mock::new(&levels.map(get)));
    let found = run(&mut GpioLoopback::new("reset", &mut out, &mut into, PinState::High, 0));
    assert_eq!(found, (Outcome::Passed, 0));
    out.done();
    into.done();
}

#[test]
fn line_stuck_low_is_driven_back_to_rest() {
    let found =
        ask(&[set(State::Low), set(State::High), set(State::Low)], &[get(State::Low), get(State::Low)]);
    assert_eq!(found, (Outcome::Failed(Fault::WrongLevel { driven_high: true }), 4));
}

#[test]
fn line_stuck_high_fails_at_rest() {
    let found = ask(&[set(State::Low)], &[get(State::High)]);
    assert_eq!(found, (Outcome::Failed(Fault::WrongLevel { driven_high: false }), 2));
}

#[test]
fn line_that_rises_and_does_not_fall_again_fails() {
    let found = ask(
        &[set(State::Low), set(State::High), set(State::Low)],
        &[get(State::Low), get(State::High), get(State::High)],
    );
    assert_eq!(found, (Outcome::Failed(Fault::WrongLevel { driven_high: false }), 6));
}

#[test]
fn driver_that_fails_is_told_from_a_wrong_level() {
    let failed = Outcome::Failed(Fault::PinFailed);
    assert_eq!(ask(&[set(State::Low).with_error(ERROR)], &[]).0, failed);
    assert_eq!(ask(&[set(State::Low)], &[get(State::Low).with_error(ERROR)]).0, failed);
    // Driven against its rest, it is put back, even where the driver fails at that too.
    let against = [set(State::Low), set(State::High).with_error(ERROR), set(State::Low).with_error(ERROR)];
    assert_eq!(ask(&against, &[get(State::Low)]).0, failed);
}

#[test]
fn pin_whose_time_runs_out_while_it_is_driven_is_put_back_to_rest() {
    let mut out = Mock::new(&[set(State::Low), set(State::High), set(State::Low)]);
    let mut into = Mock::new(&[get(State::Low)]);
    let mut probe = GpioLoopback::new("relay", &mut out, &mut into, PinState::Low, 10);
    assert_eq!(probe.poll(0), Step::Wait { until: 10 });
    assert_eq!(probe.poll(9), Step::Wait { until: 10 }, "it is not read before it has settled");
    assert_eq!(probe.poll(10), Step::Progress);
    assert_eq!(probe.poll(10), Step::Wait { until: 20 });
    assert_eq!(probe.expire(), Outcome::Failed(Fault::TimedOut));
    out.done();
    into.done();
}
