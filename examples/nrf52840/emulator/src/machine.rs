//! The chip with its core, running in virtual time.

use crate::chip::{Chip, Flash, HZ, Misuse, PAGE, ResetCause, TwiDevice, Unmodelled};
use crate::core::{Bus as _, BusError, Core, Decoded, Fault, FaultRecord, Halt};
use crate::coverage::Coverage;
use crate::elf::Program;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time is up.
    Deadline,
    /// The core sleeps, and nothing will ever wake it.
    Idle,
    /// The chip was reset, and would go on from the vector table.
    Reset(ResetCause),
    /// A flash fault took the power away. [`Machine::power_on`] brings it back.
    PowerLost,
    /// Firmware switched the chip off. [`Machine::reset`] with the pin wakes it.
    SystemOff,
    /// The core stands on a breakpoint instruction.
    Breakpoint(u8),
    /// Firmware did what it must not.
    Misuse(Misuse),
}

/// An nRF52840. Cloning it takes a snapshot, which shares flash pages until one of the two writes them.
///
/// ```
/// use emulator::{Machine, Stop};
///
/// let mut machine = Machine::new();
/// // A stack, a start, and there: `movs r0, #5`, `bkpt #1`.
/// machine.flash().load(0, &[0, 0, 4, 0x20, 9, 0, 0, 0, 5, 0x20, 1, 0xBE])?;
/// machine.power_on();
/// assert_eq!(machine.run(1000), Stop::Breakpoint(1));
/// assert_eq!(machine.core().register(emulator::Register::R(0)), 5);
/// # Ok::<(), emulator::BusError>(())
/// ```
#[derive(Clone, Default)]
pub struct Machine {
    core: Core,
    chip: Chip,
    coverage: Option<Coverage>,
    /// No valid vector table at the last reset: nothing runs.
    dead: bool,
    /// Kept over resets, which the core's own record does not survive.
    last_fault: Option<FaultRecord>,
    resets: u64,
}

impl Machine {
    /// A chip without power, all of its flash erased.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a program's segments into flash, as a debugger would.
    ///
    /// # Errors
    ///
    /// [`BusError`] if one does not lie in flash.
    pub fn load(&mut self, program: &Program) -> Result<(), BusError> {
        program.segments().iter().try_for_each(|(address, bytes)| self.chip.flash().load(*address, bytes))
    }

    /// Switches the power on: RAM holds no sense, RESETREAS nothing.
    pub fn power_on(&mut self) {
        self.reset(ResetCause::PowerOn);
    }

    /// Resets the chip from outside.
    pub fn reset(&mut self, cause: ResetCause) {
        self.last_fault = self.core.last_fault().or(self.last_fault);
        self.chip.reset(cause);
        self.dead = self.core.reset(&mut self.chip).is_err();
        self.resets += 1;
    }

    /// Runs for `cycles` of virtual time, or until something ends it. Calling it again goes on from there.
    pub fn run(&mut self, cycles: u64) -> Stop {
        let end = self.chip.time().saturating_add(cycles);
        if self.dead {
            return Stop::Idle;
        }
        loop {
            if let Some(stop) = self.attend(end) {
                return stop;
            }
            match self.steps() {
                Ok(()) => {}
                Err(Halt::Breakpoint(number)) => return Stop::Breakpoint(number),
                Err(Halt::Lockup(_)) => return self.reset_by(ResetCause::Lockup),
            }
        }
    }

    /// [`Machine::run`], in milliseconds of virtual time.
    pub fn run_millis(&mut self, millis: u64) -> Stop {
        self.run(millis * (HZ / 1000))
    }

    /// Runs until UARTE `index` has sent `text`, which is then taken from its output with all before it. The reason why not,
    /// if it does not within `cycles`. Resets do not end it.
    ///
    /// # Errors
    ///
    /// What ended the run instead.
    pub fn run_until_sent(&mut self, index: usize, text: &[u8], cycles: u64) -> Result<Vec<u8>, Stop> {
        /// How often the output is looked at: a byte at a megabaud takes 640.
        const SLICE: u64 = 20_000;
        let end = self.chip.time().saturating_add(cycles);
        loop {
            if let Some(output) = self.chip.uarte(index).map(crate::chip::Uarte::output)
                && let Some(at) = output.windows(text.len().max(1)).position(|window| window == text)
            {
                return Ok(output.drain(..at + text.len()).collect());
            }
            let left = end.saturating_sub(self.chip.time());
            match self.run(SLICE.min(left)) {
                Stop::Deadline if left > 0 => {}
                Stop::Reset(_) => {}
                stop => return Err(stop),
            }
        }
    }

    /// Instructions until something has to be looked at, page by page.
    fn steps(&mut self) -> Result<(), Halt> {
        while self.goes_on() {
            let page = self.core.pc() / PAGE;
            match self.chip.code(self.core.pc()) {
                Some(code) => self.steps_in(page, &code)?,
                None => self.step()?,
            }
        }
        Ok(())
    }

    /// Instructions of one page. What changes flash, or forbids executing it, asks to be looked at.
    fn steps_in(&mut self, page: u32, code: &[Decoded]) -> Result<(), Halt> {
        while self.goes_on() && self.core.pc() / PAGE == page {
            let pc = self.core.pc();
            if let Some(coverage) = &mut self.coverage {
                coverage.note(pc);
            }
            match code.get((pc % PAGE / 2) as usize) {
                Some(decoded) => self.core.step_decoded(&mut self.chip, decoded)?,
                None => self.core.step(&mut self.chip)?,
            }
            self.chip.count_cycle();
        }
        Ok(())
    }

    /// One instruction, from wherever it comes.
    fn step(&mut self) -> Result<(), Halt> {
        self.core.step(&mut self.chip)?;
        self.chip.count_cycle();
        Ok(())
    }

    #[inline]
    fn goes_on(&self) -> bool {
        self.chip.time() < self.chip.wake() && !self.core.needs_attention()
    }

    /// Everything but instructions: peripherals, interrupts, sleep, and what ends a run.
    fn attend(&mut self, end: u64) -> Option<Stop> {
        loop {
            if let Some(stop) = self.ended() {
                return Some(stop);
            }
            self.chip.advance();
            self.core.tick(self.chip.time());
            self.core.set_interrupt_lines(self.chip.lines());
            if self.core.needs_attention() && self.core.service(&mut self.chip).is_err() {
                return Some(self.reset_by(ResetCause::Lockup));
            }
            let next = [self.chip.due(), self.core.next_tick()].into_iter().flatten().min();
            if let Some(stop) = self.ended() {
                return Some(stop);
            }
            let now = self.chip.time();
            if now >= end {
                return Some(Stop::Deadline);
            }
            if self.core.sleep().is_none() {
                self.chip.set_wake(next.unwrap_or(u64::MAX).min(end));
                return None;
            }
            match next {
                None => return Some(Stop::Idle),
                Some(next) => self.chip.sleep_until(next.clamp(now, end)),
            }
        }
    }

    fn ended(&mut self) -> Option<Stop> {
        let ending = self.chip.take_ending();
        if ending.power_lost {
            self.dead = true;
            return Some(Stop::PowerLost);
        }
        if let Some(misuse) = ending.misuse {
            return Some(Stop::Misuse(misuse));
        }
        if self.chip.is_off() {
            self.dead = true;
            return Some(Stop::SystemOff);
        }
        let requested = self.core.reset_requested().then_some(ResetCause::Soft);
        ending.reset.or(requested).map(|cause| self.reset_by(cause))
    }

    fn reset_by(&mut self, cause: ResetCause) -> Stop {
        self.reset(cause);
        Stop::Reset(cause)
    }

    /// The core.
    #[must_use]
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The core, to change it.
    pub const fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Cycles since power first came on; [`HZ`] of them are a second.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.chip.time()
    }

    /// Resets so far, power-on included.
    #[must_use]
    pub const fn resets(&self) -> u64 {
        self.resets
    }

    /// The fault taken last, by the core as it is or before its resets.
    #[must_use]
    pub fn last_fault(&self) -> Option<FaultRecord> {
        self.core.last_fault().or(self.last_fault)
    }

    /// Flash and UICR.
    pub const fn flash(&mut self) -> &mut Flash {
        self.chip.flash()
    }

    /// Bytes of RAM.
    pub fn ram(&mut self, address: u32, len: u32) -> Option<&mut [u8]> {
        self.chip.ram_bytes(address, len)
    }

    /// A word as the core would read it, side effects included.
    ///
    /// # Errors
    ///
    /// [`BusError`] where nothing answers.
    pub fn read_word(&mut self, address: u32) -> Result<u32, BusError> {
        self.chip.read32(address)
    }

    /// Sends bytes to UARTE `index`, which arrive one by one at its baud rate.
    pub fn send(&mut self, index: usize, bytes: &[u8]) {
        let now = self.chip.time();
        if let Some(uarte) = self.chip.uarte(index) {
            uarte.feed(bytes, now);
        }
    }

    /// What UARTE `index` has sent since this was called last.
    pub fn sent(&mut self, index: usize) -> Vec<u8> {
        self.chip.uarte(index).map(|uarte| std::mem::take(uarte.output())).unwrap_or_default()
    }

    /// Bytes for UARTE `index` still under way, and those that arrived and nobody took.
    pub fn line(&mut self, index: usize) -> (usize, u64) {
        self.chip.uarte(index).map_or((0, 0), |uarte| (uarte.waiting(), uarte.lost()))
    }

    /// Makes every byte of UARTE `index` take this many cycles, whatever the baud rate: for long downloads in short time.
    pub fn set_byte_time(&mut self, index: usize, cycles: Option<u64>) {
        if let Some(uarte) = self.chip.uarte(index) {
            uarte.set_pace(cycles);
        }
    }

    /// The devices on the bus of TWIM `index`.
    pub fn twi_devices(&mut self, index: usize) -> Option<&mut Vec<TwiDevice>> {
        self.chip.twi_devices(index)
    }

    /// Drives a pin, or lets it go. Pins of port 1 count from 32.
    pub fn drive_pin(&mut self, pin: u8, level: Option<bool>) {
        if let Some(port) = self.chip.pin(usize::from(pin / 32)) {
            port.drive(pin % 32, level);
        }
    }

    /// The level a pin is driven to by the chip; nothing if it is not an output.
    #[must_use]
    pub fn pin(&mut self, pin: u8) -> Option<bool> {
        self.chip.pin(usize::from(pin / 32)).and_then(|port| port.output(pin % 32))
    }

    /// Chooses the bytes that the random number generator will give.
    pub const fn seed(&mut self, seed: u64) {
        self.chip.random().seed(seed);
    }

    /// The registers touched that nothing answers for.
    #[must_use]
    pub const fn unmodelled(&self) -> &Unmodelled {
        self.chip.unmodelled()
    }

    /// Whether the watchdog runs.
    #[must_use]
    pub const fn watchdog_runs(&self) -> bool {
        self.chip.watchdog_runs()
    }

    /// Whether any page of flash is locked by ACL against writing.
    #[must_use]
    pub fn flash_is_protected(&self) -> bool {
        self.chip.flash_is_protected()
    }

    /// Starts to note which instructions are executed, which costs some speed.
    pub fn cover(&mut self) {
        self.coverage.get_or_insert_default();
    }

    /// The instructions executed since [`Machine::cover`].
    #[must_use]
    pub const fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }
}

/// A fault with the function around it.
#[must_use]
pub fn describe_fault(record: FaultRecord, program: &Program) -> String {
    let FaultRecord { fault, pc, lr } = record;
    let what = match fault {
        Fault::Data(address) => format!("no access to {address:#010x}"),
        other => format!("{other:?}"),
    };
    format!("{what} at {pc:#010x} in {}, called from {}", program.place(pc), program.place(lr & !1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::elf;

    #[test]
    fn a_program_runs_is_covered_and_its_faults_are_named() {
        let program = Program::read(&elf()).unwrap();
        let mut machine = Machine::new();
        // The program's two instructions do nothing; after them: udf #0. Its vector is not there: a lockup.
        machine.flash().load(0, &[0, 0, 4, 0x20, 1, 0x80]).unwrap();
        machine.flash().load(6, &[0, 0]).unwrap();
        machine.flash().load(0x8004, &[0, 0xDE]).unwrap();
        machine.load(&program).unwrap();
        machine.cover();
        machine.power_on();
        assert_eq!(machine.run(100), Stop::Reset(ResetCause::Lockup));
        let coverage = machine.coverage().unwrap();
        assert_eq!(coverage.missed(&program).count(), 0);
        assert!(coverage.contains(0x8004) && !coverage.contains(0x8006));
        let fault = machine.last_fault().unwrap();
        assert_eq!(
            describe_fault(fault, &program),
            "Undefined at 0x00008004 in 0x00008004, called from 0xfffffffe"
        );
        let record = FaultRecord { fault: Fault::Data(0x9000_0000), pc: 0x8000, lr: 0x8003 };
        let expected = "no access to 0x90000000 at 0x00008000 in main+0x0, called from idle+0x0";
        assert_eq!(describe_fault(record, &program), expected);
    }
}
