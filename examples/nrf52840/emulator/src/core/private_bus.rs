//! The system control space, 0xE000_0000 to 0xE00F_FFFF: SCB, NVIC, SysTick, FPU control and the cycle counter (B3).

use super::exception::number;
use super::{Bus, Core, Fault, Touch};

/// CCR: UNALIGN_TRP.
pub(super) const UNALIGN_TRP: u32 = 1 << 3;
/// CCR: DIV_0_TRP.
pub(super) const DIV_0_TRP: u32 = 1 << 4;
/// CCR: STKALIGN.
pub(super) const STKALIGN: u32 = 1 << 9;
/// CCR: NONBASETHRDENA.
pub(super) const NONBASETHRDENA: u32 = 1;

/// The key of AIRCR, to write and to read.
const VECTKEY: u32 = 0x05FA;
const VECTKEY_READ: u32 = 0xFA05;
/// Cortex-M4 r0p1.
const CPUID: u32 = 0x410F_C241;

/// Bits of HFSR.
pub(super) mod hard_fault_status {
    pub(in super::super) const VECTOR_READ: u32 = 1 << 1;
    pub(in super::super) const FORCED: u32 = 1 << 30;
}

/// The exception a fault raises and the bit of CFSR that tells (B3.2.15).
pub(super) fn fault_status(fault: Fault) -> (u8, u32) {
    match fault {
        Fault::ExecuteNever => (number::MEM_MANAGE, 1),
        Fault::Fetch => (number::BUS_FAULT, 1 << 8),
        Fault::Data(_) => (number::BUS_FAULT, 1 << 9 | 1 << 15),
        Fault::Unstacking => (number::BUS_FAULT, 1 << 11),
        Fault::Stacking => (number::BUS_FAULT, 1 << 12),
        Fault::Undefined | Fault::Breakpoint(_) => (number::USAGE_FAULT, 1 << 16),
        Fault::InvalidState => (number::USAGE_FAULT, 1 << 17),
        Fault::InvalidReturn => (number::USAGE_FAULT, 1 << 18),
        Fault::NoCoprocessor => (number::USAGE_FAULT, 1 << 19),
        Fault::Unaligned => (number::USAGE_FAULT, 1 << 24),
        Fault::DivideByZero => (number::USAGE_FAULT, 1 << 25),
    }
}

/// Registers of the system control block and the floating-point unit.
#[derive(Clone, Debug)]
pub(super) struct ControlBlock {
    pub(super) vtor: u32,
    pub(super) priority_group: u8,
    pub(super) scr: u32,
    pub(super) ccr: u32,
    /// Enable bits of SHCSR.
    enables: u32,
    pub(super) cfsr: u32,
    pub(super) hfsr: u32,
    pub(super) bfar: u32,
    cpacr: u32,
    pub(super) fpccr: u32,
    pub(super) fpcar: u32,
    pub(super) fpdscr: u32,
    demcr: u32,
    dwt_control: u32,
    /// The cycle at which CYCCNT was zero.
    cycle_zero: u64,
}

impl Default for ControlBlock {
    fn default() -> Self {
        Self {
            vtor: 0,
            priority_group: 0,
            scr: 0,
            ccr: STKALIGN,
            enables: 0,
            cfsr: 0,
            hfsr: 0,
            bfar: 0,
            cpacr: 0,
            fpccr: 0xC000_0000,
            fpcar: 0,
            fpdscr: 0,
            demcr: 0,
            dwt_control: 0,
            cycle_zero: 0,
        }
    }
}

impl ControlBlock {
    /// Whether `number` is a fault that firmware has to enable and did not.
    pub(super) const fn is_disabled_fault(&self, number: u8) -> bool {
        match number {
            number::MEM_MANAGE | number::BUS_FAULT | number::USAGE_FAULT => {
                self.enables >> (number + 12) & 1 == 0
            }
            _ => false,
        }
    }

    /// Whether coprocessors 10 and 11 may be used.
    pub(super) fn float_enabled(&self, privileged: bool) -> bool {
        let access = [self.cpacr >> 20 & 3, self.cpacr >> 22 & 3];
        access.into_iter().all(|access| access == 3 || access == 1 && privileged)
    }
}

/// Active and pending bits of SHCSR: bit, exception.
const HANDLERS: [(u32, u8); 10] = [
    (0, number::MEM_MANAGE),
    (1, number::BUS_FAULT),
    (3, number::USAGE_FAULT),
    (7, number::SVCALL),
    (8, number::DEBUG_MONITOR),
    (10, number::PENDSV),
    (11, number::SYSTICK),
    (12, number::USAGE_FAULT),
    (13, number::MEM_MANAGE),
    (14, number::BUS_FAULT),
];

impl Core {
    /// Code without privilege has no access, except to raise interrupts where CCR lets it; that exception is not modelled.
    pub(super) fn read_private(&mut self, bus: &mut impl Bus, address: u32) -> Result<u32, Fault> {
        if address & 3 != 0 || address >= 0xE010_0000 || !self.privileged() {
            return Err(Fault::Data(address));
        }
        let value = match address {
            0xE000_1000 => Some(self.scb.dwt_control),
            0xE000_1004 => Some(super::alu::low(bus.now().wrapping_sub(self.scb.cycle_zero))),
            0xE000_E010..=0xE000_E01C => Some(self.systick.read(address & 0xC, bus.now())),
            0xE000_E004 | 0xE000_E100..=0xE000_E4FF => self.read_interrupts(address),
            0xE000_ED00..=0xE000_EF4F => self.read_control(address),
            _ => None,
        };
        Ok(value.unwrap_or_else(|| {
            bus.note_unmodelled(address, Touch::Read);
            0
        }))
    }

    /// A byte or a halfword, as `mask` says.
    pub(super) fn read_private_part(
        &mut self,
        bus: &mut impl Bus,
        address: u32,
        mask: u32,
    ) -> Result<u32, Fault> {
        let word = self.read_private(bus, address & !3)?;
        Ok(word >> ((address & 3) * 8) & mask)
    }

    pub(super) fn write_private(
        &mut self,
        bus: &mut impl Bus,
        address: u32,
        value: u32,
    ) -> Result<(), Fault> {
        if address & 3 != 0 || address >= 0xE010_0000 || !self.privileged() {
            return Err(Fault::Data(address));
        }
        self.exceptions.attention = true;
        let now = bus.now();
        let mut known = Some(());
        match address {
            0xE000_1000 => self.scb.dwt_control = value & 1,
            0xE000_1004 => self.scb.cycle_zero = now.wrapping_sub(u64::from(value)),
            0xE000_E010..=0xE000_E01C => self.systick.write(address & 0xC, value, now),
            0xE000_E100..=0xE000_E4FF => known = self.write_interrupts(address, value),
            0xE000_ED00..=0xE000_EF4F => known = self.write_control(address, value),
            _ => known = None,
        }
        if known.is_none() {
            bus.note_unmodelled(address, Touch::Write);
        }
        Ok(())
    }

    /// Only priorities are written by the byte (B3.2.10, B3.4.9); the fault status registers are, too.
    pub(super) fn write_private_byte(
        &mut self,
        bus: &mut impl Bus,
        address: u32,
        value: u8,
    ) -> Result<(), Fault> {
        if !matches!(address, 0xE000_E400..=0xE000_E42F | 0xE000_ED18..=0xE000_ED23 | 0xE000_ED28..=0xE000_ED2B)
        {
            return Err(Fault::Data(address));
        }
        let (word, shift) = (address & !3, (address & 3) * 8);
        let clears = word == 0xE000_ED28;
        let rest = if clears { 0 } else { self.read_private(bus, word)? & !(0xFF << shift) };
        self.write_private(bus, word, rest | u32::from(value) << shift)
    }

    /// The NVIC (B3.4). Interrupts 0 to 31 in the first word of each array, 32 to 47 in the second.
    fn read_interrupts(&self, address: u32) -> Option<u32> {
        let offset = address & 0x7FF;
        let array =
            |set: u64| if offset & 0x7F < 8 { super::alu::low(set >> 16 >> ((offset & 4) * 8)) } else { 0 };
        Some(match offset {
            // ICTR: up to 64 interrupts.
            0x004 => 1,
            0x100..0x200 => array(self.exceptions.enabled),
            0x200..0x300 => array(self.exceptions.pending),
            0x300..0x380 => array(self.exceptions.active),
            0x400..0x430 => self.priorities(offset - 0x400 + 16),
            _ => return None,
        })
    }

    fn write_interrupts(&mut self, address: u32, value: u32) -> Option<()> {
        let offset = address & 0x7FF;
        let bits = if offset & 0x7F < 8 { u64::from(value) << ((offset & 4) * 8) << 16 } else { 0 };
        let exceptions = &mut self.exceptions;
        match offset {
            0x100..0x180 => exceptions.enabled |= bits,
            0x180..0x200 => exceptions.enabled &= !bits,
            0x200..0x280 => exceptions.pending |= bits,
            0x280..0x300 => exceptions.forget(bits),
            0x400..0x430 => self.set_priorities(offset - 0x400 + 16, value),
            _ => return None,
        }
        Some(())
    }

    /// Four priorities, of the exceptions from `first` on.
    fn priorities(&self, first: u32) -> u32 {
        let first = first as usize & 60;
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.exceptions.priority[first..first + 4]);
        u32::from_le_bytes(bytes)
    }

    /// This chip implements three bits, the upper ones.
    fn set_priorities(&mut self, first: u32, value: u32) {
        let first = first as usize & 60;
        self.exceptions.priority[first..first + 4].copy_from_slice(&(value & 0xE0E0_E0E0).to_le_bytes());
    }

    fn read_control(&self, address: u32) -> Option<u32> {
        let scb = &self.scb;
        Some(match address & 0xFFF {
            0xD00 => CPUID,
            0xD04 => self.interrupt_state(),
            0xD08 => scb.vtor,
            0xD0C => VECTKEY_READ << 16 | u32::from(scb.priority_group) << 8,
            0xD10 => scb.scr,
            0xD14 => scb.ccr,
            offset @ 0xD18..=0xD20 => self.priorities(offset - 0xD18 + 4),
            0xD24 => self.handler_state(),
            0xD28 => scb.cfsr,
            0xD2C => scb.hfsr,
            0xD38 => scb.bfar,
            0xD88 => scb.cpacr,
            0xDFC => scb.demcr,
            0xF34 => scb.fpccr,
            0xF38 => scb.fpcar,
            0xF3C => scb.fpdscr,
            // MVFR0 and MVFR1 (B4.9).
            0xF40 => 0x1011_0021,
            0xF44 => 0x1100_0011,
            _ => return None,
        })
    }

    fn write_control(&mut self, address: u32, value: u32) -> Option<()> {
        let scb = &mut self.scb;
        match address & 0xFFF {
            0xD04 => self.set_interrupt_state(value),
            0xD08 => scb.vtor = value & 0xFFFF_FF80,
            // Without the key, nothing.
            0xD0C if value >> 16 != VECTKEY => {}
            0xD0C => {
                scb.priority_group = (value >> 8 & 7) as u8;
                self.reset_requested |= value & 4 != 0;
            }
            0xD10 => scb.scr = value & 0x16,
            0xD14 => scb.ccr = value & 0x31B,
            offset @ 0xD18..=0xD20 => self.set_priorities(offset - 0xD18 + 4, value),
            0xD24 => {
                scb.enables = value & 0x7_0000;
                let pended = HANDLERS.into_iter().filter(|(bit, _)| *bit >= 12);
                for (bit, number) in pended {
                    self.exceptions.pend(number, value >> bit & 1 != 0);
                }
            }
            0xD28 => scb.cfsr &= !value,
            0xD2C => scb.hfsr &= !value,
            0xD38 => scb.bfar = value,
            0xD88 => scb.cpacr = value & 0x00F0_0000,
            0xF00 if value & 0x1FF < 48 => {
                self.exceptions.pend((value & 0x3F) as u8 + number::EXTERNAL, true);
            }
            0xDFC => scb.demcr = value,
            0xF34 => scb.fpccr = value & 0xC000_017B,
            0xF38 => scb.fpcar = value & !7,
            0xF3C => scb.fpdscr = value & 0x07C0_0000,
            _ => return None,
        }
        Some(())
    }

    /// ICSR (B3.2.4).
    fn interrupt_state(&self) -> u32 {
        let exceptions = &self.exceptions;
        let current = exceptions.current();
        let flag = |number, at: u32| u32::from(exceptions.is_pending(number)) << at;
        let external = exceptions.pending & exceptions.enabled >> number::EXTERNAL << number::EXTERNAL;
        let first_pending = self.most_urgent().map_or(0, |(_, number)| u32::from(number));
        let others = exceptions.active & !(1 << current);
        u32::from(current)
            | u32::from(others == 0) << 11
            | first_pending << 12
            | u32::from(external != 0) << 22
            | flag(number::SYSTICK, 26)
            | flag(number::PENDSV, 28)
            | flag(number::NMI, 31)
    }

    fn set_interrupt_state(&mut self, value: u32) {
        let changes = [
            (31, number::NMI, true),
            (28, number::PENDSV, true),
            (27, number::PENDSV, false),
            (26, number::SYSTICK, true),
            (25, number::SYSTICK, false),
        ];
        for (bit, number, pending) in changes {
            if value >> bit & 1 != 0 {
                self.exceptions.pend(number, pending);
            }
        }
    }

    /// SHCSR (B3.2.13).
    fn handler_state(&self) -> u32 {
        let bits = HANDLERS.into_iter().filter(|(bit, number)| {
            if *bit < 12 { self.exceptions.is_active(*number) } else { self.exceptions.is_pending(*number) }
        });
        let pended_call = u32::from(self.exceptions.is_pending(number::SVCALL)) << 15;
        self.scb.enables | pended_call | bits.fold(0, |all, (bit, _)| all | 1 << bit)
    }

    /// The cycle at which the core itself will have something to do: SysTick reaching zero.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        self.systick.due()
    }

    /// Lets SysTick count up to `now`.
    pub fn tick(&mut self, now: u64) {
        if self.systick.advance(now) {
            self.exceptions.pend(number::SYSTICK, true);
        }
    }
}
