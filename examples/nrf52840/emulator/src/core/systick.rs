//! SysTick (B3.3): a 24-bit counter that reloads. On this chip it always counts the core's cycles.

use super::alu::low;

const ENABLE: u32 = 1;
const INTERRUPT: u32 = 2;
const COUNTED: u32 = 1 << 16;
const MASK: u32 = 0x00FF_FFFF;

#[derive(Clone, Debug, Default)]
pub(super) struct SysTick {
    control: u32,
    reload: u32,
    /// The value when it was last started, stopped or cleared.
    value: u32,
    /// The cycle that was.
    since: u64,
    counted: bool,
}

impl SysTick {
    pub(super) fn read(&mut self, offset: u32, now: u64) -> u32 {
        match offset & 0xC {
            0 => self.control | (u32::from(std::mem::take(&mut self.counted)) * COUNTED),
            4 => self.reload,
            8 => self.current(now),
            // CALIB: no reference clock, and no calibrated value.
            _ => 0xC000_0000,
        }
    }

    pub(super) fn write(&mut self, offset: u32, value: u32, now: u64) {
        match offset & 0xC {
            0 => {
                self.value = self.current(now);
                self.since = now;
                self.control = value & 7 | 4;
            }
            4 => self.reload = value & MASK,
            8 => {
                self.value = 0;
                self.since = now;
                self.counted = false;
            }
            _ => {}
        }
    }

    fn current(&self, now: u64) -> u32 {
        if self.control & ENABLE == 0 {
            return self.value;
        }
        let elapsed = now - self.since;
        match u64::from(self.value).checked_sub(elapsed) {
            Some(left) => low(left),
            None if self.reload == 0 => 0,
            // One cycle at zero, then the reload value.
            None => {
                let period = u64::from(self.reload) + 1;
                let past = (elapsed - u64::from(self.value) - 1) % period;
                self.reload - low(past)
            }
        }
    }

    /// The cycle at which it next counts down to zero.
    pub(super) fn due(&self) -> Option<u64> {
        if self.control & ENABLE == 0 || (self.value == 0 && self.reload == 0) {
            return None;
        }
        let first = if self.value == 0 { u64::from(self.reload) + 1 } else { u64::from(self.value) };
        Some(self.since + first)
    }

    /// Whether it asks for an interrupt.
    pub(super) fn advance(&mut self, now: u64) -> bool {
        let Some(due) = self.due().filter(|due| *due <= now) else { return false };
        let period = u64::from(self.reload) + 1;
        // The zero passed last: several may have, while the core stood still.
        self.since = due + (now - due) / period * period;
        self.value = 0;
        self.counted = true;
        self.control & INTERRUPT != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_down_reloads_and_tells_each_zero_once() {
        let mut timer = SysTick::default();
        timer.write(4, 9, 0);
        timer.write(8, 0, 0);
        timer.write(0, ENABLE | INTERRUPT, 100);
        assert_eq!(timer.due(), Some(110));
        assert_eq!(timer.read(8, 103), 7);
        assert!(!timer.advance(109));
        assert!(timer.advance(110));
        assert_eq!(timer.read(8, 110), 0);
        assert_eq!(timer.read(8, 111), 9);
        assert_eq!(timer.read(0, 111) & COUNTED, COUNTED);
        assert_eq!(timer.read(0, 111) & COUNTED, 0);
        assert_eq!(timer.due(), Some(120));
        assert!(timer.advance(155), "late, as after a flash erase");
        assert_eq!(timer.due(), Some(160));
    }

    #[test]
    fn with_nothing_to_reload_it_stops_at_zero() {
        let mut timer = SysTick::default();
        timer.write(0, ENABLE, 0);
        assert_eq!((timer.due(), timer.read(8, 50)), (None, 0));
    }
}
