//! Data processing on words.

use super::super::alu::{add, half, low_signed, saturate, shift, signed};
use super::super::op::{Alu, Carry, Data, Flags, Reg, Shift, ShiftKind};
use super::super::{Core, Defect};

impl Core {
    #[inline]
    pub(super) fn data(&mut self, data: &Data) {
        match *data {
            Data::Immediate { op, flags, d, n, carry, value } => {
                let carry = match carry {
                    Carry::Keep => self.status.c,
                    Carry::Clear => false,
                    Carry::Set => true,
                };
                self.alu(op, flags, d, self.get(n), value, carry);
            }
            Data::Register { op, flags, d, n, m, shift: by } => {
                let (value, carry) = shift(self.get(m), by, self.status.c);
                self.alu(op, flags, d, self.get(n), value, carry);
            }
            Data::ShiftBy { kind, flags, d, n, m } => self.shift_by(kind, flags, d, n, m),
            Data::Address { d, offset } => {
                // The program counter, aligned (A7.7.7).
                self.put(d, (self.r[15] & !3).wrapping_add(offset));
            }
            Data::MoveTop { d, value } => self.put(d, self.get(d) & 0xFFFF | u32::from(value) << 16),
            _ => self.fields(data),
        }
    }

    fn shift_by(&mut self, kind: ShiftKind, flags: Flags, d: Reg, n: Reg, m: Reg) {
        let amount = self.get(m).to_le_bytes()[0];
        let (value, carry) = shift(self.get(n), Shift { kind, amount }, self.status.c);
        self.put(d, value);
        if self.sets(flags) {
            self.set_nz(value);
            self.status.c = carry;
        }
    }

    /// `carry` is what the second operand left behind; logic passes it on.
    #[inline]
    fn alu(&mut self, op: Alu, flags: Flags, d: Reg, x: u32, y: u32, carry: bool) {
        let value = match op {
            Alu::And => x & y,
            Alu::Bic => x & !y,
            Alu::Orr => x | y,
            Alu::Orn => x | !y,
            Alu::Eor => x ^ y,
            Alu::Mov => y,
            Alu::Mvn => !y,
            Alu::Tst => return self.set_logic(x & y, carry),
            Alu::Teq => return self.set_logic(x ^ y, carry),
            _ => return self.sum(op, flags, d, x, y),
        };
        self.put(d, value);
        if self.sets(flags) {
            self.set_logic(value, carry);
        }
    }

    #[inline]
    fn set_logic(&mut self, value: u32, carry: bool) {
        self.set_nz(value);
        self.status.c = carry;
    }

    #[inline]
    fn sum(&mut self, op: Alu, flags: Flags, d: Reg, x: u32, y: u32) {
        let borrow = self.status.c ^ (self.defect == Some(Defect::Carry));
        let mut sum = match op {
            Alu::Adc => add(x, y, self.status.c),
            Alu::Sbc => add(x, !y, borrow),
            Alu::Sub | Alu::Cmp => add(x, !y, true),
            Alu::Rsb => add(!x, y, true),
            _ => add(x, y, false),
        };
        if self.defect == Some(Defect::Overflow) {
            sum.overflow = (x ^ y) >> 31 == 0;
        }
        if op == Alu::Cmp || op == Alu::Cmn {
            return self.set_sum(sum);
        }
        self.put(d, sum.value);
        if self.sets(flags) {
            self.set_sum(sum);
        }
    }

    /// Bit fields, saturation and packing.
    fn fields(&mut self, data: &Data) {
        match *data {
            Data::BitsSigned { d, n, lsb, width } => {
                let above = 32 - lsb - width;
                self.put(d, ((self.get(n) << above).cast_signed() >> (above + lsb)).cast_unsigned());
            }
            Data::BitsUnsigned { d, n, lsb, width } => {
                self.put(d, self.get(n) << (32 - lsb - width) >> (32 - width));
            }
            Data::BitsInsert { d, n, lsb, width } => {
                let mask = u32::MAX >> (32 - width) << lsb;
                let new = if n == 15 { 0 } else { self.get(n) << lsb };
                self.put(d, self.get(d) & !mask | new & mask);
            }
            Data::Saturate { signed: is_signed, d, n, bits, shift: by } => {
                let value = signed(shift(self.get(n), by, false).0);
                let (value, saturated) = saturate(value, bits, is_signed);
                self.put(d, value);
                self.set_q(saturated);
            }
            Data::SaturateHalves { signed, d, n, bits } => {
                let x = self.get(n);
                let (low, first) = saturate(half(x, false), bits, signed);
                let (high, second) = saturate(half(x, true), bits, signed);
                self.put(d, low & 0xFFFF | high << 16);
                self.set_q(first | second);
            }
            Data::Pack { d, n, m, shift: by, top_first } => {
                let (x, y) = (self.get(n), shift(self.get(m), by, false).0);
                self.put(
                    d,
                    if top_first { x & 0xFFFF_0000 | y & 0xFFFF } else { x & 0xFFFF | y & 0xFFFF_0000 },
                );
            }
            // The rest is done where the words are.
            _ => {}
        }
    }

    /// The sum of two signed numbers kept in a word.
    pub(super) fn saturated(&mut self, value: i64) -> u32 {
        let (value, saturated) = saturate(value, 32, true);
        self.set_q(saturated);
        value
    }

    /// A result that wraps, and tells Q if it had to.
    pub(super) fn wrapped(&mut self, value: i64) -> u32 {
        let word = low_signed(value);
        self.set_q(signed(word) != value);
        word
    }
}
