//! One device: power sessions, each from the bootloader's decision to the next reset.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use embedded_storage::nor_flash::ReadNorFlash;
use ota_agent::{
    Agent, Bench, BootReport, Buffers, Config, Event, Input, Output, SlotDriver, SlotWork, SlotsAnswer,
};
use ota_manifest::wire::{Down, Stage, Up};
use ota_manifest::{MAX_ENVELOPE, Nonce, ResetCause};
use ota_slots::{Boot, Handover, OpenError, Policy, SlotState, WORK_BUFFER, run_blocking};

use crate::board::{BOOTLOADER, HARDWARE, LAYOUT, WINDOW_BYTES};
use crate::firmware::{self, Behaviour, Trailer};
use crate::mqtt::{Account, MqttLink};
use crate::{CutPoint, Factory, FlashFile, Happening, HttpLink, Log, Observer, PowerPlan};

/// How long a simulated reset takes.
const RESET: Duration = Duration::from_millis(20);
/// Longest sleep between two looks at the stop flag.
const NAP: Duration = Duration::from_millis(50);

/// How a device keeps time. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often it asks for work when the server does not say.
    pub poll_interval_ms: u32,
    /// First and longest pause after a failure.
    pub backoff_ms: (u32, u32),
    /// How long it waits for an answer.
    pub request_timeout_ms: u32,
    /// How long a hanging image keeps the watchdog waiting.
    pub watchdog_ms: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_interval_ms: 30_000,
            backoff_ms: (1_000, 60_000),
            request_timeout_ms: 30_000,
            watchdog_ms: 4_000,
        }
    }
}

/// A simulated device.
#[derive(Debug)]
pub struct Device {
    dir: PathBuf,
    factory: Factory,
    policy: &'static Policy<'static>,
    flash: FlashFile,
    log: Log,
    timing: Timing,
    power: PowerPlan,
    seed: u64,
    started: Instant,
    cause: ResetCause,
    account: Option<Arc<Account>>,
    /// Somebody sits between it and the server.
    proxied: bool,
}

/// How a power session ended.
enum Ended {
    PowerLost(CutPoint),
    Reset(ResetCause),
    Stopped,
}

impl Device {
    /// Opens the device in `dir`. `seed` makes its pauses its own.
    ///
    /// # Errors
    /// If the folder holds no device.
    pub fn open(dir: &Path, timing: Timing, seed: u64, observer: Option<Observer>) -> Result<Self> {
        let factory = Factory::load(dir)?;
        let id = factory.device_id()?;
        let account = factory.mqtt.as_ref().map(|mqtt| Account::open(dir, mqtt, id, timing.backoff_ms));
        let path = dir.join("flash.bin");
        let flash = FlashFile::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?;
        Ok(Self {
            dir: dir.to_owned(),
            policy: factory.policy()?,
            factory,
            flash,
            log: Log::open(dir, observer)?,
            timing,
            power: PowerPlan::default(),
            seed,
            started: Instant::now(),
            cause: ResetCause::PowerOn,
            account: account.transpose()?,
            proxied: false,
        })
    }

    /// Plans power failures.
    pub fn plan_power(&mut self, plan: PowerPlan) {
        self.power = plan;
    }

    /// Talks to another address than the one burnt in: the server has moved.
    pub fn move_to(&mut self, server: &str) {
        server.clone_into(&mut self.factory.server);
    }

    /// Talks to whoever sits in between it and the server. He has only its HTTP, so all but the bell goes that way.
    pub fn put_behind(&mut self, proxy: &str) {
        self.proxied = true;
        self.move_to(proxy);
    }

    /// Where the device lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs until `stop` is set.
    ///
    /// # Errors
    /// Only if the device cannot boot at all, which must not happen.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            match self.session(stop)? {
                Ended::Stopped => break,
                Ended::Reset(cause) => self.cause = cause,
                Ended::PowerLost(at) => {
                    self.log.write(Happening::PowerCut { at });
                    self.flash.power_on();
                    self.cause = ResetCause::PowerOn;
                }
            }
            std::thread::sleep(RESET);
        }
        Ok(())
    }

    fn session(&mut self, stop: &AtomicBool) -> Result<Ended> {
        let mut buffer = [0; WORK_BUFFER];
        let boot = Boot::new(&LAYOUT, self.policy, self.cause);
        let booted = run_blocking(boot, &mut self.flash, &LAYOUT, &mut buffer, || ());
        if !self.flash.is_powered() {
            // There is no other fuse than the download's, wherever it blows.
            return Ok(Ended::PowerLost(CutPoint::Download));
        }
        let handover = booted.context("no slot holds an image that may run")?;
        let trailer = match self.start(&handover) {
            Ok(trailer) => trailer,
            Err(fault) => {
                self.log.write(Happening::Fault { why: fault.to_string() });
                return Ok(Ended::Reset(ResetCause::Lockup));
            }
        };
        let bench = Bench { flash: &mut self.flash, buffer: &mut buffer, feed: &mut || () };
        let (slots, report) = match SlotDriver::open(&LAYOUT, self.policy, handover.slot(), bench) {
            Ok(opened) => opened,
            Err(error @ OpenError::NotRunning(_)) => {
                self.log.write(Happening::Note { text: error.to_string() });
                return Ok(Ended::Reset(ResetCause::Software));
            }
            Err(error) => {
                // The firmware does its work; it just cannot update.
                self.log.write(Happening::Note { text: error.to_string() });
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(NAP);
                }
                return Ok(Ended::Stopped);
            }
        };
        let broker = self.account.as_ref().map(MqttLink::open).transpose()?;
        let on_trial = handover.state() == SlotState::Trial;
        Session { device: self, slots, trailer, on_trial, broker, unanswered: false }.run(report, stop)
    }

    /// Jumps: reads the image as the processor would, from where it was handed over.
    fn start(&mut self, handover: &Handover) -> Result<Trailer> {
        let slot = LAYOUT.slot(handover.slot());
        let mut image = vec![0; handover.image().size() as usize];
        self.flash.read(slot.region.start, &mut image).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let trailer = firmware::start(&image, slot.link_address)?;
        self.log.write(Happening::Boot {
            cause: format!("{:?}", self.cause),
            slot: format!("{:?}", handover.slot()),
            version: trailer.version.to_string(),
            state: format!("{:?}", handover.state()),
        });
        Ok(trailer)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The application, from its start to the next reset.
struct Session<'d> {
    device: &'d mut Device,
    slots: SlotDriver<'static>,
    trailer: Trailer,
    on_trial: bool,
    /// Goes with the session: a reset cuts the connection, and the next boot makes another at once. What is rung in between
    /// is not lost, since the broker keeps it.
    broker: Option<MqttLink>,
    /// The last report got no answer over MQTT; the next one goes over HTTP, in case the server has lost its broker.
    unanswered: bool,
}

impl Session<'_> {
    fn run(mut self, report: BootReport, stop: &AtomicBool) -> Result<Ended> {
        let timing = self.device.timing;
        let config = Config {
            version: self.trailer.version,
            hardware: HARDWARE,
            bootloader: BOOTLOADER,
            poll_interval_ms: timing.poll_interval_ms,
            // A device with a bell is told when to ask.
            ask_at_boot: self.broker.is_none(),
            request_timeout_ms: timing.request_timeout_ms,
            backoff_ms: timing.backoff_ms,
            confirm_needs_server: true,
            ..Config::default()
        };
        let timeout = Duration::from_millis(u64::from(timing.request_timeout_ms));
        let mut link = HttpLink::new(&self.device.factory.server, &self.device.factory.token, timeout);
        let (mut envelope, mut window) = (vec![0; MAX_ENVELOPE], vec![0; WINDOW_BYTES]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(config, report, self.device.seed, buffers, self.device.now_ms());
        while !stop.load(Ordering::Relaxed) {
            if let Some(ended) = self.step(&mut agent, &mut link) {
                return Ok(ended);
            }
        }
        Ok(Ended::Stopped)
    }

    /// Carries out one output.
    fn step(&mut self, agent: &mut Agent<'_>, link: &mut HttpLink) -> Option<Ended> {
        self.hear(agent);
        let now = self.device.now_ms();
        match agent.poll_output(now) {
            Output::Event(event) => self.note(event),
            Output::Reset => return Some(Ended::Reset(ResetCause::Software)),
            Output::Wait => self.wait(agent),
            Output::SelfTest => return self.self_test(agent),
            Output::Draw => draw(agent, now),
            Output::Send(up) => self.send(agent, link, up),
            Output::Slots(work) => {
                self.arm_fuse(&work);
                let mut buffer = [0; WORK_BUFFER];
                let bench = Bench { flash: &mut self.device.flash, buffer: &mut buffer, feed: &mut || () };
                let answer = self.slots.perform(work, bench);
                if !self.device.flash.is_powered() {
                    return Some(Ended::PowerLost(CutPoint::Download));
                }
                if let SlotsAnswer::Admitted(plan) = &answer {
                    link.set_chunk_bytes(plan.chunk_bytes);
                }
                agent.handle_input(self.device.now_ms(), Input::Slots(answer));
            }
        }
        None
    }

    /// Passes on what came from the broker.
    fn hear(&mut self, agent: &mut Agent<'_>) {
        let Some(broker) = &self.broker else { return };
        for text in broker.take_news() {
            self.device.log.write(Happening::Note { text });
        }
        if broker.take_rung() {
            self.device.log.write(Happening::Rung);
            agent.handle_input(self.device.now_ms(), Input::Doorbell);
        }
    }

    fn wait(&self, agent: &mut Agent<'_>) {
        let now = self.device.now_ms();
        let due = agent.poll_timeout().unwrap_or(now.saturating_add(1000));
        std::thread::sleep(Duration::from_millis(due.saturating_sub(now)).min(NAP));
        if self.device.now_ms() >= due {
            agent.handle_timeout(self.device.now_ms());
        }
    }

    /// The outcome is decided by the image that runs.
    fn self_test(&mut self, agent: &mut Agent<'_>) -> Option<Ended> {
        if self.device.power.before_confirm && self.on_trial {
            self.device.power.before_confirm = false;
            return Some(Ended::PowerLost(CutPoint::Trial));
        }
        match self.trailer.behaviour {
            Behaviour::Hangs => {
                std::thread::sleep(Duration::from_millis(u64::from(self.device.timing.watchdog_ms)));
                return Some(Ended::Reset(ResetCause::Watchdog));
            }
            behaviour => {
                agent.handle_input(
                    self.device.now_ms(),
                    Input::SelfTest((behaviour == Behaviour::Healthy).into()),
                );
            }
        }
        None
    }

    fn send(&mut self, agent: &mut Agent<'_>, link: &mut HttpLink, up: Up) {
        let by_broker =
            matches!(up, Up::Report(_)) && !self.device.proxied && !std::mem::take(&mut self.unanswered);
        let answer = match self.broker.as_mut().filter(|broker| by_broker && broker.is_up()) {
            Some(broker) => {
                let timeout = Duration::from_millis(u64::from(self.device.timing.request_timeout_ms));
                let answer = broker.send(&up, timeout);
                self.unanswered = answer.is_err();
                answer
            }
            None => link.send(up),
        };
        match answer {
            Ok(down) => {
                if let Some(line) = describe(&up, &down) {
                    self.device.log.write(line);
                }
                agent.handle_input(self.device.now_ms(), Input::Message(down));
            }
            Err(error) => {
                self.device.log.write(Happening::Note { text: error.to_string() });
                agent.handle_input(self.device.now_ms(), Input::LinkLost);
            }
        }
    }

    fn arm_fuse(&mut self, work: &SlotWork<'_>) {
        if let (SlotWork::StoreChunk { chunk, .. }, Some(at)) = (work, self.device.power.in_download_at_chunk)
            && *chunk >= at
        {
            self.device.power.in_download_at_chunk = None;
            // In the middle of the chunk: its second program operation is torn.
            self.device.flash.fail_after(1);
        }
    }

    fn note(&mut self, event: Event) {
        let line = match event {
            Event::Offered { job, attempt } => Happening::Offered { job: job.to_string(), attempt },
            Event::OfferRefused { refusal, code } => {
                Happening::Refused { refusal: format!("{refusal:?}"), code }
            }
            Event::Resumed { held, total } => Happening::Resumed { held, total },
            Event::LeavesRefused => Happening::LeavesRefused,
            Event::ChunkRefused { chunk } => Happening::ChunkRefused { chunk },
            Event::Reached(stage) => reached(stage),
            Event::RolledBack { reason, cause, boots } => {
                Happening::RolledBack { reason: format!("{reason:?}"), cause: format!("{cause:?}"), boots }
            }
            Event::Settled { job } => Happening::Settled { job: job.to_string() },
            other => Happening::Note { text: format!("{other:?}") },
        };
        self.device.log.write(line);
    }
}

/// A question for freshness needs a nonce that nobody can foresee; without random numbers none is asked.
fn draw(agent: &mut Agent<'_>, now: u64) {
    let mut nonce = [0; Nonce::LEN];
    if getrandom::fill(&mut nonce).is_ok() {
        agent.handle_input(now, Input::Ask(Nonce::new(nonce)));
    }
}

fn reached(stage: Stage) -> Happening {
    let name = format!("{stage:?}");
    let name = name.split([' ', '{']).next().unwrap_or(&name).to_owned();
    let progress = match stage {
        Stage::Downloading { done, total } => Some((done, total)),
        _ => None,
    };
    Happening::Reached { stage: name, progress }
}

/// What of an exchange belongs into the log.
fn describe(up: &Up, down: &Down<'_>) -> Option<Happening> {
    match (up, down) {
        (Up::Poll(_), Down::Idle { .. }) => Some(Happening::Poll { answer: "idle".to_owned() }),
        (Up::Poll(_), Down::Offer { .. }) => Some(Happening::Poll { answer: "offer".to_owned() }),
        (Up::Poll(_), _) => Some(Happening::Poll { answer: "other".to_owned() }),
        (Up::Fetch(fetch), Down::Chunk { bytes, .. }) => Some(Happening::Fetched {
            job: fetch.job.to_string(),
            object: format!("{:?}", fetch.object).to_lowercase(),
            first: fetch.first,
            bytes: bytes.len(),
        }),
        _ => None,
    }
}
