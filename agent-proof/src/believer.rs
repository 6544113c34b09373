//! What a device believes, and why: questions, replies, trust documents, and what they may cost.

use std::collections::{BTreeMap, BTreeSet};

use ota_agent::{SlotWork, SlotsAnswer};
use ota_manifest::wire::{Down, Refusal, Up};
use ota_manifest::{Frame, Nonce};
use ota_slots::TrustOffer;
use ota_verify::{AuthenticTrust, TrustedTime, frame_digest};

use crate::chain::document;
use crate::oracle::clock;

/// Of one device.
#[derive(Debug)]
pub struct Believer {
    /// Version of the trust in force.
    pub in_force: u32,
    /// Questions sent.
    pub questions: u32,
    /// Documents adopted.
    pub adopted: u32,
    /// Replies believed.
    pub believed: u32,
    /// Times a document has come into the inbox, by version.
    written: BTreeMap<u32, u32>,
    /// Of all power sessions.
    nonces: BTreeSet<[u8; Nonce::LEN]>,
    session: Session,
}

/// What has happened in this power session.
#[derive(Debug, Default)]
struct Session {
    /// It began on trial.
    trial: bool,
    /// The question that was asked last.
    asked: Option<Nonce>,
    /// The self-test's own.
    test: Option<Nonce>,
    /// A job is being worked on.
    works: bool,
    /// Work was asked for, or something reported.
    polled: bool,
    /// Questions, and requests for documents, before work was first asked for.
    before_poll: (u32, u32),
    /// A restart would be the job's.
    restarts_for_job: bool,
    restarts_for_document: bool,
}

/// Slot work that concerns time and trust, as far as it has to be known afterwards.
#[derive(Debug, Clone, Copy)]
pub enum Belief {
    /// Another kind of work.
    None,
    /// A reply to this question was to be believed.
    Reply(Nonce),
    /// A document was to be handed over; whether it is what the owners say comes next, and the flash operations before.
    Document(bool, usize),
    /// The bootloader was asked for another image.
    Restart,
    /// The trial was confirmed.
    Confirm,
}

type Objection = Option<String>;

impl Default for Believer {
    fn default() -> Self {
        Self {
            in_force: 1,
            questions: 0,
            adopted: 0,
            believed: 0,
            written: BTreeMap::new(),
            nonces: BTreeSet::new(),
            session: Session::default(),
        }
    }
}

impl Believer {
    /// It boots under this trust, or under the pinned one.
    #[must_use]
    pub fn boots(&mut self, kept: Option<&AuthenticTrust<'_>>, newest: u32, trial: bool) -> Objection {
        let version = kept.map_or(1, AuthenticTrust::version);
        let before = core::mem::replace(&mut self.in_force, version);
        self.session = Session { trial, restarts_for_job: trial, ..Session::default() };
        self.adopted += version.saturating_sub(before);
        let signed = document(version).and_then(|envelope| Frame::parse(envelope).ok());
        let is_signed =
            kept.is_none_or(|kept| signed.is_some_and(|frame| frame_digest(&frame) == kept.content()));
        if version < before || version > before + 1 {
            return Some(format!("trust {version} after {before}"));
        }
        (!is_signed || version > newest.max(before)).then(|| format!("trust {version}, which nobody signed"))
    }

    /// The self-test has a question of its own.
    pub fn tests_with(&mut self, nonce: Nonce) {
        self.session.test = Some(nonce);
    }

    /// A message goes out.
    #[must_use]
    pub fn sends(&mut self, up: &Up) -> Objection {
        let session = &mut self.session;
        match up {
            Up::Ask(question) => {
                self.questions += 1;
                session.asked = Some(question.nonce);
                let by_itself = session.test != Some(question.nonce);
                if by_itself && !self.nonces.insert(*question.nonce.as_bytes()) {
                    return Some("a nonce was used twice".into());
                }
                if question.trust != self.in_force {
                    return Some(format!("says {} of trust {}", question.trust, self.in_force));
                }
                session.before_poll.0 += u32::from(by_itself);
            }
            Up::Trust { version } => {
                session.before_poll.1 += 1;
                if *version != self.in_force + 1 {
                    return Some(format!("asks for document {version} with {} in force", self.in_force));
                }
            }
            Up::Poll(_) => {
                (session.polled, session.works) = (true, false);
                return None;
            }
            Up::Report(report) => {
                // After a boot with something to report the first poll is due when the interval is over.
                session.polled = true;
                session.works &= !report.stage.is_terminal();
                return None;
            }
            Up::Fetch(_) => return None,
        }
        if session.works {
            return Some(format!("{up:?} while a job is under way"));
        }
        let (asked, fetched) = session.before_poll;
        (!session.polled && (asked > 1 || fetched > 1))
            .then(|| format!("{up:?} before the first poll, again"))
    }

    /// The server has answered; a job that is gone is given up without another word.
    pub fn hears(&mut self, down: &Down<'_>) {
        self.session.works &= !matches!(down, Down::Refused { refusal: Refusal::Gone, .. });
    }

    /// Slot work is about to be done, after so many flash operations, at this time, ms.
    pub fn before(&mut self, work: &SlotWork<'_>, operations: usize, now: u64) -> (Belief, Objection) {
        let ahead = |told: &Option<TrustedTime>| {
            let told = told.map_or(0, TrustedTime::seconds);
            (told > clock(now)).then(|| format!("{} s ahead", told - clock(now)))
        };
        match work {
            SlotWork::Admit { now, .. } | SlotWork::Begin { now, .. } => {
                self.session.works = true;
                (Belief::None, ahead(now))
            }
            SlotWork::Believe { nonce, .. } => (Belief::Reply(*nonce), None),
            SlotWork::OfferTrust { envelope } => {
                let is_next = document(self.in_force + 1) == Some(*envelope);
                let busy =
                    self.session.works.then(|| "a document handed over while a job is under way".into());
                (Belief::Document(is_next, operations), busy)
            }
            SlotWork::AckEvent { .. } => {
                self.session.polled = true;
                (Belief::None, None)
            }
            SlotWork::RequestBoot { .. } | SlotWork::Fail { .. } => (Belief::Restart, None),
            SlotWork::Confirm { .. } => (Belief::Confirm, None),
            _ => (Belief::None, None),
        }
    }

    /// It was done, and the flash has carried out so many operations.
    #[must_use]
    pub fn after(&mut self, belief: Belief, answer: &SlotsAnswer, operations: usize, now: u64) -> Objection {
        let done = matches!(answer, SlotsAnswer::Done);
        match (belief, answer) {
            (Belief::Restart, _) if done => self.session.restarts_for_job = true,
            (Belief::Confirm, _) if done => self.session.restarts_for_job = false,
            (Belief::Reply(nonce), SlotsAnswer::Fresh(fresh)) => {
                self.believed += 1;
                if fresh.nonce() != nonce || self.session.asked != Some(nonce) {
                    return Some("a reply to another question was believed".into());
                }
                if fresh.time().seconds() > clock(now) {
                    return Some(format!("was told {} at {}", fresh.time().seconds(), clock(now)));
                }
            }
            (Belief::Document(true, _), SlotsAnswer::TrustOffered(offer)) => return self.handed_over(*offer),
            (Belief::Document(false, before), answer) => {
                let taken = matches!(answer, SlotsAnswer::TrustOffered(_)) || operations != before;
                return taken.then(|| format!("{answer:?} of a document that is not the next one"));
            }
            _ => {}
        }
        None
    }

    fn handed_over(&mut self, offer: TrustOffer) -> Objection {
        // Before a trial the bootloader does not look.
        self.session.restarts_for_document |= offer == TrustOffer::Written || self.session.trial;
        if offer == TrustOffer::HeldBefore {
            return None;
        }
        let version = self.in_force + 1;
        let times = self.written.entry(version).or_default();
        *times += 1;
        (*times > 1).then(|| format!("document {version} was written {times} times"))
    }

    /// It resets itself.
    #[must_use]
    pub fn restarts(&self) -> Objection {
        let Session { restarts_for_job, restarts_for_document, .. } = self.session;
        (!restarts_for_job && !restarts_for_document).then(|| "a reset for nothing".into())
    }
}
