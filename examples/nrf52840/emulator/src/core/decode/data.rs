//! 32-bit data processing: modified and plain immediates, shifted registers (A5.3.1, A5.3.3, A5.3.11).

use super::super::op::{Alu, Carry, Data, Flags, Op, Reg, ShiftKind};
use super::{bit, bits, reg, shift, special};

/// The operation, with the destination that PC stands for "none", or the first operand that it does.
fn operation(code: u32, n: Reg, d: Reg, flags: Flags) -> Option<Alu> {
    let test = d == 15 && flags == Flags::Always;
    Some(match code {
        0 if test => Alu::Tst,
        0 => Alu::And,
        1 => Alu::Bic,
        2 if n == 15 => Alu::Mov,
        2 => Alu::Orr,
        3 if n == 15 => Alu::Mvn,
        3 => Alu::Orn,
        4 if test => Alu::Teq,
        4 => Alu::Eor,
        8 if test => Alu::Cmn,
        8 => Alu::Add,
        10 => Alu::Adc,
        11 => Alu::Sbc,
        13 if test => Alu::Cmp,
        13 => Alu::Sub,
        14 => Alu::Rsb,
        _ => return None,
    })
}

/// Which registers an operation takes: the stack pointer is for moves, and for additions to itself.
fn allowed(op: Alu, d: Reg, n: Reg) -> bool {
    let d_ok = match op {
        Alu::Tst | Alu::Teq | Alu::Cmn | Alu::Cmp => d == 15,
        Alu::Add | Alu::Sub => d != 15 && (d != 13 || n == 13),
        Alu::Mov => d != 15,
        _ => !special(d),
    };
    let n_ok = match op {
        Alu::Mov | Alu::Mvn => n == 15,
        Alu::Add | Alu::Sub | Alu::Cmp | Alu::Cmn => n != 15,
        _ => !special(n),
    };
    d_ok && n_ok
}

fn flags(h: u32) -> Flags {
    if bit(h, 4) { Flags::Always } else { Flags::Never }
}

/// `ThumbExpandImm_C` (A5.3.2).
fn expand(imm: u32) -> Option<(u32, Carry)> {
    let byte = imm & 0xFF;
    if imm >> 10 != 0 {
        let value = (0x80 | imm & 0x7F).rotate_right(imm >> 7);
        return Some((value, if value >> 31 != 0 { Carry::Set } else { Carry::Clear }));
    }
    let value = match imm >> 8 {
        0 => byte,
        _ if byte == 0 => return None,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        _ => byte * 0x0101_0101,
    };
    Some((value, Carry::Keep))
}

fn immediate12(h: u32, g: u32) -> u32 {
    (h >> 10 & 1) << 11 | (g >> 12 & 7) << 8 | g & 0xFF
}

pub(super) fn modified_immediate(h: u32, g: u32) -> Op {
    let (n, d, flags) = (reg(h, 0), reg(g, 8), flags(h));
    let op = operation(h >> 5 & 15, n, d, flags);
    match (op, expand(immediate12(h, g))) {
        (Some(op), Some((value, carry))) if allowed(op, d, n) && !(op == Alu::Mov && d == 13) => {
            Op::Data(Data::Immediate { op, flags, d, n, carry, value })
        }
        _ => Op::Undefined,
    }
}

pub(super) fn shifted_register(h: u32, g: u32) -> Op {
    let (n, d, m, flags) = (reg(h, 0), reg(g, 8), reg(g, 0), flags(h));
    let shift = shift(g >> 4, g >> 10 & 0x1C | g >> 6 & 3);
    if bit(g, 15) {
        return Op::Undefined;
    }
    if h >> 5 & 15 == 6 {
        let plain = !bit(h, 4) && !bit(g, 4) && !special(d) && !special(n) && !special(m);
        let top_first = shift.kind == ShiftKind::Asr;
        return if plain { Op::Data(Data::Pack { d, n, m, shift, top_first }) } else { Op::Undefined };
    }
    let m_ok = |op| m != 15 && (m != 13 || op == Alu::Mov && flags == Flags::Never && d != 13);
    match operation(h >> 5 & 15, n, d, flags) {
        Some(op) if allowed(op, d, n) && m_ok(op) => Op::Data(Data::Register { op, flags, d, n, m, shift }),
        _ => Op::Undefined,
    }
}

pub(super) fn plain_immediate(h: u32, g: u32) -> Op {
    let (n, d) = (reg(h, 0), reg(g, 8));
    let imm = immediate12(h, g);
    let long = (h & 15) << 12 | imm;
    let add = |op, value| {
        let sp_ok = d != 15 && (d != 13 || n == 13);
        if !sp_ok {
            return Op::Undefined;
        }
        Op::Data(Data::Immediate { op, flags: Flags::Never, d, n, carry: Carry::Keep, value })
    };
    match h >> 4 & 31 {
        0 if n == 15 && !special(d) => Op::Data(Data::Address { d, offset: imm }),
        10 if n == 15 && !special(d) => Op::Data(Data::Address { d, offset: imm.wrapping_neg() }),
        0 if n != 15 => add(Alu::Add, imm),
        10 if n != 15 => add(Alu::Sub, imm),
        _ if special(d) => Op::Undefined,
        4 => Op::Data(Data::Immediate {
            op: Alu::Mov,
            flags: Flags::Never,
            d,
            n,
            carry: Carry::Keep,
            value: long,
        }),
        12 => Op::Data(Data::MoveTop { d, value: (long & 0xFFFF) as u16 }),
        16..=30 => fields(h, g, n, d),
        _ => Op::Undefined,
    }
}

/// Saturation and bit fields.
fn fields(h: u32, g: u32, n: Reg, d: Reg) -> Op {
    let (lsb, last) = (bits(g, 12, 3) << 2 | bits(g, 6, 2), bits(g, 0, 5));
    let signed = !bit(h, 7);
    let known = match h >> 4 & 31 {
        16 | 24 => Data::Saturate {
            signed,
            d,
            n,
            bits: last + u8::from(signed),
            shift: shift(u32::from(bit(h, 5)) << 1, u32::from(lsb)),
        },
        18 | 26 if lsb == 0 => Data::SaturateHalves { signed, d, n, bits: bits(g, 0, 4) + u8::from(signed) },
        18 | 26 => {
            Data::Saturate { signed, d, n, bits: last + u8::from(signed), shift: shift(2, u32::from(lsb)) }
        }
        20 if lsb + last < 32 => Data::BitsSigned { d, n, lsb, width: last + 1 },
        28 if lsb + last < 32 => Data::BitsUnsigned { d, n, lsb, width: last + 1 },
        22 if last >= lsb => Data::BitsInsert { d, n, lsb, width: last + 1 - lsb },
        _ => return Op::Undefined,
    };
    let zeros = bit(h, 10) || bit(g, 5);
    let clear = matches!(known, Data::BitsInsert { n: 15, .. });
    if zeros || special(n) && !clear { Op::Undefined } else { Op::Data(known) }
}
