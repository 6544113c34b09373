//! Multiplication and division (A5.3.16, A5.3.17).

use super::super::op::{Flags, Multiply, Op};
use super::{bit, reg, special};

/// 32-bit results.
pub(super) fn short(h: u32, g: u32) -> Op {
    let (n, a, d, m) = (reg(h, 0), reg(g, 12), reg(g, 8), reg(g, 0));
    if special(n) || special(d) || special(m) || a == 13 {
        return Op::Undefined;
    }
    let (form, first, second) = (g >> 4 & 15, bit(g, 5), bit(g, 4));
    Op::Multiply(match (h >> 4 & 7, form) {
        (0, 0) => Multiply::Word { flags: Flags::Never, d, n, m, a },
        (0, 1) if a != 15 => Multiply::WordSubtract { d, n, m, a },
        (1, 0..4) => Multiply::Halves { d, n, m, a, n_top: first, m_top: second },
        (2, 0 | 1) => Multiply::Dual { d, n, m, a, swap: second, subtract: false },
        (3, 0 | 1) => Multiply::WordByHalf { d, n, m, a, m_top: second },
        (4, 0 | 1) => Multiply::Dual { d, n, m, a, swap: second, subtract: true },
        (5, 0 | 1) => Multiply::MostSignificant { d, n, m, a, round: second, subtract: false },
        (6, 0 | 1) if a != 15 => Multiply::MostSignificant { d, n, m, a, round: second, subtract: true },
        (7, 0) => Multiply::Differences { d, n, m, a },
        _ => return Op::Undefined,
    })
}

/// 64-bit results, and division.
pub(super) fn long(h: u32, g: u32) -> Op {
    let (n, low, high, m) = (reg(h, 0), reg(g, 12), reg(g, 8), reg(g, 0));
    let (kind, form, first, second) = (h >> 4 & 7, g >> 4 & 15, bit(g, 5), bit(g, 4));
    if special(n) || special(high) || special(m) {
        return Op::Undefined;
    }
    if let (1 | 3, 15) = (kind, form) {
        let known = low == 15;
        return if known {
            Op::Multiply(Multiply::Divide { d: high, n, m, signed: kind == 1 })
        } else {
            Op::Undefined
        };
    }
    if special(low) || low == high {
        return Op::Undefined;
    }
    Op::Multiply(match (kind, form) {
        (0 | 2, 0) => Multiply::Long { low, high, n, m, signed: kind == 0, accumulate: false },
        (4 | 6, 0) => Multiply::Long { low, high, n, m, signed: kind == 4, accumulate: true },
        (4, 8..12) => Multiply::LongHalves { low, high, n, m, n_top: first, m_top: second },
        (4 | 5, 12 | 13) => Multiply::LongDual { low, high, n, m, swap: second, subtract: kind == 5 },
        (6, 6) => Multiply::LongAddBoth { low, high, n, m },
        _ => return Op::Undefined,
    })
}
