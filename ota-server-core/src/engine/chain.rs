//! The chain of trust documents.

use alloc::collections::BTreeMap;
use alloc::format;

use super::{Answer, Engine};
use crate::clock::UnixMs;
use crate::error::CommandError;
use crate::operator::{Actor, Role};
use crate::trust::TrustRow;

impl Engine {
    /// The trust documents, the oldest first.
    pub fn trust_chain(&self) -> impl Iterator<Item = &TrustRow> {
        self.trust.values()
    }

    /// The trust document of this version.
    #[must_use]
    pub fn trust(&self, version: u32) -> Option<&TrustRow> {
        self.trust.get(&version)
    }

    /// The newest trust document.
    #[must_use]
    pub fn newest_trust(&self) -> Option<&TrustRow> {
        self.trust.values().next_back()
    }

    /// How many enrolled devices are at which version of the trust, as each last said; `None` for those that have not.
    #[must_use]
    pub fn trust_census(&self) -> BTreeMap<Option<u32>, u32> {
        let mut census = BTreeMap::new();
        for device in self.devices().filter(|device| device.removed.is_none()) {
            *census.entry(device.trust).or_default() += 1;
        }
        census
    }

    /// Adds a document that its caller has proven to follow the newest.
    pub(super) fn add_trust(
        &mut self,
        actor: &Actor,
        row: TrustRow,
        note: &str,
        now: UnixMs,
    ) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        // Asked once more: two uploads may have been proven at the same time.
        if self.newest_trust().is_some_and(|newest| row.version != newest.version.saturating_add(1)) {
            return Err(CommandError::TrustNotNext(row.version));
        }
        let row = TrustRow { author: actor.name().into(), added: now, ..row };
        let detail = format!("sha256 {}{note}", row.sha256);
        self.out.batch.trust.push(row.clone());
        self.note(now, actor.name(), "trust_added", format!("trust {}", row.version), detail);
        self.trust.insert(row.version, row);
        Ok(Answer::Done)
    }
}
