//! Special registers, hints and supervisor calls (B5.2).

use super::super::exception::number;
use super::super::op::{Reg, System};
use super::super::{Bus, Core, Fault, Sleep};

impl Core {
    pub(super) fn system(&mut self, bus: &mut impl Bus, system: &System) -> Result<(), Fault> {
        match *system {
            System::Nop => {}
            System::WaitForInterrupt => {
                self.sleep = Some(Sleep::Interrupt);
                self.exceptions.attention = true;
            }
            System::WaitForEvent if self.event => self.event = false,
            System::WaitForEvent => {
                self.sleep = Some(Sleep::Event);
                self.exceptions.attention = true;
            }
            System::SendEvent => self.event = true,
            System::ReadSpecial { d, special } => {
                let value = self.special(special);
                self.put(d, value);
            }
            System::WriteSpecial { n, special, mask } => self.set_special(special, mask, n),
            System::ChangeMasks { disable, primask, faultmask } => {
                if self.privileged() {
                    self.primask = if primask { disable } else { self.primask };
                    if faultmask && (!disable || self.execution_priority() > -1) {
                        self.faultmask = disable;
                    }
                    self.exceptions.attention = true;
                }
            }
            System::SupervisorCall => return self.supervisor_call(bus),
            System::Breakpoint(number) => return Err(Fault::Breakpoint(number)),
        }
        Ok(())
    }

    /// MRS. Code without privilege reads zero of what it may not see.
    fn special(&self, special: u8) -> u32 {
        let privileged = self.privileged();
        match special {
            // APSR, IPSR and EPSR in all combinations; EPSR reads as zero.
            0..8 => {
                let flags = if special & 4 == 0 { self.xpsr() & 0xF80F_0000 } else { 0 };
                let exception = if special & 1 != 0 && privileged { self.xpsr() & 0x1FF } else { 0 };
                flags | exception
            }
            8 if privileged => self.stack(false),
            9 if privileged => self.stack(true),
            16 if privileged => u32::from(self.primask),
            17 | 18 if privileged => u32::from(self.basepri),
            19 if privileged => u32::from(self.faultmask),
            20 => u32::from(self.control),
            _ => 0,
        }
    }

    /// MSR. Code without privilege writes the flags alone; anything else it writes is ignored.
    fn set_special(&mut self, special: u8, mask: u8, n: Reg) {
        let value = self.get(n);
        let byte = value.to_le_bytes()[0];
        if special < 4 {
            if mask & 2 != 0 {
                self.set_flags(value);
            }
            if mask & 1 != 0 {
                self.status.ge = (value >> 16 & 15) as u8;
            }
            return;
        }
        if !self.privileged() {
            return;
        }
        match special {
            8 => self.set_stack(false, value),
            9 => self.set_stack(true, value),
            16 => self.primask = value & 1 != 0,
            17 => self.basepri = byte,
            18 if byte != 0 && (self.basepri == 0 || byte < self.basepri) => self.basepri = byte,
            19 if value & 1 == 0 || self.execution_priority() > -1 => self.faultmask = value & 1 != 0,
            20 => self.set_control(byte),
            _ => {}
        }
        self.exceptions.attention = true;
    }

    /// A call that cannot be taken now becomes a hard fault (B1.5.2).
    fn supervisor_call(&mut self, bus: &mut impl Bus) -> Result<(), Fault> {
        // The call is complete: it returns to the instruction after it.
        if self.it != 0 {
            self.it = self.next_it;
        }
        self.pc = self.next;
        let taken = self.raise(bus, number::SVCALL);
        self.next = self.pc;
        taken.map_err(|()| Fault::Undefined)
    }
}
