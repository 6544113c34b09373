//! The application in the firmware: what decides about its fitness, what it logs, and where its power fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ota_agent::linux::{Line, Product, Trial};
use ota_agent::self_test::{SelfTest, Turn};
use ota_agent::{Event, SlotWork};
use ota_manifest::ResetCause;
use ota_manifest::wire::{Down, Stage, Up};
use ota_slots::TrustOffer;
use ota_verify::AuthenticFreshness;

use crate::device::Ended;
use crate::firmware::Behaviour;
use crate::{CutPoint, Happening, Log, PowerPlan, Supply};

/// The application, from its start to the next reset.
pub(crate) struct Application<'d, 'p> {
    pub(crate) supply: Supply,
    pub(crate) log: &'d mut Log,
    pub(crate) power: &'d mut PowerPlan,
    pub(crate) watchdog_ms: u32,
    pub(crate) behaviour: Behaviour,
    pub(crate) on_trial: bool,
    pub(crate) test: SelfTest<'d, 'p>,
    pub(crate) started: Instant,
    pub(crate) stop: &'d AtomicBool,
    /// What has ended it, if not its power.
    pub(crate) ended: Option<Ended>,
}

impl Application<'_, '_> {
    /// Why it has not gone on.
    pub(crate) fn ended(&self) -> Ended {
        if self.supply.is_on() {
            self.ended.unwrap_or(Ended::Stopped)
        } else {
            Ended::PowerLost(CutPoint::Download)
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A line for what a probe has found.
    fn look_at(&mut self, turn: Turn) {
        if let Turn::Ended { name, outcome, .. } = turn {
            self.log.write(Happening::Probed { probe: name.to_owned(), outcome: format!("{outcome:?}") });
        }
    }
}

impl Product for Application<'_, '_> {
    /// All of it at once, as far as it need not wait for the server.
    fn self_test(&mut self) -> Trial {
        if self.power.before_confirm && self.on_trial {
            self.power.before_confirm = false;
            self.ended = Some(Ended::PowerLost(CutPoint::Trial));
            return Trial::Undecided;
        }
        if self.behaviour == Behaviour::Hangs {
            std::thread::sleep(Duration::from_millis(self.watchdog_ms.into()));
            self.ended = Some(Ended::Reset(ResetCause::Watchdog));
            return Trial::Undecided;
        }
        loop {
            let turn = self.test.poll(self.now());
            self.look_at(turn);
            if !matches!(turn, Turn::Progress | Turn::Ended { .. }) {
                return turn.into();
            }
        }
    }

    fn heard(&mut self, fresh: &AuthenticFreshness) {
        // Not outside a trial: an answer would begin the test.
        if self.on_trial {
            let turn = self.test.answer(self.now(), fresh);
            self.look_at(turn);
        }
    }

    fn log(&mut self, line: Line<'_>) {
        let line = match line {
            Line::Event(event) => Some(note(event)),
            Line::Answered { up, down } => describe(up, down),
            Line::Unanswered { why, .. } => Some(Happening::Note { text: why.to_string() }),
            Line::Rung => Some(Happening::Rung),
            Line::Link(text) => Some(Happening::Note { text }),
            _ => None,
        };
        line.into_iter().for_each(|line| self.log.write(line));
    }

    fn goes_on(&mut self) -> bool {
        self.supply.is_on() && self.ended.is_none() && !self.stop.load(Ordering::Relaxed)
    }

    fn before(&mut self, work: &SlotWork<'_>) {
        if let (SlotWork::StoreChunk { chunk, .. }, Some(at)) = (work, self.power.in_download_at_chunk)
            && *chunk >= at
        {
            self.power.in_download_at_chunk = None;
            // In the middle of the chunk: its second program operation is torn.
            self.supply.fail_after(1);
        }
    }
}

fn note(event: Event) -> Happening {
    match event {
        Event::Offered { job, attempt } => Happening::Offered { job: job.to_string(), attempt },
        Event::OfferRefused { refusal, code } => Happening::Refused { refusal: format!("{refusal:?}"), code },
        Event::Resumed { held, total } => Happening::Resumed { held, total },
        Event::LeavesRefused => Happening::LeavesRefused,
        Event::ChunkRefused { chunk } => Happening::ChunkRefused { chunk },
        Event::Reached(stage) => reached(stage),
        Event::RolledBack { reason, cause, boots } => {
            Happening::RolledBack { reason: format!("{reason:?}"), cause: format!("{cause:?}"), boots }
        }
        Event::Fresh { time, latest } => Happening::Fresh {
            time_s: time.seconds(),
            latest: format!("{}/{}", latest.epoch, latest.sequence),
        },
        Event::TrustOffered { version, offer } => {
            Happening::TrustOffered { version, held_before: offer == TrustOffer::HeldBefore }
        }
        Event::Settled { job } => Happening::Settled { job: job.to_string() },
        other => Happening::Note { text: format!("{other:?}") },
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
