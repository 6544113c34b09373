//! The stories that are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use emulator::Machine;
use ota_manifest::wire::Stage;
use ota_manifest::{ResetCause, RollbackReason};
use ota_slots::SlotId;
use provision::Release;

use crate::bench::{Bench, End};
use crate::cast::{Cast, Conduct};
use crate::desk::Desk;
use crate::plant::Plant;
use crate::story::{Outcome, Story};

/// How an unfit release is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// Why.
    pub reason: RollbackReason,
    /// What reset the device last.
    pub cause: ResetCause,
    /// Boots that the image got.
    pub boots: u8,
}

/// Firmware and boards, ready to play.
pub struct Plays {
    /// Firmware and keys.
    pub cast: Cast,
    /// A board from the factory, without power.
    board: Machine,
    images: BTreeMap<Conduct, provision::Image>,
}

impl Plays {
    /// Builds all firmware for these conducts; the healthy one is always among them.
    ///
    /// # Errors
    /// If something does not build.
    pub fn rehearse(cast: Cast, conducts: &[Conduct]) -> Result<Self> {
        let board = cast.board()?;
        let mut images = BTreeMap::new();
        for conduct in [Conduct::Healthy].iter().chain(conducts) {
            images.insert(*conduct, cast.image(SlotId::B, 2, *conduct)?);
        }
        Ok(Self { cast, board, images })
    }

    /// The same under a bootloader that lacks something.
    ///
    /// # Errors
    /// If that does not build.
    pub fn under(&self, plant: Plant) -> Result<Self> {
        let cast = self.cast.under(plant)?;
        Ok(Self { board: cast.board()?, cast, images: self.images.clone() })
    }

    /// The second image.
    ///
    /// # Errors
    /// If it was not built.
    pub fn image(&self, conduct: Conduct) -> Result<&provision::Image> {
        self.images.get(&conduct).context("not built for this play")
    }

    /// A board that has run its first image for a while, with a server that has nothing for it.
    ///
    /// # Errors
    /// If it does not come that far.
    pub fn at_work(&self) -> Result<Bench> {
        let mut bench = self.unpowered(self.board.clone());
        bench.power_on();
        let end = bench.run_until(60, |bench| bench.desk.polls >= 2);
        anyhow::ensure!(
            end == End::Done,
            "the first image does not get to work: {end:?}, {:?}",
            bench.resets
        );
        Ok(bench)
    }

    /// A board without power.
    #[must_use]
    pub fn unpowered(&self, machine: Machine) -> Bench {
        let genuine = [self.cast.first.clone()].into_iter().chain(self.images.values().cloned());
        Bench::new(machine, Desk::new(Arc::clone(&self.cast.freshness)), genuine.collect())
    }

    /// The board from the factory, to be tampered with.
    #[must_use]
    pub fn factory(&self) -> Machine {
        self.board.clone()
    }

    /// A release of the second image.
    ///
    /// # Errors
    /// If it was not built.
    pub fn release(&self, conduct: Conduct) -> Result<Arc<Release>> {
        self.cast.release(vec![self.image(conduct)?.clone()], 2)
    }

    /// An update that goes well.
    ///
    /// # Errors
    /// If it does not.
    pub fn update(&self) -> Result<Story> {
        let mut bench = self.at_work()?;
        bench.desk.offer(&self.release(Conduct::Healthy)?);
        Story::tell("update", Outcome::Confirmed, bench)
    }

    /// An update to something unfit, and how it was reported.
    ///
    /// # Errors
    /// If it does not go back.
    pub fn rollback(&self, conduct: Conduct) -> Result<(Story, Rollback)> {
        let reason = match conduct {
            Conduct::FailsSelfTest => RollbackReason::SelfTest,
            _ => RollbackReason::AttemptsExhausted,
        };
        let mut bench = self.at_work()?;
        bench.desk.offer(&self.release(conduct)?);
        let story = Story::tell(conduct.name(), Outcome::RolledBack(reason), bench)?;
        let Some(Stage::RolledBack { reason, cause, boots, .. }) = story.end.desk.end() else {
            anyhow::bail!("{} was told to end so", story.name)
        };
        Ok((story, Rollback { reason, cause, boots }))
    }

    /// A trust document that is adopted.
    ///
    /// # Errors
    /// If it is not.
    pub fn rotation(&self) -> Result<Story> {
        let mut bench = self.unpowered(self.board.clone());
        bench.desk.publish(self.cast.document()?);
        bench.power_on();
        Story::tell("trust rotation", Outcome::Trusts(2), bench)
    }

    /// The first boot of a chip whose configuration is blank: the firmware writes it and resets the chip.
    ///
    /// # Errors
    /// If it does not get to work.
    pub fn first_boot(&self) -> Result<Story> {
        let mut machine = self.board.clone();
        for (address, _) in provision::UICR_WORDS {
            machine.flash().load(address, &[0xFF; 4]).ok().context("UICR is flash")?;
        }
        let mut bench = self.unpowered(machine);
        bench.power_on();
        Story::tell("first boot", Outcome::Trusts(0), bench)
    }
}
