//! CLOCK (product specification, "CLOCK - Clock control"): starting oscillators takes time, and counters on the
//! low-frequency clock stand still until it runs.

use super::peripheral::{Context, Peripheral, mask, micros};

const HFCLKSTARTED: u32 = 0x100;
const LFCLKSTARTED: u32 = 0x104;
const DONE: u32 = 0x10C;

/// Start-up of the high-frequency crystal.
const HFXO: u64 = micros(360);
/// Start-up of the low-frequency RC oscillator, and of its crystal.
const LFRC: u64 = micros(600);
const LFXO: u64 = micros(250_000);
/// Calibration of the RC oscillator.
const CALIBRATION: u64 = micros(16_000);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Oscillator {
    #[default]
    Off,
    Starting(u64),
    Running,
}

impl Oscillator {
    /// Whether it starts to run now.
    fn advance(&mut self, now: u64) -> bool {
        match *self {
            Self::Starting(due) if due <= now => {
                *self = Self::Running;
                true
            }
            _ => false,
        }
    }

    const fn due(self) -> Option<u64> {
        match self {
            Self::Starting(due) => Some(due),
            _ => None,
        }
    }

    fn start(&mut self, due: u64) {
        if *self == Self::Off {
            *self = Self::Starting(due);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    high: Oscillator,
    low: Oscillator,
    /// The source asked for, and that of the running clock.
    source: u32,
    running_source: u32,
    low_requested: bool,
    calibrated: Option<u64>,
    trace: u32,
    debounce: [u32; 2],
}

impl Clock {
    /// Whether RTCs count.
    pub(super) fn low_runs(&self) -> bool {
        self.low == Oscillator::Running
    }

    /// The watchdog starts the RC oscillator if nothing else runs.
    pub(super) fn force_low(&mut self) {
        if self.low == Oscillator::Off {
            self.low = Oscillator::Running;
        }
    }
}

impl Peripheral for Clock {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        let running = |oscillator| u32::from(oscillator == Oscillator::Running) << 16;
        Some(match offset {
            0x408 => u32::from(self.high != Oscillator::Off),
            // The RC oscillator serves until the crystal does.
            0x40C => 1 << 16 | u32::from(self.high == Oscillator::Running),
            0x414 => u32::from(self.low_requested),
            0x418 => running(self.low) | self.running_source,
            0x41C => self.running_source,
            0x518 => self.source,
            0x528 => self.debounce[0],
            0x52C => self.debounce[1],
            0x55C => self.trace,
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x518 => self.source = value & 0x3_0003,
            0x528 => self.debounce[0] = value & 0xFF,
            0x52C => self.debounce[1] = value & 0xFF,
            0x55C => self.trace = value & 0x3_0003,
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x00 if self.high == Oscillator::Running => context.raise(HFCLKSTARTED),
            0x00 => self.high.start(context.now + HFXO),
            0x04 => self.high = Oscillator::Off,
            0x08 => {
                self.low_requested = true;
                self.running_source = self.source & 3;
                let delay = if self.running_source == 0 { LFRC } else { LFXO };
                if self.low == Oscillator::Running {
                    context.raise(LFCLKSTARTED);
                } else {
                    self.low.start(context.now + delay);
                }
            }
            0x0C => {
                self.low_requested = false;
                self.low = Oscillator::Off;
            }
            0x10 => self.calibrated = Some(context.now + CALIBRATION),
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        mask(&[HFCLKSTARTED, LFCLKSTARTED, DONE])
    }

    fn due(&self, _enabled: u32) -> Option<u64> {
        [self.high.due(), self.low.due(), self.calibrated].into_iter().flatten().min()
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.high.advance(context.now) {
            context.raise(HFCLKSTARTED);
        }
        if self.low.advance(context.now) {
            context.raise(LFCLKSTARTED);
        }
        if self.calibrated.is_some_and(|due| due <= context.now) {
            self.calibrated = None;
            context.raise(DONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    #[test]
    fn clocks_start_after_their_time_and_tell() {
        let (mut bench, mut clock) = (Bench::new(), Clock::default());
        assert_eq!(bench.task(&mut clock, 0x08), [0; 0]);
        assert!(!clock.low_runs());
        assert_eq!(bench.next(&mut clock), [LFCLKSTARTED]);
        assert_eq!((bench.now, clock.low_runs()), (LFRC, true));
        assert_eq!(clock.read(0x418, 0), Some(1 << 16));
        bench.task(&mut clock, 0);
        assert_eq!(clock.read(0x40C, 0), Some(1 << 16));
        assert_eq!(bench.next(&mut clock), [HFCLKSTARTED]);
        assert_eq!(clock.read(0x40C, 0), Some(1 << 16 | 1));
        bench.task(&mut clock, 0x0C);
        assert_eq!((clock.low_runs(), clock.due(0)), (false, None));
    }
}
