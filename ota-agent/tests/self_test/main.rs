//! The self-test: every probe's ways to fail, faults planted in memory, the runner, and a trial that it decides.

#[path = "../common/mod.rs"]
mod common;

mod buses;
mod clocks;
mod faulty;
mod flash;
mod memory;
mod pins;
mod runner;
mod server;
mod trial;

use ota_agent::self_test::{Check, Outcome, Probe, SelfTest, Turn};

/// Runs one probe by itself, time passing as it asks, and says what it found and when, ms.
pub(crate) fn run(probe: &mut dyn Probe) -> (Outcome, u64) {
    let mut checks = [Check::required(probe)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    let mut now = 0;
    loop {
        match test.poll(now) {
            Turn::Progress | Turn::Ask(_) => {}
            Turn::Wait { until } => {
                assert!(until > now, "a wait that is over is no wait");
                now = until;
            }
            Turn::Ended { outcome, .. } => return (outcome, now),
            Turn::Done(_) => panic!("ended before it ended"),
        }
    }
}
