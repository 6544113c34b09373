//! Servers that answer at the wrong moment: none of them may stop a device, wear it out, or make it give up a fit image.

mod common;

use common::{CHUNK, Device, Ended, Firmware, JOB};
use ota_agent::sim::ScriptedServer;
use ota_agent::{
    Agent, BootReport, Buffers, Config, Context, Event, Input, Output, Plan, Progress, SlotDriver, SlotWork,
    SlotsAnswer, Started,
};
use ota_manifest::wire::{Down, FailedProbes, FailedStage, Fetch, Object, Refusal, ResetCause, Stage, Up};
use ota_manifest::{JobId, ManifestId};
use ota_slots::ResumePoint;
use ota_slots::sim::{Cut, CutMode, Lab};

fn device(script: fn(&Up) -> Option<Down<'static>>) -> Device {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, 12_500));
    device.server.script(script);
    device
}

fn reports(up: &Up, stage: impl Fn(&Stage) -> bool) -> bool {
    matches!(up, Up::Report(report) if stage(&report.stage))
}

const GONE: Down<'static> = Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };

#[test]
fn cancel_in_answer_to_verified_is_obeyed() {
    let mut device = device(|up| reports(up, |s| *s == Stage::Verified).then_some(Down::Cancel { job: JOB }));
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Cancelled], 1));
}

#[test]
fn cancel_in_answer_to_the_terminal_report_is_an_acknowledgement() {
    let mut device =
        device(|up| reports(up, |s| *s == Stage::Confirmed).then_some(Down::Cancel { job: JOB }));
    while let Ended::Reset(_) = device.session(ResetCause::Software) {}
    assert_eq!(device.running, 2);
    assert!(device.events.contains(&Event::Settled { job: JOB }));
}

#[test]
fn cancel_in_answer_to_a_poll_is_no_busy_loop() {
    let mut agent_events = 0;
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    while let output @ (Output::Send(_) | Output::Event(_)) = agent.poll_output(0) {
        agent_events += 1;
        assert!(agent_events < 10, "asks again at once");
        if matches!(output, Output::Send(_)) {
            agent.handle_input(0, Input::Message(Down::Cancel { job: JobId::new([0; 16]) }));
        }
    }
    assert!(agent.poll_timeout().unwrap() > 1000);
}

#[test]
fn gone_in_answer_to_testing_does_not_roll_back_a_fit_image() {
    let mut device = device(|up| reports(up, |s| *s == Stage::Testing || s.is_terminal()).then_some(GONE));
    let mut cause = ResetCause::PowerOn;
    while let Ended::Reset(why) = device.session(cause) {
        cause = why;
    }
    assert_eq!(device.running, 2);
    assert!(device.events.contains(&Event::Settled { job: JOB }), "nobody is left to tell");
}

#[test]
fn objects_that_are_always_gone_end_the_job_before_they_wear_out_the_flash() {
    let mut device = device(|up| matches!(up, Up::Fetch(_)).then_some(GONE));
    device.live();
    assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Downloading, code: 0x0506 }]);
    let worst = device.flash.wear().iter().max().copied();
    assert!(worst < Some(30), "{worst:?} erases of one page");
    assert!(device.now > 60_000, "with pauses: {} ms", device.now);
}

#[test]
fn busy_objects_are_waited_for_without_starting_over() {
    static BUSY: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(3);
    let mut device = device(|up| {
        let payload = matches!(up, Up::Fetch(fetch) if fetch.object == Object::Payload);
        let left = std::sync::atomic::Ordering::Relaxed;
        if payload && BUSY.load(left) > 0 {
            BUSY.fetch_sub(1, left);
            return Some(Down::Refused { refusal: Refusal::Busy, retry_after_ms: 5000 });
        }
        None
    });
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    assert!(device.now >= 15_000);
    assert_eq!(device.server.fetches().iter().filter(|fetch| fetch.object == Object::Leaves).count(), 1);
}

#[test]
fn terminal_report_is_kept_while_the_server_does_not_recognise_the_device() {
    static STRANGE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(3);
    let mut device = device(|up| {
        let left = std::sync::atomic::Ordering::Relaxed;
        if reports(up, Stage::is_terminal) && STRANGE.load(left) > 0 {
            STRANGE.fetch_sub(1, left);
            return Some(Down::Refused { refusal: Refusal::Unauthentic, retry_after_ms: 0 });
        }
        None
    });
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
}

#[test]
fn server_cannot_silence_a_device_for_longer_than_a_day() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Send(_)));
    agent.handle_input(0, Input::Message(Down::Idle { retry_after_ms: u32::MAX }));
    assert!(agent.poll_timeout().unwrap() <= 24 * 3600 * 1000);
    agent.handle_input(10, Input::Doorbell);
    assert!(matches!(agent.poll_output(10), Output::Send(_)), "and a doorbell wakes it at once");
}

/// Offers an envelope that is none and hands in what the slots say of it; the number of the rejection.
fn rejects(agent: &mut Agent<'_>, job: JobId) -> u32 {
    for now in 0..100 {
        let input = match agent.poll_output(now) {
            Output::Send(Up::Poll(_)) => Input::Message(Down::Offer { job, attempt: 1, envelope: b"none" }),
            Output::Slots(SlotWork::Admit { .. }) => {
                Input::Slots(SlotsAnswer::Refused { refusal: Refusal::Unauthentic, code: 0x0604 })
            }
            Output::Send(Up::Report(report)) => {
                assert_eq!(report.stage, Stage::Rejected { refusal: Refusal::Unauthentic });
                agent.handle_input(now, Input::Message(Down::Ack { seq: report.seq }));
                return report.seq;
            }
            Output::Event(_) => continue,
            Output::Wait => Input::Doorbell,
            output => panic!("{output:?}"),
        };
        agent.handle_input(now, input);
    }
    panic!("no report");
}

/// An offer that was under way for long arrives as the answer to a later poll, or the server has forgotten.
#[test]
fn offer_that_comes_again_after_its_rejection_is_rejected_under_the_same_number() {
    let numbers = |jobs: &[JobId]| {
        let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
        jobs.iter().map(|job| rejects(&mut agent, *job)).collect::<Vec<_>>()
    };
    let other = JobId::new([0xCD; 16]);
    assert_eq!(numbers(&[other, JOB, JOB]), [1; 3], "job and attempt tell rejections apart");
    assert_eq!(numbers(&[JOB]), [1], "a reset changes nothing");
}

#[test]
fn bell_that_rings_while_an_answer_is_awaited_is_not_lost() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Send(_)));
    // The server answered before it had anything; the answer is still on its way when the bell rings.
    agent.handle_input(5, Input::Doorbell);
    assert!(matches!(agent.poll_output(5), Output::Wait), "one request at a time");
    agent.handle_input(10, Input::Message(Down::Idle { retry_after_ms: 0 }));
    assert!(matches!(agent.poll_output(10), Output::Send(Up::Poll(_))));
    agent.handle_input(20, Input::Message(Down::Idle { retry_after_ms: 0 }));
    assert!(matches!(agent.poll_output(20), Output::Wait), "one bell, one more request");
}

#[test]
fn device_with_a_bell_and_nothing_under_way_waits_to_be_rung() {
    let config = Config { ask_at_boot: false, poll_interval_ms: 3_600_000, ..Config::default() };
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(config, BootReport::confirmed(), 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Wait));
    assert!(agent.poll_timeout().unwrap() > 2_000_000, "it asks all the same, within its interval");
    agent.handle_input(10, Input::Doorbell);
    assert!(matches!(agent.poll_output(10), Output::Send(Up::Poll(_))));
}

#[test]
fn device_with_a_bell_and_an_update_under_way_asks_at_boot() {
    let context = Context {
        job: JOB,
        attempt: 1,
        progress: Progress::UnderWay,
        acknowledged: false,
        confirm_window_s: 10,
        seq: 1,
        failed: FailedProbes::NONE,
    };
    let config = Config { ask_at_boot: false, ..Config::default() };
    let boot = BootReport { opaque: context.encode(), ..BootReport::confirmed() };
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(config, boot, 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Send(Up::Poll(_))));
}

#[test]
fn trial_ends_at_its_deadline_although_a_report_is_still_unanswered() {
    let context = Context {
        job: JOB,
        attempt: 1,
        progress: Progress::UnderWay,
        acknowledged: false,
        confirm_window_s: 10,
        seq: 1,
        failed: FailedProbes::NONE,
    };
    let boot = BootReport { started: Started::Trial, opaque: context.encode(), ..BootReport::confirmed() };
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), boot, 7, buffers, 0);
    while let Output::Event(_) = agent.poll_output(0) {}
    // The report has left, and nobody answers: a request may take 30 s, the trial has 10.
    assert_eq!(agent.poll_timeout(), Some(10_000));
    agent.handle_timeout(10_000);
    assert!(matches!(agent.poll_output(10_000), Output::Reset));
}

/// After the loss of the journal the bootloader starts what it found on trial, and nobody has written down a window.
#[test]
fn trial_of_which_nothing_is_written_down_has_time_for_its_self_test() {
    let boot = BootReport { started: Started::Trial, ..BootReport::confirmed() };
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), boot, 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::SelfTest));
    assert_eq!(agent.poll_timeout(), Some(900_000));
    agent.handle_timeout(5000);
    agent.handle_input(5000, Input::SelfTest(true.into()));
    assert!(matches!(agent.poll_output(5000), Output::Slots(SlotWork::Confirm { .. })));
}

#[test]
fn envelope_as_long_as_the_lent_memory_is_looked_at_and_a_longer_one_is_refused() {
    for (lent, len, is_refused) in
        [(1536, 1536, false), (1536, 1537, true), (4096, 4096, false), (4096, 4097, true)]
    {
        let (mut envelope, mut window) = (vec![0; lent], [0; 4096]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
        assert!(matches!(agent.poll_output(0), Output::Send(_)));
        let offered = vec![0xE7; len];
        agent.handle_input(0, Input::Message(Down::Offer { job: JOB, attempt: 1, envelope: &offered }));
        let mut asked = None;
        for _ in 0..4 {
            match agent.poll_output(0) {
                Output::Slots(SlotWork::Admit { envelope, .. }) => asked = Some(envelope == offered),
                Output::Event(Event::OfferRefused { refusal: Refusal::Unsupported, code: 0x0505 }) => {
                    asked = None;
                    assert!(is_refused, "{lent} {len}");
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(asked, (!is_refused).then_some(true), "{lent} {len}");
    }
}

/// Drives a bare agent through a download whose slot work always succeeds; what it asked the slots for.
fn bare_download(plan: Plan, window_bytes: usize) -> Vec<&'static str> {
    let (mut envelope, mut window) = ([0; 1536], vec![0; window_bytes]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    let data = vec![0; 70_000];
    let mut work = Vec::new();
    for now in 0..5000 {
        let input = match agent.poll_output(now) {
            Output::Send(Up::Poll(_)) => {
                Input::Message(Down::Offer { job: JOB, attempt: 1, envelope: b"any" })
            }
            Output::Send(Up::Report(report)) => Input::Message(Down::Ack { seq: report.seq }),
            Output::Send(Up::Fetch(fetch)) => {
                let unit = if fetch.object == Object::Leaves { 32 } else { plan.chunk_bytes as usize };
                let bytes = &data[..usize::from(fetch.count) * unit];
                Input::Message(Down::Chunk { job: JOB, object: fetch.object, first: fetch.first, bytes })
            }
            Output::Slots(SlotWork::Admit { .. }) => Input::Slots(SlotsAnswer::Admitted(plan)),
            Output::Slots(SlotWork::Begin { .. }) => {
                Input::Slots(SlotsAnswer::Begun(ResumePoint { leaves_held: false, block: 0 }))
            }
            Output::Slots(SlotWork::CheckLeaves) => Input::Slots(SlotsAnswer::LeavesHeld(true)),
            Output::Slots(SlotWork::Finish) => return work,
            Output::Slots(other) => {
                work.push(match other {
                    SlotWork::EraseBlock { .. } => "erase",
                    SlotWork::StoreChunk { .. } => "store",
                    _ => "other",
                });
                Input::Slots(SlotsAnswer::Done)
            }
            Output::Event(Event::OfferRefused { .. }) => return vec!["refused"],
            Output::Event(_) => continue,
            output => panic!("{output:?}"),
        };
        agent.handle_input(now, input);
    }
    panic!("no end");
}

#[test]
fn block_is_erased_once_however_many_chunks_it_has() {
    let plan = Plan {
        manifest: ManifestId::NONE,
        image: 0,
        size: 128 * 1024,
        chunk_bytes: 1024,
        block_bytes: 64 * 1024,
        trial_attempts: 3,
        confirm_window_s: 900,
    };
    let work = bare_download(plan, 64 * 1024);
    assert_eq!(work.iter().filter(|work| **work == "erase").count(), 2);
    assert_eq!(work.iter().filter(|work| **work == "store").count(), 128);
    // More chunks than the window's mask has bits, or a window below one block: refused before anything is written.
    assert_eq!(bare_download(Plan { block_bytes: 128 * 1024, ..plan }, 128 * 1024), ["refused"]);
    assert_eq!(bare_download(plan, 32 * 1024), ["refused"]);
}

#[test]
fn state_of_an_agent_takes_less_than_a_kilobyte_beside_the_lent_buffers() {
    // On a machine with pointers of 64 bits, where it takes more than on a device.
    let (agent, driver) = (size_of::<Agent<'static>>(), size_of::<SlotDriver<'static>>());
    println!("agent: {agent} bytes, slot driver: {driver}");
    assert!(agent <= 1024, "{agent}");
}

/// A server that replaces an image keeps the job's name: what is in the slot is of the old one.
#[test]
fn another_image_under_the_same_job_is_fetched_whole_and_not_mixed_with_the_first() {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, 12_500));
    let operations = {
        let mut undisturbed = Device::new(Firmware::Fit, |lab| lab.release(2, 12_500));
        undisturbed.live();
        undisturbed.flash.operations()
    };
    device.flash.cut(Cut { operation: operations / 3, mode: CutMode::Before });
    assert_eq!(device.session(ResetCause::PowerOn), Ended::PowerLost);
    assert!(device.server.served() > 0, "in the middle of the download");
    device.flash.power_on();
    device.server = ScriptedServer::new(Lab::new().release(3, 9_000), JOB, CHUNK);
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 3));
    assert_eq!(device.server.served(), 9_000, "nothing of the first is taken for the second");
}

#[test]
fn chunks_of_another_image_never_reach_the_flash_and_end_the_job() {
    let mut device = Device::new(Firmware::Fit, |lab| {
        let (mut release, other) = (lab.release(2, 12_500), lab.release(3, 12_500));
        release.built.iter_mut().zip(other.built).for_each(|(built, other)| built.image = other.image);
        release
    });
    device.live();
    assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Downloading, code: 0x0502 }]);
    assert_eq!(device.running, 1);
}

#[test]
fn replayed_offer_of_a_release_that_runs_already_is_refused_and_costs_no_flash() {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, 12_500));
    device.live();
    assert_eq!(device.running, 2);
    let wear = device.flash.wear().to_vec();
    // The same envelope, as a new job: signed, and no longer new.
    device.server = ScriptedServer::new(Lab::new().release(2, 12_500), JobId::new([0xCD; 16]), CHUNK);
    device.events.clear();
    device.live();
    assert_eq!(device.terminals(), [Stage::Rejected { refusal: Refusal::NotNewer }]);
    assert_eq!(device.server.fetches().len(), 0);
    let worn = device.flash.wear().iter().zip(&wear).filter(|(now, before)| now > before).count();
    assert!(worn <= 1, "{worn} pages erased: a page of the journal may have been full");
}

/// Carries out outputs until the agent waits; what it sent and logged.
fn drain(agent: &mut Agent<'_>, now: u64) -> (Vec<Up>, Vec<Event>) {
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    loop {
        match agent.poll_output(now) {
            Output::Send(up) => sent.push(up),
            Output::Event(event) => events.push(event),
            Output::Wait => return (sent, events),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn device_that_is_newer_than_its_server_says_so_and_asks_again_at_its_usual_pace() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    let mut now = 0;
    for _ in 0..5 {
        assert!(matches!(drain(&mut agent, now).0[..], [Up::Poll(_)]));
        let refusal = Refusal::Unsupported;
        agent.handle_input(now, Input::Message(Down::Refused { refusal, retry_after_ms: 0 }));
        assert_eq!(drain(&mut agent, now), (vec![], vec![Event::ServerRefused { refusal }]));
        let due = agent.poll_timeout().unwrap();
        assert!(due - now > 60_000, "no busy loop: {}", due - now);
        now = due;
        agent.handle_timeout(now);
    }
    // The server has been brought up to date.
    assert!(matches!(drain(&mut agent, now).0[..], [Up::Poll(_)]));
    agent.handle_input(now, Input::Message(Down::Offer { job: JOB, attempt: 1, envelope: b"any" }));
    assert!(matches!(agent.poll_output(now), Output::Event(Event::Offered { job: JOB, .. })));
}

#[test]
fn server_that_does_not_know_a_stage_does_not_hold_up_the_job() {
    for refusal in [Refusal::Malformed, Refusal::Unsupported] {
        let script: fn(&Up) -> Option<Down<'static>> = match refusal {
            Refusal::Malformed => |up| {
                reports(up, |s| matches!(s, Stage::Downloading { .. } | Stage::Verified))
                    .then_some(Down::Refused { refusal: Refusal::Malformed, retry_after_ms: 0 })
            },
            _ => |up| {
                reports(up, |s| matches!(s, Stage::Downloading { .. } | Stage::Verified))
                    .then_some(Down::Refused { refusal: Refusal::Unsupported, retry_after_ms: 0 })
            },
        };
        let mut device = device(script);
        device.live();
        assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
        assert!(device.events.contains(&Event::ServerRefused { refusal }));
        assert!(!device.events.iter().any(|event| matches!(event, Event::BackingOff { .. })));
    }
}

#[test]
fn firmware_that_its_server_does_not_understand_is_rolled_back() {
    let mut device = device(|up| {
        reports(up, |s| *s == Stage::Testing)
            .then_some(Down::Refused { refusal: Refusal::Malformed, retry_after_ms: 0 })
    });
    device.live();
    assert_eq!(device.running, 1);
    assert!(matches!(device.terminals()[..], [Stage::RolledBack { .. }]));
}

/// Slots that hold more than the image has: another plan than the one they were asked about.
#[test]
fn resume_point_behind_the_end_of_the_image_fails_the_job() {
    let plan = Plan {
        manifest: ManifestId::NONE,
        image: 0,
        size: 3000,
        chunk_bytes: 1024,
        block_bytes: 1024,
        trial_attempts: 3,
        confirm_window_s: 900,
    };
    for (block, fails) in [(2, false), (3, true), (u32::MAX, true)] {
        let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
        assert!(matches!(agent.poll_output(0), Output::Send(_)));
        agent.handle_input(0, Input::Message(Down::Offer { job: JOB, attempt: 1, envelope: b"any" }));
        for answer in
            [SlotsAnswer::Admitted(plan), SlotsAnswer::Begun(ResumePoint { leaves_held: true, block })]
        {
            while let Output::Event(_) = agent.poll_output(0) {}
            agent.handle_input(0, Input::Slots(answer));
        }
        let code = Event::FlashFailed { code: 0x0503 };
        let mut failed = false;
        while let Output::Event(event) = agent.poll_output(0) {
            failed |= event == code;
        }
        assert_eq!(failed, fails, "{block}");
    }
}

#[test]
fn ring_among_the_messages_is_a_bell_and_answers_nothing() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Send(Up::Poll(_))));
    // While the first question is open, the bell is remembered and the question stays open.
    agent.handle_input(5, Input::Message(Down::Ring));
    assert!(matches!(agent.poll_output(5), Output::Wait));
    agent.handle_input(9, Input::Message(Down::Idle { retry_after_ms: 60_000 }));
    assert!(matches!(agent.poll_output(9), Output::Send(Up::Poll(_))), "rung meanwhile");
    agent.handle_input(20, Input::Message(Down::Idle { retry_after_ms: 60_000 }));
    assert!(matches!(agent.poll_output(20), Output::Wait));
    agent.handle_input(30, Input::Message(Down::Ring));
    assert!(matches!(agent.poll_output(30), Output::Send(Up::Poll(_))), "at once");
}

/// Drives a bare agent with this plan for a while, whatever it asks for; its slots hold `resume`, and objects are zeros.
fn odd_download(plan: Plan, resume: ResumePoint) {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
    let mut now = 0;
    for _ in 0..300 {
        let input = match agent.poll_output(now) {
            Output::Send(Up::Poll(_)) => {
                Input::Message(Down::Offer { job: JOB, attempt: 1, envelope: b"any" })
            }
            Output::Send(Up::Report(report)) => Input::Message(Down::Ack { seq: report.seq }),
            Output::Send(Up::Fetch(Fetch { object, first, .. })) => {
                Input::Message(Down::Chunk { job: JOB, object, first, bytes: &[0; 4096] })
            }
            Output::Send(_) => Input::LinkLost,
            Output::Slots(SlotWork::Admit { .. }) => Input::Slots(SlotsAnswer::Admitted(plan)),
            Output::Slots(SlotWork::Begin { .. }) => Input::Slots(SlotsAnswer::Begun(resume)),
            Output::Slots(SlotWork::CheckLeaves) => Input::Slots(SlotsAnswer::LeavesHeld(true)),
            Output::Slots(SlotWork::Finish) => return,
            Output::Slots(_) => Input::Slots(SlotsAnswer::Done),
            Output::Wait => {
                now = agent.poll_timeout().expect("every wait has a time limit");
                agent.handle_timeout(now);
                continue;
            }
            _ => continue,
        };
        agent.handle_input(now, input);
    }
}

/// No proven manifest has such lengths, but whoever carries out slot work by himself can make any plan.
#[test]
fn plan_with_any_lengths_panics_nobody() {
    const LENGTHS: [u32; 8] = [0, 1, 3, 1024, 4096, 4097, 65_536, u32::MAX];
    for (size, chunk_bytes, block_bytes) in LENGTHS
        .iter()
        .flat_map(|size| LENGTHS.map(move |chunk| (*size, chunk)))
        .flat_map(|(size, chunk)| LENGTHS.map(move |block| (size, chunk, block)))
    {
        let manifest = ManifestId::NONE;
        let plan = Plan {
            manifest,
            image: 0,
            size,
            chunk_bytes,
            block_bytes,
            trial_attempts: 0,
            confirm_window_s: 0,
        };
        assert!(plan.chunks_per_block() > 0, "{plan:?}");
        for block in [0, 1, 100, u32::MAX] {
            for leaves_held in [true, false] {
                odd_download(plan, ResumePoint { leaves_held, block });
            }
        }
    }
}
