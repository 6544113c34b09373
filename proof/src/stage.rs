//! Where a life begins: a world, and the flash as what came before has left it.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use ota_manifest::ResetCause;
use ota_slots::sim::CutMode;
use ota_slots::{Opened, Region};

use crate::chip::Chip;
use crate::course::{Outcome, live};
use crate::device::{CutPoint, Device, Ended};
use crate::life::{Before, Damage, End, Life};
use crate::print::mix;
use crate::witness::Witness;
use crate::world::World;

/// Bytes in the middle of an image that damage turns over.
const DAMAGED: u32 = 16;

/// A life on a board, ready to be led any number of times.
pub struct Stage {
    /// The world.
    pub world: Arc<World>,
    /// The life.
    pub life: Life,
    chip: Chip,
    cause: ResetCause,
}

impl Stage {
    /// Leads a device of the board to where the life begins.
    ///
    /// # Errors
    /// When it does not get there: without a single power failure.
    pub fn new(world: &Arc<World>, life: Life) -> Result<Self> {
        let chip = world.provisioned()?;
        let before = Life { rising: life.rising, ..Life::UPDATE };
        let mut device = Device::new(world, &before, chip, Witness::from_the_factory());
        for _ in 0..world.board.records {
            write_a_record(&mut device)?;
        }
        prepare(&mut device, life.before)?;
        damage(world, &mut device.chip, &device.witness, life.damage);
        let mut chip = device.chip.clone();
        chip.restart_count();
        let requested = life.before == Before::Requested;
        let cause = if requested { ResetCause::Software } else { ResetCause::PowerOn };
        Ok(Self { world: Arc::clone(world), life, chip, cause })
    }

    /// How it must end, with power failures or without.
    #[must_use]
    pub fn end(&self, cut: bool) -> End {
        self.life.end(self.world.board.strategy, cut)
    }

    /// A device at the beginning of the life.
    #[must_use]
    pub fn device(&self) -> Device<'_> {
        Device::new(&self.world, &self.life, self.chip.clone(), Witness::from_the_factory())
    }

    /// The device in the power session after one that was cut short at `point`; `None` if the cut did not happen.
    #[must_use]
    pub fn struck(&self, point: &CutPoint, mode: CutMode, seed: u64) -> Option<Device<'_>> {
        let chip = point.eve.strike(mode, seed)?;
        let mut device = Device::new(&self.world, &self.life, chip, point.witness.clone());
        self.power_failed(&mut device);
        Some(device)
    }

    /// Power has failed: counts it, and lets happen what happens to this life at the first time.
    pub fn power_failed(&self, device: &mut Device<'_>) {
        let witness = &mut device.witness;
        if witness.cuts == 0 && self.life.at_cut != Damage::None {
            damage(&self.world, &mut device.chip, witness, self.life.at_cut);
            // Without its journal a device knows nothing of confirmations.
            witness.confirmed = 0;
        }
        witness.cuts = witness.cuts.saturating_add(1);
    }

    /// What the life's first reset is caused by.
    #[must_use]
    pub const fn cause(&self) -> ResetCause {
        self.cause
    }

    /// Board and life: what a replay is asked for.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.world.board.name, self.life.name)
    }
}

/// One power session that does nothing but write a record.
fn write_a_record(device: &mut Device<'_>) -> Result<()> {
    let world = device.world;
    let Ok(Ok(handed)) = device.bootloader(ResetCause::PowerOn) else {
        bail!("a provisioned device does not boot");
    };
    let opened = device.run(Opened::open(&world.layout, &world.policy, handed.slot));
    let Ok(Ok(Opened::Confirmed(mut app))) = opened else { bail!("a provisioned device is not confirmed") };
    ensure!(matches!(device.run(app.save()), Ok(Ok(()))), "the journal takes no record");
    Ok(())
}

fn prepare(device: &mut Device<'_>, before: Before) -> Result<()> {
    match before {
        Before::Factory => {}
        Before::Requested => {
            let ended = device.session(ResetCause::PowerOn);
            ensure!(ended == Ended::Reset(ResetCause::Software), "no boot was requested: {ended:?}");
        }
        Before::Settled => {
            let outcome = live(device, ResetCause::PowerOn, None);
            let release = device.witness.last.map(|(release, _)| release);
            ensure!(outcome == Outcome::Settled && release == Some(2), "the update that came before failed");
        }
    }
    Ok(())
}

/// Lets something befall a device of which this has been seen.
pub(crate) fn damage(world: &World, chip: &mut Chip, witness: &Witness, damage: Damage) {
    match damage {
        Damage::None => {}
        Damage::RanLast => {
            let (start, image) = world.ran_last(witness);
            let middle = image.len() / 2;
            let turned: Vec<u8> =
                image.iter().skip(middle).take(DAMAGED as usize).map(|byte| !byte).collect();
            chip.corrupt(start + u32::try_from(middle).unwrap_or(0), &turned);
        }
        Damage::Journal => fill_with_garbage(chip, world.layout.journal()),
        Damage::BehindStaged => fill_with_garbage(chip, world.behind_staged()),
        Damage::JournalAndRanLast => {
            self::damage(world, chip, witness, Damage::Journal);
            self::damage(world, chip, witness, Damage::RanLast);
        }
    }
}

fn fill_with_garbage(chip: &mut Chip, region: Region) {
    let garbage = (0..u64::from(region.len)).map(|index| mix(index, 0xBAD).to_le_bytes()[0]);
    chip.corrupt(region.start, &garbage.collect::<Vec<u8>>());
}
