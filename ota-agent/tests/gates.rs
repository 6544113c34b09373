//! Updates that wait for a battery, a user or a window: nothing is lost, nobody is silent, and cancel stays possible.

mod common;

use common::{Device, Ended, Firmware, JOB};
use ota_agent::{
    Agent, BootReport, Buffers, Config, Event, Gates, Input, Output, Plan, SlotWork, SlotsAnswer,
};
use ota_manifest::ManifestId;
use ota_manifest::wire::{Down, ResetCause, Stage, Up};

const MINUTE: u64 = 60_000;
const BOTH: Gates = Gates::BATTERY.with(Gates::USER);

fn device(download: Gates, restart: Gates, gates: &'static [(u64, Gates)]) -> Device {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, 12_500));
    (device.config.download_gates, device.config.restart_gates) = (download, restart);
    device.gates = gates;
    device
}

fn said(device: &Device, stage: Stage) -> usize {
    device.server.reports().iter().filter(|report| report.stage == stage).count()
}

#[test]
fn nothing_is_erased_or_fetched_before_the_gates_are_open() {
    static OPENS: [(u64, Gates); 2] = [(5 * MINUTE, Gates::BATTERY), (30 * MINUTE, Gates::ALL)];
    let held_until = |stop_at| {
        let mut device = device(BOTH, Gates::NONE, &OPENS);
        device.stop_at = stop_at;
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
        device
    };
    let (first, mut device) = (held_until(1), held_until(29 * MINUTE));
    assert_eq!(device.flash.operations(), first.flash.operations(), "the boot's own");
    assert_eq!(device.server.fetches().len(), 0);
    assert!(device.events.contains(&Event::Held { by: BOTH }));

    device.stop_at = u64::MAX;
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert!(device.now >= 30 * MINUTE && device.events.contains(&Event::Released));
    let heard = said(&device, Stage::Accepted);
    assert!(heard >= 29, "the server has heard of it {heard} times in 30 minutes");
}

#[test]
fn restart_waits_for_the_user_and_the_server_hears_so() {
    static OPENS: [(u64, Gates); 1] = [(20 * MINUTE, Gates::USER)];
    let mut device = device(Gates::NONE, Gates::USER, &OPENS);
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert!(said(&device, Stage::Verified) >= 19);
    assert_eq!(said(&device, Stage::PendingBoot), 1);
}

#[test]
fn gate_that_closes_pauses_a_download_which_goes_on_where_it_was() {
    static PAUSE: [(u64, Gates); 3] = [(0, Gates::ALL), (12, Gates::NONE), (9 * MINUTE, Gates::ALL)];
    let mut device = device(Gates::BATTERY, Gates::NONE, &PAUSE);
    // A server that takes a while, so that the gate closes between two windows.
    device.lost_requests = 1;
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert!(device.events.contains(&Event::Held { by: Gates::BATTERY }), "{:?}", device.events);
    assert_eq!(device.server.served(), 12_500, "no byte of it twice");
}

#[test]
fn held_job_can_be_cancelled() {
    let mut device = device(Gates::NONE, Gates::WINDOW, &[]);
    device.server.script(|up| {
        static HEARD: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
        let Up::Report(report) = up else { return None };
        let verified = report.stage == Stage::Verified;
        let again = verified && HEARD.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 5;
        again.then_some(Down::Cancel { job: JOB })
    });
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Cancelled], 1));
}

#[test]
fn device_that_is_held_for_a_month_has_a_number_left_for_its_last_word() {
    static OPENS: [(u64, Gates); 1] = [(30 * 24 * 60 * MINUTE, Gates::USER)];
    let mut device = device(Gates::NONE, Gates::USER, &OPENS);
    // The rig gives up after 20 000 steps; an hour is enough of a heartbeat for a month.
    device.config.poll_interval_ms = 3_600_000;
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    let heard = said(&device, Stage::Verified);
    assert!((400..512).contains(&heard), "{heard}");
    let numbers: Vec<u32> = device.server.reports().iter().map(|report| report.seq).collect();
    assert!(numbers.is_sorted_by(|before, after| before < after), "each number once, rising");
}

#[test]
fn gates_are_closed_until_somebody_says_otherwise() {
    static LATER: [(u64, Gates); 1] = [(10 * MINUTE, Gates::USER)];
    let mut device = device(Gates::NONE, Gates::USER, &LATER);
    let ended = device.session(ResetCause::PowerOn);
    assert_eq!((ended, device.running), (Ended::Reset(ResetCause::Software), 1));
    assert!(device.now >= 10 * MINUTE);
    // The restart took place; the new firmware's own updates wait for the user again.
    device.gates = &[];
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
}

/// Hands over outputs, slot work done well, until the agent waits or sends something that the test answers.
fn next(agent: &mut Agent<'_>, now: u64) -> Option<Up> {
    loop {
        let answer = match agent.poll_output(now) {
            Output::Event(_) => continue,
            Output::Wait => return None,
            Output::Send(up) => return Some(up),
            Output::Slots(SlotWork::Admit { .. }) => SlotsAnswer::Admitted(PLAN),
            Output::Slots(_) => SlotsAnswer::Done,
            other => panic!("{other:?}"),
        };
        agent.handle_input(now, Input::Slots(answer));
    }
}

const PLAN: Plan = Plan {
    manifest: ManifestId::NONE,
    image: 0,
    size: 4096,
    chunk_bytes: 1024,
    block_bytes: 1024,
    trial_attempts: 3,
    confirm_window_s: 900,
};

#[test]
fn answer_that_comes_after_the_next_word_was_due_leaves_no_time_limit_behind() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let config = Config { poll_interval_ms: 10_000, download_gates: Gates::USER, ..Config::default() };
    let mut agent = Agent::new(config, BootReport::confirmed(), 7, buffers, 0);
    assert!(matches!(next(&mut agent, 0), Some(Up::Poll(_))));
    let offer = Down::Offer { job: JOB, attempt: 1, envelope: b"any" };
    agent.handle_input(0, Input::Message(offer));
    assert_eq!((next(&mut agent, 0), agent.poll_timeout()), (None, Some(10_000)), "held");

    agent.handle_timeout(10_000);
    let Some(Up::Report(first)) = next(&mut agent, 10_000) else { panic!("silent") };
    // The server takes its time: another word has been due since 20 000.
    agent.handle_input(25_000, Input::Message(Down::Ack { seq: first.seq }));
    let Some(Up::Report(second)) = next(&mut agent, 25_000) else { panic!("a wait that is over") };
    assert_eq!((second.stage, second.seq), (Stage::Accepted, first.seq + 1));
    agent.handle_input(26_000, Input::Message(Down::Ack { seq: second.seq }));
    assert_eq!((next(&mut agent, 26_000), agent.poll_timeout()), (None, Some(35_000)));
}

#[test]
fn reports_of_a_device_that_is_reset_while_it_is_held_are_numbered_on() {
    static OPENS: [(u64, Gates); 1] = [(30 * MINUTE, Gates::ALL)];
    let mut device = device(Gates::BATTERY, Gates::NONE, &OPENS);
    for stop_at in [5, 10, 20] {
        device.stop_at = stop_at * MINUTE;
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    }
    device.stop_at = u64::MAX;
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    let reports: Vec<(u32, Stage)> = device.server.reports().iter().map(|r| (r.seq, r.stage)).collect();
    assert!(reports.len() > 25);
    assert!(reports.is_sorted_by(|before, after| before.0 < after.0), "{reports:?}");
}
