//! Data processing on registers: shifts, extension, parallel arithmetic, and the miscellaneous ones (A5.3.12 to A5.3.15).

use super::super::op::{Data, Excess, Extend, Flags, Lanes, Media, Op, Reg, Reverse, ShiftKind};
use super::{bit, bits, reg, special};

pub(super) fn decode(h: u32, g: u32) -> Op {
    let (n, d, m) = (reg(h, 0), reg(g, 8), reg(g, 0));
    if g >> 12 != 15 || special(d) || special(m) {
        return Op::Undefined;
    }
    match (h >> 4 & 15, g >> 4 & 15) {
        (_, 0) if !bit(h, 7) => shift_by(h, n, d, m),
        (kind @ 0..6, rotate @ 8..12) if n != 13 => extend(kind, bits(rotate, 0, 2) * 8, n, d, m),
        _ if special(n) => Op::Undefined,
        (lanes @ 8.., form @ 0..8) => parallel(lanes, form, n, d, m),
        (group @ 8..12, form @ 8..12) => miscellaneous(group & 3, form & 3, n, d, m),
        _ => Op::Undefined,
    }
}

fn shift_by(h: u32, n: Reg, d: Reg, m: Reg) -> Op {
    let kinds = [ShiftKind::Lsl, ShiftKind::Lsr, ShiftKind::Asr, ShiftKind::Ror];
    let kind = kinds[usize::from(bits(h, 5, 2))];
    let flags = if bit(h, 4) { Flags::Always } else { Flags::Never };
    if special(n) { Op::Undefined } else { Op::Data(Data::ShiftBy { kind, flags, d, n, m }) }
}

fn extend(kind: u32, rotate: u8, n: Reg, d: Reg, m: Reg) -> Op {
    let kind = match kind {
        0 => Extend::SignedHalf,
        1 => Extend::Half,
        2 => Extend::SignedBytes,
        3 => Extend::Bytes,
        4 => Extend::SignedByte,
        _ => Extend::Byte,
    };
    Op::Media(Media::Extend { kind, d, n, m, rotate })
}

fn parallel(lanes: u32, form: u32, n: Reg, d: Reg, m: Reg) -> Op {
    let lanes = match lanes & 7 {
        0 => Lanes::Add8,
        1 => Lanes::Add16,
        2 => Lanes::AddSubtract,
        4 => Lanes::Sub8,
        5 => Lanes::Sub16,
        6 => Lanes::SubtractAdd,
        _ => return Op::Undefined,
    };
    let excess = match form & 3 {
        0 => Excess::Wrap,
        1 => Excess::Saturate,
        2 => Excess::Halve,
        _ => return Op::Undefined,
    };
    Op::Media(Media::Parallel { lanes, excess, signed: form & 4 == 0, d, n, m })
}

/// Those with one operand name it twice.
fn miscellaneous(group: u32, form: u32, n: Reg, d: Reg, m: Reg) -> Op {
    let reverse = |kind| if n == m { Op::Media(Media::Reverse { kind, d, m }) } else { Op::Undefined };
    match (group, form) {
        (0, _) => Op::Media(Media::Saturating { subtract: form & 2 != 0, double: form & 1 != 0, d, n, m }),
        (1, 0) => reverse(Reverse::Bytes),
        (1, 1) => reverse(Reverse::BytesInHalves),
        (1, 2) => reverse(Reverse::Bits),
        (1, _) => reverse(Reverse::SignedHalf),
        (2, 0) => Op::Media(Media::Select { d, n, m }),
        (3, 0) if n == m => Op::Media(Media::LeadingZeros { d, m }),
        _ => Op::Undefined,
    }
}
