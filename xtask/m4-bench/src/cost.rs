//! Instructions and stack of one call.
//!
//! The emulator is told to take one nanosecond per instruction, and the board's system timer counts at 25 MHz: one count is
//! 40 instructions. The stack is painted before the call; the lowest word that lost its paint is how deep it got.

use core::arch::asm;
use core::hint::black_box;
use core::ptr::with_exposed_provenance_mut;

use crate::start::fail;

/// Instructions per count of the timer.
const COUNT: u32 = 40;
/// The timer's control, reload and current value (Armv7-M, B3.3.2).
const TIMER: [usize; 3] = [0xE000_E010, 0xE000_E014, 0xE000_E018];
/// Counts from the processor's clock, with an exception when it has counted to zero.
const RUN: u32 = 0b111;
/// The timer has 24 bits.
const MAX: u32 = 0xFF_FFFF;

/// The lowest painted address: `m4.ld` puts the top of the stack 1 MiB above the start of RAM.
const FLOOR: usize = 0x2010_0000 - 0x1_0000;
/// What no call leaves behind but by chance.
const PAINT: u32 = 0xC0DE_5EED;

/// What a call took.
pub(crate) struct Cost {
    /// Instructions, to within one count of the timer.
    pub(crate) instructions: u32,
    /// Stack below the caller, bytes.
    pub(crate) stack: u32,
}

/// Makes the call and says what it took.
#[inline(never)]
pub(crate) fn of<R>(call: impl FnOnce() -> R) -> (R, Cost) {
    let ((), idle) = counted(|| ());
    let top = paint();
    let (result, counts) = counted(call);
    let bottom = lowest_touched();
    if bottom == FLOOR {
        fail("one call took more stack than was painted");
    }
    let stack = u32::try_from(top - bottom).unwrap_or(u32::MAX);
    (result, Cost { instructions: counts.saturating_sub(idle) * COUNT, stack })
}

/// Starts the timer anew. A call that is still running when it reaches zero ends the program.
pub(crate) fn watch() {
    [0, MAX, 0]
        .into_iter()
        .zip([TIMER[0], TIMER[1], TIMER[2]])
        .for_each(|(value, register)| set(register, value));
    set(TIMER[0], RUN);
}

fn counted<R>(call: impl FnOnce() -> R) -> (R, u32) {
    watch();
    let before = now();
    let result = black_box(frame(call));
    let after = now();
    // It counts down.
    (result, before.wrapping_sub(after) & MAX)
}

/// A frame of its own: inlined, the call's variables would lie above the paint.
#[inline(never)]
fn frame<R>(call: impl FnOnce() -> R) -> R {
    call()
}

fn set(register: usize, value: u32) {
    // SAFETY: a register of the processor's timer, which no other code uses.
    unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
}

fn now() -> u32 {
    // SAFETY: as above.
    unsafe { with_exposed_provenance_mut::<u32>(TIMER[2]).read_volatile() }
}

/// Paints from the floor to the stack pointer, and returns that.
#[inline(always)]
fn paint() -> usize {
    let top: usize;
    // SAFETY: the words below the stack pointer belong to nobody, down to the end of RAM that only the stack uses.
    unsafe {
        asm!(
            "mov {top}, sp",
            "2:",
            "cmp {at}, {top}",
            "bhs 3f",
            "str {paint}, [{at}], #4",
            "b 2b",
            "3:",
            top = out(reg) top,
            at = inout(reg) FLOOR => _,
            paint = in(reg) PAINT,
        );
    }
    top
}

/// The lowest address that lost its paint.
#[inline(always)]
fn lowest_touched() -> usize {
    let mut at = FLOOR;
    // SAFETY: reads the words that were painted, in assembly, since to Rust they hold nothing. It ends at the frame of
    // the caller at the latest, which is not painted.
    unsafe {
        asm!(
            "2:",
            "ldr {word}, [{at}]",
            "cmp {word}, {paint}",
            "bne 3f",
            "adds {at}, #4",
            "b 2b",
            "3:",
            at = inout(reg) at,
            word = out(reg) _,
            paint = in(reg) PAINT,
        );
    }
    at
}
