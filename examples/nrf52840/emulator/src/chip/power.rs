//! POWER (product specification, "POWER - Power supply"): the reset reason, the retained registers, System OFF.

use super::peripheral::{Context, Peripheral, mask};
use super::reset::ResetCause;

#[derive(Clone, Debug, Default)]
pub(super) struct Power {
    /// RESETREAS: causes pile up until written with ones.
    reasons: u32,
    retained: [u32; 2],
    pof: u32,
    dcdc: [u32; 2],
    /// POWER, of nine RAM blocks.
    ram: [u32; 9],
    pub(super) off: bool,
}

/// All sections on, kept in System OFF too.
const RAM_ON: u32 = 0xFFFF;

impl Power {
    /// What it holds after a reset.
    pub(super) fn reset(&self, cause: ResetCause) -> Self {
        let mut after = Self { ram: [RAM_ON; 9], ..Self::default() };
        if cause != ResetCause::PowerOn {
            after.reasons = self.reasons | cause.bit();
        }
        if cause.is_light() {
            after.retained = self.retained;
        }
        after
    }

    /// POWER, POWERSET and POWERCLR of each RAM block.
    fn ram_register(&mut self, offset: u32) -> Option<(&mut u32, u32)> {
        let at = offset.checked_sub(0x900)?;
        self.ram.get_mut(at as usize / 0x10).map(|register| (register, at & 0xC))
    }
}

impl Peripheral for Power {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x400 => self.reasons,
            0x428 => 0xF,
            // No USB supply; the main regulator runs in normal voltage mode.
            0x438 => 0,
            0x510 => self.pof,
            0x51C => self.retained[0],
            0x520 => self.retained[1],
            0x578 => self.dcdc[0],
            0x580 => self.dcdc[1],
            0x640 => 0,
            _ => *self.ram_register(offset)?.0,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x400 => self.reasons &= !value,
            0x500 => self.off |= value & 1 != 0,
            0x510 => self.pof = value & 0xF1F,
            0x51C => self.retained[0] = value & 0xFF,
            0x520 => self.retained[1] = value & 0xFF,
            0x578 => self.dcdc[0] = value & 1,
            0x580 => self.dcdc[1] = value & 1,
            _ => {
                let (register, form) = self.ram_register(offset)?;
                match form {
                    0 => *register = value,
                    4 => *register |= value,
                    8 => *register &= !value,
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// CONSTLAT and LOWPWR, which differ in power alone.
    fn task(&mut self, offset: u32, _context: &mut Context<'_>) -> Option<()> {
        matches!(offset, 0x78 | 0x7C).then_some(())
    }

    fn events(&self) -> u32 {
        // POFWARN, SLEEPENTER, SLEEPEXIT, and three of USB: none of them happens here, but firmware may clear them.
        mask(&[0x108, 0x114, 0x118, 0x11C, 0x120, 0x124])
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::*;

    #[test]
    fn reasons_pile_up_until_cleared_and_heavier_resets_forget_more() {
        let (mut bench, power) = (Bench::new(), Power::default());
        let power = power.reset(ResetCause::PowerOn);
        let mut power = power.reset(ResetCause::Soft).reset(ResetCause::Watchdog);
        bench.write(&mut power, 0x51C, 0x1A5);
        assert_eq!((power.read(0x400, 0), power.read(0x51C, 0)), (Some(0b110), Some(0xA5)));
        bench.write(&mut power, 0x400, 0b100);
        let mut power = power.reset(ResetCause::Lockup);
        assert_eq!((power.read(0x400, 0), power.read(0x51C, 0)), (Some(0b1010), Some(0xA5)));
        let mut heavier = power.reset(ResetCause::Watchdog);
        assert_eq!((heavier.read(0x400, 0), heavier.read(0x51C, 0)), (Some(0b1010), Some(0)));
        let mut power = power.reset(ResetCause::PowerOn);
        assert_eq!((power.read(0x400, 0), power.read(0x51C, 0)), (Some(0), Some(0)));
    }
}
