//! Exceptions: priorities, entry, return, faults (B1.5).

use super::private_bus::{fault_status, hard_fault_status};
use super::{Bus, Core, Defect, Fault, FaultRecord, Halt, Sleep};

/// Numbers of the exceptions that the architecture itself knows.
pub(super) mod number {
    pub(in super::super) const NMI: u8 = 2;
    pub(in super::super) const HARD_FAULT: u8 = 3;
    pub(in super::super) const MEM_MANAGE: u8 = 4;
    pub(in super::super) const BUS_FAULT: u8 = 5;
    pub(in super::super) const USAGE_FAULT: u8 = 6;
    pub(in super::super) const SVCALL: u8 = 11;
    pub(in super::super) const DEBUG_MONITOR: u8 = 12;
    pub(in super::super) const PENDSV: u8 = 14;
    pub(in super::super) const SYSTICK: u8 = 15;
    /// The first interrupt.
    pub(in super::super) const EXTERNAL: u8 = 16;
}

/// Exception numbers this core has: 16 of the architecture and 48 interrupts.
pub(super) const COUNT: u8 = 64;

/// Number of an exception, as in IPSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception(pub u8);

/// Lower than every priority a handler can have.
const THREAD: i16 = 256;

/// What is pending, what is active, and at which priority.
#[derive(Clone, Debug)]
pub(super) struct Exceptions {
    pub(super) pending: u64,
    pub(super) active: u64,
    /// Interrupts; the exceptions of the architecture are always on, configurable faults apart.
    pub(super) enabled: u64,
    pub(super) priority: [u8; COUNT as usize],
    /// The interrupt lines that are high.
    lines: u64,
    /// IPSR.
    current: u8,
    /// Something changed that may let an exception in, or wake the core.
    pub(super) attention: bool,
}

impl Default for Exceptions {
    fn default() -> Self {
        Self { pending: 0, active: 0, enabled: 0, priority: [0; 64], lines: 0, current: 0, attention: false }
    }
}

const fn bit(number: u8) -> u64 {
    1 << number
}

/// The numbers of the bits set.
fn numbers(mut set: u64) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros().to_le_bytes()[0]);
        set &= set.wrapping_sub(1);
        lowest
    })
}

impl Exceptions {
    pub(super) const fn current(&self) -> u8 {
        self.current
    }

    pub(super) const fn is_active(&self, number: u8) -> bool {
        self.active & bit(number) != 0
    }

    pub(super) const fn is_pending(&self, number: u8) -> bool {
        self.pending & bit(number) != 0
    }

    pub(super) fn pend(&mut self, number: u8, pending: bool) {
        self.pending = if pending { self.pending | bit(number) } else { self.pending & !bit(number) };
        self.attention = true;
    }

    /// Interrupts are pending no more, but for those whose line is still high.
    pub(super) const fn forget(&mut self, interrupts: u64) {
        self.pending = self.pending & !interrupts | self.lines & interrupts & !self.active;
    }

    fn set_active(&mut self, number: u8, active: bool) {
        self.active = if active { self.active | bit(number) } else { self.active & !bit(number) };
    }
}

impl Core {
    /// Tells the levels of the interrupt lines, one bit each. A line that rises makes its interrupt pending.
    pub fn set_interrupt_lines(&mut self, lines: u64) {
        let lines = lines << number::EXTERNAL;
        let rising = lines & !self.exceptions.lines;
        self.exceptions.lines = lines;
        if rising != 0 {
            self.exceptions.pending |= rising;
            self.exceptions.attention = true;
        }
    }

    /// Whether [`Core::service`] has something to do before the next instruction.
    #[inline]
    #[must_use]
    pub const fn needs_attention(&self) -> bool {
        self.exceptions.attention
    }

    /// Wakes the core if it sleeps and may wake, and takes the most urgent exception that may be taken.
    ///
    /// # Errors
    ///
    /// A [`Halt`] when the core cannot go on by itself.
    pub fn service(&mut self, bus: &mut impl Bus) -> Result<(), Halt> {
        self.exceptions.attention = false;
        self.wake();
        let Some(number) = self.deliverable(self.execution_priority()) else {
            if self.sleep.is_none() && !self.thumb {
                // Taken as the fault of the instruction that would be next.
                self.instructions += 1;
                return self.take_fault(bus, Fault::InvalidState);
            }
            return Ok(());
        };
        self.sleep = None;
        // A deliverable exception beats whatever runs, so that its entry is not refused.
        self.enter(bus, number).map_err(|()| Halt::Lockup(Fault::Stacking))
    }

    /// Ends sleep (B1.5.17 to B1.5.19). PRIMASK keeps an interrupt out, but not the core asleep.
    fn wake(&mut self) {
        let wakes = match self.sleep {
            None => return,
            Some(_) if self.deliverable(self.priority_but_for_primask()).is_some() => true,
            Some(Sleep::Interrupt) => false,
            // SEVONPEND: any interrupt that becomes pending, enabled or not.
            Some(Sleep::Event) => {
                let pended = self.scb.scr & 1 << 4 != 0 && self.exceptions.pending >> number::EXTERNAL != 0;
                std::mem::take(&mut self.event) || pended
            }
        };
        if wakes {
            self.sleep = None;
        }
    }

    /// The pending exception that may preempt `priority`, if there is one.
    fn deliverable(&self, priority: i16) -> Option<u8> {
        let best = self.most_urgent()?;
        let preempts = self.preemption(best.0) < priority;
        let equal = self.defect == Some(Defect::Preemption) && self.preemption(best.0) == priority;
        (preempts || equal && !self.exceptions.is_active(best.1)).then_some(best.1)
    }

    /// Priority and number of the pending exception that comes first, if it is enabled.
    pub(super) fn most_urgent(&self) -> Option<(i16, u8)> {
        let system = 0xFFFF;
        let candidates = self.exceptions.pending & (self.exceptions.enabled | system);
        numbers(candidates).map(|number| (self.priority_of(number), number)).min()
    }

    /// An exception's priority: the lower, the more urgent.
    fn priority_of(&self, number: u8) -> i16 {
        match number {
            0 | 1 => -4,
            number::NMI => -2,
            number::HARD_FAULT => -1,
            _ => i16::from(self.exceptions.priority[usize::from(number) & 63]),
        }
    }

    /// The part of a priority that counts for preemption (B1.5.4).
    fn preemption(&self, priority: i16) -> i16 {
        if priority < 0 { priority } else { priority & !((2 << self.scb.priority_group) - 1) }
    }

    /// `ExecutionPriority` (B1.5.4).
    pub(super) fn execution_priority(&self) -> i16 {
        let mut priority = self.priority_but_for_primask();
        if self.primask {
            priority = priority.min(0);
        }
        priority
    }

    fn priority_but_for_primask(&self) -> i16 {
        let active = numbers(self.exceptions.active).map(|number| self.preemption(self.priority_of(number)));
        let mut priority = active.min().unwrap_or(THREAD);
        if self.basepri != 0 {
            priority = priority.min(self.preemption(i16::from(self.basepri)));
        }
        if self.faultmask { priority.min(-1) } else { priority }
    }

    /// Takes a synchronous exception at once, or the hard fault that it becomes when it cannot be taken (B1.5.14).
    pub(super) fn raise(&mut self, bus: &mut impl Bus, number: u8) -> Result<(), ()> {
        let priority = self.execution_priority();
        let off = self.scb.is_disabled_fault(number);
        if !off && self.preemption(self.priority_of(number)) < priority {
            return self.enter(bus, number);
        }
        if priority <= -1 {
            return Err(());
        }
        self.scb.hfsr |= hard_fault_status::FORCED;
        self.enter(bus, number::HARD_FAULT)
    }

    /// Records a fault and takes its exception.
    pub(super) fn take_fault(&mut self, bus: &mut impl Bus, fault: Fault) -> Result<(), Halt> {
        // One in a hard fault's handler only ends things: the one before it tells the cause.
        if self.execution_priority() > -1 {
            self.last_fault = Some(FaultRecord { fault, pc: self.pc, lr: self.r[14] });
        }
        let (number, status) = fault_status(fault);
        self.scb.cfsr |= status;
        if let Fault::Data(address) = fault {
            self.scb.bfar = address;
        }
        self.raise(bus, number).map_err(|()| Halt::Lockup(fault))
    }

    /// `ExceptionEntry` (B1.5.6). An error means that not even a hard fault could be taken.
    fn enter(&mut self, bus: &mut impl Bus, number: u8) -> Result<(), ()> {
        let code = match self.push_frame(bus) {
            Ok(code) => code,
            Err(code) => {
                self.scb.cfsr |= fault_status(Fault::Stacking).1;
                return self.enter_derived(bus, number, code);
            }
        };
        self.exception_taken(bus, number, code)
    }

    /// The frame could not be written, which is a bus fault of its own: the more urgent of the two is taken, the other stays
    /// pending (B1.5.13).
    fn enter_derived(&mut self, bus: &mut impl Bus, number: u8, code: u32) -> Result<(), ()> {
        let priority = self.execution_priority();
        if priority <= -1 {
            return Err(());
        }
        let urgent = |core: &Self, number| core.preemption(core.priority_of(number));
        let disabled = self.scb.is_disabled_fault(number::BUS_FAULT);
        let mut derived = number::BUS_FAULT;
        if disabled || urgent(self, derived) >= priority {
            self.scb.hfsr |= hard_fault_status::FORCED;
            derived = number::HARD_FAULT;
        }
        let (first, second) =
            if urgent(self, derived) < urgent(self, number) { (derived, number) } else { (number, derived) };
        if first != second {
            self.exceptions.pend(second, true);
        }
        self.exception_taken(bus, first, code)
    }

    /// `PushStack` (B1.5.6): the code to return with, as an error if the frame could not be written.
    fn push_frame(&mut self, bus: &mut impl Bus) -> Result<u32, u32> {
        let extended = self.control & 4 != 0;
        let size = if extended { 0x68 } else { 0x20 };
        let aligned = self.scb.ccr & super::private_bus::STKALIGN != 0;
        let before = self.r[13];
        let padded = aligned && before & 4 != 0;
        let frame = before.wrapping_sub(size) & if aligned { !7 } else { !3 };
        let mut code = 0xFFFF_FFE1 | u32::from(!extended) << 4;
        if !self.in_handler() {
            code |= if self.on_process_stack() { 0xC } else { 8 };
        }
        self.r[13] = frame;
        let xpsr = self.xpsr() & !(1 << 9) | u32::from(padded) << 9;
        let words = [self.r[0], self.r[1], self.r[2], self.r[3], self.r[12], self.r[14], self.pc, xpsr];
        self.push_words(bus, frame, &words).map_err(|()| code)?;
        if extended {
            let (singles, status) = (self.s, self.fpscr);
            let at = frame.wrapping_add(0x20);
            self.push_words(bus, at, &singles[..16]).map_err(|()| code)?;
            self.push_words(bus, at.wrapping_add(0x40), &[status, 0]).map_err(|()| code)?;
        }
        Ok(code)
    }

    fn push_words(&mut self, bus: &mut impl Bus, mut at: u32, words: &[u32]) -> Result<(), ()> {
        for word in words {
            self.store_word(bus, at, *word).map_err(|_| ())?;
            at = at.wrapping_add(4);
        }
        Ok(())
    }

    /// `ExceptionTaken` (B1.5.6).
    fn exception_taken(&mut self, bus: &mut impl Bus, number: u8, code: u32) -> Result<(), ()> {
        let table = self.scb.vtor;
        let Ok(vector) = self.load_word(bus, table.wrapping_add(u32::from(number) * 4)) else {
            if number == number::HARD_FAULT || self.execution_priority() <= -1 {
                return Err(());
            }
            self.scb.hfsr |= hard_fault_status::VECTOR_READ;
            return self.exception_taken(bus, number::HARD_FAULT, code);
        };
        self.switching_stacks(|core| {
            core.exceptions.current = number;
            core.control &= !6;
        });
        self.exceptions.set_active(number, true);
        self.exceptions.pending &= !bit(number);
        self.r[14] = if self.defect == Some(Defect::ExcReturn) && code & 8 != 0 { code ^ 4 } else { code };
        self.pc = vector & !1;
        self.thumb = vector & 1 != 0;
        self.set_it(0);
        self.exclusive = false;
        self.event = true;
        self.exceptions.attention = true;
        Ok(())
    }

    /// `ExceptionReturn` (B1.5.8).
    pub(super) fn return_from_exception(&mut self, bus: &mut impl Bus, code: u32) -> Result<(), Fault> {
        let returning = self.exceptions.current;
        let nested = self.exceptions.active.count_ones() > 1;
        let to_handler = code & 0xF == 1;
        let known = code | 0x10 == 0xFFFF_FFF1 || code | 0x10 == 0xFFFF_FFF9 || code | 0x10 == 0xFFFF_FFFD;
        let thread_ok = !nested || self.scb.ccr & super::private_bus::NONBASETHRDENA != 0;
        let consistent = self.exceptions.is_active(returning) && if to_handler { nested } else { thread_ok };
        self.deactivate(returning);
        if !known || !consistent {
            return self.refuse_return(bus, code);
        }
        let process = code & 4 != 0;
        self.switching_stacks(|core| {
            core.exceptions.current = 0;
            core.control = core.control & !2 | (u8::from(process) * 2);
        });
        let xpsr = self.pop_frame(bus, code & 0x10 == 0).map_err(|()| Fault::Unstacking)?;
        self.finish_return(xpsr, to_handler)
    }

    /// The fault is taken with the frame that was to be popped (B1.5.8).
    fn refuse_return(&mut self, bus: &mut impl Bus, code: u32) -> Result<(), Fault> {
        let fault = Fault::InvalidReturn;
        self.last_fault = Some(FaultRecord { fault, pc: self.pc, lr: self.r[14] });
        self.scb.cfsr |= fault_status(fault).1;
        let mut number = number::USAGE_FAULT;
        let priority = self.execution_priority();
        if self.scb.is_disabled_fault(number) || self.preemption(self.priority_of(number)) >= priority {
            self.scb.hfsr |= hard_fault_status::FORCED;
            number = number::HARD_FAULT;
        }
        if priority <= -1 || self.exception_taken(bus, number, 0xF000_0000 | code).is_err() {
            return Err(fault);
        }
        self.next = self.pc;
        Ok(())
    }

    fn finish_return(&mut self, xpsr: u32, to_handler: bool) -> Result<(), Fault> {
        let number = (xpsr & 0x3F) as u8;
        if to_handler == (number == 0) {
            return Err(Fault::InvalidReturn);
        }
        self.exceptions.current = number;
        self.set_xpsr(xpsr);
        self.exclusive = false;
        self.event = true;
        self.exceptions.attention = true;
        // SLEEPONEXIT.
        if !to_handler && self.scb.scr & 2 != 0 {
            self.sleep = Some(Sleep::Interrupt);
        }
        Ok(())
    }

    /// `DeActivate`: FAULTMASK ends with the handler, except NMI's. A line that is still high asks again.
    fn deactivate(&mut self, number: u8) {
        self.exceptions.set_active(number, false);
        if number != number::NMI {
            self.faultmask = false;
        }
        self.exceptions.pending |= self.exceptions.lines & bit(number);
    }

    /// `PopStack`: the status register from the frame.
    fn pop_frame(&mut self, bus: &mut impl Bus, extended: bool) -> Result<u32, ()> {
        let frame = self.r[13];
        let mut words = [0; 8];
        for (index, word) in (0_u32..).zip(&mut words) {
            *word = self.load_word(bus, frame.wrapping_add(index * 4)).map_err(|_| ())?;
        }
        let [r0, r1, r2, r3, r12, lr, pc, xpsr] = words;
        if extended {
            let at = frame.wrapping_add(0x20);
            for (index, register) in (0_u32..16).zip(0_usize..) {
                self.s[register] = self.load_word(bus, at.wrapping_add(index * 4)).map_err(|_| ())?;
            }
            self.fpscr = self.load_word(bus, at.wrapping_add(0x40)).map_err(|_| ())?;
        }
        self.r[..4].copy_from_slice(&[r0, r1, r2, r3]);
        (self.r[12], self.r[14]) = (r12, lr);
        self.next = pc & !1;
        self.control = self.control & !4 | (u8::from(extended) * 4);
        let padding = if self.defect == Some(Defect::StackAlignment) { 0 } else { (xpsr >> 9 & 1) * 4 };
        self.r[13] = frame.wrapping_add(if extended { 0x68 } else { 0x20 }).wrapping_add(padding);
        Ok(xpsr)
    }

    /// The exception whose handler runs.
    #[must_use]
    pub const fn current_exception(&self) -> Option<Exception> {
        match self.exceptions.current {
            0 => None,
            number => Some(Exception(number)),
        }
    }
}
