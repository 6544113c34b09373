//! Multiplication and division.

use super::super::alu::{half, low, low_signed, signed};
use super::super::op::{Multiply, Reg};
use super::super::private_bus::DIV_0_TRP;
use super::super::{Core, Fault};

impl Core {
    #[inline]
    pub(super) fn multiply(&mut self, multiply: &Multiply) -> Result<(), Fault> {
        match *multiply {
            Multiply::Word { flags, d, n, m, a } => {
                let (x, y) = self.both(n, m);
                let value = x.wrapping_mul(y).wrapping_add(self.accumulator(a));
                self.put(d, value);
                if self.sets(flags) {
                    self.set_nz(value);
                }
            }
            Multiply::WordSubtract { d, n, m, a } => {
                let (x, y) = self.both(n, m);
                self.put(d, self.get(a).wrapping_sub(x.wrapping_mul(y)));
            }
            Multiply::Long { low, high, n, m, signed: is_signed, accumulate } => {
                let (x, y) = self.both(n, m);
                let product = if is_signed {
                    (signed(x) * signed(y)).cast_unsigned()
                } else {
                    u64::from(x) * u64::from(y)
                };
                let before = if accumulate { self.pair(low, high) } else { 0 };
                self.put_pair(low, high, before.wrapping_add(product));
            }
            Multiply::LongAddBoth { low, high, n, m } => {
                let (x, y) = self.both(n, m);
                let sum = u64::from(x) * u64::from(y) + u64::from(self.get(low)) + u64::from(self.get(high));
                self.put_pair(low, high, sum);
            }
            Multiply::Divide { d, n, m, signed } => return self.divide(d, n, m, signed),
            _ => self.multiply_halves(multiply),
        }
        Ok(())
    }

    /// 15 stands for nothing.
    fn accumulator(&self, a: Reg) -> u32 {
        if a == 15 { 0 } else { self.get(a) }
    }

    fn pair(&self, low: Reg, high: Reg) -> u64 {
        u64::from(self.get(high)) << 32 | u64::from(self.get(low))
    }

    fn put_pair(&mut self, low_register: Reg, high: Reg, value: u64) {
        self.put(low_register, low(value));
        self.put(high, low(value >> 32));
    }

    fn divide(&mut self, d: Reg, n: Reg, m: Reg, signed: bool) -> Result<(), Fault> {
        let (x, y) = self.both(n, m);
        if y == 0 && self.scb.ccr & DIV_0_TRP != 0 {
            return Err(Fault::DivideByZero);
        }
        let value = match y {
            0 => 0,
            _ if signed => x.cast_signed().wrapping_div(y.cast_signed()).cast_unsigned(),
            _ => x / y,
        };
        self.put(d, value);
        Ok(())
    }

    /// The digital-signal instructions.
    fn multiply_halves(&mut self, multiply: &Multiply) {
        match *multiply {
            Multiply::Halves { d, n, m, a, n_top, m_top } => {
                let (x, y) = self.both(n, m);
                let value = self.wrapped(half(x, n_top) * half(y, m_top) + signed(self.accumulator(a)));
                self.put(d, value);
            }
            Multiply::WordByHalf { d, n, m, a, m_top } => {
                let (x, y) = self.both(n, m);
                let value = self.wrapped(((signed(x) * half(y, m_top)) >> 16) + signed(self.accumulator(a)));
                self.put(d, value);
            }
            Multiply::Dual { d, n, m, a, swap, subtract } => {
                let value = self.dual(n, m, swap, subtract) + signed(self.accumulator(a));
                let value = self.wrapped(value);
                self.put(d, value);
            }
            Multiply::MostSignificant { d, n, m, a, round, subtract } => {
                let (x, y) = self.both(n, m);
                let product = signed(x).wrapping_mul(signed(y));
                let product = if subtract { product.wrapping_neg() } else { product };
                let sum = (signed(self.accumulator(a)) << 32).wrapping_add(product);
                self.put(d, low_signed(sum.wrapping_add(i64::from(round) << 31) >> 32));
            }
            Multiply::Differences { d, n, m, a } => {
                let (x, y) = self.both(n, m);
                let pairs = x.to_le_bytes().into_iter().zip(y.to_le_bytes());
                let sum: u32 = pairs.map(|(x, y)| u32::from(x.abs_diff(y))).sum();
                self.put(d, self.accumulator(a).wrapping_add(sum));
            }
            Multiply::LongHalves { low, high, n, m, n_top, m_top } => {
                let (x, y) = self.both(n, m);
                let product = (half(x, n_top) * half(y, m_top)).cast_unsigned();
                self.put_pair(low, high, self.pair(low, high).wrapping_add(product));
            }
            Multiply::LongDual { low, high, n, m, swap, subtract } => {
                let sum = self.dual(n, m, swap, subtract).cast_unsigned();
                self.put_pair(low, high, self.pair(low, high).wrapping_add(sum));
            }
            // Words are multiplied above.
            _ => {}
        }
    }

    /// Two products of halves, added or subtracted.
    fn dual(&self, n: Reg, m: Reg, swap: bool, subtract: bool) -> i64 {
        let (x, y) = self.both(n, m);
        let low = half(x, false) * half(y, swap);
        let high = half(x, true) * half(y, !swap);
        if subtract { low - high } else { low + high }
    }
}
