//! Branches.

use super::super::op::{Branch, Reg};
use super::super::{Bus, Core, Fault};

/// From here on, an address is no address but says how to return from an exception (B1.5.8).
const EXC_RETURN: u32 = 0xF000_0000;

impl Core {
    #[inline]
    pub(super) fn branch(&mut self, bus: &mut impl Bus, branch: &Branch) -> Result<(), Fault> {
        match *branch {
            Branch::Jump { condition, offset } => {
                if self.condition(condition) {
                    self.next = self.r[15].wrapping_add(offset);
                }
            }
            Branch::Call { offset } => {
                self.r[14] = self.next | 1;
                self.next = self.r[15].wrapping_add(offset);
            }
            Branch::Exchange { m, link } => {
                let target = self.get(m);
                if link {
                    self.r[14] = self.next | 1;
                    self.jump_to(target);
                } else {
                    self.exchange(bus, target)?;
                }
            }
            Branch::IfZero { n, nonzero, offset } => {
                if (self.get(n) != 0) == nonzero {
                    self.next = self.r[15].wrapping_add(offset);
                }
            }
            Branch::MoveToPc { m } => self.next = self.get(m) & !1,
            Branch::AddToPc { m } => self.next = self.r[15].wrapping_add(self.get(m)) & !1,
            Branch::Table { n, m, half } => return self.table(bus, n, m, half),
            Branch::If { state } => self.it = state,
        }
        Ok(())
    }

    /// `BXWritePC`, which also ends exceptions: in a handler, addresses from [`EXC_RETURN`] on say how.
    #[inline]
    pub(super) fn exchange(&mut self, bus: &mut impl Bus, target: u32) -> Result<(), Fault> {
        if target >= EXC_RETURN && self.in_handler() {
            return self.return_from_exception(bus, target);
        }
        self.jump_to(target);
        Ok(())
    }

    /// An even target leaves Thumb state, which its first instruction then finds out.
    #[inline]
    fn jump_to(&mut self, target: u32) {
        self.next = target & !1;
        if target & 1 == 0 {
            self.thumb = false;
            self.exceptions.attention = true;
        }
    }

    fn table(&mut self, bus: &mut impl Bus, n: Reg, m: Reg, half: bool) -> Result<(), Fault> {
        let (base, index) = self.both(n, m);
        let entry = if half {
            self.load(bus, base.wrapping_add(index << 1), super::super::op::Access::Half)?
        } else {
            self.load(bus, base.wrapping_add(index), super::super::op::Access::Byte)?
        };
        self.next = self.r[15].wrapping_add(entry * 2);
        Ok(())
    }
}
