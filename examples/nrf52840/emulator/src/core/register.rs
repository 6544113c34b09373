//! Registers by name, for whoever looks from outside, and the program status register.

use super::Core;

/// A register as a debugger names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// R0 to R12, the current stack pointer as 13, the link register as 14, the program counter as 15.
    R(u8),
    /// S0 to S31.
    S(u8),
    /// Flags, exception number and state of IT blocks.
    Xpsr,
    /// Flags and modes of the floating-point unit.
    Fpscr,
}

const APSR_GE: u32 = 16;
/// The T bit of EPSR.
pub(super) const THUMB: u32 = 1 << 24;

impl Core {
    /// The value of a register; numbers that do not exist wrap.
    #[must_use]
    pub fn register(&self, register: Register) -> u32 {
        match register {
            Register::R(15) => self.pc,
            Register::R(number) => self.r[usize::from(number & 15)],
            Register::S(number) => self.s[usize::from(number & 31)],
            Register::Xpsr => self.xpsr(),
            Register::Fpscr => self.fpscr,
        }
    }

    /// Sets a register; of the status register all but the exception number.
    pub fn set_register(&mut self, register: Register, value: u32) {
        match register {
            Register::R(15) => self.pc = value & !1,
            Register::R(13) => self.r[13] = value & !3,
            Register::R(number) => self.r[usize::from(number & 15)] = value,
            Register::S(number) => self.s[usize::from(number & 31)] = value,
            Register::Xpsr => self.set_xpsr(value),
            Register::Fpscr => self.fpscr = value,
        }
    }

    /// The program status register, all parts of it (B1.4.2).
    pub(super) fn xpsr(&self) -> u32 {
        let status = self.status;
        let flags = [status.n, status.z, status.c, status.v, status.q];
        let flags = flags.into_iter().fold(0, |all, flag| all << 1 | u32::from(flag)) << 27;
        let it = u32::from(self.it);
        let exception = u32::from(self.exceptions.current());
        flags
            | (it & 3) << 25
            | (u32::from(self.thumb) * THUMB)
            | u32::from(status.ge) << APSR_GE
            | (it >> 2) << 10
            | exception
    }

    /// Everything but the exception number.
    pub(super) fn set_xpsr(&mut self, value: u32) {
        self.set_flags(value);
        self.status.ge = (value >> APSR_GE & 15) as u8;
        self.set_it((value >> 25 & 3) as u8 | ((value >> 10 & 0x3F) as u8) << 2);
        self.thumb = value & THUMB != 0;
    }

    /// Whatever comes next, an instruction in the middle of an IT block included, finds this state.
    pub(super) fn set_it(&mut self, state: u8) {
        (self.it, self.next_it) = (state, state);
    }

    pub(super) fn set_flags(&mut self, value: u32) {
        let bit = |at: u32| value >> at & 1 != 0;
        let status = &mut self.status;
        (status.n, status.z, status.c, status.v, status.q) = (bit(31), bit(30), bit(29), bit(28), bit(27));
    }

    /// Whether the process stack is the one in use (B1.4.1).
    pub(super) fn on_process_stack(&self) -> bool {
        self.control & 2 != 0 && !self.in_handler()
    }

    /// A stack pointer by name.
    pub(super) fn stack(&self, process: bool) -> u32 {
        if process == self.on_process_stack() { self.r[13] } else { self.banked_sp }
    }

    pub(super) fn set_stack(&mut self, process: bool, value: u32) {
        let pointer = if process == self.on_process_stack() { &mut self.r[13] } else { &mut self.banked_sp };
        *pointer = value & !3;
    }

    /// Runs `change`, which may switch stacks, and puts the right pointer into place afterwards.
    pub(super) fn switching_stacks(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.on_process_stack();
        change(self);
        if before != self.on_process_stack() {
            std::mem::swap(&mut self.r[13], &mut self.banked_sp);
        }
    }

    /// In a handler, the choice of the stack is not up to CONTROL (B1.4.4).
    pub(super) fn set_control(&mut self, value: u8) {
        let writable = if self.in_handler() { 5 } else { 7 };
        let value = self.control & !writable | value & writable & 7;
        self.switching_stacks(|core| core.control = value);
    }

    pub(super) fn in_handler(&self) -> bool {
        self.exceptions.current() != 0
    }

    pub(super) fn privileged(&self) -> bool {
        self.in_handler() || self.control & 1 == 0
    }
}
