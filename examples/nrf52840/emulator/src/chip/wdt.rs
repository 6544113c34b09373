//! WDT (product specification, "WDT - Watchdog timer"): once started, neither stopped nor configured until a reset that
//! the reset table lists for it. A soft reset and a lockup are not among them: the watchdog a bootloader starts still runs
//! in the application, and after the application resets itself.

use super::peripheral::{Context, HZ, Peripheral, mask};
use super::reset::ResetCause;

const TIMEOUT: u32 = 0x100;
/// What a reload register must be given.
const RELOAD: u32 = 0x6E52_4635;
/// CONFIG: runs while the core sleeps.
const IN_SLEEP: u32 = 1;

#[derive(Clone, Debug)]
pub(super) struct Wdt {
    /// The cycle at which it times out, if it runs.
    due: Option<u64>,
    counter: u32,
    enabled: u32,
    config: u32,
    /// Reload registers written since the last reload.
    requested: u32,
    /// With its interrupt enabled, the reset comes two ticks after the event.
    warned: bool,
}

impl Default for Wdt {
    fn default() -> Self {
        Self { due: None, counter: u32::MAX, enabled: 1, config: IN_SLEEP, requested: 0, warned: false }
    }
}

impl Wdt {
    /// Cycles from a reload to the time-out.
    fn period(&self) -> u64 {
        (u64::from(self.counter) + 1) * HZ / 32_768
    }

    pub(super) const fn runs(&self) -> bool {
        self.due.is_some()
    }

    /// Whether it stands still while the core sleeps.
    pub(super) const fn pauses_in_sleep(&self) -> bool {
        self.runs() && self.config & IN_SLEEP == 0
    }

    /// Does not count the last `cycles`.
    pub(super) fn pause(&mut self, cycles: u64) {
        self.due = self.due.map(|due| due + cycles);
    }
}

impl Peripheral for Wdt {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x400 => u32::from(self.runs()),
            // One bit for each register that is still waited for.
            0x404 => self.enabled & !self.requested,
            0x504 => self.counter,
            0x508 => self.enabled,
            0x50C => self.config,
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x504 | 0x508 | 0x50C if self.runs() => {}
            // Less than 15 ticks is not valid.
            0x504 => self.counter = value.max(0xF),
            0x508 => self.enabled = value & 0xFF,
            0x50C => self.config = value & 9,
            0x600..0x620 => {
                if value == RELOAD {
                    self.requested |= 1 << ((offset - 0x600) / 4) & self.enabled;
                }
                if self.runs() && self.requested == self.enabled && !self.warned {
                    self.requested = 0;
                    self.due = Some(context.now + self.period());
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        if offset != 0 {
            return None;
        }
        if !self.runs() {
            self.due = Some(context.now + self.period());
        }
        Some(())
    }

    fn events(&self) -> u32 {
        mask(&[TIMEOUT])
    }

    fn due(&self, _enabled: u32) -> Option<u64> {
        self.due
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.due.is_none_or(|due| due > context.now) {
            return;
        }
        if context.enabled & 1 != 0 && !self.warned {
            self.warned = true;
            self.due = Some(context.now + 2 * HZ / 32_768);
            context.raise(TIMEOUT);
        } else {
            self.due = None;
            context.reset(ResetCause::Watchdog);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    fn started(bench: &mut Bench, registers: u32) -> Wdt {
        let mut wdt = Wdt::default();
        bench.write(&mut wdt, 0x504, 32_767);
        bench.write(&mut wdt, 0x508, registers);
        bench.task(&mut wdt, 0);
        wdt
    }

    #[test]
    fn it_resets_after_its_time_and_reloads_only_when_every_register_asks() {
        let mut bench = Bench::new();
        let mut wdt = started(&mut bench, 0b101);
        bench.now = HZ / 2;
        bench.write(&mut wdt, 0x600, RELOAD);
        bench.write(&mut wdt, 0x604, RELOAD);
        bench.write(&mut wdt, 0x608, 1);
        assert_eq!((wdt.due, wdt.read(0x404, 0)), (Some(HZ), Some(0b100)));
        bench.write(&mut wdt, 0x608, RELOAD);
        assert_eq!((wdt.due, wdt.read(0x404, 0)), (Some(HZ * 3 / 2), Some(0b101)));
        assert_eq!(bench.next(&mut wdt), [0; 0]);
        assert_eq!(bench.reset, Some(ResetCause::Watchdog));
    }

    #[test]
    fn nothing_configures_or_stops_it_once_it_runs() {
        let mut bench = Bench::new();
        let mut wdt = started(&mut bench, 1);
        for (offset, value) in [(0x504, 5), (0x508, 0xFF), (0x50C, 0)] {
            bench.write(&mut wdt, offset, value);
        }
        assert_eq!(
            (wdt.read(0x504, 0), wdt.read(0x508, 0), wdt.read(0x50C, 0)),
            (Some(32_767), Some(1), Some(1))
        );
        bench.task(&mut wdt, 0);
        assert_eq!((wdt.due, wdt.read(0x400, 0)), (Some(HZ), Some(1)));
    }

    #[test]
    fn with_its_interrupt_on_it_warns_two_ticks_ahead() {
        let mut bench = Bench::new();
        let mut wdt = started(&mut bench, 1);
        bench.enabled = 1;
        assert_eq!(bench.next(&mut wdt), [TIMEOUT]);
        assert_eq!(bench.reset, None);
        bench.write(&mut wdt, 0x600, RELOAD);
        bench.next(&mut wdt);
        assert_eq!((bench.now, bench.reset), (HZ + 3906, Some(ResetCause::Watchdog)));
    }
}
