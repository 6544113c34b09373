//! 32-bit loads and stores (A5.3.5 to A5.3.10).

use super::super::op::{Access, Branch, Index, Memory, Op, Reg};
use super::{bit, bits, reg, special};

/// LDM, STM, PUSH and POP.
pub(super) fn many(h: u32, g: u32) -> Op {
    let (n, writeback) = (reg(h, 0), bit(h, 5));
    let list = (g & 0xFFFF) as u16;
    let descending = match h >> 7 & 3 {
        1 => false,
        2 => true,
        _ => return Op::Undefined,
    };
    let in_list = writeback && list >> n & 1 != 0;
    if n == 15 || list.count_ones() < 2 || list >> 13 & 1 != 0 || in_list {
        return Op::Undefined;
    }
    match bit(h, 4) {
        true if list >> 14 == 3 => Op::Undefined,
        true => Op::Memory(Memory::LoadMany { n, list, writeback, descending }),
        false if list >> 15 != 0 => Op::Undefined,
        false => Op::Memory(Memory::StoreMany { n, list, writeback, descending }),
    }
}

/// LDRD, STRD, exclusive accesses and table branches.
pub(super) fn dual_or_exclusive(h: u32, g: u32) -> Op {
    let (before, up, writeback, load) = (bit(h, 8), bit(h, 7), bit(h, 5), bit(h, 4));
    let (n, t, t2) = (reg(h, 0), reg(g, 12), reg(g, 8));
    let magnitude = (g & 0xFF) * 4;
    if !before && !writeback {
        return exclusive(h, g);
    }
    let offset = if up { magnitude } else { magnitude.wrapping_neg() };
    let index = index(before, writeback);
    let base_lost = writeback && (n == 15 || n == t || n == t2);
    if special(t) || special(t2) || base_lost || (load && t == t2) || (!load && n == 15) {
        return Op::Undefined;
    }
    Op::Memory(if load {
        Memory::LoadDual { t, t2, n, index, offset }
    } else {
        Memory::StoreDual { t, t2, n, index, offset }
    })
}

fn index(before: bool, writeback: bool) -> Index {
    match (before, writeback) {
        (true, true) => Index::Before,
        (false, _) => Index::After,
        (true, false) => Index::Offset,
    }
}

fn exclusive(h: u32, g: u32) -> Op {
    let (n, t, d, m) = (reg(h, 0), reg(g, 12), reg(g, 8), reg(g, 0));
    let access = match g >> 4 & 15 {
        4 => Access::Byte,
        5 => Access::Half,
        _ => Access::Word,
    };
    let bad_store = |d: Reg| special(d) || special(t) || n == 15 || d == n || d == t;
    match (bit(h, 7), bit(h, 4), g >> 4 & 15) {
        (false, false, _) if !bad_store(d) => {
            Op::Memory(Memory::StoreExclusive { access: Access::Word, d, t, n, offset: (g & 0xFF) * 4 })
        }
        (false, true, _) if n != 15 && !special(t) => {
            Op::Memory(Memory::LoadExclusive { access: Access::Word, t, n, offset: (g & 0xFF) * 4 })
        }
        (true, false, 4 | 5) if !bad_store(m) => {
            Op::Memory(Memory::StoreExclusive { access, d: m, t, n, offset: 0 })
        }
        (true, true, 4 | 5) if n != 15 && !special(t) => {
            Op::Memory(Memory::LoadExclusive { access, t, n, offset: 0 })
        }
        (true, true, half @ (0 | 1)) if n != 13 && !special(m) => {
            Op::Branch(Branch::Table { n, m, half: half != 0 })
        }
        _ => Op::Undefined,
    }
}

/// Loads and stores of one register.
pub(super) fn single(h: u32, g: u32) -> Op {
    let (load, sign) = (bit(h, 4), bit(h, 8));
    let (n, t) = (reg(h, 0), reg(g, 12));
    let access = match (h >> 5 & 3, sign) {
        (0, false) => Access::Byte,
        (0, true) => Access::SignedByte,
        (1, false) => Access::Half,
        (1, true) => Access::SignedHalf,
        (2, false) => Access::Word,
        _ => return Op::Undefined,
    };
    if !load && (sign || n == 15 || t == 15) {
        return Op::Undefined;
    }
    if load && t == 15 && access != Access::Word {
        return preload(h, g);
    }
    if t == 13 && access != Access::Word {
        return Op::Undefined;
    }
    if load && n == 15 {
        let offset = if bit(h, 7) { g & 0xFFF } else { (g & 0xFFF).wrapping_neg() };
        return Op::Memory(Memory::LoadLiteral { access, t, offset });
    }
    addressed(h, g, access, t, n)
}

/// The forms of an address: 12 bits up, 8 bits either way, or a register.
fn addressed(h: u32, g: u32, access: Access, t: Reg, n: Reg) -> Op {
    let load = bit(h, 4);
    let immediate = |index, offset| {
        Op::Memory(if load {
            Memory::Load { access, t, n, index, offset }
        } else {
            Memory::Store { access, t, n, index, offset }
        })
    };
    if bit(h, 7) {
        return immediate(Index::Offset, g & 0xFFF);
    }
    if bit(g, 11) {
        let (before, up, writeback) = (bit(g, 10), bit(g, 9), bit(g, 8));
        let offset = if up { g & 0xFF } else { (g & 0xFF).wrapping_neg() };
        // The remaining form, before and up without writeback, is LDRT and STRT: the same to privileged code.
        let known = before || writeback;
        return if known && !(writeback && n == t) {
            immediate(index(before, writeback), offset)
        } else {
            Op::Undefined
        };
    }
    let (m, shift) = (reg(g, 0), bits(g, 4, 2));
    match g >> 6 & 0x3F {
        0 if !special(m) && load => Op::Memory(Memory::LoadIndexed { access, t, n, m, shift }),
        0 if !special(m) => Op::Memory(Memory::StoreIndexed { access, t, n, m, shift }),
        _ => Op::Undefined,
    }
}

/// PLD and PLI; the halfword forms are unallocated hints.
fn preload(h: u32, g: u32) -> Op {
    let known =
        reg(h, 0) == 15 || bit(h, 7) || g >> 8 & 15 == 12 || (g >> 6 & 0x3F == 0 && !special(reg(g, 0)));
    if known { Op::Memory(Memory::Preload) } else { Op::Undefined }
}
