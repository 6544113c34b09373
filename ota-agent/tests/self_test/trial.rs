//! Firmware on trial whose self-test decides: with a sensor, memory and the server.

use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use ota_agent::Input;
use ota_agent::self_test::{Check, Connectivity, I2cIdentity, March, SelfTest, Summary, Turn, Verdict};
use ota_manifest::wire::{FailedProbes, ResetCause, RollbackReason, Stage};

use crate::common::{Device, Firmware, Tested};
use crate::server::{QUESTION, answer_to};

/// A board on which the new firmware wakes up.
#[derive(Clone, Copy)]
struct Board {
    /// What the sensor answers; 0x60 is right.
    sensor: u8,
    /// From when on the server can be reached, ms.
    server_from: u64,
}

const NOW: u64 = 0;
const NEVER: u64 = u64::MAX;
/// How long the server is asked, and the window in which a trial has to end, ms.
const PATIENCE: u32 = 60_000;
const WINDOW: u64 = 900_000;

impl Board {
    /// Tests itself from `now` on; when it was done, the verdict and the record.
    fn test(self, mut now: u64) -> (u64, Verdict, Summary) {
        let mut bus = Mock::new(&[Transaction::write_read(0x76, vec![0xD0], vec![self.sensor])]);
        let mut memory = [0; 64];
        let mut sensor = I2cIdentity::new("sensor", &mut bus, 0x76, [0xD0], [0x60]);
        let mut march = March::new(&mut memory, 32).unwrap();
        let mut server = Connectivity::new(|| QUESTION, 5_000, PATIENCE);
        let mut checks =
            [Check::required(&mut sensor), Check::required(&mut march), Check::required(&mut server)];
        let mut test = SelfTest::new(&mut checks).unwrap();
        let verdict = loop {
            match test.poll(now) {
                Turn::Ask(nonce) if now >= self.server_from => drop(test.answer(now + 40, &answer_to(nonce))),
                Turn::Wait { until } => now = until,
                Turn::Done(verdict) => break verdict,
                Turn::Ask(_) | Turn::Progress | Turn::Ended { .. } => now += 1,
            }
        };
        let summary = test.summary();
        bus.done();
        (now, verdict, summary)
    }
}

/// A device with a new release whose firmware tests itself on this board.
fn live(board: Board) -> Device {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, 5_000));
    device.tested = Some(Box::new(move |booted| {
        let mut now = booted;
        loop {
            let (ended, verdict, _) = board.test(now);
            now = ended;
            let input = match verdict.input() {
                Some(Input::SelfTest(fitness)) => Some(fitness),
                _ => None,
            };
            // Inconclusive: again, as long as there is time for it.
            if input.is_some() || now + 2 * u64::from(PATIENCE) > booted + WINDOW {
                return Tested { now, input };
            }
        }
    }));
    device.live();
    device
}

#[test]
fn board_on_which_everything_answers_confirms() {
    let device = live(Board { sensor: 0x60, server_from: NOW });
    assert_eq!((device.running, device.terminals()), (2, vec![Stage::Confirmed]));
}

#[test]
fn board_with_another_sensor_goes_back_at_the_first_boot() {
    let device = live(Board { sensor: 0x58, server_from: NOW });
    let expected = Stage::RolledBack {
        reason: RollbackReason::SelfTest,
        cause: ResetCause::Software,
        boots: 1,
        failed: FailedProbes { probes: 0b001, code: 0x0B04 },
    };
    assert_eq!((device.running, device.terminals()), (1, vec![expected]));
}

#[test]
fn record_names_the_probe_that_failed_though_the_server_was_silent_too() {
    let (now, verdict, summary) = Board { sensor: 0x58, server_from: NEVER }.test(0);
    let failed = FailedProbes { probes: 0b001, code: 0x0B04 };
    assert_eq!(verdict, Verdict::Failed { probe: 0, name: "sensor", failed });
    assert_eq!((summary.failed.bits(), summary.inconclusive.bits(), summary.code), (0b001, 0b100, 0x0B04));
    assert!((60_000..61_000).contains(&now), "{now}");
}

#[test]
fn silent_server_uses_up_attempts_and_never_fails_the_firmware() {
    let device = live(Board { sensor: 0x60, server_from: NEVER });
    // Three windows of 900 s, each ended by a reset, then the way back: the attempts, not the self-test.
    let expected = Stage::RolledBack {
        reason: RollbackReason::AttemptsExhausted,
        cause: ResetCause::Software,
        boots: 3,
        failed: FailedProbes::NONE,
    };
    assert_eq!((device.running, device.terminals()), (1, vec![expected]));
    assert!(device.now >= 3 * WINDOW, "{}", device.now);
}

#[test]
fn server_that_comes_back_within_the_window_lets_a_second_run_confirm() {
    let device = live(Board { sensor: 0x60, server_from: 200_000 });
    assert_eq!((device.running, device.terminals()), (2, vec![Stage::Confirmed]));
    assert!((200_000..300_000).contains(&device.now), "{}", device.now);
}

#[test]
fn outage_that_outlasts_two_windows_costs_attempts_and_no_rollback() {
    let device = live(Board { sensor: 0x60, server_from: 2 * WINDOW + 200_000 });
    assert_eq!((device.running, device.terminals()), (2, vec![Stage::Confirmed]));
    assert!((2 * WINDOW + 200_000..3 * WINDOW).contains(&device.now), "{}", device.now);
}
