//! GPIO (product specification, "GPIO - General purpose input/output"): two ports, driven from outside or by a pull.

const PINS: usize = 32;

#[derive(Clone, Debug)]
pub(crate) struct Port {
    out: u32,
    /// DIR, and with it bit 0 of each pin's configuration.
    direction: u32,
    pins: [u32; PINS],
    latch: u32,
    detect: u32,
    /// What the outside drives: which pins, and their levels.
    driven: u32,
    levels: u32,
}

impl Default for Port {
    fn default() -> Self {
        // Input buffers are disconnected at first.
        Self { out: 0, direction: 0, pins: [2; PINS], latch: 0, detect: 0, driven: 0, levels: 0 }
    }
}

impl Port {
    /// After a reset: what is wired to it stays.
    pub(super) fn reset(&self) -> Self {
        Self { driven: self.driven, levels: self.levels, ..Self::default() }
    }

    /// Drives a pin from outside, or lets it go.
    pub(crate) const fn drive(&mut self, pin: u8, level: Option<bool>) {
        let bit = 1 << (pin & 31);
        self.driven &= !bit;
        self.levels &= !bit;
        if let Some(level) = level {
            self.driven |= bit;
            self.levels |= if level { bit } else { 0 };
        }
    }

    /// Which level a pin has, seen from outside; nothing if it is an input.
    pub(crate) const fn output(&self, pin: u8) -> Option<bool> {
        let bit = 1 << (pin & 31);
        if self.direction & bit != 0 { Some(self.out & bit != 0) } else { None }
    }

    /// IN: pins whose buffer is disconnected read zero.
    fn levels(&self) -> u32 {
        let mut levels = 0;
        for (pin, config) in self.pins.iter().enumerate() {
            let bit = 1 << pin;
            let high = if self.direction & bit != 0 {
                self.out & bit != 0
            } else if self.driven & bit != 0 {
                self.levels & bit != 0
            } else {
                // Pulled up; pulled down or floating reads low.
                config >> 2 & 3 == 3
            };
            if config & 2 == 0 && high {
                levels |= bit;
            }
        }
        levels
    }

    fn set_direction(&mut self, direction: u32) {
        self.direction = direction;
        for (pin, config) in self.pins.iter_mut().enumerate() {
            *config = *config & !1 | direction >> pin & 1;
        }
    }
}

impl Port {
    /// Offsets are those of the first port; the second's registers lie 0x300 further.
    pub(super) fn read(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            0x504 | 0x508 | 0x50C => self.out,
            0x510 => self.levels(),
            0x514 | 0x518 | 0x51C => self.direction,
            0x520 => self.latch,
            0x524 => self.detect,
            0x700..0x780 => self.pins[(offset as usize - 0x700) / 4],
            _ => return None,
        })
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            0x504 => self.out = value,
            0x508 => self.out |= value,
            0x50C => self.out &= !value,
            0x514 => self.set_direction(value),
            0x518 => self.set_direction(self.direction | value),
            0x51C => self.set_direction(self.direction & !value),
            0x520 => self.latch &= !value,
            0x524 => self.detect = value & 1,
            0x700..0x780 => {
                let pin = (offset as usize - 0x700) / 4;
                self.pins[pin] = value & 0x3_070F;
                self.direction = self.direction & !(1 << pin) | (value & 1) << pin;
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_seen_outside_and_inputs_inside_once_connected() {
        let mut port = Port::default();
        port.drive(3, Some(true));
        assert_eq!(port.read(0x510), Some(0), "disconnected");
        port.write(0x700 + 12, 0).unwrap();
        port.write(0x700 + 16, 3 << 2).unwrap();
        assert_eq!(port.read(0x510), Some(1 << 3 | 1 << 4), "driven, pulled up");
        port.drive(4, Some(false));
        assert_eq!(port.read(0x510), Some(1 << 3));
        port.write(0x518, 1 << 7).unwrap();
        port.write(0x508, 1 << 7).unwrap();
        assert_eq!((port.output(7), port.output(3)), (Some(true), None));
        assert_eq!(port.read(0x700 + 28), Some(3));
        assert_eq!(port.reset().read(0x514), Some(0));
    }
}
