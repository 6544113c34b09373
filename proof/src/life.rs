//! Lives as data: what came before, what the firmware of each release does, and how it must end.

use ota_manifest::RollbackReason;
use ota_slots::{SlotState, Strategy};

use crate::board::Board;

/// What the firmware of a release does when it runs for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Finds itself fit.
    Confirms,
    /// Finds itself unfit and says so.
    Fails,
    /// Hangs until the watchdog bites.
    Hangs,
    /// Is switched off so many times in its trial, and is fit.
    SwitchedOff(u8),
}

/// Where a life begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// In the factory: release 1, confirmed.
    Factory,
    /// With release 2 confirmed, after an update.
    Settled,
    /// With release 2 staged and its boot requested.
    Requested,
}

/// What befell the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// The image that ran last is damaged.
    RanLast,
    /// Every page of the journal is garbage.
    Journal,
    /// Both.
    JournalAndRanLast,
    /// Behind the staged image, on its last page, lies garbage.
    BehindStaged,
}

/// A life.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Its name in reports and on the command line.
    pub name: &'static str,
    /// Where it begins.
    pub before: Before,
    /// What befell the device then.
    pub damage: Damage,
    /// What befalls it at the first power failure.
    pub at_cut: Damage,
    /// What befalls it once it has settled; nothing may run from then on.
    pub at_end: Damage,
    /// Releases the server offers; the lowest above the running one is taken.
    pub offers: &'static [u16],
    /// What the firmware of releases 1, 2 and 3 does.
    pub firmware: [Behaviour; 3],
    /// Half-way through release 2 the server puts release 3 in its place.
    pub supersedes: bool,
    /// The application writes records of its own all the time.
    pub saves: bool,
    /// Each release has a higher security version than the one before: once it is confirmed there is no way back.
    pub rising: bool,
    /// Releases are signed with a key of the second trust document, which the application offers first.
    pub renews_trust: bool,
}

/// How a life must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Release that runs.
    pub release: u16,
    /// As what.
    pub state: SlotState,
    /// Events the application was told, each once under its own id.
    pub events: &'static [RollbackReason],
    /// Hand-overs on trial that are due to each release; every power failure may add one.
    pub trials: &'static [(u16, u8)],
}

impl Life {
    const fn new(name: &'static str, offers: &'static [u16]) -> Self {
        Self {
            name,
            before: Before::Factory,
            damage: Damage::None,
            at_cut: Damage::None,
            at_end: Damage::None,
            offers,
            firmware: [Behaviour::Confirms; 3],
            supersedes: false,
            saves: false,
            rising: false,
            renews_trust: false,
        }
    }

    const fn second(self, behaviour: Behaviour) -> Self {
        Self { firmware: [Behaviour::Confirms, behaviour, Behaviour::Confirms], ..self }
    }

    const fn after(self, before: Before, damage: Damage) -> Self {
        Self { before, damage, ..self }
    }

    const fn rising(self) -> Self {
        Self { rising: true, ..self }
    }

    /// The life that leads to [`Before::Settled`] and [`Before::Requested`].
    pub const UPDATE: Self = Self::new("update", &[2]);

    /// All lives.
    pub const ALL: [Self; 14] = [
        Self::UPDATE,
        Self::new("fails", &[2]).second(Behaviour::Fails).rising(),
        Self::new("hangs", &[2]).second(Behaviour::Hangs).rising(),
        Self::new("brown-outs", &[2]).second(Behaviour::SwitchedOff(5)),
        Self::new("confirmed-lost", &[]).after(Before::Settled, Damage::RanLast),
        Self::new("journal-lost", &[]).after(Before::Settled, Damage::Journal).rising(),
        Self { at_cut: Damage::Journal, ..Self::new("journal-lost-in-swap", &[2]) }
            .after(Before::Requested, Damage::None),
        Self { at_end: Damage::JournalAndRanLast, ..Self::new("floor", &[2]) }.rising(),
        Self::new("stranded", &[2, 3]).second(Behaviour::Hangs).after(Before::Requested, Damage::RanLast),
        Self::new("garbage-behind", &[2]).after(Before::Requested, Damage::BehindStaged),
        Self { supersedes: true, ..Self::new("superseded", &[2, 3]) },
        Self::new("twice", &[2, 3]).rising(),
        Self { saves: true, ..Self::new("saves", &[2]) },
        Self { renews_trust: true, ..Self::new("trust", &[2]) },
    ];

    /// The life of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|life| life.name == name)
    }

    /// The lives that make sense on a board.
    pub fn of(board: &Board) -> impl Iterator<Item = Self> + use<> {
        let Board { strategy, guarded, chains_trust, geometry, second_chip, images, .. } = board;
        let (strategy, guarded, chains_trust) = (*strategy, *guarded, *chains_trust);
        let page = second_chip.unwrap_or(*geometry).erase_page as usize;
        let has_tail = !images[1].is_multiple_of(page);
        let large = board.is_large();
        let lives = Self::ALL.into_iter().filter(move |life| !large || life.is_for_large_images(strategy));
        let lives = lives.map(move |life| if large { life.cut_to_the_chase() } else { life });
        lives.filter(move |life| match life.name {
            "journal-lost-in-swap" => strategy.moves(),
            // With images copied over there is no older one left.
            "floor" => guarded && strategy != Strategy::Overwrite,
            "garbage-behind" => has_tail,
            "trust" => chains_trust,
            _ => !chains_trust,
        })
    }

    /// Lives whose operations would be those of others once more are left to smaller boards.
    fn is_for_large_images(&self, strategy: Strategy) -> bool {
        match self.name {
            "update" | "fails" | "confirmed-lost" | "journal-lost" | "journal-lost-in-swap" => true,
            "hangs" | "brown-outs" | "stranded" => strategy == Strategy::DirectXip,
            _ => false,
        }
    }

    /// What comes before the first boot of release 2 is the same as in the update: it is not cut again.
    const fn cut_to_the_chase(self) -> Self {
        match (self.before, self.firmware[1]) {
            (Before::Factory, Behaviour::Confirms) => self,
            (Before::Factory, _) => Self { before: Before::Requested, ..self },
            _ => self,
        }
    }

    /// What the firmware of a release does.
    #[must_use]
    pub fn behaviour(&self, release: u16) -> Behaviour {
        let index = usize::from(release).saturating_sub(1);
        self.firmware.get(index).copied().unwrap_or(Behaviour::Confirms)
    }

    /// The release that is tried and must not be fetched again.
    #[must_use]
    pub const fn rejected(&self) -> Option<u16> {
        match self.firmware[1] {
            Behaviour::Fails | Behaviour::Hangs => Some(2),
            _ => None,
        }
    }

    /// How it must end: the one place where strategies differ. `cut` says whether power has failed.
    #[must_use]
    pub fn end(&self, strategy: Strategy, cut: bool) -> End {
        use RollbackReason::{AttemptsExhausted, ConfirmedLost, JournalLost, SelfTest, Unproven};
        use SlotState::{Confirmed, Stranded};
        let end = |release, state, events, trials| End { release, state, events, trials };
        let no_way_back = strategy == Strategy::Overwrite;
        match self.name {
            "fails" if no_way_back => end(2, Stranded, &[SelfTest], &[(2, 1)]),
            "hangs" if no_way_back => end(2, Stranded, &[AttemptsExhausted], &[(2, 3)]),
            "fails" => end(1, Confirmed, &[SelfTest], &[(2, 1)]),
            "hangs" => end(1, Confirmed, &[AttemptsExhausted], &[(2, 3)]),
            "brown-outs" => end(2, Confirmed, &[], &[(2, 6)]),
            // The staged copy is still there.
            "confirmed-lost" if no_way_back => end(2, Confirmed, &[ConfirmedLost], &[(2, 1)]),
            "confirmed-lost" => end(1, Confirmed, &[ConfirmedLost], &[]),
            "journal-lost" => end(2, Confirmed, &[JournalLost], &[(2, 1)]),
            "journal-lost-in-swap" if cut => end(2, Confirmed, &[JournalLost], &[(2, 1)]),
            "stranded" => end(3, Confirmed, &[AttemptsExhausted], &[(2, 3), (3, 1)]),
            "garbage-behind" => end(2, Confirmed, &[Unproven], &[(2, 1)]),
            "superseded" => end(3, Confirmed, &[], &[(3, 1)]),
            "twice" => end(3, Confirmed, &[], &[(2, 1), (3, 1)]),
            _ => end(2, Confirmed, &[], &[(2, 1)]),
        }
    }
}
