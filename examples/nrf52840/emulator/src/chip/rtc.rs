//! RTC (product specification, "RTC - Real-time counter"): 24 bits on the low-frequency clock, prescaled.
//!
//! A compare value equal to the counter, or one ahead, always matches after a full turn or at the next tick; on the chip
//! the latter may be missed, which drivers avoid by staying two ticks ahead.

use super::peripheral::{Context, Peripheral};

const TICK: u32 = 0x100;
const OVERFLOW: u32 = 0x104;
const COMPARE: u32 = 0x140;
/// Bits of the events in EVTEN and INTEN.
const TICK_BIT: u32 = 1;
const OVERFLOW_BIT: u32 = 1 << 1;
const COMPARE_BIT: u32 = 1 << 16;
const MASK: u64 = 0x00FF_FFFF;

/// 32,768 Hz in cycles of 64 MHz: 15,625 cycles are 8 ticks.
const fn ticks(cycles: u64) -> u64 {
    cycles * 8 / 15_625
}

/// The first cycle of a tick.
const fn cycle(tick: u64) -> u64 {
    (tick * 15_625).div_ceil(8)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rtc {
    started: bool,
    clocked: bool,
    prescaler: u32,
    /// The count, without wrapping, when the counter last began to count, and the tick that was.
    base: u64,
    since: u64,
    /// The count up to which events have been raised.
    seen: u64,
    compare: [u32; 4],
    routed: u32,
}

impl Rtc {
    const fn counts(&self) -> bool {
        self.started && self.clocked
    }

    fn count(&self, now: u64) -> u64 {
        if !self.counts() {
            return self.base;
        }
        self.base + (ticks(now) - self.since) / (u64::from(self.prescaler) + 1)
    }

    /// The cycle at which the count reaches `count`.
    fn when(&self, count: u64) -> u64 {
        cycle(self.since + (count - self.base) * (u64::from(self.prescaler) + 1))
    }

    /// Begins to count from `base`.
    fn restart(&mut self, base: u64, now: u64) {
        (self.base, self.since, self.seen) = (base, ticks(now), base);
    }

    /// The low-frequency clock runs, or does not.
    pub(super) fn set_clocked(&mut self, clocked: bool, now: u64) {
        if clocked != self.clocked {
            let count = self.count(now);
            self.clocked = clocked;
            self.restart(count, now);
        }
    }

    /// How far ahead of `from` the count matches.
    fn distance(compare: u32, from: u64) -> u64 {
        match u64::from(compare).wrapping_sub(from) & MASK {
            0 => MASK + 1,
            distance => distance,
        }
    }
}

impl Peripheral for Rtc {
    fn read(&mut self, offset: u32, now: u64) -> Option<u32> {
        Some(match offset {
            0x340 | 0x344 | 0x348 => self.routed,
            0x504 => (self.count(now) & MASK) as u32,
            0x508 => self.prescaler,
            0x540..0x550 => self.compare[(offset as usize - 0x540) / 4],
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x340 => self.routed = value,
            0x344 => self.routed |= value,
            0x348 => self.routed &= !value,
            // Only while stopped.
            0x508 if !self.started => self.prescaler = value & 0xFFF,
            0x508 => {}
            0x540..0x550 => self.compare[(offset as usize - 0x540) / 4] = value & 0x00FF_FFFF,
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        let count = self.count(context.now);
        match offset {
            0x00 if self.started => {}
            0x00 => {
                self.started = true;
                self.restart(count, context.now);
            }
            0x04 => {
                self.restart(count, context.now);
                self.started = false;
            }
            0x08 => self.restart(0, context.now),
            // TRIGOVRFLW: sixteen before the end.
            0x0C => self.restart(MASK - 15, context.now),
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        0b11 | 0xF << 16
    }

    fn due(&self, enabled: u32) -> Option<u64> {
        if !self.counts() {
            return None;
        }
        let live = enabled | self.routed;
        let mut next = (live & OVERFLOW_BIT != 0).then(|| (self.seen | MASK) + 1);
        if live & TICK_BIT != 0 {
            next = Some(self.seen + 1);
        }
        for (index, compare) in self.compare.iter().enumerate() {
            if live & COMPARE_BIT << index != 0 {
                let at = self.seen + Self::distance(*compare, self.seen);
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next.map(|count| self.when(count))
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let (count, seen) = (self.count(context.now), self.seen);
        if count == seen {
            return;
        }
        let live = context.enabled | self.routed;
        self.seen = count;
        if live & TICK_BIT != 0 {
            context.raise(TICK);
        }
        if live & OVERFLOW_BIT != 0 && count > seen | MASK {
            context.raise(OVERFLOW);
        }
        for (index, compare) in (0_u32..).zip(self.compare) {
            if live & COMPARE_BIT << index != 0 && Self::distance(compare, seen) <= count - seen {
                context.raise(COMPARE + index * 4);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    fn running(bench: &mut Bench) -> Rtc {
        let mut rtc = Rtc::default();
        rtc.set_clocked(true, 0);
        bench.task(&mut rtc, 0);
        rtc
    }

    #[test]
    fn it_counts_32768_a_second_once_its_clock_runs() {
        let mut bench = Bench::new();
        let mut rtc = Rtc::default();
        bench.task(&mut rtc, 0);
        let second = 64_000_000;
        assert_eq!(rtc.read(0x504, second), Some(0), "without a clock");
        rtc.set_clocked(true, second);
        assert_eq!(rtc.read(0x504, second * 2), Some(32_768));
        rtc.set_clocked(false, second * 3);
        assert_eq!(rtc.read(0x504, second * 9), Some(65_536));
    }

    #[test]
    fn compare_events_come_where_they_are_asked_for_and_once_a_turn() {
        let mut bench = Bench::new();
        let mut rtc = running(&mut bench);
        bench.write(&mut rtc, 0x544, 100);
        assert_eq!(rtc.due(0), None, "nobody asks");
        bench.enabled = COMPARE_BIT << 1;
        assert_eq!(bench.next(&mut rtc), [COMPARE + 4]);
        assert_eq!(bench.now, cycle(100));
        assert_eq!(rtc.due(bench.enabled), Some(cycle(100 + MASK + 1)));
    }

    #[test]
    fn the_overflow_can_be_brought_near() {
        let mut bench = Bench::new();
        let mut rtc = running(&mut bench);
        bench.write(&mut rtc, 0x344, OVERFLOW_BIT);
        bench.task(&mut rtc, 0x0C);
        assert_eq!(bench.next(&mut rtc), [OVERFLOW]);
        assert_eq!((bench.now, rtc.read(0x504, bench.now)), (cycle(16), Some(0)));
    }

    #[test]
    fn the_prescaler_divides_and_is_set_only_while_stopped() {
        let mut bench = Bench::new();
        let mut rtc = Rtc::default();
        rtc.set_clocked(true, 0);
        bench.write(&mut rtc, 0x508, 31);
        bench.task(&mut rtc, 0);
        bench.write(&mut rtc, 0x508, 0);
        assert_eq!((rtc.read(0x508, 0), rtc.read(0x504, 64_000_000)), (Some(31), Some(1024)));
    }
}
