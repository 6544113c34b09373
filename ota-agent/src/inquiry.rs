//! What time it is, and whose word counts: a conversation beside the jobs.
//!
//! ```text
//!   due, or Input::Ask --> Asking --Down::Fresh--> Believing --newer trust--> Fetching --Down::Trust--> Offering --> reset
//! ```
//! Beside them, because a device on trial asks too, and because nothing of it may keep a job from going on: whatever fails
//! here is logged, and asked again later.

use ota_manifest::Nonce;
use ota_manifest::wire::{Down, Question, Up};
use ota_slots::TrustOffer;
use ota_verify::AuthenticFreshness;

use crate::agent::Core;
use crate::state::code;
use crate::{Event, Output, SlotWork, SlotsAnswer, Started};

/// One question at a time.
#[derive(Debug)]
pub(crate) struct Inquiry {
    doing: Doing,
    /// The last question's.
    nonce: Nonce,
    /// When to ask by itself, ms; `None` for never.
    due: Option<u64>,
    /// A trust document has been handed over in this boot.
    offered: bool,
    /// The bootloader has to look at it: it was not there before, or this boot was one on trial.
    restart: bool,
}

/// How much time a state leaves for questions, and the window.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum SpareTime {
    None,
    /// For the question of a self-test.
    OnTrial,
    Idle,
    /// Idle, and about to ask for work: questions of its own ride along, so that they come no more often, and a region whose
    /// power comes back does not fall upon its server with them.
    BeforePoll,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    Nothing,
    Asking,
    /// The reply is in the window, so many bytes.
    Believing(usize),
    Fetching,
    /// The document is in the window, so many bytes.
    Offering(usize),
}

impl Inquiry {
    pub(crate) const fn new(asks_by_itself: bool) -> Self {
        let due = if asks_by_itself { Some(0) } else { None };
        Self {
            doing: Doing::Nothing,
            nonce: Nonce::new([0; Nonce::LEN]),
            due,
            offered: false,
            restart: false,
        }
    }

    /// A question is to be asked, unless a reply or a document is being looked at: who asks, asks again.
    pub(crate) const fn ask(&mut self, nonce: Nonce) {
        if matches!(self.doing, Doing::Nothing | Doing::Asking) {
            self.doing = Doing::Asking;
            self.nonce = nonce;
        }
    }

    /// Whether it is the one to say what is done next.
    pub(crate) fn has_turn(&self, core: &Core<'_>, time: SpareTime) -> bool {
        match self.doing {
            Doing::Nothing => {
                let is_due = time == SpareTime::BeforePoll && self.due.is_some_and(|due| core.now >= due);
                is_due || time >= SpareTime::Idle && self.has_to_restart(core)
            }
            _ => time != SpareTime::None,
        }
    }

    fn has_to_restart(&self, core: &Core<'_>) -> bool {
        self.restart && core.may_restart()
    }

    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Output<'w> {
        match self.doing {
            Doing::Nothing if self.has_to_restart(core) => Output::Reset,
            Doing::Nothing => Output::Draw,
            Doing::Asking => Output::Send(Up::Ask(Question { nonce: self.nonce, trust: core.boot.trust })),
            Doing::Fetching => Output::Send(Up::Trust { version: next_trust(core) }),
            Doing::Believing(len) => {
                Output::Slots(SlotWork::Believe { envelope: core.window(0, len), nonce: self.nonce })
            }
            Doing::Offering(len) => Output::Slots(SlotWork::OfferTrust { envelope: core.window(0, len) }),
        }
    }

    pub(crate) fn message(&mut self, core: &mut Core<'_>, message: Down<'_>) {
        self.doing = match (self.doing, message) {
            (Doing::Asking, Down::Fresh { envelope }) if core.fill_window(0, envelope) => {
                Doing::Believing(envelope.len())
            }
            (Doing::Fetching, Down::Trust { envelope }) if core.fill_window(0, envelope) => {
                Doing::Offering(envelope.len())
            }
            (_, Down::Fresh { .. } | Down::Trust { .. }) => not_believed(core, code::WINDOW),
            (_, Down::Refused { refusal, retry_after_ms }) => {
                core.log(Event::ServerRefused { refusal });
                if retry_after_ms > 0 {
                    self.put_off(core.now.saturating_add(retry_after_ms.into()));
                }
                Doing::Nothing
            }
            _ => {
                core.log(Event::Ignored);
                return self.give_up(core);
            }
        };
    }

    /// No answer. The poll is not kept waiting, not even for a pause, which after an outage is longer than it takes until the
    /// next question is due, and that would come first; this is asked again when the next poll is due.
    #[inline(never)]
    pub(crate) fn give_up(&mut self, core: &Core<'_>) {
        self.doing = Doing::Nothing;
        // Polls are up to a fifth closer together than the interval.
        self.put_off(core.now.saturating_add(u64::from(core.config.poll_interval_ms / 2)).saturating_add(1));
    }

    /// `settled`: the running firmware is not on trial, and no job is under way.
    pub(crate) fn slots(&mut self, core: &mut Core<'_>, settled: bool, answer: SlotsAnswer) {
        self.doing = match (self.doing, answer) {
            (Doing::Believing(_), SlotsAnswer::Fresh(fresh)) => self.believe(core, settled, &fresh),
            (Doing::Offering(_), SlotsAnswer::TrustOffered(offer)) => {
                core.log(Event::TrustOffered { version: next_trust(core), offer });
                self.offered = true;
                // On trial the bootloader adopts nothing, and under the firmware before it could not.
                self.restart = offer == TrustOffer::Written || core.boot.started == Started::Trial;
                Doing::Nothing
            }
            // Perhaps the late answer to another question, from before a reset.
            (Doing::Believing(_), SlotsAnswer::Failed { code }) => {
                core.log(Event::NotBelieved { code });
                return self.give_up(core);
            }
            (_, SlotsAnswer::Failed { code }) => not_believed(core, code),
            _ => not_believed(core, code::UNEXPECTED),
        };
    }

    fn believe(&mut self, core: &mut Core<'_>, settled: bool, fresh: &AuthenticFreshness) -> Doing {
        core.told = Some((fresh.time(), core.now));
        core.log(Event::Fresh { time: fresh.time(), latest: fresh.latest() });
        let is_newer = fresh.trust_version() > core.boot.trust;
        if settled && !self.offered && is_newer { Doing::Fetching } else { Doing::Nothing }
    }

    /// Asks again at this time, ms, if it asks by itself.
    pub(crate) fn put_off(&mut self, until: u64) {
        self.due = self.due.map(|_| until);
    }
}

fn not_believed(core: &mut Core<'_>, code: u16) -> Doing {
    core.log(Event::NotBelieved { code });
    Doing::Nothing
}

/// Documents are adopted one after the other.
const fn next_trust(core: &Core<'_>) -> u32 {
    core.boot.trust.saturating_add(1)
}
