//! The line to the machine that emulates this one: semihosting ("Semihosting for AArch32 and AArch64", Arm, 2.0).

use core::arch::asm;
use core::hint::spin_loop;
use core::ptr::from_ref;

/// Write one character.
const SYS_WRITEC: usize = 0x03;
/// End the program.
const SYS_EXIT: usize = 0x18;
/// The reason to give for an orderly end.
const APPLICATION_EXIT: usize = 0x20026;

/// Prints text.
pub(crate) fn print(text: &str) {
    text.bytes().for_each(character);
}

/// Prints a decimal number.
pub(crate) fn print_number(number: u32) {
    if number >= 10 {
        print_number(number / 10);
    }
    print(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"].get((number % 10) as usize).unwrap_or(&"?"));
}

/// Ends the emulation.
pub(crate) fn exit() -> ! {
    call(SYS_EXIT, APPLICATION_EXIT);
    loop {
        spin_loop();
    }
}

fn character(byte: u8) {
    call(SYS_WRITEC, from_ref(&byte).addr());
}

fn call(operation: usize, argument: usize) {
    // SAFETY: the host answers the breakpoint and resumes behind it; it changes r0 and reads at most the byte that
    // `argument` points to.
    unsafe { asm!("bkpt #0xAB", inout("r0") operation => _, in("r1") argument) };
}
