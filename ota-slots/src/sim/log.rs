//! What happened to the flash, and what shall.

use super::alloc::vec::Vec;
use core::ops::Add;

use super::{Cut, CutMode};

/// One operation that changed the flash, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logged {
    /// A program operation.
    Write {
        /// First byte.
        at: u32,
        /// Bytes.
        len: u32,
    },
    /// A page erase.
    Erase {
        /// First byte.
        at: u32,
    },
}

/// How much was done to the flash.
///
/// Operations count when they reach a chip that has power, whatever becomes of them; refused ones do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Page erases.
    pub erases: u64,
    /// Write calls.
    pub writes: u64,
    /// Bytes of all write calls.
    pub bytes_written: u64,
    /// Read calls.
    pub reads: u64,
    /// Bytes of all read calls.
    pub bytes_read: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            erases: self.erases + other.erases,
            writes: self.writes + other.writes,
            bytes_written: self.bytes_written + other.bytes_written,
            reads: self.reads + other.reads,
            bytes_read: self.bytes_read + other.bytes_read,
        }
    }
}

/// Operations so far, and the cuts among those to come.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) log: Vec<Logged>,
    pub(super) keeps_log: bool,
    pub(super) operations: usize,
    pub(super) cuts: Vec<Cut>,
    pub(super) fired: Option<(Cut, Logged)>,
    pub(super) violations: usize,
}

impl History {
    pub(super) fn new(keeps_log: bool) -> Self {
        Self { log: Vec::new(), keeps_log, operations: 0, cuts: Vec::new(), fired: None, violations: 0 }
    }

    /// Takes note of an operation; the mode if power fails during it.
    pub(super) fn begin(&mut self, operation: Logged) -> Option<CutMode> {
        let number = self.operations;
        self.operations += 1;
        if self.keeps_log {
            self.log.push(operation);
        }
        let planned = self.cuts.iter().position(|cut| cut.operation == number)?;
        let cut = self.cuts.swap_remove(planned);
        self.fired = Some((cut, operation));
        Some(cut.mode)
    }
}
