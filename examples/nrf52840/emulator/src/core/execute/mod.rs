//! What each instruction does (A7.7), grouped as in [`super::op`].

mod branch;
mod data;
mod float;
mod media;
mod memory;
mod multiply;
mod system;

use super::alu::Sum;
use super::op::{Flags, Op, Reg};
use super::{Bus, Core, Defect, Fault};

impl Core {
    #[inline]
    pub(super) fn execute(&mut self, bus: &mut impl Bus, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Data(data) => self.data(data),
            Op::Memory(memory) => self.memory(bus, memory)?,
            Op::Branch(branch) => self.branch(bus, branch)?,
            Op::Multiply(multiply) => self.multiply(multiply)?,
            Op::Media(media) => self.media(media),
            Op::System(system) => self.system(bus, system)?,
            Op::Float(float) => self.float(bus, float)?,
            Op::NoCoprocessor => return Err(Fault::NoCoprocessor),
            Op::Undefined => return Err(Fault::Undefined),
        }
        Ok(())
    }

    #[inline]
    fn get(&self, register: Reg) -> u32 {
        self.r[usize::from(register & 15)]
    }

    /// Two operands, as most instructions have.
    #[inline]
    fn both(&self, n: Reg, m: Reg) -> (u32, u32) {
        (self.get(n), self.get(m))
    }

    /// Not for the program counter: branches write that. The low bits of the stack pointer are always clear (B1.4.1).
    #[inline]
    fn put(&mut self, register: Reg, value: u32) {
        self.r[usize::from(register & 15)] = value;
        self.r[13] &= !3;
    }

    #[inline]
    fn sets(&self, flags: Flags) -> bool {
        match flags {
            Flags::Never => false,
            Flags::Always => true,
            Flags::OutsideIt => self.it == 0,
        }
    }

    #[inline]
    fn set_nz(&mut self, value: u32) {
        self.status.n = value >> 31 != 0;
        self.status.z = value == 0;
    }

    #[inline]
    fn set_sum(&mut self, sum: Sum) {
        self.set_nz(sum.value);
        self.status.c = sum.carry;
        self.status.v = sum.overflow;
    }

    #[inline]
    fn set_q(&mut self, saturated: bool) {
        self.status.q |= saturated && self.defect != Some(Defect::Saturation);
    }
}
