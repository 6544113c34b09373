//! 16-bit encodings (A5.2).

use super::super::op::{
    Access, Alu, Branch, Carry, Data, Extend, Flags, Index, Media, Memory, Multiply, Op, Reg, Reverse,
    ShiftKind, System,
};
use super::{NO_SHIFT, bit, bits, reg, shift, signed};

pub(super) fn decode(h: u32) -> Op {
    match h >> 10 {
        0..16 => immediate(h),
        16 => register(h),
        17 => high_registers(h),
        18 | 19 => {
            Op::Memory(Memory::LoadLiteral { access: Access::Word, t: low(h, 8), offset: (h & 0xFF) * 4 })
        }
        20..24 => indexed(h),
        24..40 => offset(h),
        40 | 41 => Op::Data(Data::Address { d: low(h, 8), offset: (h & 0xFF) * 4 }),
        42 | 43 => add_sub(Alu::Add, Flags::Never, low(h, 8), 13, (h & 0xFF) * 4),
        44..48 => miscellaneous(h),
        48..52 => many(h),
        52..56 => conditional_branch(h),
        _ => Op::Branch(Branch::Jump { condition: 14, offset: signed((h & 0x7FF) * 2, 12) }),
    }
}

fn low(h: u32, at: u32) -> Reg {
    bits(h, at, 3)
}

fn add_sub(op: Alu, flags: Flags, d: Reg, n: Reg, value: u32) -> Op {
    Op::Data(Data::Immediate { op, flags, d, n, carry: Carry::Keep, value })
}

/// Shift, add, subtract, move and compare with immediates (A5.2.1).
fn immediate(h: u32) -> Op {
    let flags = Flags::OutsideIt;
    match h >> 11 {
        kind @ 0..3 => {
            let shift = shift(kind, h >> 6 & 31);
            Op::Data(Data::Register { op: Alu::Mov, flags, d: low(h, 0), n: 0, m: low(h, 3), shift })
        }
        3 => {
            let op = if bit(h, 9) { Alu::Sub } else { Alu::Add };
            let (d, n) = (low(h, 0), low(h, 3));
            if bit(h, 10) {
                add_sub(op, flags, d, n, h >> 6 & 7)
            } else {
                Op::Data(Data::Register { op, flags, d, n, m: low(h, 6), shift: NO_SHIFT })
            }
        }
        kind => {
            let op = [Alu::Mov, Alu::Cmp, Alu::Add, Alu::Sub][usize::from(bits(kind, 0, 2))];
            add_sub(op, flags, low(h, 8), low(h, 8), h & 0xFF)
        }
    }
}

/// Data processing on low registers (A5.2.2).
fn register(h: u32) -> Op {
    let (d, m, flags) = (low(h, 0), low(h, 3), Flags::OutsideIt);
    let plain = |op| Op::Data(Data::Register { op, flags, d, n: d, m, shift: NO_SHIFT });
    let by = |kind| Op::Data(Data::ShiftBy { kind, flags, d, n: d, m });
    match h >> 6 & 15 {
        0 => plain(Alu::And),
        1 => plain(Alu::Eor),
        2 => by(ShiftKind::Lsl),
        3 => by(ShiftKind::Lsr),
        4 => by(ShiftKind::Asr),
        5 => plain(Alu::Adc),
        6 => plain(Alu::Sbc),
        7 => by(ShiftKind::Ror),
        8 => plain(Alu::Tst),
        9 => add_sub(Alu::Rsb, flags, d, m, 0),
        10 => plain(Alu::Cmp),
        11 => plain(Alu::Cmn),
        12 => plain(Alu::Orr),
        13 => Op::Multiply(Multiply::Word { flags, d, n: m, m: d, a: 15 }),
        14 => plain(Alu::Bic),
        _ => plain(Alu::Mvn),
    }
}

/// Add, compare and move on all registers, and branches to registers (A5.2.3).
fn high_registers(h: u32) -> Op {
    let (m, d) = (reg(h, 3), low(h, 0) | bits(h, 7, 1) << 3);
    let plain = |op| Op::Data(Data::Register { op, flags: Flags::Never, d, n: d, m, shift: NO_SHIFT });
    match h >> 8 & 3 {
        0 if d == 15 && m == 15 => Op::Undefined,
        0 if d == 15 => Op::Branch(Branch::AddToPc { m }),
        0 => plain(Alu::Add),
        1 if d == 15 || m == 15 => Op::Undefined,
        1 => plain(Alu::Cmp),
        2 if d == 15 => Op::Branch(Branch::MoveToPc { m }),
        2 => plain(Alu::Mov),
        _ if h & 7 != 0 || (bit(h, 7) && m == 15) => Op::Undefined,
        _ => Op::Branch(Branch::Exchange { m, link: bit(h, 7) }),
    }
}

/// Loads and stores with a register as offset (A5.2.4).
fn indexed(h: u32) -> Op {
    let (t, n, m, shift) = (low(h, 0), low(h, 3), low(h, 6), 0);
    let load = |access| Op::Memory(Memory::LoadIndexed { access, t, n, m, shift });
    let store = |access| Op::Memory(Memory::StoreIndexed { access, t, n, m, shift });
    match h >> 9 & 7 {
        0 => store(Access::Word),
        1 => store(Access::Half),
        2 => store(Access::Byte),
        3 => load(Access::SignedByte),
        4 => load(Access::Word),
        5 => load(Access::Half),
        6 => load(Access::Byte),
        _ => load(Access::SignedHalf),
    }
}

/// Loads and stores with an immediate offset (A5.2.4).
fn offset(h: u32) -> Op {
    let index = Index::Offset;
    let (access, scale) = match h >> 12 {
        6 => (Access::Word, 4),
        7 => (Access::Byte, 1),
        8 => (Access::Half, 2),
        _ => {
            let (t, n, offset) = (low(h, 8), 13, (h & 0xFF) * 4);
            return Op::Memory(if bit(h, 11) {
                Memory::Load { access: Access::Word, t, n, index, offset }
            } else {
                Memory::Store { access: Access::Word, t, n, index, offset }
            });
        }
    };
    let (t, n, offset) = (low(h, 0), low(h, 3), (h >> 6 & 31) * scale);
    Op::Memory(if bit(h, 11) {
        Memory::Load { access, t, n, index, offset }
    } else {
        Memory::Store { access, t, n, index, offset }
    })
}

/// Miscellaneous (A5.2.5).
fn miscellaneous(h: u32) -> Op {
    match h >> 8 & 15 {
        0 => {
            let op = if bit(h, 7) { Alu::Sub } else { Alu::Add };
            add_sub(op, Flags::Never, 13, 13, (h & 0x7F) * 4)
        }
        1 | 3 | 9 | 11 => {
            let offset = (h >> 3 & 31) * 2 + (h >> 9 & 1) * 64;
            Op::Branch(Branch::IfZero { n: low(h, 0), nonzero: bit(h, 11), offset })
        }
        2 => {
            let kinds = [Extend::SignedHalf, Extend::SignedByte, Extend::Half, Extend::Byte];
            let kind = kinds[usize::from(bits(h, 6, 2))];
            Op::Media(Media::Extend { kind, d: low(h, 0), n: 15, m: low(h, 3), rotate: 0 })
        }
        4 | 5 | 12 | 13 => stack(h),
        6 if h & 0xEC == 0x60 && h & 3 != 0 => {
            Op::System(System::ChangeMasks { disable: bit(h, 4), primask: bit(h, 1), faultmask: bit(h, 0) })
        }
        10 => {
            let (d, m) = (low(h, 0), low(h, 3));
            match h >> 6 & 3 {
                0 => Op::Media(Media::Reverse { kind: Reverse::Bytes, d, m }),
                1 => Op::Media(Media::Reverse { kind: Reverse::BytesInHalves, d, m }),
                3 => Op::Media(Media::Reverse { kind: Reverse::SignedHalf, d, m }),
                _ => Op::Undefined,
            }
        }
        14 => Op::System(System::Breakpoint(bits(h, 0, 8))),
        15 if h & 15 != 0 => if_then(h),
        15 => Op::System(hint(h >> 4 & 15)),
        _ => Op::Undefined,
    }
}

/// Not: condition "never", nor "always" with an else.
fn if_then(h: u32) -> Op {
    let (condition, mask) = (h >> 4 & 15, h & 15);
    if condition == 15 || (condition == 14 && mask.count_ones() != 1) {
        return Op::Undefined;
    }
    Op::Branch(Branch::If { state: bits(h, 0, 8) })
}

/// Hints (A5.2.5); those without a meaning here do nothing, as the manual asks.
pub(super) fn hint(number: u32) -> System {
    match number {
        2 => System::WaitForEvent,
        3 => System::WaitForInterrupt,
        4 => System::SendEvent,
        _ => System::Nop,
    }
}

/// PUSH and POP.
fn stack(h: u32) -> Op {
    let registers = (h & 0xFF) as u16;
    let extra = u16::from(bit(h, 8));
    if registers == 0 && extra == 0 {
        return Op::Undefined;
    }
    Op::Memory(if bit(h, 11) {
        Memory::LoadMany { n: 13, list: registers | extra << 15, writeback: true, descending: false }
    } else {
        Memory::StoreMany { n: 13, list: registers | extra << 14, writeback: true, descending: true }
    })
}

/// LDM and STM.
fn many(h: u32) -> Op {
    let (n, list) = (low(h, 8), (h & 0xFF) as u16);
    if list == 0 {
        return Op::Undefined;
    }
    Op::Memory(if bit(h, 11) {
        Memory::LoadMany { n, list, writeback: list >> n & 1 == 0, descending: false }
    } else {
        Memory::StoreMany { n, list, writeback: true, descending: false }
    })
}

fn conditional_branch(h: u32) -> Op {
    match bits(h, 8, 4) {
        14 => Op::Undefined,
        15 => Op::System(System::SupervisorCall),
        condition => Op::Branch(Branch::Jump { condition, offset: signed((h & 0xFF) * 2, 9) }),
    }
}
