//! The floating-point extension FPv4-SP (A6.4 to A6.7): single precision, and the moves of pairs and doubles.

use super::super::op::{Arithmetic, Convert, Float, Index, Op, Single, Unary};
use super::{bit, bits, reg, special};

/// Everything that addresses a coprocessor: 10 and 11 are the floating-point unit, others do not exist.
pub(super) fn decode(h: u32, g: u32) -> Op {
    // Vectors of the larger cores: undefined here, whatever coprocessor their bits would name (A5.3.18).
    if h >> 8 & 3 == 3 {
        return Op::Undefined;
    }
    if g >> 9 & 7 != 5 {
        return Op::NoCoprocessor;
    }
    let known = if bit(h, 12) {
        None
    } else if !bit(h, 9) {
        transfer_memory(h, g)
    } else if bit(g, 4) {
        transfer_core(h, g)
    } else if bit(g, 8) {
        // Double precision, which this unit does not have.
        None
    } else {
        processing(h, g)
    };
    known.map_or(Op::Undefined, Op::Float)
}

/// A register's five bits: four together and the lowest apart.
fn single(value: u32, at: u32, lowest: bool) -> Single {
    bits(value, at, 4) << 1 | u8::from(lowest)
}

/// A double register as the first of its two singles; there are sixteen.
fn double(value: u32, at: u32, highest: bool) -> Option<Single> {
    (!highest).then(|| bits(value, at, 4) << 1)
}

/// VLDR, VSTR, VLDM, VSTM, VPUSH, VPOP, and VMOV of two registers.
fn transfer_memory(h: u32, g: u32) -> Option<Float> {
    let (before, up, writeback, load) = (bit(h, 8), bit(h, 7), bit(h, 5), bit(h, 4));
    let is_double = bit(g, 8);
    if !before && !up && !writeback {
        return pair(h, g);
    }
    let n = reg(h, 0);
    let first = if is_double { double(g, 12, bit(h, 6))? } else { single(g, 12, bit(h, 6)) };
    let magnitude = (g & 0xFF) * 4;
    let count = if before && !writeback { 1 << u8::from(is_double) } else { bits(g, 0, 8) };
    let many = !before || writeback;
    if many && (is_double && (count & 1 != 0 || count > 32) || n == 15 && (writeback || !load)) {
        return None;
    }
    if count == 0 || u32::from(first) + u32::from(count) > 32 {
        return None;
    }
    let (index, offset) = match (before, up, writeback) {
        (true, true, false) => (Index::Offset, magnitude),
        (true, false, false) => (Index::Offset, magnitude.wrapping_neg()),
        (false, true, false) => (Index::Offset, 0),
        (false, true, true) => (Index::After, magnitude),
        (true, false, true) => (Index::Before, magnitude.wrapping_neg()),
        _ => return None,
    };
    Some(if load {
        Float::Load { first, count, n, index, offset }
    } else {
        Float::Store { first, count, n, index, offset }
    })
}

/// VMOV between two core registers and two singles or a double.
fn pair(h: u32, g: u32) -> Option<Float> {
    if !bit(h, 6) || g >> 6 & 3 != 0 || !bit(g, 4) {
        return None;
    }
    let (t, t2) = (reg(g, 12), reg(h, 0));
    let s = if bit(g, 8) { double(g, 0, bit(g, 5))? } else { single(g, 0, bit(g, 5)) };
    let load = bit(h, 4);
    if special(t) || special(t2) || s == 31 || (load && t == t2) {
        return None;
    }
    Some(if load { Float::PairToCore { t, t2, s } } else { Float::PairFromCore { t, t2, s } })
}

/// VMOV of one register, VMRS and VMSR.
fn transfer_core(h: u32, g: u32) -> Option<Float> {
    let (t, load) = (reg(g, 12), bit(h, 4));
    let s = match (h >> 5 & 7, bit(g, 8)) {
        (0, false) => single(h, 0, bit(g, 7)),
        // A half of a double.
        (half @ (0 | 1), true) if g >> 5 & 3 == 0 => double(h, 0, bit(g, 7))? + bits(half, 0, 1),
        (7, false) if reg(h, 0) == 1 && load && t != 13 => return Some(Float::ReadStatus { t }),
        (7, false) if reg(h, 0) == 1 && !load && !special(t) => return Some(Float::WriteStatus { t }),
        _ => return None,
    };
    match (special(t), load) {
        (true, _) => None,
        (_, true) => Some(Float::ToCore { t, s }),
        (_, false) => Some(Float::FromCore { t, s }),
    }
}

fn processing(h: u32, g: u32) -> Option<Float> {
    let d = single(g, 12, bit(h, 6));
    let (n, m) = (single(h, 0, bit(g, 7)), single(g, 0, bit(g, 5)));
    let second = bit(g, 6);
    let op = match h >> 4 & 0xB {
        0 => Arithmetic::MulAdd { negate_d: false, negate_product: second },
        1 => Arithmetic::MulAdd { negate_d: true, negate_product: second },
        2 if second => Arithmetic::NegMul,
        2 => Arithmetic::Mul,
        3 if second => Arithmetic::Sub,
        3 => Arithmetic::Add,
        8 if !second => Arithmetic::Div,
        9 => Arithmetic::Fused { negate_d: true, negate_product: second },
        10 => Arithmetic::Fused { negate_d: false, negate_product: second },
        11 if second => return other(h, g, d, m),
        11 if g & 0xA0 == 0 => return Some(Float::Immediate { d, value: immediate(h, g) }),
        _ => return None,
    };
    Some(Float::Arithmetic { op, d, n, m })
}

/// `VFPExpandImm` (A6.4.1).
fn immediate(h: u32, g: u32) -> u32 {
    let imm = (h & 15) << 4 | g & 15;
    let exponent = if bit(imm, 6) { 0x1F } else { 0x20 };
    (imm >> 7) << 31 | exponent << 25 | (imm & 0x3F) << 19
}

/// Those with one operand.
fn other(h: u32, g: u32, d: Single, m: Single) -> Option<Float> {
    let high = bit(g, 7);
    let unary = |op| Some(Float::Unary { op, d, m });
    let convert = |op| Some(Float::Convert { op, d, m });
    // A number with a fixed point stands in its own destination.
    let fixed = |op| Some(Float::Convert { op, d, m: d });
    match (h & 15, high) {
        (0, false) => unary(Unary::Move),
        (0, true) => unary(Unary::Abs),
        (1, false) => unary(Unary::Neg),
        (1, true) => unary(Unary::Sqrt),
        (2, top) => convert(Convert::FromHalf { top }),
        (3, top) => convert(Convert::ToHalf { top }),
        (4, signal) => Some(Float::Compare { d, m: Some(m), signal }),
        (5, signal) if g & 0x2F == 0 => Some(Float::Compare { d, m: None, signal }),
        (8, signed) => convert(Convert::FromInteger { signed }),
        (12 | 13, to_zero) => convert(Convert::ToInteger { signed: bit(h, 0), to_zero }),
        (10 | 11, wide) => {
            fixed(Convert::FromFixed { signed: !bit(h, 0), half: !wide, fraction: fraction(g, wide)? })
        }
        (14 | 15, wide) => {
            fixed(Convert::ToFixed { signed: !bit(h, 0), half: !wide, fraction: fraction(g, wide)? })
        }
        _ => None,
    }
}

/// Bits behind the point.
fn fraction(g: u32, wide: bool) -> Option<u8> {
    let size = if wide { 32_u8 } else { 16 };
    size.checked_sub(bits(g, 0, 4) << 1 | bits(g, 5, 1))
}
