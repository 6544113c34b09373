//! 32-bit branches and system instructions (A5.3.4).

use super::super::op::{Branch, Op, System};
use super::narrow::hint;
use super::{bits, reg, signed, special};

pub(super) fn decode(h: u32, g: u32) -> Op {
    match (g >> 14 & 1, g >> 12 & 1) {
        (0, 0) if h >> 7 & 7 == 7 => system(h, g),
        (0, 0) => conditional(h, g),
        (0, _) => Op::Branch(Branch::Jump { condition: 14, offset: far(h, g) }),
        (_, 1) => Op::Branch(Branch::Call { offset: far(h, g) }),
        _ => Op::Undefined,
    }
}

fn conditional(h: u32, g: u32) -> Op {
    let (s, j1, j2) = (h >> 10 & 1, g >> 13 & 1, g >> 11 & 1);
    let offset = s << 20 | j2 << 19 | j1 << 18 | (h & 0x3F) << 12 | (g & 0x7FF) << 1;
    Op::Branch(Branch::Jump { condition: bits(h, 6, 4), offset: signed(offset, 21) })
}

/// 16 MiB either way.
fn far(h: u32, g: u32) -> u32 {
    let (s, j1, j2) = (h >> 10 & 1, g >> 13 & 1, g >> 11 & 1);
    let (i1, i2) = (!(j1 ^ s) & 1, !(j2 ^ s) & 1);
    signed(s << 24 | i1 << 23 | i2 << 22 | (h & 0x3FF) << 12 | (g & 0x7FF) << 1, 25)
}

fn system(h: u32, g: u32) -> Op {
    let (n, d, number) = (reg(h, 0), reg(g, 8), bits(g, 0, 8));
    match h >> 4 & 0x7F {
        0x38 | 0x39 if !special(n) && g >> 8 & 3 == 0 && g >> 10 & 3 != 0 => {
            Op::System(System::WriteSpecial { n, special: number, mask: bits(g, 10, 2) })
        }
        0x3A if g & 0x700 == 0 => Op::System(hint(g & 0xFF)),
        0x3B => match g >> 4 & 15 {
            2 => Op::Memory(super::super::op::Memory::ClearExclusive),
            4..=6 => Op::System(System::Nop),
            _ => Op::Undefined,
        },
        0x3E | 0x3F if n == 15 && !special(d) => Op::System(System::ReadSpecial { d, special: number }),
        _ => Op::Undefined,
    }
}
