//! The owners of a device: their keys, and the chain of trust documents that they sign.

use std::sync::LazyLock;

use ota_manifest::{FreshnessDraft, Role, TrustDraft};
use ota_slots::sim::{Lab, LabKey};
use ota_verify::Trust;
use ota_verify::TrustedKey;
use ota_verify::sign::{Signer, seal_freshness, seal_trust};

/// Version of the newest document there ever is; the pinned keys are version 1.
pub const LAST: u32 = 5;

static DOCUMENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| (1..=LAST).filter_map(sign).collect());
static PINNED: LazyLock<[TrustedKey<'static>; 3]> = LazyLock::new(|| {
    let release: &'static Lab = Box::leak(Box::new(Lab::new()));
    [
        root().pinned(Role::Root),
        TrustedKey::new(Role::Release, Box::leak(Box::new(release.public_key()))),
        online(1).pinned(Role::Freshness),
    ]
});

fn root() -> LabKey {
    LabKey::seeded(1)
}

/// Each version has a freshness key of its own: what a device is told is believed under the trust that is in force, or not at
/// all.
fn online(version: u32) -> LabKey {
    LabKey::seeded(u8::try_from(version).unwrap_or(0).wrapping_add(100))
}

fn sign(version: u32) -> Option<Vec<u8>> {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.freshness = 1;
    let keys = [
        (root().public_key(), Role::Root),
        (Lab::new().public_key(), Role::Release),
        (online(version).public_key(), Role::Freshness),
    ];
    for (key, role) in &keys {
        draft.keys.push(key.draft(*role)).ok()?;
    }
    seal_trust(&draft, &[&root()]).ok()
}

/// What devices believe before they have adopted anything.
#[must_use]
pub fn pinned() -> Trust<'static> {
    Trust::pinned(&*PINNED)
}

/// The envelope of a document.
#[must_use]
pub fn document(version: u32) -> Option<&'static [u8]> {
    let index = usize::try_from(version.checked_sub(1)?).ok()?;
    DOCUMENTS.get(index).map(Vec::as_slice)
}

/// A reply for a device that believes in this version.
#[must_use]
pub fn reply(version: u32, draft: &FreshnessDraft) -> Vec<u8> {
    seal_freshness(draft, &[&online(version)]).unwrap_or_default()
}
