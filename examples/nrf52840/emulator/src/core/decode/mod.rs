//! From halfwords to [`Op`], as chapter A5 of the ARMv7-M Architecture Reference Manual tells.
//!
//! What the manual calls UNPREDICTABLE becomes [`Op::Undefined`] where it is cheap to tell: firmware that relies on it is
//! wrong, and a fault says so.

mod branch;
mod data;
mod float;
mod media;
mod memory;
mod multiply;
mod narrow;

use super::op::{Instruction, Op, Reg, Shift, ShiftKind};

/// Decodes the instruction that starts with `first`; `second` only matters if it is a 32-bit one.
pub(crate) fn decode(first: u16, second: u16) -> Instruction {
    if is_wide(first) {
        Instruction { op: wide(u32::from(first), u32::from(second)), len: 4 }
    } else {
        Instruction { op: narrow::decode(u32::from(first)), len: 2 }
    }
}

/// Whether `first` opens a 32-bit instruction (A5.1).
pub(crate) fn is_wide(first: u16) -> bool {
    first >= 0xE800
}

/// 32-bit encodings (A5.3): `h` the first halfword, `g` the second.
fn wide(h: u32, g: u32) -> Op {
    let op2 = h >> 4 & 0x7F;
    match (h >> 11 & 3, op2) {
        (1 | 3, 0x40..) => float::decode(h, g),
        (1, 0x20..) => data::shifted_register(h, g),
        (1, _) if op2 & 4 == 0 => memory::many(h, g),
        (1, _) => memory::dual_or_exclusive(h, g),
        (2, _) if g >> 15 != 0 => branch::decode(h, g),
        (2, _) if op2 & 0x20 == 0 => data::modified_immediate(h, g),
        (2, _) => data::plain_immediate(h, g),
        (_, ..0x20) => memory::single(h, g),
        (_, 0x20..0x30) => media::decode(h, g),
        (_, 0x30..0x38) => multiply::short(h, g),
        _ => multiply::long(h, g),
    }
}

/// `count` bits of `value` from bit `at`: at most eight, and always a small number.
fn bits(value: u32, at: u32, count: u32) -> u8 {
    (value >> at & ((1 << count) - 1) & 0xFF) as u8
}

fn bit(value: u32, at: u32) -> bool {
    value >> at & 1 != 0
}

/// Sign-extends the low `width` bits.
fn signed(value: u32, width: u32) -> u32 {
    let unused = 32 - width;
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// A register's number at bit `at`.
fn reg(value: u32, at: u32) -> Reg {
    bits(value, at, 4)
}

/// The stack pointer or the program counter, which most 32-bit data instructions do not take.
fn special(register: Reg) -> bool {
    register == 13 || register == 15
}

/// `DecodeImmShift` (A7.4.2).
fn shift(kind: u32, amount: u32) -> Shift {
    let full = if amount == 0 { 32 } else { bits(amount, 0, 5) };
    match kind & 3 {
        0 => Shift { kind: ShiftKind::Lsl, amount: bits(amount, 0, 5) },
        1 => Shift { kind: ShiftKind::Lsr, amount: full },
        2 => Shift { kind: ShiftKind::Asr, amount: full },
        _ if amount == 0 => Shift { kind: ShiftKind::Rrx, amount: 1 },
        _ => Shift { kind: ShiftKind::Ror, amount: full },
    }
}

const NO_SHIFT: Shift = Shift { kind: ShiftKind::Lsl, amount: 0 };
