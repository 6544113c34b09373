//! What time it is, and whose word counts: questions, answers, trust documents, and servers that lie about them.

mod common;

use std::sync::{Arc, Mutex};

use common::{Device, Ended, Firmware, Line};
use ota_agent::sim::ScriptedServer;
use ota_agent::{Agent, BootReport, Buffers, Config, Event, Gates, Input, Output, SlotWork};
use ota_manifest::wire::{Down, FailedProbes, Refusal, ResetCause, RollbackReason, Stage, Up, encode};
use ota_manifest::{FreshnessDraft, ManifestDraft, Nonce, Order, Role, TrustDraft};
use ota_slots::sim::{Cut, CutMode, Lab, LabKey};
use ota_slots::{BootDescriptor, Geometry, Layout, Partition, Policy, Region, SlotRegion, TrustOffer};
use ota_verify::sign::{Signer, seal_freshness, seal_trust};
use ota_verify::{AlgSet, Trust, TrustedKey};

const NOW: u64 = 1_790_000_000;
const SIZE: usize = 5000;

/// What the server has to say beside jobs.
#[derive(Clone)]
struct Word {
    time: u64,
    /// Version of its newest trust document.
    trust: u32,
    /// Polls that find nothing, before there is a job.
    idle_polls: usize,
    /// Messages that nobody hears, before there is a server.
    unheard: usize,
    /// What it does with questions.
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Does not know of such questions.
    Old,
    Silent,
    /// Answers the question before.
    Replays,
    /// The same, the first time.
    ReplaysOnce,
    /// Signs with a key that nobody knows.
    Forges,
    /// Sends a document that the roots have not signed, another one each time.
    ForgesTrust,
    /// Sends the first document whatever was asked for.
    ReplaysTrust,
    /// Has lost its documents.
    LostTrust,
    /// Sends more than a device has memory for.
    Floods,
    Busy,
}

/// What passed over the line beside jobs.
#[derive(Default)]
struct Heard {
    asked: Vec<(Nonce, u32)>,
    trust: Vec<u32>,
    polls: usize,
    /// Questions since the last poll, and the most there were.
    asked_in_a_row: usize,
    asked_before_a_poll: usize,
}

struct Oracle {
    word: Word,
    heard: Arc<Mutex<Heard>>,
    before: Nonce,
}

impl Oracle {
    fn fresh(&mut self, nonce: Nonce) -> Vec<u8> {
        let nonce = match self.word.manner {
            Manner::Replays => std::mem::replace(&mut self.before, nonce),
            Manner::ReplaysOnce => {
                self.word.manner = Manner::Honest;
                self.before
            }
            _ => nonce,
        };
        let latest = Order { epoch: 0, sequence: 9 };
        let reply = FreshnessDraft { nonce, time: self.word.time, latest, trust_version: self.word.trust };
        let mut envelope = seal_freshness(&reply, &[&online()]).unwrap();
        if self.word.manner == Manner::Forges {
            *envelope.last_mut().unwrap() ^= 1;
        }
        envelope
    }

    fn trust(&self, version: u32, count: usize) -> Vec<u8> {
        let mut envelope = document(version);
        if self.word.manner == Manner::ForgesTrust {
            let last = envelope.len() - 1;
            envelope[last] ^= u8::try_from(count).unwrap();
        }
        envelope
    }
}

impl Line for Oracle {
    fn exchange(&mut self, up: Up, server: &mut ScriptedServer) -> Vec<Vec<u8>> {
        let refused = |refusal| Down::Refused { refusal, retry_after_ms: 0 };
        let mut buffer = vec![0; 70_000];
        let mut heard = self.heard.lock().unwrap();
        let manner = self.word.manner;
        if self.word.unheard > 0 {
            self.word.unheard -= 1;
            return Vec::new();
        }
        let (fresh, trust);
        let down = match up {
            Up::Ask(question) => {
                heard.asked.push((question.nonce, question.trust));
                heard.asked_in_a_row += 1;
                heard.asked_before_a_poll = heard.asked_before_a_poll.max(heard.asked_in_a_row);
                match manner {
                    Manner::Old => refused(Refusal::Malformed),
                    Manner::Silent => return Vec::new(),
                    Manner::Busy => Down::Refused { refusal: Refusal::Busy, retry_after_ms: 5_000 },
                    Manner::Floods => Down::Fresh { envelope: &[7; 60_000] },
                    _ => {
                        drop(heard);
                        fresh = self.fresh(question.nonce);
                        Down::Fresh { envelope: &fresh }
                    }
                }
            }
            Up::Trust { version } => {
                heard.trust.push(version);
                let version = if manner == Manner::ReplaysTrust { 2 } else { version };
                trust = self.trust(version, heard.trust.len());
                if manner == Manner::LostTrust {
                    refused(Refusal::Gone)
                } else {
                    Down::Trust { envelope: &trust }
                }
            }
            Up::Poll(_) if heard.polls < self.word.idle_polls => {
                heard.polls += 1;
                heard.asked_in_a_row = 0;
                Down::Idle { retry_after_ms: 0 }
            }
            up => server.answer(up),
        };
        vec![encode(&down, &mut buffer).unwrap().to_vec()]
    }
}

/// The key of the fleet's owners; releases are signed by the laboratory's.
fn root() -> LabKey {
    LabKey::seeded(1)
}

fn online() -> LabKey {
    LabKey::seeded(2)
}

/// The document of this version: the same keys again.
fn document(version: u32) -> Vec<u8> {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.freshness = 1;
    draft.keys.push(root().public_key().draft(Role::Root)).unwrap();
    draft.keys.push(Lab::new().public_key().draft(Role::Release)).unwrap();
    draft.keys.push(online().public_key().draft(Role::Freshness)).unwrap();
    seal_trust(&draft, &[&root()]).unwrap()
}

fn layout() -> Layout {
    let pages = |start: u32, len: u32| {
        Region::new(Geometry { erase_page: 1024, write_size: 4, erased: 0xFF }, start * 1024, len * 1024)
    };
    let slot = |start: u32| SlotRegion::new(pages(start, 16), 0x10_0000 + start * 1024);
    let partition = Partition::direct_xip(pages(0, 2), slot(12), slot(28));
    Layout::new(partition.with_guard(pages(4, 2)).with_trust(pages(6, 4), pages(10, 2))).unwrap()
}

/// A device with root, release and freshness keys, and a server that says `word`.
fn device(word: Word, release: impl FnOnce(&mut ManifestDraft)) -> (Device, Arc<Mutex<Heard>>) {
    let lab = Lab::with_layout(layout());
    let release_key = TrustedKey::new(Role::Release, Box::leak(Box::new(lab.public_key())));
    let keys = [root().pinned(Role::Root), release_key, online().pinned(Role::Freshness)];
    let trust = Trust::pinned(Box::leak(Box::new(keys)));
    let descriptor = BootDescriptor::new(1, AlgSet::ED25519, &layout(), trust.digest());
    let mut device = Device::new(Firmware::Fit, |_| lab.release_with(2, SIZE, release));
    device.layout = layout();
    device.policy = Policy { trust, descriptor: Box::leak(Box::new(descriptor)), ..lab.policy() };
    device.flash = lab.provisioned(&lab.release(1, 3000));
    let heard = Arc::default();
    let oracle = Oracle { word, heard: Arc::clone(&heard), before: Nonce::new([0; 16]) };
    device.line = Some(Box::new(oracle));
    (device, heard)
}

fn honest() -> Word {
    Word { time: NOW, trust: 1, idle_polls: 0, unheard: 0, manner: Manner::Honest }
}

fn told(device: &Device) -> Vec<u64> {
    let time =
        |event: &Event| if let Event::Fresh { time, .. } = event { Some(time.seconds()) } else { None };
    device.events.iter().filter_map(time).collect()
}

fn offers(device: &Device) -> Vec<(u32, TrustOffer)> {
    let offered = |event: &Event| match event {
        Event::TrustOffered { version, offer } => Some((*version, *offer)),
        _ => None,
    };
    device.events.iter().filter_map(offered).collect()
}

#[test]
fn device_with_freshness_keys_asks_before_its_first_poll_and_knows_the_time() {
    let (mut device, heard) = device(honest(), |_| ());
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    let heard = heard.lock().unwrap();
    // One boot for the download, one for the trial; each asks once, with a nonce of its own.
    assert_eq!(heard.asked, [(Nonce::new([1; 16]), 1), (Nonce::new([2; 16]), 1)]);
    assert_eq!(told(&device), [NOW, NOW]);
    let first_event = device.events.first();
    assert!(matches!(first_event, Some(Event::Fresh { .. })), "before anything else: {first_event:?}");
    assert!(heard.trust.is_empty());
}

#[test]
fn release_past_its_end_is_refused_by_a_device_that_was_told_the_time() {
    let end_of = |time, manner| {
        let word = Word { time, manner, ..honest() };
        let (mut device, _) = device(word, |draft| draft.not_after = Some(NOW));
        device.live();
        (device.terminals(), device.server.fetches().is_empty())
    };
    let expired = (vec![Stage::Rejected { refusal: Refusal::Expired }], true);
    let installed = (vec![Stage::Confirmed], false);
    assert_eq!(end_of(NOW + 1, Manner::Honest), expired);
    assert_eq!(end_of(NOW, Manner::Honest), installed);
    assert_eq!(end_of(NOW + 1, Manner::Old), installed, "a device without the time goes on");
}

#[test]
fn time_goes_on_after_it_was_told() {
    let end_of = |idle_polls| {
        let word = Word { time: NOW - 3600, idle_polls, ..honest() };
        let (mut device, heard) = device(word, |draft| draft.not_after = Some(NOW));
        device.live();
        let asked = heard.lock().unwrap().asked.len();
        (device.terminals(), asked)
    };
    assert_eq!(end_of(0), (vec![Stage::Confirmed], 2));
    // Eighty polls of 48 s at least are more than an hour, and less than the day after which it asks again.
    assert_eq!(end_of(80), (vec![Stage::Rejected { refusal: Refusal::Expired }], 1));
}

#[test]
fn documents_are_fetched_and_adopted_one_a_boot_up_to_the_newest() {
    let (mut device, heard) = device(Word { trust: 4, ..honest() }, |_| ());
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.trust, [2, 3, 4]);
    let written = |version| (version, TrustOffer::Written);
    assert_eq!(offers(&device), [2, 3, 4].map(written));
    assert_eq!(device.trust, 4);
    let in_force: Vec<u32> = heard.asked.iter().map(|(_, trust)| *trust).collect();
    assert_eq!(in_force, [1, 2, 3, 4, 4], "the server hears which one is in force");
}

#[test]
fn restart_for_a_document_waits_for_its_gates_and_the_device_works_meanwhile() {
    let (mut device, heard) = device(Word { trust: 2, idle_polls: 1000, ..honest() }, |_| ());
    device.config.restart_gates = Gates::WINDOW;
    device.gates = &[(400_000, Gates::WINDOW)];
    device.stop_at = 390_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert_eq!((offers(&device).len(), heard.lock().unwrap().trust.len()), (1, 1));
    assert!(heard.lock().unwrap().polls >= 5, "{}", heard.lock().unwrap().polls);
    device.stop_at = u64::MAX;
    device.now = 399_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
    assert!(device.now >= 400_000, "{}", device.now);
}

fn inbox(device: &Device) -> Vec<u8> {
    device.flash.bytes_in(10 * 1024..12 * 1024).to_vec()
}

/// An inbox with this in it.
fn written(envelope: &[u8]) -> Vec<u8> {
    let mut inbox = envelope.to_vec();
    inbox.resize(2048, 0xFF);
    inbox
}

fn refusals(device: &Device) -> Vec<u16> {
    let code = |event: &Event| if let Event::NotBelieved { code } = event { Some(*code) } else { None };
    device.events.iter().filter_map(code).collect()
}

#[test]
fn whatever_becomes_of_the_question_the_job_goes_on() {
    for (manner, codes) in [
        (Manner::Old, vec![]),
        (Manner::Silent, vec![]),
        (Manner::Busy, vec![]),
        (Manner::Replays, vec![0x0802, 0x0802]),
        (Manner::Forges, vec![0x0203, 0x0203]),
        (Manner::Floods, vec![0x0504, 0x0504]),
    ] {
        let (mut device, heard) = device(Word { manner, trust: 9, ..honest() }, |_| ());
        device.live();
        assert_eq!(device.terminals(), [Stage::Confirmed], "{manner:?}");
        assert_eq!(refusals(&device), codes, "{manner:?}");
        assert!(told(&device).is_empty() && heard.lock().unwrap().trust.is_empty(), "{manner:?}");
        assert!(heard.lock().unwrap().asked.len() >= 2, "{manner:?}");
    }
}

#[test]
fn silent_or_busy_server_is_asked_again_before_the_next_poll_and_an_old_one_tomorrow() {
    let asked_in_ten_minutes = |manner| {
        let (mut device, heard) = device(Word { manner, idle_polls: 1000, ..honest() }, |_| ());
        device.stop_at = 600_000;
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
        let heard = heard.lock().unwrap();
        assert!((6..=16).contains(&heard.polls), "{manner:?}: {}", heard.polls);
        heard.asked.len()
    };
    assert!((6..=11).contains(&asked_in_ten_minutes(Manner::Silent)));
    assert!((8..=16).contains(&asked_in_ten_minutes(Manner::Busy)));
    assert_eq!(asked_in_ten_minutes(Manner::Honest), 1);
    assert_eq!(asked_in_ten_minutes(Manner::Old), 1, "tomorrow, perhaps");
}

#[test]
fn document_that_the_roots_have_not_signed_costs_neither_flash_nor_a_reset() {
    for (manner, code) in
        [(Manner::ForgesTrust, Some(0x0707)), (Manner::ReplaysTrust, None), (Manner::LostTrust, None)]
    {
        let (mut device, heard) = device(Word { manner, trust: 4, idle_polls: 20, ..honest() }, |_| ());
        device.stop_at = 600_000;
        let ended = device.session(ResetCause::PowerOn);
        if manner == Manner::ReplaysTrust {
            // The first document is good; asked for the next one, the server sends it again.
            assert_eq!((ended, offers(&device).len()), (Ended::Reset(ResetCause::Software), 1));
            let _ = device.session(ResetCause::Software);
            assert_eq!(device.session(ResetCause::Software), Ended::Stopped);
            assert_eq!((device.trust, inbox(&device)), (2, written(&document(2))));
            assert!(refusals(&device).contains(&0x0705), "{:?}", refusals(&device));
            continue;
        }
        assert_eq!(ended, Ended::Stopped, "{manner:?}");
        assert_eq!(refusals(&device), code.into_iter().collect::<Vec<_>>());
        assert_eq!((inbox(&device), heard.lock().unwrap().trust.len()), (written(&[]), 1), "{manner:?}");
    }
}

#[test]
fn document_that_the_bootloader_does_not_adopt_is_no_reason_for_another_reset() {
    // The bootloader never looks into its inbox.
    let (mut device, heard) = device(Word { trust: 2, idle_polls: usize::MAX, ..honest() }, |_| ());
    device.adopts = false;
    device.config.poll_interval_ms = 600_000;
    device.stop_at = 7 * 24 * 3_600_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
    assert_eq!(device.session(ResetCause::Software), Ended::Stopped);
    assert_eq!(offers(&device), [(2, TrustOffer::Written), (2, TrustOffer::HeldBefore)]);
    assert_eq!(heard.lock().unwrap().trust.len(), 2, "once a boot");
}

/// On trial the bootloader adopts nothing, so what it could not adopt before may be waiting for the reset after the trial.
#[test]
fn document_that_was_held_before_an_update_is_looked_at_once_more_after_it() {
    let (mut device, _) = device(Word { trust: 2, ..honest() }, |_| ());
    device.adopts = false;
    let reset = Ended::Reset(ResetCause::Software);
    assert_eq!([(); 2].map(|()| device.session(ResetCause::Software)), [reset, reset]);
    device.adopts = true;
    assert_eq!([(); 2].map(|()| device.session(ResetCause::Software)), [reset, Ended::Settled]);
    assert_eq!((device.running, device.trust), (2, 2));
    let held = |held| (2, if held { TrustOffer::HeldBefore } else { TrustOffer::Written });
    assert_eq!(offers(&device), [held(false), held(true), held(true)]);
}

#[test]
fn power_cut_at_any_operation_of_two_adoptions_and_an_update_ends_in_both() {
    let fresh = || device(Word { trust: 3, ..honest() }, |_| ()).0;
    let mut undisturbed = fresh();
    let before = undisturbed.flash.operations();
    undisturbed.live();
    let all = undisturbed.flash.operations() - before;
    assert!(all > 40, "{all}");
    for operation in 0..all {
        for mode in [CutMode::Before, CutMode::After, CutMode::AlmostDone(1), CutMode::BarelyBegun(1)] {
            let mut device = fresh();
            device.flash.cut(Cut { operation, mode });
            device.live();
            assert_eq!(device.terminals(), [Stage::Confirmed], "cut {operation} {mode:?}");
            assert_eq!(device.trust, 3, "cut {operation} {mode:?}");
        }
    }
}

/// A self-test that is under way while its question travels, as a driver leads it.
#[test]
fn question_of_the_self_test_is_answered_while_it_is_under_way_and_after_the_report() {
    let (mut device, heard) = device(honest(), |_| ());
    device.asks_on_trial = Some(Nonce::new([0x77; 16]));
    device.live();
    assert_eq!((device.running, device.terminals()), (2, vec![Stage::Confirmed]));
    let asked: Vec<Nonce> = heard.lock().unwrap().asked.iter().map(|(nonce, _)| *nonce).collect();
    assert!(asked.contains(&Nonce::new([0x77; 16])), "{asked:?}");
}

#[test]
fn self_test_whose_question_nobody_answers_ends_at_the_end_of_the_window() {
    let (mut device, heard) = device(Word { manner: Manner::Silent, ..honest() }, |_| ());
    device.asks_on_trial = Some(Nonce::new([0x77; 16]));
    device.live();
    let expected = Stage::RolledBack {
        reason: RollbackReason::AttemptsExhausted,
        cause: ResetCause::Software,
        boots: 3,
        failed: FailedProbes::NONE,
    };
    assert_eq!((device.running, device.terminals()), (1, vec![expected]));
    assert!(device.now > 2_700_000, "three windows of 900 s: {}", device.now);
    let on_trial =
        heard.lock().unwrap().asked.iter().filter(|(nonce, _)| nonce.as_bytes()[0] == 0x77).count();
    // Every half minute, as it likes: its questions cost no pause, for the report would have to wait for its end, too.
    assert!((80..100).contains(&on_trial), "{on_trial}");
}

#[test]
fn question_that_nobody_answers_keeps_no_poll_waiting_however_long_the_server_was_out() {
    for unheard in 0..24 {
        let word = Word { manner: Manner::Silent, unheard, idle_polls: 1000, ..honest() };
        let (mut device, heard) = device(word, |_| ());
        device.stop_at = 14_000_000;
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
        let heard = heard.lock().unwrap();
        assert!(heard.asked_before_a_poll <= 1, "{unheard}: {} questions", heard.asked_before_a_poll);
    }
}

#[test]
fn document_that_waited_through_a_trial_is_adopted_after_it() {
    let (mut device, heard) = device(Word { trust: 2, idle_polls: 2, ..honest() }, |_| ());
    // The document is there before the job, and the first restart that the gates let pass is the job's.
    device.config.restart_gates = Gates::WINDOW;
    device.gates = &[(400_000, Gates::WINDOW)];
    device.live();
    assert_eq!((device.terminals(), device.trust), (vec![Stage::Confirmed], 2));
    let (written, there) = ((2, TrustOffer::Written), (2, TrustOffer::HeldBefore));
    assert_eq!((offers(&device), heard.lock().unwrap().trust.len()), (vec![written, there], 2));
}

#[test]
fn job_that_the_server_has_dropped_without_a_word_keeps_no_document_away() {
    let (mut device, _) = device(honest(), |_| ());
    device.flash.cut(Cut { operation: device.flash.operations() + 15, mode: CutMode::Before });
    assert_eq!(device.session(ResetCause::PowerOn), Ended::PowerLost);
    assert!(!device.server.fetches().is_empty(), "a download is under way");
    device.flash.power_on();
    device.server.script(|up| matches!(up, Up::Poll(_)).then_some(Down::Idle { retry_after_ms: 0 }));
    let word = Word { trust: 2, ..honest() };
    device.line = Some(Box::new(Oracle { word, heard: Arc::default(), before: Nonce::new([0; 16]) }));
    device.config.freshness_interval_ms = 600_000;
    device.stop_at = device.now + 3_600_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
    assert_eq!(device.session(ResetCause::Software), Ended::Stopped);
    assert_eq!((device.trust, offers(&device)), (2, vec![(2, TrustOffer::Written)]));
}

#[test]
fn poll_that_becomes_due_while_a_reply_is_checked_is_not_waited_for() {
    let (mut device, heard) = device(Word { idle_polls: 1000, ..honest() }, |_| ());
    device.config.freshness_interval_ms = 100_000;
    device.work_ms = 70_000;
    device.stop_at = 3_600_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert!(heard.lock().unwrap().asked.len() > 10);
}

#[test]
fn device_with_a_bell_asks_nothing_at_boot_but_before_its_first_poll() {
    let (mut device, heard) = device(Word { idle_polls: usize::MAX, ..honest() }, |_| ());
    device.config.ask_at_boot = false;
    device.config.poll_interval_ms = 3_600_000;
    let so_far = || {
        let heard = heard.lock().unwrap();
        (heard.asked.len(), heard.polls)
    };
    device.stop_at = 2_000_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert_eq!(so_far(), (0, 0));
    (device.now, device.stop_at) = (0, 4_000_000);
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert_eq!(so_far(), (1, 1));
}

/// The nonce of the question that is under way.
fn asked(agent: &mut Agent<'_>, now: u64) -> Nonce {
    match agent.poll_output(now) {
        Output::Send(Up::Ask(question)) => question.nonce,
        other => panic!("no question but {other:?}"),
    }
}

#[test]
fn question_that_is_under_way_is_not_exchanged_for_another() {
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let boot = BootReport { asks: true, ..BootReport::confirmed() };
    let mut agent = Agent::new(Config::default(), boot, 7, buffers, 0);
    assert!(matches!(agent.poll_output(0), Output::Draw));
    let (first, second) = (Nonce::new([1; 16]), Nonce::new([2; 16]));
    agent.handle_input(0, Input::Ask(first));
    assert_eq!(asked(&mut agent, 0), first);
    agent.handle_input(5, Input::Ask(second));
    agent.handle_input(9, Input::Message(Down::Fresh { envelope: b"reply" }));
    let believed = agent.poll_output(9);
    assert!(
        matches!(believed, Output::Slots(SlotWork::Believe { nonce, .. }) if nonce == first),
        "{believed:?}"
    );
}

#[test]
fn reply_that_is_not_believed_is_asked_for_again_before_the_next_poll() {
    // Over a byte stream it may be the late answer to what was asked before a reset.
    let (mut device, heard) =
        device(Word { manner: Manner::ReplaysOnce, idle_polls: usize::MAX, ..honest() }, |_| ());
    device.stop_at = 200_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert_eq!((refusals(&device), told(&device)), (vec![0x0802], vec![NOW]));
    assert_eq!(heard.lock().unwrap().asked.len(), 2);
}
