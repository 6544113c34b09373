//! A manifest and a trust document with every list full.

use anyhow::{Result, anyhow};
use ota_manifest::{
    Alg, ClassId, DependencyDraft, Digest, ExtensionDraft, ImageDraft, KeyDraft, ManifestDraft, PayloadDraft,
    Role, TrustDraft, Version,
};

/// More than any document takes, bytes.
const BUFFER: usize = 4096;
/// Entries of [`manifest`]: classes, images, dependencies, extensions.
pub(crate) const MANIFEST_ENTRIES: u32 = 16;
/// Entries of [`trust`]: keys.
pub(crate) const TRUST_ENTRIES: u32 = 8;

/// A manifest, encoded.
pub(crate) fn manifest() -> Result<Vec<u8>> {
    let mut draft = ManifestDraft::new([1; 16].into(), ClassId::new([2; 16]), Version::new(1, 2, 3));
    draft.not_after = Some(2_000_000_000);
    draft.target = Some([3; 16].into());
    for number in 0..4 {
        if number > 0 {
            draft.classes.push(ClassId::new([2 + number; 16])).map_err(|_| full())?;
        }
        draft.images.push(image(number)).map_err(|_| full())?;
        let dependency =
            DependencyDraft { component: number, min_sequence: 7, max_sequence: (number > 1).then_some(9) };
        draft.dependencies.push(dependency).map_err(|_| full())?;
        let bytes = core::iter::repeat_n(number, 64).collect();
        let extension = ExtensionDraft { id: 900 + u16::from(number), critical: false, bytes };
        draft.extensions.push(extension).map_err(|_| full())?;
    }
    Ok(draft.encode(&mut [0; BUFFER])?.to_vec())
}

/// One of each way to travel.
fn image(number: u8) -> ImageDraft {
    let [digest, chunk_root, base] = [4, 5, 6].map(|byte| Digest::new([byte; 32]));
    let link_address = 0x8000 * (u32::from(number) + 1);
    let payload = match number {
        1 => PayloadDraft::Compressed { codec: 0, size: 200_000, digest, chunk_root },
        2 => PayloadDraft::Delta { codec: 0, base, size: 100_000, digest, chunk_root },
        _ => PayloadDraft::Raw,
    };
    ImageDraft { payload, ..ImageDraft::raw(link_address, 400_000, digest, chunk_root) }
}

/// A trust document, encoded: keys of every length, in every role.
pub(crate) fn trust() -> Result<Vec<u8>> {
    let mut draft = TrustDraft::new(2);
    draft.thresholds = ota_manifest::Thresholds::ONE;
    let roles = [Role::Root, Role::Release, Role::Approval, Role::Freshness];
    for (number, role) in (1..).zip(roles.into_iter().cycle()).take(8) {
        let key = match number {
            1..=4 => KeyDraft::new(role, Alg::Ed25519, &[number; 32]),
            5 | 6 => KeyDraft::new(role, Alg::P256, &[[4].as_slice(), &[number; 64]].concat()),
            _ => KeyDraft::new(role, Alg::Lms, &[number; 60]),
        };
        draft.keys.push(key).map_err(|_| full())?;
    }
    Ok(draft.encode(&mut [0; BUFFER])?.to_vec())
}

fn full() -> anyhow::Error {
    anyhow!("a list takes fewer entries than it says")
}
