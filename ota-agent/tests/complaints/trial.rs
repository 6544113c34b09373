//! Trials: who starts their clock, and what cannot reach them.

use ota_agent::{Agent, BootReport, Buffers, Config, Gates, Input, Output};
use ota_manifest::wire::{Down, RollbackReason, Stage, Up};
use ota_slots::sim::Lab;

use crate::common::{Device, Firmware, JOB, bytes};
use crate::{SIZE, device, was_told};

const DAY: u64 = 24 * 3_600_000;

/// aws/ota-for-aws-iot-embedded-sdk#421: resuming starts the clock of a self-test that is not under way, and the device is
/// reset. #488 there: job, library and platform each have a belief of their own about whether one is.
#[test]
fn device_that_is_not_on_trial_is_reset_by_no_clock_and_moved_by_no_verdict() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    let (mut now, mut asked) = (0, 0);
    while now < 3 * DAY {
        match agent.poll_output(now) {
            Output::Send(_) => {
                asked += 1;
                agent.handle_input(now, Input::SelfTest((asked % 2 == 0).into()));
                agent.handle_input(now, Input::LinkLost);
            }
            Output::Event(_) => {}
            Output::Wait => {
                now = agent.poll_timeout().expect("every wait has a time limit");
                agent.handle_timeout(now);
            }
            other => panic!("{now}: {other:?}"),
        }
    }
    assert!(asked > 100, "{asked}");
}

/// aws/amazon-freertos pull request 2257: the job is cancelled while its image is on trial, another one is made, and the
/// image stays unconfirmed.
#[test]
fn cancel_during_a_trial_comes_too_late_whatever_its_outcome() {
    for (firmware, running) in [(Firmware::Fit, 2), (Firmware::Unfit, 1)] {
        let mut device = device(firmware);
        device.by(|up, server| {
            let testing = matches!(up, Up::Report(report) if report.stage == Stage::Testing);
            let answer = bytes(&server.answer(up));
            if testing { vec![bytes(&Down::Cancel { job: JOB })] } else { vec![answer] }
        });
        device.live();
        assert!(was_told(&device, |stage| stage == Stage::Testing));
        let ended = device.terminals();
        match firmware {
            Firmware::Fit => assert_eq!(ended, [Stage::Confirmed]),
            _ => assert!(
                matches!(ended[..], [Stage::RolledBack { reason: RollbackReason::SelfTest, .. }]),
                "{ended:?}"
            ),
        }
        assert_eq!(device.running, running);
    }
}

/// aws/amazon-freertos#637: the restart is put off, the next job is taken meanwhile and written over what is about to run.
#[test]
fn job_that_is_made_while_a_restart_is_put_off_waits_for_its_outcome() {
    static OPENS: [(u64, Gates); 1] = [(3_600_000, Gates::USER)];
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, SIZE));
    (device.config.restart_gates, device.gates) = (Gates::USER, &OPENS);
    let next = Lab::new().release(3, SIZE).envelope;
    let mut offered = 0;
    device.by(move |up, server| {
        let verified = matches!(up, Up::Report(report) if report.stage == Stage::Verified);
        let answer = bytes(&server.answer(up));
        if !verified {
            assert!(offered == 0 || !matches!(up, Up::Fetch(_)), "works on something else");
            return vec![answer];
        }
        offered += 1;
        let offer = Down::Offer { job: ota_manifest::JobId::new([0xCD; 16]), attempt: 1, envelope: &next };
        vec![bytes(&offer), answer]
    });
    device.live();
    assert!(device.now >= 3_600_000);
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    let job = |report: &ota_manifest::wire::Report| report.job == JOB;
    assert!(device.server.reports().iter().all(job));
    assert_eq!(device.server.served(), SIZE);
}
