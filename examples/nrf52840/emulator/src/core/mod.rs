//! The Cortex-M4F: ARMv7E-M with FPv4-SP, as the ARMv7-M Architecture Reference Manual (DDI 0403) describes them.
//!
//! One instruction takes one cycle. Exceptions are taken between instructions, so that tail-chaining and late arrival need
//! no code of their own: they differ from this in cycles alone.

mod alu;
mod decode;
mod defect;
mod exception;
mod execute;
mod float;
mod op;
mod private_bus;
mod register;
mod systick;

pub use defect::Defect;
pub use exception::Exception;
pub use register::Register;

use decode::{decode, is_wide};
use exception::Exceptions;
use op::Instruction;
use systick::SysTick;

/// An instruction, decoded; what a [`Bus`] keeps so that each is decoded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded(Instruction);

impl Decoded {
    /// Decodes the instruction that starts with `first`; `second` follows it and matters only to 32-bit ones.
    ///
    /// ```
    /// use emulator::Decoded;
    ///
    /// assert!(Decoded::is_wide(0xF000) && !Decoded::is_wide(0xBF00));
    /// assert_eq!(Decoded::new(0xBF00, 0), Decoded::new(0xBF00, 0xFFFF));
    /// ```
    #[must_use]
    pub fn new(first: u16, second: u16) -> Self {
        Self(decode(first, second))
    }

    /// Whether `first` opens an instruction of two halfwords.
    #[must_use]
    pub fn is_wide(first: u16) -> bool {
        is_wide(first)
    }
}

/// Nothing answers at the address, or what does refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError;

/// What was done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// It was read.
    Read,
    /// It was written.
    Write,
}

/// What the core reads, writes and fetches from. Addresses are aligned to the width, except where memory takes others.
pub trait Bus {
    /// Cycles since power-on.
    fn now(&self) -> u64;
    /// Takes note of a register of the core itself that is not modelled.
    fn note_unmodelled(&mut self, address: u32, touch: Touch);
    /// The instruction at `address`, which is even.
    ///
    /// # Errors
    ///
    /// [`BusError`] where no code can be.
    fn fetch(&mut self, address: u32) -> Result<Decoded, BusError>;
    /// Reads a byte.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers.
    fn read8(&mut self, address: u32) -> Result<u8, BusError>;
    /// Reads a halfword.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers.
    fn read16(&mut self, address: u32) -> Result<u16, BusError>;
    /// Reads a word.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers.
    fn read32(&mut self, address: u32) -> Result<u32, BusError>;
    /// Writes a byte.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers, or nothing may be written.
    fn write8(&mut self, address: u32, value: u8) -> Result<(), BusError>;
    /// Writes a halfword.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers, or nothing may be written.
    fn write16(&mut self, address: u32, value: u16) -> Result<(), BusError>;
    /// Writes a word.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers, or nothing may be written.
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusError>;
}

/// Why an instruction did not complete (B1.5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No such instruction.
    Undefined,
    /// A branch to an even address: there is no ARM state.
    InvalidState,
    /// A return from an exception that its code does not describe.
    InvalidReturn,
    /// No such coprocessor, or the floating-point unit is off.
    NoCoprocessor,
    /// An access that must be aligned is not.
    Unaligned,
    /// Division by zero, where that is trapped.
    DivideByZero,
    /// Nothing answers at this address.
    Data(u32),
    /// No instruction can be fetched from here.
    Fetch,
    /// No instruction may be fetched from here.
    ExecuteNever,
    /// An exception's frame could not be written.
    Stacking,
    /// An exception's frame could not be read.
    Unstacking,
    /// A breakpoint instruction with its number; it goes to whoever runs the core.
    Breakpoint(u8),
}

/// Why the core cannot go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A breakpoint instruction with its number. The core stands on it.
    Breakpoint(u8),
    /// A fault in a handler that no handler can take (B1.5.15); the chip resets.
    Lockup(Fault),
}

/// What a sleeping core waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// WFI: an interrupt that would be taken were it not for PRIMASK.
    Interrupt,
    /// WFE: an event, or an exception.
    Event,
}

/// The last fault taken, for whoever looks for its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRecord {
    /// What it was.
    pub fault: Fault,
    /// The instruction that could not complete.
    pub pc: u32,
    /// The link register at that time: the caller, mostly.
    pub lr: u32,
}

/// Condition flags, saturation and lane flags (B1.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Status {
    n: bool,
    z: bool,
    c: bool,
    v: bool,
    q: bool,
    ge: u8,
}

/// The registers and what controls exceptions.
#[derive(Clone, Debug)]
pub struct Core {
    r: [u32; 16],
    /// Of the instruction being executed.
    pc: u32,
    /// Of the one after it.
    next: u32,
    /// The stack pointer that is not in `r`.
    banked_sp: u32,
    status: Status,
    /// ITSTATE.
    it: u8,
    /// ITSTATE after the instruction being executed, if it stands in an IT block.
    next_it: u8,
    /// The T bit: clear means that the next instruction faults.
    thumb: bool,
    s: [u32; 32],
    fpscr: u32,
    control: u8,
    primask: bool,
    faultmask: bool,
    basepri: u8,
    /// The monitor of LDREX and STREX is armed.
    exclusive: bool,
    event: bool,
    sleep: Option<Sleep>,
    exceptions: Exceptions,
    systick: SysTick,
    scb: private_bus::ControlBlock,
    reset_requested: bool,
    instructions: u64,
    last_fault: Option<FaultRecord>,
    defect: Option<Defect>,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            r: [0; 16],
            pc: 0,
            next: 0,
            banked_sp: 0,
            status: Status::default(),
            it: 0,
            next_it: 0,
            thumb: true,
            s: [0; 32],
            fpscr: 0,
            control: 0,
            primask: false,
            faultmask: false,
            basepri: 0,
            exclusive: false,
            event: false,
            sleep: None,
            exceptions: Exceptions::default(),
            systick: SysTick::default(),
            scb: private_bus::ControlBlock::default(),
            reset_requested: false,
            instructions: 0,
            last_fault: None,
            defect: None,
        }
    }
}

impl Core {
    /// Resets the core, which then starts at the vector table's second word with its first as the stack (B1.5.5). The
    /// count of instructions goes on.
    ///
    /// # Errors
    ///
    /// [`BusError`] if there is no vector table at address 0.
    pub fn reset(&mut self, bus: &mut impl Bus) -> Result<(), BusError> {
        let kept = (self.instructions, self.defect);
        *self = Self::default();
        (self.instructions, self.defect) = kept;
        self.r[13] = bus.read32(0)? & !3;
        let start = bus.read32(4)?;
        self.r[14] = u32::MAX;
        self.pc = start & !1;
        self.thumb = start & 1 != 0;
        self.exceptions.attention = true;
        Ok(())
    }

    /// Executes one instruction. Faults are taken as exceptions; the next instruction is then their handler's first.
    ///
    /// # Errors
    ///
    /// A [`Halt`] when the core cannot go on by itself.
    pub fn step(&mut self, bus: &mut impl Bus) -> Result<(), Halt> {
        // All of them count as code that may not be executed (B3.1): peripherals, devices and the private bus.
        if self.pc >= 0x4000_0000 {
            return self.take_fault(bus, self.bad_fetch());
        }
        match bus.fetch(self.pc) {
            Ok(decoded) => self.step_decoded(bus, &decoded),
            Err(BusError) => self.take_fault(bus, Fault::Fetch),
        }
    }

    /// [`Core::step`], if the instruction at [`Core::pc`] is at hand.
    #[inline]
    pub(crate) fn step_decoded(&mut self, bus: &mut impl Bus, decoded: &Decoded) -> Result<(), Halt> {
        self.instructions += 1;
        match self.execute_decoded(bus, &decoded.0) {
            Ok(()) => {
                self.pc = self.next;
                Ok(())
            }
            Err(Fault::Breakpoint(number)) => Err(Halt::Breakpoint(number)),
            Err(fault) => self.take_fault(bus, fault),
        }
    }

    #[inline]
    fn execute_decoded(&mut self, bus: &mut impl Bus, instruction: &Instruction) -> Result<(), Fault> {
        self.r[15] = self.pc.wrapping_add(4);
        self.next = self.pc.wrapping_add(u32::from(instruction.len));
        if self.it == 0 {
            return self.execute(bus, &instruction.op);
        }
        self.next_it = self.advanced(self.it);
        if self.condition(self.it >> 4) {
            self.execute(bus, &instruction.op)?;
        }
        self.it = self.next_it;
        Ok(())
    }

    /// Code space ends at 0x4000_0000; external RAM (0x6000_0000) could hold code but does not exist.
    fn bad_fetch(&self) -> Fault {
        if (0x6000_0000..0xA000_0000).contains(&self.pc) { Fault::Fetch } else { Fault::ExecuteNever }
    }

    /// `ITAdvance` (A7.3.3).
    fn advanced(&self, it: u8) -> u8 {
        let width = if self.defect == Some(Defect::ItAdvance) { 0x0F } else { 0x1F };
        if it & 7 == 0 { 0 } else { it & 0xE0 | it << 1 & width }
    }

    /// `ConditionPassed` (A7.3.1).
    #[inline]
    fn condition(&self, condition: u8) -> bool {
        let Status { n, z, c, v, .. } = self.status;
        let holds = match condition >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => n == v && !z,
            _ => return true,
        };
        holds ^ (condition & 1 != 0)
    }

    /// The address of the next instruction.
    #[inline]
    #[must_use]
    pub const fn pc(&self) -> u32 {
        self.pc
    }

    /// Instructions executed since the core was made.
    #[must_use]
    pub const fn instructions(&self) -> u64 {
        self.instructions
    }

    /// What the core waits for, if it sleeps.
    #[must_use]
    pub const fn sleep(&self) -> Option<Sleep> {
        self.sleep
    }

    /// The fault taken last since reset; not one that locked the core up while it handled this one.
    #[must_use]
    pub const fn last_fault(&self) -> Option<FaultRecord> {
        self.last_fault
    }

    /// The configurable fault status register (CFSR), which accumulates.
    #[must_use]
    pub const fn fault_status(&self) -> u32 {
        self.scb.cfsr
    }

    /// Whether firmware asked for a reset (AIRCR.SYSRESETREQ).
    #[must_use]
    pub const fn reset_requested(&self) -> bool {
        self.reset_requested
    }

    /// Plants a bug, or removes it.
    pub const fn plant(&mut self, defect: Option<Defect>) {
        self.defect = defect;
    }
}
