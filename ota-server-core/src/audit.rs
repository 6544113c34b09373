//! The audit log: who did what, each row sealed by the hash of the one before.

use alloc::string::String;

use ota_manifest::Digest;
use ota_verify::Sha256;

use crate::clock::UnixMs;

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: UnixMs,
    /// Who: an operator's name, or `engine`.
    pub actor: String,
    /// What, as `noun_verb`: `campaign_halted`.
    pub action: String,
    /// To what: `campaign 3`.
    pub subject: String,
    /// Why, for people.
    pub detail: String,
    /// `hash` of the row before; zeroes for the first.
    pub prev: Digest,
    /// SHA-256 over domain tag, `prev`, number, time and the four texts, each text after its length (u64, little endian).
    pub hash: Digest,
}

/// The end of the chain, to which rows are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of the last row, 0 if there is none.
    pub seq: u64,
    /// Its hash, zeroes if there is none.
    pub hash: Digest,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { seq: 0, hash: Digest::new([0; 32]) }
    }
}

impl AuditHead {
    /// Adds a row and moves on to it.
    pub fn add(
        &mut self,
        at: UnixMs,
        actor: &str,
        action: &str,
        subject: String,
        detail: String,
    ) -> AuditRow {
        let mut row = AuditRow {
            seq: self.seq + 1,
            at,
            actor: actor.into(),
            action: action.into(),
            subject,
            detail,
            prev: self.hash,
            hash: self.hash,
        };
        row.hash = row.computed();
        *self = Self { seq: row.seq, hash: row.hash };
        row
    }
}

impl AuditRow {
    fn computed(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"ota audit v1");
        hash.update(self.prev.as_bytes());
        hash.update(&self.seq.to_le_bytes());
        hash.update(&self.at.0.to_le_bytes());
        for text in [&self.actor, &self.action, &self.subject, &self.detail] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.finish()
    }
}

/// The number of the first row that does not follow from the ones before it, if there is one.
///
/// ```
/// use ota_server_core::{AuditHead, UnixMs, first_broken};
/// let mut head = AuditHead::default();
/// let mut rows: Vec<_> =
///     ["created", "approved"].map(|what| head.add(UnixMs(1), "ann", what, "campaign 1".into(), String::new())).into();
/// assert_eq!(first_broken(&rows), None);
/// rows[0].actor = "bob".into();
/// assert_eq!(first_broken(&rows), Some(1));
/// ```
#[must_use]
pub fn first_broken<'a>(rows: impl IntoIterator<Item = &'a AuditRow>) -> Option<u64> {
    let mut head = AuditHead::default();
    for row in rows {
        if row.seq != head.seq + 1 || row.prev != head.hash || row.computed() != row.hash {
            return Some(row.seq);
        }
        head = AuditHead { seq: row.seq, hash: row.hash };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn chain(actors: [&str; 3]) -> Vec<AuditRow> {
        let mut head = AuditHead::default();
        actors.map(|actor| head.add(UnixMs(1), actor, "noted", String::new(), String::new())).into()
    }

    #[test]
    fn a_row_rewritten_with_a_fitting_hash_breaks_the_row_after_it() {
        let mut rows = chain(["ann", "bob", "eve"]);
        rows[1] = chain(["ann", "mallory", "eve"]).remove(1);
        assert_eq!(first_broken(&rows), Some(3));
    }

    #[test]
    fn a_row_taken_out_breaks_the_chain() {
        let mut rows = chain(["ann", "bob", "eve"]);
        rows.remove(1);
        assert_eq!(first_broken(&rows), Some(3));
    }
}
