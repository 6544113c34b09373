//! TIMER (product specification, "TIMER - Timer/counter"): 16 MHz, prescaled, or counting a task.

use super::peripheral::{Context, Peripheral};

const COMPARE: u32 = 0x140;
/// Cycles of a tick at prescaler zero.
const CYCLES: u64 = 4;
const CHANNELS: usize = 6;

#[derive(Clone, Debug)]
pub(super) struct Timer {
    running: bool,
    /// Counts the task COUNT instead of time.
    counter: bool,
    bits: u32,
    prescaler: u32,
    /// The count, without wrapping, at the cycle `since`.
    base: u64,
    since: u64,
    /// The count up to which events have been raised.
    seen: u64,
    compare: [u32; CHANNELS],
    shorts: u32,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            running: false,
            counter: false,
            bits: 0,
            prescaler: 4,
            base: 0,
            since: 0,
            seen: 0,
            compare: [0; CHANNELS],
            shorts: 0,
        }
    }
}

impl Timer {
    const fn mask(&self) -> u64 {
        match self.bits {
            0 => 0xFFFF,
            1 => 0xFF,
            2 => 0x00FF_FFFF,
            _ => 0xFFFF_FFFF,
        }
    }

    const fn ticks(&self) -> bool {
        self.running && !self.counter
    }

    fn count(&self, now: u64) -> u64 {
        if self.ticks() { self.base + (((now - self.since) / CYCLES) >> self.prescaler) } else { self.base }
    }

    fn restart(&mut self, base: u64, now: u64) {
        (self.base, self.since, self.seen) = (base, now, base);
    }

    fn value(&self, now: u64) -> u32 {
        (self.count(now) & self.mask() & 0xFFFF_FFFF) as u32
    }

    fn distance(&self, channel: usize, from: u64) -> u64 {
        match u64::from(self.compare[channel]).wrapping_sub(from) & self.mask() {
            0 => self.mask() + 1,
            distance => distance,
        }
    }

    /// Raises what the counts after `seen` up to `count` match, and follows the shortcuts.
    fn pass(&mut self, count: u64, context: &mut Context<'_>) {
        let (seen, shorts) = (self.seen, self.shorts);
        self.seen = count;
        for (channel, offset) in (0..CHANNELS).zip((COMPARE..).step_by(4)) {
            let distance = self.distance(channel, seen);
            if distance > count - seen {
                continue;
            }
            context.raise(offset);
            let at = if self.counter {
                context.now
            } else {
                self.since + (seen + distance - self.base) * self.tick()
            };
            if shorts >> channel & 1 != 0 {
                self.restart(0, at);
            }
            if shorts >> (channel + 8) & 1 != 0 {
                let stopped = if shorts >> channel & 1 != 0 { 0 } else { seen + distance };
                self.restart(stopped, context.now);
                self.running = false;
            }
        }
    }

    /// Cycles of a tick.
    const fn tick(&self) -> u64 {
        CYCLES << self.prescaler
    }
}

impl Peripheral for Timer {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x200 => self.shorts,
            0x504 => u32::from(self.counter),
            0x508 => self.bits,
            0x510 => self.prescaler,
            0x540..0x558 => self.compare[(offset as usize - 0x540) / 4],
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x200 => self.shorts = value & 0x3F3F,
            0x504 => self.counter = value & 3 != 0,
            0x508 => self.bits = value & 3,
            0x510 => self.prescaler = (value & 0xF).min(9),
            0x540..0x558 => self.compare[(offset as usize - 0x540) / 4] = value,
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        let now = context.now;
        match offset {
            0x00 if self.running => {}
            0x00 => {
                self.restart(self.base, now);
                self.running = true;
            }
            // STOP, and SHUTDOWN, which also saves power.
            0x04 | 0x10 => {
                let count = self.count(now);
                self.restart(count, now);
                self.running = false;
            }
            0x08 if self.running && self.counter => {
                self.base += 1;
                self.pass(self.base, context);
            }
            0x08 => {}
            0x0C => self.restart(0, now),
            0x40..0x58 => self.compare[(offset as usize - 0x40) / 4] = self.value(now),
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        0x3F << 16
    }

    /// Events may be wired without an interrupt: all that match count.
    fn due(&self, _enabled: u32) -> Option<u64> {
        if !self.ticks() {
            return None;
        }
        let next = (0..CHANNELS).map(|channel| self.seen + self.distance(channel, self.seen)).min()?;
        Some(self.since + (next - self.base) * self.tick())
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        // A shortcut may have cleared the count, after which more may have matched.
        while self.ticks() && self.count(context.now) != self.seen {
            let next = (0..CHANNELS).map(|channel| self.seen + self.distance(channel, self.seen)).min();
            let count = self.count(context.now);
            let step = next.map_or(count, |next| next.min(count));
            self.pass(step, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    #[test]
    fn at_prescaler_four_a_microsecond_is_a_tick() {
        let (mut bench, mut timer) = (Bench::new(), Timer::default());
        bench.write(&mut timer, 0x508, 3);
        bench.task(&mut timer, 0);
        bench.now = 64_000_000;
        bench.task(&mut timer, 0x40);
        assert_eq!(timer.read(0x540, 0), Some(1_000_000));
        bench.task(&mut timer, 0x04);
        bench.now *= 2;
        bench.task(&mut timer, 0x44);
        assert_eq!(timer.read(0x544, 0), Some(1_000_000));
    }

    #[test]
    fn a_shortcut_makes_it_periodic_without_losing_a_cycle() {
        let (mut bench, mut timer) = (Bench::new(), Timer::default());
        bench.write(&mut timer, 0x508, 3);
        bench.write(&mut timer, 0x540, 10);
        for channel in 1..6 {
            bench.write(&mut timer, 0x540 + channel * 4, u32::MAX);
        }
        bench.write(&mut timer, 0x200, 1);
        bench.task(&mut timer, 0);
        for turn in 1..4 {
            assert_eq!(bench.next(&mut timer), [COMPARE]);
            assert_eq!(bench.now, turn * 640);
        }
        bench.write(&mut timer, 0x200, 1 << 8);
        assert_eq!(bench.next(&mut timer), [COMPARE]);
        assert_eq!(timer.due(0), None, "stopped");
    }

    #[test]
    fn as_a_counter_it_counts_its_task_and_wraps_at_its_width() {
        let (mut bench, mut timer) = (Bench::new(), Timer::default());
        for (offset, value) in [(0x504, 2), (0x508, 1), (0x540, 2)] {
            bench.write(&mut timer, offset, value);
        }
        bench.task(&mut timer, 0);
        let matched = (0..260).filter(|_| bench.task(&mut timer, 0x08).contains(&COMPARE)).count();
        assert_eq!(matched, 2, "at 2 and at 258");
    }
}
