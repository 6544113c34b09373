//! The registers firmware touches that nothing here answers for. They read as zero and forget what is written; a test that
//! holds this list constant notices when firmware begins to rely on more than is modelled.

use std::collections::BTreeMap;
use std::fmt;

use crate::core::Touch;

/// Addresses and how often each was read or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmodelled(BTreeMap<(u32, Touch), u64>);

impl Unmodelled {
    pub(super) fn note(&mut self, address: u32, touch: Touch) {
        *self.0.entry((address, touch)).or_default() += 1;
    }

    /// Each register once, by address; those read before those written.
    pub fn registers(&self) -> impl Iterator<Item = (u32, Touch)> {
        self.0.keys().copied()
    }

    /// Whether firmware kept to what is modelled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((address, touch), count) in &self.0 {
            let touch = if *touch == Touch::Read { "read" } else { "written" };
            writeln!(f, "{address:#010x} {touch} {count} times")?;
        }
        Ok(())
    }
}
