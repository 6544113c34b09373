//! Bootloaders that lack something: a proof that does not notice is worth nothing.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::change::{Change, copy};
use crate::sweep::Plan;

/// What a bootloader lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// It takes every image for the one that was signed.
    Proof,
    /// It acts on a record that it has only read, which may read differently tomorrow.
    Affirm,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Proof, Self::Affirm];

    /// A sweep of an update that shows what is missing: where the last word of a record reads differently each time, and where
    /// the staged image rots.
    #[must_use]
    pub const fn plan(self) -> Plan {
        let (each, records) = match self {
            Self::Proof => (16, 0),
            // One in four of such bits shows it, at one of the records.
            Self::Affirm => (usize::MAX, 8),
        };
        Plan { each, words: usize::MAX, records, doubles: 0, seed: 7 }
    }

    const fn change(self) -> Change {
        match self {
            Self::Proof => Change {
                file: "ota-verify/src/proof.rs",
                from: "if Hardened::of(digests_equal(&digest, &self.expected)).passed() {",
                to: "if Hardened::of(digests_equal(&digest, &digest)).passed() {",
            },
            Self::Affirm => Change {
                file: "ota-slots/src/boot.rs",
                from: "if self.journal.affirms(snapshot) {",
                to: "if self.journal.newest() == Some(snapshot) {",
            },
        }
    }

    /// A copy of the firmware's sources without it, below `target`; returns its workspace.
    ///
    /// # Errors
    /// If the sources are no longer what this expects.
    pub(crate) fn sources(self, target: &Path) -> Result<PathBuf> {
        copy(target, &format!("without-{self:?}").to_lowercase(), &[self.change()])
    }
}
