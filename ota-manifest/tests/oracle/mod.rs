//! What the canonical reader is held against: postcard, and the rules of `docs/wire.md` as they are written there.
//!
//! Shared with the fuzz targets, by its path.
#![allow(dead_code, reason = "each test file uses what it needs")]

pub(crate) mod messages;

use ota_manifest::{
    Alg, DependencyDraft, ExtensionDraft, Freshness, FreshnessDraft, ImageDraft, KeyDraft, Manifest,
    ManifestDraft, Payload, PayloadDraft, Role, TrustDocument, TrustDraft,
};
use serde::{Deserialize, Serialize};

/// Panics unless reader and oracle say the same about `bytes`: both refuse, or both read the same.
pub(crate) fn check_manifest(bytes: &[u8]) -> bool {
    let found = Manifest::decode_unauthenticated(bytes).ok().map(|manifest| manifest_draft(&manifest));
    assert_eq!(found, canonical(bytes).filter(is_manifest), "{bytes:02x?}");
    found.is_some()
}

/// As [`check_manifest`], for a trust document.
pub(crate) fn check_trust(bytes: &[u8]) -> bool {
    let found = TrustDocument::decode_unauthenticated(bytes).ok().map(|document| trust_draft(&document));
    assert_eq!(found, canonical(bytes).filter(is_trust), "{bytes:02x?}");
    found.is_some()
}

/// As [`check_manifest`], for a freshness reply.
pub(crate) fn check_freshness(bytes: &[u8]) -> bool {
    let found = Freshness::decode_unauthenticated(bytes).ok().map(|reply| FreshnessDraft {
        nonce: reply.nonce,
        time: reply.time,
        latest: reply.latest,
        trust_version: reply.trust_version,
    });
    assert_eq!(
        found,
        canonical(bytes).filter(|draft: &FreshnessDraft| draft.trust_version > 0),
        "{bytes:02x?}"
    );
    found.is_some()
}

/// What postcard reads, if it would write the very same bytes.
fn canonical<'a, T: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    let mut again = vec![0; bytes.len()];
    postcard::to_slice(&value, &mut again).is_ok_and(|written| written == bytes).then_some(value)
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut buffer = [0; 4096];
    postcard::to_slice(value, &mut buffer).expect("longer than anything here").to_vec()
}

fn ascends<T: PartialOrd>(items: &[T]) -> bool {
    items.windows(2).all(|pair| pair[0] < pair[1])
}

/// The column "refused unless" of a manifest.
fn is_manifest(draft: &ManifestDraft) -> bool {
    let (lowest, highest): (u16, u16) = postcard::from_bytes(&written(&draft.hardware)).expect("two numbers");
    let ids: Vec<_> = draft.extensions.iter().map(|extension| extension.id).collect();
    let in_flash = |image: &ImageDraft| ImageDraft { payload: PayloadDraft::Raw, ..image.clone() };
    let agree = |one: &ImageDraft, other: &ImageDraft| {
        (one.component, one.link_address) != (other.component, other.link_address)
            || in_flash(one) == in_flash(other)
    };
    !draft.classes.is_empty()
        && lowest <= highest
        && draft.confirm_window_s >= 1
        && draft.trial_attempts >= 2
        && !draft.images.is_empty()
        && draft.images.iter().all(|image| image.size >= 1 && (8..=16).contains(&image.chunk_log2))
        && draft.images.iter().all(|one| draft.images.iter().all(|other| agree(one, other)))
        && ascends(&ids)
}

/// The column "refused unless" of a trust document.
fn is_trust(draft: &TrustDraft) -> bool {
    let ids: Vec<_> = draft.extensions.iter().map(|extension| extension.id).collect();
    let tree =
        |key: &KeyDraft| key.key.iter().skip(if key.alg == Alg::Lms { 4 } else { 0 }).copied().collect();
    let keys: Vec<(u8, Vec<u8>)> = draft.keys.iter().map(|key| (key.alg as u8, tree(key))).collect();
    let hybrid = written(&draft.hybrid)[0];
    draft.version >= 1
        && draft.min_order.epoch <= draft.epoch
        && draft.keys.iter().all(is_key)
        && ascends(&keys)
        && ascends(&ids)
        && hybrid & 0b1110_0001 == 0
        && Role::ALL.iter().all(|role| is_signable(draft, *role, hybrid >> *role as u8 & 1 == 1))
}

fn is_key(key: &KeyDraft) -> bool {
    match key.alg {
        Alg::Ed25519 => key.key.len() == 32,
        Alg::P256 => key.key.len() == 65 && key.key[0] == 4,
        Alg::Lms => key.key.len() == 60,
        Alg::MlDsa44 => false,
    }
}

fn is_signable(draft: &TrustDraft, role: Role, hybrid: bool) -> bool {
    let algorithms: Vec<_> =
        draft.keys.iter().filter(|key| key.role == role).map(|key| key.alg as u8).collect();
    let needed = usize::from(draft.thresholds.of(role));
    let dispensable = role == Role::Approval || role == Role::Freshness;
    let reachable = if algorithms.is_empty() {
        dispensable && needed == 0
    } else {
        (1..=algorithms.len()).contains(&needed)
    };
    let both = algorithms.contains(&3) && algorithms.iter().any(|alg| *alg < 3);
    reachable && (!hybrid || needed >= 2 && both)
}

/// What the borrowing reader saw, as the writer's type.
pub(crate) fn manifest_draft(manifest: &Manifest<'_>) -> ManifestDraft {
    ManifestDraft {
        order: manifest.order,
        security_version: manifest.security_version,
        vendor: manifest.vendor,
        classes: manifest.classes.iter().collect(),
        hardware: manifest.hardware,
        version: manifest.version,
        issued: manifest.issued,
        not_after: manifest.not_after,
        target: manifest.target,
        min_bootloader: manifest.min_bootloader,
        confirm_window_s: manifest.confirm_window_s,
        trial_attempts: manifest.trial_attempts,
        images: manifest
            .images
            .iter()
            .map(|image| ImageDraft {
                component: image.component,
                link_address: image.link_address,
                size: image.size,
                digest: image.digest,
                chunk_log2: image.chunk_size.log2(),
                chunk_root: image.chunk_root,
                payload: payload_draft(image.payload),
            })
            .collect(),
        dependencies: manifest
            .dependencies
            .iter()
            .map(|dependency| DependencyDraft {
                component: dependency.component,
                min_sequence: dependency.min_sequence,
                max_sequence: dependency.max_sequence,
            })
            .collect(),
        extensions: manifest.extensions.iter().map(extension_draft).collect(),
    }
}

/// As [`manifest_draft`], for a trust document.
pub(crate) fn trust_draft(document: &TrustDocument<'_>) -> TrustDraft {
    TrustDraft {
        version: document.version,
        epoch: document.epoch,
        min_order: document.min_order,
        thresholds: document.thresholds,
        hybrid: document.hybrid,
        keys: document.keys.iter().map(|key| KeyDraft::new(key.role, key.alg, key.bytes)).collect(),
        extensions: document.extensions.iter().map(extension_draft).collect(),
    }
}

fn payload_draft(payload: Payload) -> PayloadDraft {
    match payload {
        Payload::Raw => PayloadDraft::Raw,
        Payload::Compressed { codec, size, digest, chunk_root } => {
            PayloadDraft::Compressed { codec, size, digest, chunk_root }
        }
        Payload::Delta { codec, base, size, digest, chunk_root } => {
            PayloadDraft::Delta { codec, base, size, digest, chunk_root }
        }
    }
}

fn extension_draft(extension: ota_manifest::Extension<'_>) -> ExtensionDraft {
    ExtensionDraft {
        id: extension.id,
        critical: extension.critical,
        bytes: extension.bytes.iter().copied().collect(),
    }
}
