//! Which instructions were executed, and so which functions.

use crate::chip::{PAGE, PAGES};
use crate::elf::Program;

/// One bit for each halfword of code flash.
#[derive(Clone)]
pub struct Coverage(Vec<u64>);

impl Default for Coverage {
    fn default() -> Self {
        Self(vec![0; (PAGE * PAGES / 128) as usize])
    }
}

impl Coverage {
    #[inline]
    pub(crate) fn note(&mut self, pc: u32) {
        if let Some(word) = self.0.get_mut((pc / 128) as usize) {
            *word |= 1 << (pc / 2 % 64);
        }
    }

    /// Whether the instruction at `address` was executed.
    #[must_use]
    pub fn contains(&self, address: u32) -> bool {
        self.0.get((address / 128) as usize).is_some_and(|word| word >> (address / 2 % 64) & 1 != 0)
    }

    /// The functions whose first instruction was executed, in the order of their addresses.
    pub fn reached<'p>(&self, program: &'p Program) -> impl Iterator<Item = &'p str> {
        program.functions().filter(|(address, _)| self.contains(*address)).map(|(_, name)| name)
    }

    /// Those that were not.
    pub fn missed<'p>(&self, program: &'p Program) -> impl Iterator<Item = &'p str> {
        program.functions().filter(|(address, _)| !self.contains(*address)).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::elf;

    #[test]
    fn a_function_is_reached_by_its_first_instruction() {
        let program = Program::read(&elf()).unwrap();
        let mut coverage = Coverage::default();
        assert_eq!(coverage.reached(&program).count(), 0);
        for pc in [0x8002, 0x2000_0000, 0x7FFE] {
            coverage.note(pc);
        }
        assert_eq!(coverage.reached(&program).collect::<Vec<_>>(), ["idle"]);
        assert_eq!(coverage.missed(&program).collect::<Vec<_>>(), ["main"]);
        assert!(coverage.contains(0x7FFE) && !coverage.contains(0x8000));
    }
}
