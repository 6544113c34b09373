//! Decoded instructions: what the decoder says and the core does.
//!
//! Grouped as the ARMv7-M Architecture Reference Manual (DDI 0403) groups encodings in chapters A5 and A6. Decoding happens
//! once per flash page, executing millions of times: everything that can be decided from the encoding is decided here.

/// Number of a core register, 0 to 15.
pub(crate) type Reg = u8;

/// One instruction with its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    /// Bytes: 2 or 4.
    pub(crate) len: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Data(Data),
    Memory(Memory),
    Multiply(Multiply),
    Media(Media),
    Branch(Branch),
    System(System),
    Float(Float),
    /// A coprocessor instruction other than of the floating-point unit.
    NoCoprocessor,
    Undefined,
}

/// When a data-processing instruction sets the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flags {
    Never,
    Always,
    /// 16-bit encodings: only where no IT block covers them.
    OutsideIt,
}

/// The carry that an immediate operand leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    Keep,
    Clear,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alu {
    And,
    Bic,
    Orr,
    Orn,
    Eor,
    Mov,
    Mvn,
    Add,
    Adc,
    Sbc,
    Sub,
    Rsb,
    Tst,
    Teq,
    Cmn,
    Cmp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShiftKind {
    Lsl,
    Lsr,
    Asr,
    Ror,
    Rrx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) kind: ShiftKind,
    pub(crate) amount: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Immediate {
        op: Alu,
        flags: Flags,
        d: Reg,
        n: Reg,
        carry: Carry,
        value: u32,
    },
    Register {
        op: Alu,
        flags: Flags,
        d: Reg,
        n: Reg,
        m: Reg,
        shift: Shift,
    },
    ShiftBy {
        kind: ShiftKind,
        flags: Flags,
        d: Reg,
        n: Reg,
        m: Reg,
    },
    Address {
        d: Reg,
        offset: u32,
    },
    MoveTop {
        d: Reg,
        value: u16,
    },
    BitsSigned {
        d: Reg,
        n: Reg,
        lsb: u8,
        width: u8,
    },
    BitsUnsigned {
        d: Reg,
        n: Reg,
        lsb: u8,
        width: u8,
    },
    /// BFI, and with `n` = 15 BFC.
    BitsInsert {
        d: Reg,
        n: Reg,
        lsb: u8,
        width: u8,
    },
    Saturate {
        signed: bool,
        d: Reg,
        n: Reg,
        bits: u8,
        shift: Shift,
    },
    SaturateHalves {
        signed: bool,
        d: Reg,
        n: Reg,
        bits: u8,
    },
    Pack {
        d: Reg,
        n: Reg,
        m: Reg,
        shift: Shift,
        top_first: bool,
    },
}

/// Width and extension of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Byte,
    SignedByte,
    Half,
    SignedHalf,
    Word,
}

/// How base and offset make the address, and what becomes of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    Offset,
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    Load {
        access: Access,
        t: Reg,
        n: Reg,
        index: Index,
        offset: u32,
    },
    LoadIndexed {
        access: Access,
        t: Reg,
        n: Reg,
        m: Reg,
        shift: u8,
    },
    LoadLiteral {
        access: Access,
        t: Reg,
        offset: u32,
    },
    Store {
        access: Access,
        t: Reg,
        n: Reg,
        index: Index,
        offset: u32,
    },
    StoreIndexed {
        access: Access,
        t: Reg,
        n: Reg,
        m: Reg,
        shift: u8,
    },
    LoadDual {
        t: Reg,
        t2: Reg,
        n: Reg,
        index: Index,
        offset: u32,
    },
    StoreDual {
        t: Reg,
        t2: Reg,
        n: Reg,
        index: Index,
        offset: u32,
    },
    LoadMany {
        n: Reg,
        list: u16,
        writeback: bool,
        descending: bool,
    },
    StoreMany {
        n: Reg,
        list: u16,
        writeback: bool,
        descending: bool,
    },
    LoadExclusive {
        access: Access,
        t: Reg,
        n: Reg,
        offset: u32,
    },
    StoreExclusive {
        access: Access,
        d: Reg,
        t: Reg,
        n: Reg,
        offset: u32,
    },
    ClearExclusive,
    /// PLD and PLI, which change nothing that can be seen.
    Preload,
}

/// `a` = 15 means that nothing is accumulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiply {
    Word { flags: Flags, d: Reg, n: Reg, m: Reg, a: Reg },
    WordSubtract { d: Reg, n: Reg, m: Reg, a: Reg },
    Halves { d: Reg, n: Reg, m: Reg, a: Reg, n_top: bool, m_top: bool },
    WordByHalf { d: Reg, n: Reg, m: Reg, a: Reg, m_top: bool },
    Dual { d: Reg, n: Reg, m: Reg, a: Reg, swap: bool, subtract: bool },
    MostSignificant { d: Reg, n: Reg, m: Reg, a: Reg, round: bool, subtract: bool },
    Differences { d: Reg, n: Reg, m: Reg, a: Reg },
    Long { low: Reg, high: Reg, n: Reg, m: Reg, signed: bool, accumulate: bool },
    LongAddBoth { low: Reg, high: Reg, n: Reg, m: Reg },
    LongHalves { low: Reg, high: Reg, n: Reg, m: Reg, n_top: bool, m_top: bool },
    LongDual { low: Reg, high: Reg, n: Reg, m: Reg, swap: bool, subtract: bool },
    Divide { d: Reg, n: Reg, m: Reg, signed: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extend {
    SignedHalf,
    Half,
    SignedBytes,
    Bytes,
    SignedByte,
    Byte,
}

/// What a parallel addition does per lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    Add8,
    Add16,
    AddSubtract,
    SubtractAdd,
    Sub16,
    Sub8,
}

/// What becomes of a lane that overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Wraps, and the GE flags tell.
    Wrap,
    Saturate,
    Halve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reverse {
    Bytes,
    BytesInHalves,
    Bits,
    SignedHalf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `n` = 15: without addition.
    Extend {
        kind: Extend,
        d: Reg,
        n: Reg,
        m: Reg,
        rotate: u8,
    },
    Parallel {
        lanes: Lanes,
        excess: Excess,
        signed: bool,
        d: Reg,
        n: Reg,
        m: Reg,
    },
    Saturating {
        subtract: bool,
        double: bool,
        d: Reg,
        n: Reg,
        m: Reg,
    },
    Reverse {
        kind: Reverse,
        d: Reg,
        m: Reg,
    },
    Select {
        d: Reg,
        n: Reg,
        m: Reg,
    },
    LeadingZeros {
        d: Reg,
        m: Reg,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Branch {
    Jump {
        condition: u8,
        offset: u32,
    },
    Call {
        offset: u32,
    },
    Exchange {
        m: Reg,
        link: bool,
    },
    IfZero {
        n: Reg,
        nonzero: bool,
        offset: u32,
    },
    MoveToPc {
        m: Reg,
    },
    AddToPc {
        m: Reg,
    },
    Table {
        n: Reg,
        m: Reg,
        half: bool,
    },
    /// IT: first condition and mask.
    If {
        state: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// NOP, YIELD, barriers: order is what this core keeps anyway.
    Nop,
    WaitForEvent,
    WaitForInterrupt,
    SendEvent,
    ReadSpecial {
        d: Reg,
        special: u8,
    },
    WriteSpecial {
        n: Reg,
        special: u8,
        mask: u8,
    },
    ChangeMasks {
        disable: bool,
        primask: bool,
        faultmask: bool,
    },
    SupervisorCall,
    Breakpoint(u8),
}

/// Number of a single-precision register, 0 to 31.
pub(crate) type Single = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    NegMul,
    Div,
    /// d + n * m, rounded twice; `negate` flags choose VMLS, VNMLA and VNMLS.
    MulAdd {
        negate_d: bool,
        negate_product: bool,
    },
    /// The same, rounded once.
    Fused {
        negate_d: bool,
        negate_product: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Move,
    Abs,
    Neg,
    Sqrt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convert {
    FromInteger {
        signed: bool,
    },
    ToInteger {
        signed: bool,
        to_zero: bool,
    },
    /// `half`: 16 bits of integer, else 32; `fraction`: how many of them lie behind the point.
    FromFixed {
        signed: bool,
        half: bool,
        fraction: u8,
    },
    ToFixed {
        signed: bool,
        half: bool,
        fraction: u8,
    },
    FromHalf {
        top: bool,
    },
    ToHalf {
        top: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    Arithmetic {
        op: Arithmetic,
        d: Single,
        n: Single,
        m: Single,
    },
    Unary {
        op: Unary,
        d: Single,
        m: Single,
    },
    Immediate {
        d: Single,
        value: u32,
    },
    Compare {
        d: Single,
        m: Option<Single>,
        signal: bool,
    },
    Convert {
        op: Convert,
        d: Single,
        m: Single,
    },
    ToCore {
        t: Reg,
        s: Single,
    },
    FromCore {
        t: Reg,
        s: Single,
    },
    PairToCore {
        t: Reg,
        t2: Reg,
        s: Single,
    },
    PairFromCore {
        t: Reg,
        t2: Reg,
        s: Single,
    },
    /// VMRS; `t` = 15: to the flags.
    ReadStatus {
        t: Reg,
    },
    WriteStatus {
        t: Reg,
    },
    Load {
        first: Single,
        count: u8,
        n: Reg,
        index: Index,
        offset: u32,
    },
    Store {
        first: Single,
        count: u8,
        n: Reg,
        index: Index,
        offset: u32,
    },
}
