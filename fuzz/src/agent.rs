//! Arbitrary bytes as what happens to an agent: answers right and wrong, silence, bells, time, resets.
//!
//! ```text
//! input:   device u8 | agent's bytes of the journal, 32 | step ...
//! device:  bits 0, 1  confirmed, on trial, rolled back, on trial with a lost journal
//!          bit 2      the journal holds the agent's bytes of the input, not its own
//!          bit 3      a trial needs no server; bit 4  it does not ask at boot; bits 5, 6  pages in its window
//!          bit 7      a download waits for the battery, a restart for the user
//!          bit 0 of the last of the 32: it has freshness keys
//! step:    number u8, and what it needs
//! ```
//! Slot work is always done, on simulated flash; what the agent is told of it is another matter.

use ota_agent::sim::ScriptedServer;
use ota_agent::{
    Agent, Bench, BootReport, Buffers, Config, Gates, Input, Output, Plan, SlotDriver, SlotWork, SlotsAnswer,
};
use ota_manifest::wire::{Down, Fetch, Object, Refusal, Up, decode};
use ota_manifest::{Frame, FreshnessDraft, JobId, ManifestId, Nonce, Order, ResetCause, Role};
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{Boot, Layout, Policy, ResumePoint, SlotId, TrustOffer, WORK_BUFFER, run_blocking};
use ota_verify::sign::{Signer as _, seal_freshness};
use ota_verify::{AuthenticFreshness, Trust, TrustedKey};

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "agent", run, seeds };

/// Steps of one input: more would only make it slow.
const STEPS: usize = 300;
/// Outputs between two inputs, at most: four lines of its log, a nonce or a self-test, one thing to do, and the word that
/// there is no more.
const OUTPUTS: usize = 7;
/// Timeouts that are due at one time, at most.
const TIMEOUTS: usize = 3;
const NONCE: Nonce = Nonce::new([7; 16]);
const JOB: JobId = JobId::new([0xAB; 16]);
const CHUNK: usize = 1024;
const SIZE: usize = 5500;
const CAUSES: [ResetCause; 3] = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software];
const REFUSALS: [Refusal; 4] = [Refusal::Malformed, Refusal::Unauthentic, Refusal::Busy, Refusal::Gone];

/// Flashes at different points of an update, made once.
struct Stock {
    lab: Lab,
    flashes: Vec<LabFlash>,
}

thread_local! {
    static STOCK: Stock = Stock::new();
}

impl Stock {
    fn new() -> Self {
        let lab = Lab::new();
        let (layout, policy) = (lab.layout(), lab.policy());
        let confirmed = lab.provisioned(&lab.release(1, 3000));
        let mut trial = confirmed.clone();
        install(&layout, &policy, &mut trial, &lab);
        let mut rolled_back = trial.clone();
        for _ in 0..4 {
            boot(&layout, &policy, &mut rolled_back, ResetCause::Watchdog);
        }
        boot(&layout, &policy, &mut trial, ResetCause::Software);
        let mut lost = confirmed.clone();
        lost.corrupt(0, &[0xA5; 2048]);
        boot(&layout, &policy, &mut lost, ResetCause::PowerOn);
        Self { lab, flashes: vec![confirmed, trial, rolled_back, lost] }
    }
}

fn boot(layout: &Layout, policy: &Policy<'_>, flash: &mut LabFlash, cause: ResetCause) -> SlotId {
    let mut buffer = [0; WORK_BUFFER];
    let booted = run_blocking(Boot::new(layout, policy, cause), flash, layout, &mut buffer, || ());
    booted.expect("one slot is always good").slot()
}

/// Leads an honest agent until it wants to boot release 2.
fn install(layout: &Layout, policy: &Policy<'static>, flash: &mut LabFlash, lab: &Lab) {
    let mut device = Device::new(layout, policy, flash.clone(), lab, SlotId::A);
    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), device.report, 1, buffers, 0);
    while device.drain(&mut agent) != Asked::Reset {
        device.honest(&mut agent);
    }
    *flash = device.flash;
}

/// What the agent waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Nothing,
    Send(Up),
    Slots,
    Reset,
}

/// All that is around an agent.
struct Device<'d> {
    flash: LabFlash,
    slots: SlotDriver<'d>,
    report: BootReport,
    server: ScriptedServer,
    envelope: Vec<u8>,
    buffer: [u8; WORK_BUFFER],
    now: u64,
    asked: Asked,
    /// A self-test is under way, whatever else is.
    testing: bool,
    /// What has come of the slot work, until the agent is told.
    done: Option<SlotsAnswer>,
}

impl<'d> Device<'d> {
    fn new(layout: &'d Layout, policy: &'d Policy<'d>, mut flash: LabFlash, lab: &Lab, slot: SlotId) -> Self {
        let mut buffer = [0; WORK_BUFFER];
        let bench = Bench { flash: &mut flash, buffer: &mut buffer, feed: &mut || () };
        let (slots, report) = SlotDriver::open(layout, policy, slot, bench).expect("slots open");
        let release = lab.release(2, SIZE);
        let (envelope, server) = (release.envelope.clone(), ScriptedServer::new(release, JOB, CHUNK));
        Self {
            flash,
            slots,
            report,
            server,
            envelope,
            buffer,
            now: 0,
            asked: Asked::Nothing,
            testing: false,
            done: None,
        }
    }

    /// Carries out what the agent wants, as much as it wants: never without end, and never a wait without a time limit.
    fn drain(&mut self, agent: &mut Agent<'_>) -> Asked {
        for _ in 0..TIMEOUTS {
            for outputs in 0.. {
                assert!(outputs < OUTPUTS, "outputs without end");
                match agent.poll_output(self.now) {
                    Output::Event(_) => {}
                    Output::Wait => break,
                    Output::Draw => agent.handle_input(self.now, Input::Ask(NONCE)),
                    Output::SelfTest => {
                        assert!(!core::mem::replace(&mut self.testing, true), "two self-tests under way");
                    }
                    output => {
                        assert!(matches!(self.asked, Asked::Nothing), "two things under way");
                        self.begin(output);
                        if self.asked == Asked::Reset {
                            return Asked::Reset;
                        }
                    }
                }
            }
            match agent.poll_timeout() {
                Some(due) if due > self.now => return self.asked,
                None if self.asked == Asked::Slots => return self.asked,
                Some(_) => self.time_is_up(agent),
                None => panic!("a wait without a time limit: {agent:?}"),
            }
        }
        panic!("a wait that is over, again and again: {agent:?}");
    }

    fn time_is_up(&mut self, agent: &mut Agent<'_>) {
        agent.handle_timeout(self.now);
        // Requests have an end, slot work and self-test end by themselves; but at the end of a trial all is over.
        self.asked = Asked::Nothing;
    }

    fn begin(&mut self, output: Output<'_>) {
        self.asked = match output {
            Output::Send(up) => Asked::Send(up),
            Output::Slots(work) => {
                if let SlotWork::LoadChunk { into, .. } = &work {
                    assert!(!into.is_empty(), "a chunk without a place");
                }
                let bench = Bench { flash: &mut self.flash, buffer: &mut self.buffer, feed: &mut || () };
                self.done = Some(self.slots.perform(work, bench));
                Asked::Slots
            }
            _ => Asked::Reset,
        };
    }

    /// What a good server and good slots would answer.
    fn honest(&mut self, agent: &mut Agent<'_>) {
        self.now += 1;
        match core::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Send(up) => agent.handle_input(self.now, Input::Message(self.server.answer(up))),
            Asked::Slots => {
                let done = self.done.take().unwrap_or(SlotsAnswer::Done);
                agent.handle_input(self.now, Input::Slots(done));
            }
            Asked::Nothing | Asked::Reset if core::mem::take(&mut self.testing) => {
                agent.handle_input(self.now, Input::SelfTest(true.into()));
            }
            Asked::Nothing | Asked::Reset => {
                self.now = agent.poll_timeout().unwrap_or(self.now).max(self.now);
                agent.handle_timeout(self.now);
            }
        }
    }

    fn hear(&mut self, agent: &mut Agent<'_>, down: Down<'_>) {
        agent.handle_input(self.now, Input::Message(down));
        if matches!(self.asked, Asked::Send(_)) {
            self.asked = Asked::Nothing;
        }
    }

    /// Something else than what a good server would answer.
    fn odd_answer(&mut self, agent: &mut Agent<'_>, bytes: &mut Bytes<'_>) -> Option<()> {
        let seq = match self.asked {
            Asked::Send(Up::Report(report)) => report.seq,
            _ => 0,
        };
        let job = if bytes.next()? & 1 == 0 { JOB } else { JobId::new([bytes.next()?; 16]) };
        let retry_after_ms = u32::from(bytes.next()?) << (bytes.next()? % 25);
        let down = match bytes.next()? % 7 {
            0 => Down::Ack { seq: seq.wrapping_add(u32::from(bytes.next()? % 3)) },
            1 => Down::Cancel { job },
            2 => Down::Idle { retry_after_ms },
            3 => Down::Refused { refusal: REFUSALS[usize::from(bytes.next()? % 4)], retry_after_ms },
            4 => return self.odd_offer(agent, bytes, job),
            5 => Down::Fresh { envelope: &[7; 200] },
            _ => Down::Trust { envelope: &[7; 200] },
        };
        self.hear(agent, down);
        Some(())
    }

    fn odd_offer(&mut self, agent: &mut Agent<'_>, bytes: &mut Bytes<'_>, job: JobId) -> Option<()> {
        let (attempt, flip, cut) = (bytes.next()?, bytes.next()?, bytes.next()?);
        let mut envelope = self.envelope.clone();
        let at = usize::from(flip) % envelope.len();
        envelope[at] ^= flip & 1;
        envelope.truncate(envelope.len() - usize::from(cut % 4));
        self.hear(agent, Down::Offer { job, attempt, envelope: &envelope });
        Some(())
    }

    /// Chunks or leaves, more or less those that were asked for.
    fn odd_chunks(&mut self, agent: &mut Agent<'_>, bytes: &mut Bytes<'_>) -> Option<()> {
        let (shift, cut, flip, more) = (bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?);
        let Asked::Send(Up::Fetch(fetch)) = self.asked else { return Some(()) };
        let object = if more & 0x80 == 0 { fetch.object } else { Object::Leaves };
        let asked =
            Up::Fetch(Fetch { object, count: fetch.count.wrapping_add(u16::from(more % 8)), ..fetch });
        let Down::Chunk { job, object, first, bytes: found } = self.server.answer(asked) else {
            return Some(());
        };
        let mut found = found.to_vec();
        found.truncate(found.len().saturating_sub(usize::from(cut) * 5));
        if let Some(byte) = found.get_mut(usize::from(flip) * 4) {
            *byte ^= flip;
        }
        let first = first.wrapping_add_signed(i32::from(shift.cast_signed()) / 16);
        self.hear(agent, Down::Chunk { job, object, first, bytes: &found });
        Some(())
    }

    /// The slots say something else than what was done.
    fn odd_slots(&mut self, agent: &mut Agent<'_>, bytes: &mut Bytes<'_>) -> Option<()> {
        let answer = match bytes.next()? % 12 {
            0 => SlotsAnswer::Admitted(plan(bytes)?),
            1 => SlotsAnswer::Refused { refusal: Refusal::Busy, code: 1 },
            2 => SlotsAnswer::Begun(ResumePoint { leaves_held: bytes.next()? & 1 == 1, block: 0 }),
            3 => SlotsAnswer::Done,
            4 => SlotsAnswer::LeavesHeld(bytes.next()? & 1 == 1),
            5 => SlotsAnswer::ChunkRefused,
            6 => SlotsAnswer::Fresh(fresh(&Lab::new(), u32::from(bytes.next()?).max(1))),
            7 => SlotsAnswer::TrustOffered(TrustOffer::Written),
            8 => SlotsAnswer::TrustOffered(TrustOffer::HeldBefore),
            _ => SlotsAnswer::Failed { code: u16::from(bytes.next()?) << 8 },
        };
        agent.handle_input(self.now, Input::Slots(answer));
        if self.asked == Asked::Slots {
            self.asked = Asked::Nothing;
        }
        Some(())
    }
}

/// A reply that is believed, with this version of the newest trust document.
fn fresh(lab: &Lab, trust_version: u32) -> AuthenticFreshness {
    let latest = Order { epoch: 0, sequence: 2 };
    let reply = FreshnessDraft { nonce: NONCE, time: 1_790_000_000, latest, trust_version };
    let envelope = seal_freshness(&reply, &[lab]).expect("encodable");
    let key = lab.public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let frame = Frame::parse(&envelope).expect("just sealed");
    Trust::pinned(&keys).freshness(frame, NONCE).expect("just signed")
}

/// Input that is left.
struct Bytes<'i>(&'i [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

/// What a proven manifest and a layout can say.
fn plan(bytes: &mut Bytes<'_>) -> Option<Plan> {
    let chunk_bytes = 1 << (8 + bytes.next()? % 9);
    let size = u32::from_le_bytes([bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?]).max(1);
    Some(Plan {
        manifest: ManifestId::NONE,
        image: bytes.next()?,
        size,
        chunk_bytes,
        block_bytes: chunk_bytes.max(1 << (8 + bytes.next()? % 9)),
        trial_attempts: bytes.next()?,
        confirm_window_s: u16::from(bytes.next()?).max(1),
    })
}

fn run(input: &[u8]) {
    let Some((device, rest)) = input.split_first() else { return };
    let Some((context, steps)) = rest.split_first_chunk::<32>() else { return };
    let mut bytes = Bytes(steps);
    STOCK.with(|stock| {
        let (layout, policy) = (stock.lab.layout(), stock.lab.policy());
        let mut flash = stock.flashes[usize::from(device & 3)].clone();
        let mut slot = if device & 3 == 1 { SlotId::B } else { SlotId::A };
        let mut now = 0;
        while let Some((left, cause, ended_at)) = session(
            *device,
            context,
            &mut bytes,
            Device { now, ..Device::new(&layout, &policy, flash, &stock.lab, slot) },
        ) {
            (flash, now) = (left, ended_at);
            slot = boot(&layout, &policy, &mut flash, cause);
        }
    });
}

/// One power session; the flash, the reset's cause and the time if it ended in a reset.
fn session(
    device: u8,
    context: &[u8; 32],
    bytes: &mut Bytes<'_>,
    mut around: Device<'_>,
) -> Option<(LabFlash, ResetCause, u64)> {
    let config = Config {
        confirm_needs_server: device & 8 == 0,
        ask_at_boot: device & 16 == 0,
        download_gates: if device & 128 == 0 { Gates::NONE } else { Gates::BATTERY },
        restart_gates: if device & 128 == 0 { Gates::NONE } else { Gates::USER },
        ..Config::default()
    };
    let mut report = around.report;
    report.asks = context[31] & 1 == 1;
    if device & 4 != 0 {
        report.opaque = *context;
    }
    let (mut envelope, mut window) = ([0; 1536], vec![0; CHUNK << (device >> 5 & 3)]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(config, report, u64::from(device), buffers, around.now);
    for _ in 0..STEPS {
        if around.drain(&mut agent) == Asked::Reset {
            return Some((around.flash, ResetCause::Software, around.now));
        }
        if let Some(cause) = step(&mut around, &mut agent, bytes)? {
            return Some((around.flash, cause, around.now));
        }
    }
    None
}

/// One step; `None` if the input is over, a cause if the device is reset.
fn step(around: &mut Device<'_>, agent: &mut Agent<'_>, bytes: &mut Bytes<'_>) -> Option<Option<ResetCause>> {
    match bytes.next()? % 14 {
        0..=2 => around.honest(agent),
        3 => around.odd_answer(agent, bytes)?,
        4 => around.odd_chunks(agent, bytes)?,
        5 => around.odd_slots(agent, bytes)?,
        6 => {
            let len = usize::from(bytes.next()?).min(bytes.0.len());
            let (message, rest) = bytes.0.split_at(len);
            bytes.0 = rest;
            if let Ok(down) = decode::<Down<'_>>(message) {
                around.hear(agent, down);
            }
        }
        7 => {
            agent.handle_input(around.now, Input::LinkLost);
            if matches!(around.asked, Asked::Send(_)) {
                around.asked = Asked::Nothing;
            }
        }
        8 => agent.handle_input(around.now, Input::Doorbell),
        9 => {
            around.now += u64::from(bytes.next()?) << (bytes.next()? % 24);
            if agent.poll_timeout().is_some_and(|due| due <= around.now) {
                around.time_is_up(agent);
            }
        }
        10 => {
            agent.handle_input(around.now, Input::SelfTest((bytes.next()? & 1 == 1).into()));
            around.testing = false;
        }
        11 => return Some(Some(CAUSES[usize::from(bytes.next()? % 3)])),
        12 => agent.handle_input(around.now, Input::Ask(Nonce::new([bytes.next()?; 16]))),
        _ => {
            let open = [Gates::ALL, Gates::NONE, Gates::BATTERY, Gates::USER];
            agent.handle_input(around.now, Input::Gates(open[usize::from(bytes.next()? % 4)]));
        }
    }
    Some(None)
}

/// Lives, in the bytes that stand for them.
fn seeds() -> Vec<Vec<u8>> {
    let honest = |steps: usize| vec![0; steps];
    let mut ended = ota_agent::Context::EMPTY;
    ended.job = JOB;
    ended.attempt = 1;
    let of = |progress| ota_agent::Context { progress, acknowledged: false, ..ended }.encode();
    let contexts = [
        of(ota_agent::Progress::UnderWay),
        of(ota_agent::Progress::Confirmed),
        of(ota_agent::Progress::Failed(ota_manifest::wire::FailedStage::Downloading, 0x0502)),
        of(ota_agent::Progress::Cancelled),
        of(ota_agent::Progress::RolledBack),
        [0xFF; 32],
    ];
    let mut asks = [0; 32];
    asks[31] = 1;
    let odd: [&[u8]; 14] = [
        &[3, 0, 1, 0, 0, 1],                            // a wrong acknowledgement
        &[3, 0, 0, 0, 1],                               // cancelled
        &[3, 1, 7, 0, 0, 1],                            // another job cancelled
        &[3, 0, 200, 4, 3, 3],                          // gone
        &[3, 0, 9, 9, 4, 2, 31, 0],                     // offered again, with a bit flipped
        &[4, 0, 0, 7, 0],                               // a forged chunk
        &[4, 32, 3, 0, 0x81],                           // leaves where chunks were asked for
        &[5, 0, 2, 0xFF, 0xFF, 0xFF, 0, 1, 4, 3, 9],    // another plan
        &[9, 200, 12, 7, 8, 9, 200, 20, 10, 0],         // time, silence, a bell, an unfit firmware
        &[11, 1],                                       // the watchdog
        &[3, 0, 0, 0, 5, 5, 6, 9],                      // a reply, believed, and a newer trust document
        &[3, 0, 0, 0, 5, 5, 6, 9, 3, 0, 0, 0, 6, 5, 7], // and the document itself
        &[3, 0, 0, 0, 6],                               // a document that nobody asked for
        &[12, 9],                                       // a question of the self-test's
    ];
    let mut all: Vec<Vec<u8>> =
        (0..4u8).map(|device| [vec![device], vec![0; 32], honest(120)].concat()).collect();
    all.extend(
        (0u8..)
            .zip(contexts)
            .map(|(n, context)| [vec![4 | 0x40 | (n & 1)], context.to_vec(), honest(60)].concat()),
    );
    all.extend(
        (0usize..)
            .zip(odd)
            .map(|(n, odd)| [vec![0x60], vec![0; 32], honest(2 + 3 * n), odd.to_vec(), honest(80)].concat()),
    );
    all.extend(odd.map(|odd| [vec![0x60], asks.to_vec(), odd.to_vec(), honest(80)].concat()));
    all.extend(odd.map(|odd| [vec![1], vec![0; 32], odd.to_vec(), honest(20)].concat()));
    all.extend(odd.map(|odd| [vec![0x40], vec![0; 32], honest(12), odd.repeat(8), honest(60)].concat()));
    all
}
