//! The peripherals, each at the number that is its interrupt and its place in the address map (product specification,
//! "Instantiation").

use super::clock::Clock;
use super::peripheral::{Context, Peripheral};
use super::power::Power;
use super::reset::ResetCause;
use super::rng::Rng;
use super::rtc::Rtc;
use super::timer::Timer;
use super::twim::Twim;
use super::uarte::Uarte;
use super::wdt::Wdt;

/// The numbers of all that are here.
pub(super) const IDS: [u32; 15] =
    [0x00, 0x02, 0x03, 0x04, 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x10, 0x11, 0x1A, 0x1B, 0x24, 0x28];

#[derive(Clone, Debug, Default)]
pub(super) struct Devices {
    pub(super) supply: Supply,
    pub(super) uartes: [Uarte; 2],
    pub(super) twims: [Twim; 2],
    pub(super) wdt: Wdt,
    pub(super) rng: Rng,
    timers: [Timer; 5],
    rtcs: [Rtc; 3],
}

impl Devices {
    pub(super) fn get(&mut self, id: u32) -> Option<&mut dyn Peripheral> {
        Some(match id {
            0x00 => &mut self.supply,
            0x02 => &mut self.uartes[0],
            0x28 => &mut self.uartes[1],
            0x03 => &mut self.twims[0],
            0x04 => &mut self.twims[1],
            0x08 => &mut self.timers[0],
            0x09 => &mut self.timers[1],
            0x0A => &mut self.timers[2],
            0x1A => &mut self.timers[3],
            0x1B => &mut self.timers[4],
            0x0B => &mut self.rtcs[0],
            0x11 => &mut self.rtcs[1],
            0x24 => &mut self.rtcs[2],
            0x0D => &mut self.rng,
            0x10 => &mut self.wdt,
            _ => return None,
        })
    }

    /// Lets those that depend on another one's state know it.
    pub(super) fn settle(&mut self, now: u64) {
        if self.wdt.runs() {
            self.supply.clock.force_low();
        }
        let clocked = self.supply.clock.low_runs();
        self.rtcs.iter_mut().for_each(|rtc| rtc.set_clocked(clocked, now));
    }

    /// What a reset leaves.
    pub(super) fn reset(&mut self, cause: ResetCause) -> Self {
        Self {
            supply: Supply { clock: Clock::default(), power: self.supply.power.reset(cause) },
            uartes: [self.uartes[0].reset(), self.uartes[1].reset()],
            twims: [self.twims[0].reset(), self.twims[1].reset()],
            wdt: if cause.is_light() { self.wdt.clone() } else { Wdt::default() },
            rng: self.rng.reset(),
            ..Self::default()
        }
    }
}

/// CLOCK and POWER, which share a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Supply {
    pub(super) clock: Clock,
    pub(super) power: Power,
}

impl Peripheral for Supply {
    fn read(&mut self, offset: u32, now: u64) -> Option<u32> {
        self.clock.read(offset, now).or_else(|| self.power.read(offset, now))
    }

    fn write(&mut self, offset: u32, value: u32, context: &mut Context<'_>) -> Option<()> {
        self.clock.write(offset, value, context).or_else(|| self.power.write(offset, value, context))
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        self.clock.task(offset, context).or_else(|| self.power.task(offset, context))
    }

    fn events(&self) -> u32 {
        self.clock.events() | self.power.events()
    }

    fn due(&self, enabled: u32) -> Option<u64> {
        self.clock.due(enabled)
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        self.clock.advance(context);
    }
}
