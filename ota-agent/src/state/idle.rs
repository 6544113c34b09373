//! Nothing to do: ask for work now and then.

use ota_manifest::JobId;
use ota_manifest::wire::{Down, FailedProbes, PROTOCOL, Poll, Refusal, Stage, Up};

use crate::Event;
use crate::agent::Core;
use crate::context::Progress;
use crate::state::{Admitting, Output, Reporting, State, code};

/// A server cannot silence a device for longer than a day.
const LONGEST_WAIT_MS: u32 = 24 * 3600 * 1000;

#[derive(Debug)]
pub(crate) struct Idle {
    /// When to ask next, ms; 0 for now.
    pub(crate) ask_at: u64,
    pub(crate) asking: bool,
}

impl Idle {
    pub(crate) const fn now() -> Self {
        Self { ask_at: 0, asking: true }
    }

    /// Asks when the server says or the interval is over; at once if the bell rang while something else was done.
    pub(crate) fn later(core: &mut Core<'_>, now: u64, retry_after_ms: u32) -> Self {
        if core.take_rung() {
            return Self::now();
        }
        let interval = if retry_after_ms == 0 { core.config.poll_interval_ms } else { retry_after_ms };
        let interval = interval.min(LONGEST_WAIT_MS);
        Self { ask_at: now.saturating_add(core.backoff.spread(interval).into()), asking: false }
    }

    pub(crate) fn want(&self, core: &Core<'_>) -> Output<'_> {
        if !self.asking {
            return Output::Wait;
        }
        Output::Send(Up::Poll(Poll {
            protocol: PROTOCOL,
            version: core.config.version,
            order: core.boot.order,
            floor: core.boot.floor,
            running: core.boot.manifest,
            bootloader: core.config.bootloader,
            hardware: core.config.hardware,
        }))
    }

    pub(crate) fn message(core: &mut Core<'_>, now: u64, message: Down<'_>) -> State {
        match message {
            Down::Idle { retry_after_ms } => {
                core.backoff.succeed();
                core.idle = true;
                State::Idle(Self::later(core, now, retry_after_ms))
            }
            // Also from a server that does not speak this protocol: one day it will.
            Down::Refused { refusal, retry_after_ms } => {
                core.log(Event::ServerRefused { refusal });
                core.backoff.succeed();
                State::Idle(Self::later(core, now, retry_after_ms))
            }
            Down::Offer { job, attempt, envelope } => offered(core, job, attempt, envelope),
            _ => {
                core.log(Event::Ignored);
                State::Idle(Self::later(core, now, 0))
            }
        }
    }

    pub(crate) fn timeout(&mut self, now: u64) {
        if now >= self.ask_at {
            *self = Self::now();
        }
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        (!self.asking).then_some(self.ask_at)
    }
}

fn offered(core: &mut Core<'_>, job: JobId, attempt: u8, envelope: &[u8]) -> State {
    core.log(Event::Offered { job, attempt });
    let again = core.context.job == job && core.context.attempt == attempt;
    if again && let Some(stage) = core.context.terminal() {
        // The server has forgotten how this ended, or never heard: tell it again rather than do it again.
        core.repeat_terminal(stage);
        return State::Reporting(Reporting);
    }
    if !again {
        core.progressed();
        core.context.job = job;
        core.context.attempt = attempt;
        core.context.progress = Progress::None;
    }
    core.context.failed = FailedProbes::NONE;
    match core.keep_envelope(envelope) {
        Some(()) => State::Admitting(Admitting),
        None => refuse(core, Refusal::Unsupported, code::ENVELOPE),
    }
}

/// Refuses the offer; nothing was begun, so nothing is remembered.
pub(crate) fn refuse(core: &mut Core<'_>, refusal: Refusal, code: u16) -> State {
    core.log(Event::OfferRefused { refusal, code });
    let stage = Stage::Rejected { refusal };
    core.report_rejection(stage);
    State::Reporting(Reporting)
}
