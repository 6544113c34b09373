//! The floating-point unit (A2.5, A7.7.223 and after).

use super::super::float::{Rounding, Unit};
use super::super::op::{Arithmetic, Convert, Float, Index, Reg, Single, Unary};
use super::super::{Bus, Core, Defect, Fault};
use super::memory::aligned;

const SIGN: u32 = 1 << 31;
/// The bits of FPSCR that exist here.
const STATUS: u32 = 0xF7C0_009F;
/// CONTROL.FPCA: the frame of an exception has to keep the unit's registers.
const ACTIVE: u8 = 4;
/// FPCCR.ASPEN: using the unit sets [`ACTIVE`].
const AUTOMATIC: u32 = 1 << 31;

impl Core {
    pub(super) fn float(&mut self, bus: &mut impl Bus, float: &Float) -> Result<(), Fault> {
        self.float_check()?;
        match *float {
            Float::Load { first, count, n, index, offset } => {
                return self.float_load(bus, first, count, n, (index, offset));
            }
            Float::Store { first, count, n, index, offset } => {
                return self.float_store(bus, first, count, n, (index, offset));
            }
            Float::ToCore { t, s } => self.put(t, self.single(s)),
            Float::FromCore { t, s } => self.set_single(s, self.get(t)),
            Float::PairToCore { t, t2, s } => {
                self.put(t, self.single(s));
                self.put(t2, self.single(s + 1));
            }
            Float::PairFromCore { t, t2, s } => {
                self.set_single(s, self.get(t));
                self.set_single(s + 1, self.get(t2));
            }
            Float::ReadStatus { t: 15 } => {
                let q = self.status.q;
                self.set_flags(self.fpscr & 0xF000_0000);
                self.status.q = q;
            }
            Float::ReadStatus { t } => self.put(t, self.fpscr),
            Float::WriteStatus { t } => self.fpscr = self.get(t) & STATUS,
            Float::Immediate { d, value } => self.set_single(d, value),
            _ => self.float_compute(float),
        }
        Ok(())
    }

    /// `ExecuteFPCheck` (B1.5.7): the unit must be on, and a first use since the last exception starts from the defaults.
    fn float_check(&mut self) -> Result<(), Fault> {
        if !self.scb.float_enabled(self.privileged()) {
            return Err(Fault::NoCoprocessor);
        }
        if self.scb.fpccr & AUTOMATIC != 0 && self.control & ACTIVE == 0 {
            self.control |= ACTIVE;
            self.fpscr = self.scb.fpdscr;
        }
        Ok(())
    }

    fn single(&self, register: Single) -> u32 {
        self.s[usize::from(register & 31)]
    }

    fn set_single(&mut self, register: Single, value: u32) {
        self.s[usize::from(register & 31)] = value;
    }

    fn float_address(&self, n: Reg, (index, offset): (Index, u32)) -> Result<(u32, u32), Fault> {
        let base = if n == 15 { self.r[15] & !3 } else { self.get(n) };
        let moved = base.wrapping_add(offset);
        let address = if index == Index::After { base } else { moved };
        aligned(address, 3).map(|()| (address, moved))
    }

    fn float_load(
        &mut self,
        bus: &mut impl Bus,
        first: Single,
        count: u8,
        n: Reg,
        at: (Index, u32),
    ) -> Result<(), Fault> {
        let (mut address, base) = self.float_address(n, at)?;
        for register in first..first + count {
            let value = self.load_word(bus, address)?;
            self.set_single(register, value);
            address = address.wrapping_add(4);
        }
        if at.0 != Index::Offset {
            self.put(n, base);
        }
        Ok(())
    }

    fn float_store(
        &mut self,
        bus: &mut impl Bus,
        first: Single,
        count: u8,
        n: Reg,
        at: (Index, u32),
    ) -> Result<(), Fault> {
        let (mut address, base) = self.float_address(n, at)?;
        for register in first..first + count {
            self.store_word(bus, address, self.single(register))?;
            address = address.wrapping_add(4);
        }
        if at.0 != Index::Offset {
            self.put(n, base);
        }
        Ok(())
    }

    fn float_compute(&mut self, float: &Float) {
        let mut unit = Unit::new(self.fpscr, self.defect == Some(Defect::Rounding));
        match *float {
            Float::Arithmetic { op, d, n, m } => {
                let operands = (self.single(d), self.single(n), self.single(m));
                self.set_single(d, arithmetic(&mut unit, op, operands));
            }
            Float::Unary { op, d, m } => {
                let x = self.single(m);
                let value = match op {
                    Unary::Move => x,
                    Unary::Abs => x & !SIGN,
                    Unary::Neg => x ^ SIGN,
                    Unary::Sqrt => unit.sqrt(x),
                };
                self.set_single(d, value);
            }
            Float::Compare { d, m, signal } => {
                let other = m.map_or(0, |m| self.single(m));
                self.fpscr = self.fpscr & 0x0FFF_FFFF | unit.compare(self.single(d), other, signal);
            }
            Float::Convert { op, d, m } => {
                let value = convert(&mut unit, op, self.single(m), self.single(d));
                self.set_single(d, value);
            }
            // Moves are done above.
            _ => {}
        }
        self.fpscr |= unit.flags;
    }
}

fn arithmetic(unit: &mut Unit, op: Arithmetic, (d, n, m): (u32, u32, u32)) -> u32 {
    let negated = |x: u32, negate: bool| if negate { x ^ SIGN } else { x };
    match op {
        Arithmetic::Add => unit.add(n, m),
        Arithmetic::Sub => unit.sub(n, m),
        Arithmetic::Mul => unit.mul(n, m),
        Arithmetic::NegMul => unit.mul(n, m) ^ SIGN,
        Arithmetic::Div => unit.div(n, m),
        Arithmetic::MulAdd { negate_d, negate_product } => {
            let product = unit.mul(n, m);
            unit.add(negated(d, negate_d), negated(product, negate_product))
        }
        Arithmetic::Fused { negate_d, negate_product } => {
            unit.mul_add(negated(d, negate_d), negated(n, negate_product), m)
        }
    }
}

/// `kept` is the destination's old value, of which halves keep one half.
fn convert(unit: &mut Unit, op: Convert, x: u32, kept: u32) -> u32 {
    let integer = |signed: bool, half: bool| match (signed, half) {
        (true, true) => super::super::alu::half(x, false),
        (false, true) => i64::from(x & 0xFFFF),
        (true, false) => super::super::alu::signed(x),
        (false, false) => i64::from(x),
    };
    match op {
        Convert::FromInteger { signed } => unit.of_fixed_point(integer(signed, false), 0),
        Convert::FromFixed { signed, half, fraction } => {
            unit.rounding = Rounding::Nearest;
            unit.of_fixed_point(integer(signed, half), fraction)
        }
        Convert::ToInteger { signed, to_zero } => {
            if to_zero {
                unit.rounding = Rounding::Zero;
            }
            unit.fixed_point(x, signed, 32, 0)
        }
        Convert::ToFixed { signed, half, fraction } => {
            unit.rounding = Rounding::Zero;
            // Sixteen bits come back extended, which a word's negation of them already is.
            unit.fixed_point(x, signed, if half { 16 } else { 32 }, fraction)
        }
        Convert::FromHalf { top } => unit.widen(if top { x >> 16 } else { x & 0xFFFF }),
        Convert::ToHalf { top } => {
            let half = unit.narrow(x);
            if top { kept & 0xFFFF | half << 16 } else { kept & 0xFFFF_0000 | half }
        }
    }
}
