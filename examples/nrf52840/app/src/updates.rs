//! The update loop: what the agent wants done, done.

use core::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_nrf::buffered_uarte::BufferedUarte;
use embassy_time::{Instant, TICK_HZ, Timer};
use ota_agent::self_test::{SelfTest, Turn, Watchdog as _};
use ota_agent::{Agent, Buffers, Config, Input, Output, SlotDriver, SlotsAnswer, Started, StreamLink};
use ota_manifest::Nonce;
use ota_manifest::wire::Up;
use ota_slots::OpenError;

use crate::board::{Board, Random, reset};
use crate::lights::Lights;
use crate::memory::Memory;
use crate::release::{SLOT, VERSION};
use crate::workbench::{Buffer, Workbench};
use crate::{self_test, trust, variant};

/// The watchdog is fed at least so often, ms, while nothing is amiss.
pub(crate) const FEED_MS: u32 = 1_000;

/// Updates the device, for ever.
///
/// # Errors
/// If it cannot be updated. It may run on.
pub(crate) async fn run(board: &mut Board, memory: &mut Memory) -> Result<Infallible, OpenError> {
    let Board { bench, line, random, lights, bus } = board;
    let descriptor = bench.descriptor().ok_or(OpenError::BootloaderDisagrees)?;
    let adopted = trust::adopted(bench, &mut memory.work, &mut memory.trust);
    let policy = trust::policy(adopted.as_ref(), &descriptor);
    let (slots, report) = bench.open(&policy, SLOT, &mut memory.work)?;
    lights.trial(report.started == Started::Trial);

    let mut probes = self_test::probes(&mut memory.march, bus, Nonce::new(random.draw()));
    let mut checks = probes.checks();
    let test = self_test::run(&mut checks, report.asks);

    let buffers = Buffers { envelope: &mut memory.envelope, window: &mut memory.window };
    let Ok(mut link) = StreamLink::new(&mut memory.link, &buffers) else {
        unreachable!("as long as it wants")
    };
    // Short times, since this is to be watched. What goes to thousands of devices asks every hour, or has a bell.
    let config = Config {
        version: VERSION,
        hardware: layout::HARDWARE,
        bootloader: descriptor.bootloader().version,
        poll_interval_ms: 10_000,
        freshness_interval_ms: 60_000,
        request_timeout_ms: 5_000,
        backoff_ms: (500, 10_000),
        ..Config::default()
    };
    let agent = Agent::new(config, report, u64::from_le_bytes(random.draw()), buffers, now());
    let buffer = &mut memory.work;
    let mut updates = Updates { agent, slots, test, testing: None, bench, buffer, random, lights };
    loop {
        serve(&mut link, line.open(), &mut updates).await;
        link.reset();
    }
}

/// Does what the agent wants until the line fails: more has arrived than was read, and what is missing is asked for again.
async fn serve(link: &mut StreamLink<'_>, mut uart: BufferedUarte<'_>, updates: &mut Updates<'_, '_, '_>) {
    loop {
        match updates.advance() {
            Next::Send(_) if variant::SILENT => updates.hear(Input::LinkLost),
            Next::Send(up) => {
                if link.send_async(&mut uart, &up).await.is_err() {
                    return updates.hear(Input::LinkLost);
                }
            }
            Next::Wait { ms } => {
                // In 32 bits: nothing else here divides in 64, which takes a kilobyte.
                let ticks = ms * TICKS_PER_SECOND / 1_000;
                match select(link.receive_async(&mut uart), Timer::after_ticks(ticks.into())).await {
                    Either::First(Ok(Some(down))) => {
                        updates.lights.trouble(false);
                        updates.hear(Input::Message(down));
                    }
                    Either::First(Ok(None)) | Either::Second(()) => {}
                    Either::First(Err(_)) => return,
                }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "32,768")]
const TICKS_PER_SECOND: u32 = TICK_HZ as u32;
const _: () = assert!(TICKS_PER_SECOND as u64 == TICK_HZ && FEED_MS.checked_mul(TICKS_PER_SECOND).is_some());

/// All but the line.
struct Updates<'u, 't, 'p> {
    agent: Agent<'u>,
    slots: SlotDriver<'u>,
    test: SelfTest<'t, 'p>,
    /// When the self-test is to be polled, ms; `None` while it does not run.
    testing: Option<u64>,
    bench: &'u mut Workbench,
    buffer: &'u mut Buffer,
    random: &'u mut Random,
    lights: &'u mut Lights,
}

/// What takes time.
enum Next {
    Send(Up),
    /// Something may arrive. At most so long, ms.
    Wait {
        ms: u32,
    },
}

impl Updates<'_, '_, '_> {
    fn hear(&mut self, input: Input<'_>) {
        self.agent.handle_input(now(), input);
    }

    /// Does all that can be done without waiting.
    ///
    /// Not in the task itself: as a part of it, it is two kilobytes more.
    #[inline(never)]
    fn advance(&mut self) -> Next {
        loop {
            let now = now();
            if self.agent.poll_timeout().is_some_and(|due| due <= now) {
                self.agent.handle_timeout(now);
            }
            match self.testing {
                Some(_) => self.testing = self.examine(now),
                None => self.bench.feed(),
            }
            match self.agent.poll_output(now) {
                Output::Send(up) => return Next::Send(up),
                Output::Slots(work) => {
                    self.lights.work(&work);
                    let answer = self.bench.run(self.slots.start(work), self.buffer);
                    self.answer(answer);
                }
                Output::SelfTest => self.testing = Some(now),
                Output::Draw => {
                    let nonce = Nonce::new(self.random.draw());
                    self.hear(Input::Ask(nonce));
                }
                Output::Event(event) => self.lights.show(event),
                Output::Reset => reset(),
                Output::Wait => {
                    let due = [self.agent.poll_timeout(), self.testing].into_iter().flatten().min();
                    let ms = due.map_or(u64::MAX, |due| due.saturating_sub(now));
                    return Next::Wait { ms: u32::try_from(ms).map_or(FEED_MS, |ms| ms.min(FEED_MS)) };
                }
            }
        }
    }

    /// Slot work has ended.
    fn answer(&mut self, answer: SlotsAnswer) {
        if let (Some(_), SlotsAnswer::Fresh(fresh)) = (self.testing, &answer) {
            let _ = self.test.answer(now(), fresh);
        }
        self.hear(Input::Slots(answer));
    }

    /// Does a step of the self-test. When the next one is due, ms; `None` once it is over.
    ///
    /// The watchdog is fed when a probe got further. A verdict may be missing for want of a server: then the trial goes on
    /// to the end of its window, at which the agent asks for a reset.
    fn examine(&mut self, now: u64) -> Option<u64> {
        match self.test.poll_feeding(now, self.bench) {
            Turn::Wait { until } => return Some(until),
            Turn::Ask(nonce) => self.hear(Input::Ask(nonce)),
            Turn::Done(verdict) => {
                let input = verdict.input()?;
                self.hear(input);
                return None;
            }
            Turn::Progress | Turn::Ended { .. } => {}
        }
        Some(now)
    }
}

/// Milliseconds since the reset.
fn now() -> u64 {
    Instant::now().as_millis()
}
