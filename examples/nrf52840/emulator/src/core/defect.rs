//! Bugs on purpose.

/// A bug in the core, planted so that a test can show that the instruction vectors notice such a one.
///
/// Each is a single decision in the core's own code, taken the wrong way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Subtraction with carry takes the carry for a borrow.
    Carry,
    /// Signed overflow is told from the operands' signs alone.
    Overflow,
    /// An IT block loses the last bit of its conditions.
    ItAdvance,
    /// The code of a return from an exception names the wrong stack.
    ExcReturn,
    /// The padding of an exception's frame is not undone.
    StackAlignment,
    /// Saturation does not set Q.
    Saturation,
    /// Exact halves are rounded up instead of to even.
    Rounding,
    /// An interrupt of the same priority preempts.
    Preemption,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Carry,
        Self::Overflow,
        Self::ItAdvance,
        Self::ExcReturn,
        Self::StackAlignment,
        Self::Saturation,
        Self::Rounding,
        Self::Preemption,
    ];
}
