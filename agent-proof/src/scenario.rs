//! What a server wants of a device, what is the matter with it, and how it must end.

use ota_agent::sim::Dice;
use ota_manifest::wire::{FailedStage, Refusal, RollbackReason, Stage};
use ota_manifest::{ClassId, Digest, SecurityVersion};
use ota_slots::sim::{Lab, Release};

/// What is special about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing: it has to be installed.
    Good,
    /// The new firmware finds itself unfit.
    Unfit,
    /// The new firmware hangs in its self-test until the watchdog bites.
    Hangs,
    /// The new firmware never gives a verdict, and feeds its watchdog all the while.
    Sleeps,
    /// The new firmware cannot reach its server.
    Deaf,
    /// One byte of the slot changes before the image is booted for the first time.
    Rots,
    /// The release was rolled back before.
    Again,
    /// The envelope was tampered with.
    Forged,
    /// Not newer than what runs.
    Old,
    /// For devices of another class.
    Foreign,
    /// Below the anti-rollback floor.
    BelowFloor,
    /// Larger than the slot.
    TooLarge,
    /// The signed digest contradicts the signed chunk tree.
    Contradicts,
    /// One chunk is always wrong.
    WrongChunk,
    /// The leaf list is always wrong.
    WrongLeaves,
    /// No object can ever be fetched.
    Gone,
    /// The server takes it back, and asks to hear that it was.
    Cancelled,
    /// The server takes it back, and does not wait to hear of it.
    Withdrawn,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Good,
        Self::Unfit,
        Self::Hangs,
        Self::Sleeps,
        Self::Deaf,
        Self::Rots,
        Self::Again,
        Self::Forged,
        Self::Old,
        Self::Foreign,
        Self::BelowFloor,
        Self::TooLarge,
        Self::Contradicts,
        Self::WrongChunk,
        Self::WrongLeaves,
        Self::Gone,
        Self::Cancelled,
        Self::Withdrawn,
    ];

    /// The jobs of a life, one to three. Half of all are good: what fails otherwise is whether they still can be.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Vec<Self> {
        let mut kinds: Vec<Self> = Vec::new();
        for _ in 0..=dice.below(3) {
            let drawn = if dice.percent(45) { Self::Good } else { dice.pick(&Self::ALL) };
            let may_come_again = kinds.last().is_some_and(|last| last.is_rolled_back());
            let comes_again = may_come_again && dice.percent(40);
            kinds.push(match drawn {
                _ if comes_again => Self::Again,
                Self::Again => Self::Good,
                drawn => drawn,
            });
        }
        kinds
    }

    /// Whether such a job always ends with the release on the device's list of those that were rolled back.
    const fn is_rolled_back(self) -> bool {
        matches!(self, Self::Unfit | Self::Hangs | Self::Sleeps | Self::Deaf)
    }

    /// Whether it may be under way when the journal is lost. The floor and the list of what was rolled back are lost with it,
    /// and firmware that is started without a job is confirmed without a server: these are for the slots' own proof.
    #[must_use]
    pub const fn survives_a_lost_journal(self) -> bool {
        !matches!(self, Self::BelowFloor | Self::Again | Self::Deaf)
    }

    /// Whether the server may take it back.
    #[must_use]
    pub const fn is_taken_back(self) -> bool {
        matches!(self, Self::Cancelled | Self::Withdrawn)
    }

    /// Whether such a release may ever run.
    #[must_use]
    pub const fn may_run(self) -> bool {
        !matches!(
            self,
            Self::Forged
                | Self::Foreign
                | Self::BelowFloor
                | Self::TooLarge
                | Self::Contradicts
                | Self::WrongChunk
                | Self::WrongLeaves
                | Self::Gone
        )
    }

    /// The release of such a job, the `number`th of the device.
    #[must_use]
    pub fn release(self, lab: &Lab, number: u16, size: usize) -> Release {
        match self {
            Self::Forged => {
                let mut release = lab.release(number, size);
                let at = 8 + number as usize % 40;
                release.envelope[at] ^= 1;
                release
            }
            Self::Old => lab.release(1, size),
            Self::Foreign => lab.release_with(number, size, |draft| {
                draft.classes.iter_mut().for_each(|class| *class = ClassId::new(*b"other laboratory"));
            }),
            Self::BelowFloor => {
                lab.release_with(number, size, |draft| draft.security_version = SecurityVersion(0))
            }
            Self::TooLarge => lab.release(number, 40_000),
            Self::Contradicts => lab.release_with(number, size, |draft| {
                draft.images.iter_mut().for_each(|image| image.digest = Digest::new([9; 32]));
            }),
            _ => lab.release(number, size),
        }
    }
}

/// What was seen of a job from outside the agent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// The bootloader was asked for it.
    pub requested: bool,
    /// Its image changed in the slot before it was booted.
    pub rotted: bool,
    /// Resets during its trial that were neither the supply's fault nor the agent's wish within the confirm window: each
    /// costs an attempt.
    pub attempts_lost: u32,
    /// A failed image stays where it is, since the old one is gone.
    pub has_no_way_back: bool,
    /// Its image was handed over to.
    pub ran: bool,
    /// The journal was lost while it was under way: the device knows of no job, and starts again with what it finds.
    pub lost: bool,
}

/// Attempts of a trial.
const ATTEMPTS: u32 = 3;

/// Whether a job may end in this way.
#[must_use]
pub fn is_right(kind: Kind, facts: Facts, stage: Stage) -> bool {
    let exhausted = matches!(
        stage,
        Stage::RolledBack { reason: RollbackReason::AttemptsExhausted, boots, .. }
            if u32::from(boots) >= ATTEMPTS && facts.attempts_lost >= ATTEMPTS && facts.requested
    );
    let installed = facts.requested && (stage == Stage::Confirmed || exhausted);
    let refused = |refusal| stage == Stage::Rejected { refusal };
    let failed = |at, code| stage == Stage::Failed { at, code };
    let rolled_back = |why| matches!(stage, Stage::RolledBack { reason, .. } if reason == why);
    // It was installed, or rolled back, without anybody to tell; that is what is said of it when it is offered again.
    let known_already = refused(Refusal::NotNewer) || refused(Refusal::RejectedBefore);
    if facts.lost && facts.ran && known_already {
        return true;
    }
    match kind {
        Kind::Rots if facts.rotted => rolled_back(RollbackReason::Unproven),
        Kind::Good | Kind::Rots => installed,
        Kind::Unfit => exhausted || (rolled_back(RollbackReason::SelfTest) && facts.requested),
        Kind::Hangs | Kind::Sleeps | Kind::Deaf => exhausted,
        // What failed still runs.
        Kind::Again if facts.has_no_way_back => refused(Refusal::NotNewer),
        Kind::Again => refused(Refusal::RejectedBefore),
        Kind::Forged => refused(Refusal::Unauthentic),
        Kind::Old => refused(Refusal::NotNewer),
        Kind::Foreign => refused(Refusal::NotForThisDevice),
        Kind::BelowFloor => refused(Refusal::BelowFloor),
        Kind::TooLarge => refused(Refusal::NoFittingImage),
        Kind::Contradicts => failed(FailedStage::Verifying, 0x0200),
        Kind::WrongChunk => failed(FailedStage::Downloading, 0x0502),
        Kind::WrongLeaves => failed(FailedStage::Downloading, 0x0501),
        Kind::Gone => failed(FailedStage::Downloading, 0x0506),
        Kind::Cancelled | Kind::Withdrawn => stage == Stage::Cancelled || installed,
    }
}
