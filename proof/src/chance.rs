//! Power failures at random: three anywhere, or one that leaves a weak tail followed by a clean one.

use std::cell::RefCell;
use std::rc::Rc;

use ota_manifest::ResetCause;
use ota_slots::Region;
use ota_slots::sim::CutMode;

use crate::chip::Blow;
use crate::course::{caught, cut_points, judge, live, live_until};
use crate::device::{CutPoint, Device, Ended};
use crate::memory::Memory;
use crate::modes;
use crate::print::mix;
use crate::progress::Ticker;
use crate::stage::Stage;
use crate::sweep::not_fired;
use crate::tally::Tally;
use crate::witness::Finding;
use crate::world::is_in;

/// A stream of numbers from a seed.
#[derive(Debug, Clone)]
struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    /// Below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        let drawn = self.draw() % (end.max(1) as u64);
        usize::try_from(drawn).unwrap_or(0)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len())).copied()
    }
}

/// Draws one life after the other.
pub struct Draw<'s> {
    stage: &'s Stage,
    points: Vec<CutPoint>,
    memory: Memory,
    tally: Tally,
}

impl<'s> Draw<'s> {
    /// From all lives of a stage.
    #[must_use]
    pub fn new(stage: &'s Stage) -> Self {
        let (memory, tally) = (Memory::default(), Tally::default());
        Self { stage, points: cut_points(stage), memory, tally }
    }

    /// Three power failures anywhere, in any mode, for each seed.
    #[must_use]
    pub fn triples(mut self, seeds: impl Iterator<Item = u64>, ticker: &Ticker) -> Tally {
        let places: Vec<usize> = (0..self.points.len()).collect();
        let kinds = [Kind::anywhere(&CutMode::ALL), Kind::anywhere(&CutMode::ALL)];
        for seed in seeds {
            if ticker.is_stopped() {
                break;
            }
            self.one(seed, &places, &CutMode::ALL, &kinds);
            ticker.heed(&self.tally);
            ticker.tick();
        }
        self.tally
    }

    /// For each seed a power failure that leaves a weak cell in what the bootloader remembers, then a clean one anywhere;
    /// and for every third two that leave weak cells, one right after the other. Journal, progress and guard region have
    /// their turns.
    #[must_use]
    pub fn tails(mut self, seeds: impl Iterator<Item = u64>, ticker: &Ticker) -> Tally {
        let memories = self.stage.world.memories().map(|(_, region)| self.places_in(&region));
        let memories: Vec<Vec<usize>> = memories.filter(|places| !places.is_empty()).collect();
        let weak = modes::weak();
        for seed in seeds {
            let Some(places) = memories.get(usize::try_from(seed).unwrap_or(0) % memories.len().max(1))
            else {
                break;
            };
            if ticker.is_stopped() {
                break;
            }
            self.one(seed, places, &weak, &[Kind::anywhere(&modes::CLEAN)]);
            if seed.is_multiple_of(3) {
                self.one(!seed, places, &weak, &[Kind { modes: &weak, in_memory: true }]);
            }
            ticker.heed(&self.tally);
            ticker.tick();
        }
        self.tally
    }

    fn places_in(&self, region: &Region) -> Vec<usize> {
        let at = |place: &usize| self.points.get(*place).map(|point| point.eve.operation().at());
        (0..self.points.len()).filter(|place| at(place).is_some_and(|at| is_in(region, at))).collect()
    }

    /// One life with a power failure at one of `places`, and one more for each of `kinds`.
    fn one(&mut self, seed: u64, places: &[usize], first: &[CutMode], kinds: &[Kind<'_>]) {
        let mut chance = Chance::new(seed);
        let (Some(place), Some(mode)) = (chance.of(places), chance.of(first)) else { return };
        let point = &self.points[place];
        let mut blows = vec![Blow { operation: point.eve.number(), mode, seed: chance.draw() % 1_000_000 }];
        let findings = caught(|| self.endure(place, kinds, &mut chance, &mut blows));
        self.tally.count(&self.stage.name(), &blows, &findings);
    }

    fn endure(
        &mut self,
        place: usize,
        kinds: &[Kind<'_>],
        chance: &mut Chance,
        blows: &mut Vec<Blow>,
    ) -> Vec<Finding> {
        let first = blows[0];
        let struck = self.stage.struck(&self.points[place], first.mode, first.seed);
        let Some(mut device) = struck else { return vec![not_fired()] };
        for kind in kinds {
            let Some(blow) = self.aim(&device, kind, chance) else { break };
            blows.push(blow);
            if !live_until(self.stage, &mut device, ResetCause::PowerOn, blow) {
                return vec![not_fired()];
            }
        }
        judge(self.stage, &mut device, ResetCause::PowerOn, Some(&mut self.memory))
    }

    /// A power failure at any operation that the life has left. `None` if it has none.
    fn aim(&self, device: &Device<'_>, kind: &Kind<'_>, chance: &mut Chance) -> Option<Blow> {
        let mut scout = Device::new(device.world, device.life, device.chip.clone(), device.witness.clone());
        let places = if kind.in_memory {
            let session = usize::from(chance.draw().is_multiple_of(2)) + 1;
            self.memories_ahead(scout, session)
        } else {
            live(&mut scout, ResetCause::PowerOn, None);
            (0..scout.chip.operations()).collect()
        };
        Some(Blow {
            operation: chance.of(&places)?,
            mode: chance.of(kind.modes)?,
            seed: chance.draw() % 1_000_000,
        })
    }

    /// The operations on what the bootloader remembers in so many power sessions.
    fn memories_ahead(&self, mut device: Device<'_>, sessions: usize) -> Vec<usize> {
        let memories: Vec<Region> = self.stage.world.memories().map(|(_, region)| region).collect();
        let places = Rc::new(RefCell::new(Vec::new()));
        let found = Rc::clone(&places);
        device.observe(Box::new(move |point| {
            if memories.iter().any(|region| is_in(region, point.eve.operation().at())) {
                found.borrow_mut().push(point.eve.number());
            }
        }));
        let mut cause = ResetCause::PowerOn;
        for _ in 0..sessions {
            match device.session(cause) {
                Ended::Reset(next) => cause = next,
                _ => break,
            }
        }
        places.take()
    }
}

/// What kind of power failure comes next.
#[derive(Debug, Clone, Copy)]
struct Kind<'m> {
    modes: &'m [CutMode],
    /// Soon, and on what the bootloader remembers; anywhere otherwise.
    in_memory: bool,
}

impl<'m> Kind<'m> {
    const fn anywhere(modes: &'m [CutMode]) -> Self {
        Self { modes, in_memory: false }
    }
}
