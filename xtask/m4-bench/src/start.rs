//! From reset to the task, and every way to end.

use core::arch::global_asm;
use core::hint::black_box;
use core::panic::PanicInfo;

use crate::{Inputs, Report, host};

// Armv7-M, B1.5.2 and B1.5.3: the table begins with the stack pointer; the handlers follow in the order of exception
// numbers. The board has no other interrupts switched on.
global_asm!(
    ".section .vectors, \"a\"",
    ".word stack_top",
    ".word reset",
    ".rept 13",
    ".word fault",
    ".endr",
    ".word too_long",
    ".section .text.reset, \"ax\"",
    ".global reset",
    ".thumb_func",
    "reset:",
    // B3.2.20: full access to the floating-point unit, which the target's calling convention takes for granted.
    "ldr r0, =0xE000ED88",
    "ldr r1, [r0]",
    "orr r1, r1, #0xF00000",
    "str r1, [r0]",
    "dsb",
    "isb",
    "bl start",
    ".pool",
);

unsafe extern "Rust" {
    /// The program's own part, from [`program!`](crate::program).
    safe fn task(inputs: Inputs) -> Report;
}

// SAFETY: the name is not used by anything else.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    // SAFETY: this is the only place that takes the inputs, and it runs once after a reset.
    let inputs = unsafe { Inputs::take() };
    use_memory_routines();
    task(inputs).print();
    host::exit()
}

/// Links the compiler's routines that copy, fill and compare memory into every program: a firmware has them anyway, so
/// they are nothing that a reader or an algorithm adds.
fn use_memory_routines() {
    let (mut some, other) = (black_box([1; 8]), black_box([2; 8]));
    let len = black_box(8).min(some.len());
    some[..len].fill(black_box(0));
    black_box(some[..len] == other[..len]);
    some[..len].copy_from_slice(&other[..len]);
    black_box((some, [0u32; 64]));
}

// SAFETY: the name is not used by anything else.
#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    fail("the processor took a fault")
}

// SAFETY: the name is not used by anything else.
#[unsafe(no_mangle)]
extern "C" fn too_long() -> ! {
    fail("one call took more instructions than the counter counts")
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail("the program panicked")
}

/// Ends the program with a sentence instead of a report.
pub(crate) fn fail(why: &str) -> ! {
    host::print("failed: ");
    host::print(why);
    host::print("\n");
    host::exit()
}
