//! Who watches a life: what was handed over, what the application was told, and everything that was wrong with it.

use ota_manifest::RollbackReason;
use ota_slots::SlotState;

use crate::life::{End, Life};

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing was handed over though a good image exists.
    Unbootable,
    /// What was handed over is not, byte for byte, a signed release that belongs there.
    UnverifiedHandover,
    /// A good image was left or reported, or firmware that was told it is confirmed is not any more.
    FalseRollback,
    /// A life that must end with one event ended without it, with another, or with more.
    LostRollback,
    /// A release was judged with fewer hand-overs than it is due.
    LostTrial,
    /// A release had more hand-overs than it is due.
    ExtraTrial,
    /// The device does not settle, or does not stay settled.
    Stuck,
    /// A rule of the flash was broken.
    Violation,
    /// Something the application wrote, and was told is written, is gone.
    Forgotten,
    /// A release that was tried and found wanting was fetched again.
    Restaged,
    /// The code under test panicked.
    Panicked,
    /// An image below the security floor of the guard region was handed over.
    BelowFloor,
    /// A trust document that was in force is not any more.
    TrustLost,
    /// The power failure that was planned did not happen: the sweep missed its target.
    NotFired,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Unbootable,
        Self::UnverifiedHandover,
        Self::FalseRollback,
        Self::LostRollback,
        Self::LostTrial,
        Self::ExtraTrial,
        Self::Stuck,
        Self::Violation,
        Self::Forgotten,
        Self::Restaged,
        Self::Panicked,
        Self::BelowFloor,
        Self::TrustLost,
        Self::NotFired,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unbootable => "unbootable",
            Self::UnverifiedHandover => "unverified_handover",
            Self::FalseRollback => "false_rollback",
            Self::LostRollback => "lost_rollback",
            Self::LostTrial => "lost_trial",
            Self::ExtraTrial => "extra_trial",
            Self::Stuck => "stuck",
            Self::Violation => "violations",
            Self::Forgotten => "forgotten",
            Self::Restaged => "restaged",
            Self::Panicked => "panicked",
            Self::BelowFloor => "below_floor",
            Self::TrustLost => "trust_lost",
            Self::NotFired => "not_fired",
        }
    }
}

/// A broken promise and how it showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// Which.
    pub fault: Fault,
    /// How.
    pub detail: String,
}

/// What has been seen of a life so far, and what the world around the device remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    /// Power failures that were inflicted.
    pub cuts: u8,
    /// Last hand-over: release, state.
    pub last: Option<(u16, SlotState)>,
    /// Hand-overs on trial of releases 1 to 3.
    pub trials: [u8; 3],
    /// Highest release that was told it is confirmed.
    pub confirmed: u16,
    /// Events the application was told, by id.
    pub events: Vec<(u32, RollbackReason)>,
    /// Highest event whose acknowledgement was written.
    pub acknowledged: u32,
    /// Highest number the application wrote of its own, or read back.
    pub saved: u32,
    /// Operations the application was refused with the power on; it tries again.
    pub refusals: u32,
    /// The server has put release 3 in the place of release 2.
    pub superseded: bool,
    /// Highest security floor that the guard region has taken.
    pub floor: u32,
    /// Highest version of the trust document in force.
    pub trust: u32,
    /// What was wrong.
    pub findings: Vec<Finding>,
}

impl Witness {
    /// Of a device that was made and confirmed in the factory.
    #[must_use]
    pub fn from_the_factory() -> Self {
        Self { confirmed: 1, ..Self::default() }
    }

    /// Whether something is so wrong that the rest of the life says nothing more.
    #[must_use]
    pub fn has_seen_enough(&self) -> bool {
        let minor = [Fault::Violation, Fault::Forgotten, Fault::ExtraTrial];
        self.findings.iter().any(|finding| !minor.contains(&finding.fault))
    }

    /// Takes note of something wrong, once.
    pub fn object(&mut self, fault: Fault, detail: impl Into<String>) {
        let finding = Finding { fault, detail: detail.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Takes note of a hand-over.
    pub fn handed_over(&mut self, release: u16, state: SlotState) {
        self.last = Some((release, state));
        if release < self.confirmed {
            let confirmed = self.confirmed;
            self.object(Fault::FalseRollback, format!("release {confirmed} was confirmed, {release} runs"));
        }
        if state == SlotState::Trial {
            if let Some(count) = self.trials.get_mut(usize::from(release).wrapping_sub(1)) {
                *count = count.saturating_add(1);
            }
            if release <= self.confirmed {
                self.object(Fault::FalseRollback, format!("release {release} was confirmed, is on trial"));
            }
        }
    }

    /// Takes note of the security version that is handed over, and of the floor that the guard region has now.
    pub fn security(&mut self, version: u32, floor: u32, noted: bool) {
        if version < self.floor {
            let floor = self.floor;
            self.object(Fault::BelowFloor, format!("security version {version} runs, the floor was {floor}"));
        }
        if noted {
            self.floor = self.floor.max(floor);
        }
    }

    /// Takes note of the trust document in force.
    pub fn believes(&mut self, version: u32) {
        if version < self.trust {
            let before = self.trust;
            self.object(Fault::TrustLost, format!("version {before} was in force, now {version} is"));
        }
        self.trust = self.trust.max(version);
    }

    /// Takes note of an event the application was told.
    pub fn told(&mut self, id: u32, reason: RollbackReason) {
        if id <= self.acknowledged {
            self.object(Fault::Forgotten, format!("event {id} was acknowledged and is told again"));
        }
        if !self.events.contains(&(id, reason)) {
            self.events.push((id, reason));
        }
    }

    /// Takes note of what the application reads of its own.
    pub fn read_back(&mut self, value: u32) {
        if value < self.saved {
            let saved = self.saved;
            self.object(Fault::Forgotten, format!("{saved} was written by the application, {value} is read"));
        }
        self.saved = self.saved.max(value);
    }

    /// Hand-overs on trial of a release.
    #[must_use]
    pub fn trials_of(&self, release: u16) -> u8 {
        self.trials.get(usize::from(release).wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// Judges the life at its end.
    pub fn judge(&mut self, life: &Life, end: &End) {
        self.judge_end(end);
        self.judge_events(end);
        for (release, due) in end.trials {
            let had = self.trials_of(*release);
            if had < *due {
                self.object(Fault::LostTrial, format!("release {release} had {had} hand-overs, not {due}"));
            }
            if had > due.saturating_add(self.cuts) {
                self.object(Fault::ExtraTrial, format!("release {release} had {had} hand-overs, not {due}"));
            }
        }
        if life.saves && self.saved != LAST_SAVE {
            let saved = self.saved;
            self.object(Fault::Forgotten, format!("the application wrote {saved} last, not {LAST_SAVE}"));
        }
    }

    fn judge_end(&mut self, end: &End) {
        let Some((release, state)) = self.last else {
            return self.object(Fault::Unbootable, "nothing was ever handed over");
        };
        let detail = format!("ends on release {release} ({state:?})");
        if release < end.release {
            self.object(Fault::FalseRollback, detail);
        } else if release > end.release {
            self.object(Fault::LostRollback, detail);
        } else if state != end.state {
            self.object(Fault::Stuck, detail);
        }
    }

    fn judge_events(&mut self, end: &End) {
        let told: Vec<RollbackReason> = self.events.iter().map(|(_, reason)| *reason).collect();
        if told == end.events {
            return;
        }
        let detail = format!("told {:?}", self.events);
        let fault = if end.events.is_empty() { Fault::FalseRollback } else { Fault::LostRollback };
        self.object(fault, detail);
    }
}

/// What the application writes of its own last.
pub const LAST_SAVE: u32 = 1001;
/// And when it is on trial.
pub const TRIAL_SAVE: u32 = 1000;
