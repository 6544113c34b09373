//! Frozen bytes. A failure here means that devices in the field would no longer understand us: do not change the vectors,
//! bump a format or protocol number instead.

mod oracle;

use ota_manifest::wire::{Down, Up, decode, encode};
use ota_manifest::{
    Alg, ClassId, Digest, ExtensionDraft, Freshness, FreshnessDraft, ImageDraft, KeyDraft, Manifest,
    ManifestDraft, Nonce, Order, Role, SecurityVersion, Thresholds, TrustDocument, TrustDraft, VendorId,
    Version,
};

use oracle::messages::{downs, ups};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn vector(name: &str) -> String {
    let path = format!("{}/tests/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).split_whitespace().collect()
}

#[test]
fn manifest_bytes_are_frozen() {
    let mut draft =
        ManifestDraft::new(VendorId::new([0x11; 16]), ClassId::new([0x22; 16]), Version::new(1, 2, 3));
    draft.order = Order { epoch: 1, sequence: 300 };
    draft.security_version = SecurityVersion(5);
    draft.issued = 1_790_000_000;
    draft
        .images
        .push(ImageDraft::raw(0x8000, 262_144, Digest::new([0x33; 32]), Digest::new([0x44; 32])))
        .unwrap();
    let mut buffer = [0; 512];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("manifest"));
    assert!(Manifest::decode_unauthenticated(bytes).is_ok());
}

#[test]
fn trust_document_bytes_are_frozen() {
    let mut point = [0x66; 65];
    point[0] = 0x04;
    let mut draft = TrustDraft::new(2);
    draft.epoch = 2;
    draft.min_order = Order { epoch: 1, sequence: 300 };
    draft.thresholds = Thresholds { root: 1, release: 2, approval: 0, freshness: 0 };
    draft.keys.push(KeyDraft::new(Role::Release, Alg::P256, &point)).unwrap();
    draft.keys.push(KeyDraft::new(Role::Release, Alg::Ed25519, &[0x55; 32])).unwrap();
    draft.keys.push(KeyDraft::new(Role::Root, Alg::Ed25519, &[0x77; 32])).unwrap();
    let bytes = [0xEE; 2].into_iter().collect();
    draft.extensions.push(ExtensionDraft { id: 300, critical: false, bytes }).unwrap();
    let mut buffer = [0; 256];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("trust"));
    assert!(TrustDocument::decode_unauthenticated(bytes).is_ok());
}

#[test]
fn freshness_reply_bytes_are_frozen() {
    let latest = Order { epoch: 1, sequence: 300 };
    let nonce = Nonce::new([0x99; 16]);
    let draft = FreshnessDraft { nonce, time: 1_790_000_000, latest, trust_version: 2 };
    let mut buffer = [0; FreshnessDraft::MAX];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("freshness"));
    let reply = Freshness { nonce, time: 1_790_000_000, latest, trust_version: 2 };
    assert_eq!(Freshness::decode_unauthenticated(bytes), Ok(reply));
}

#[test]
fn wire_bytes_are_frozen() {
    let mut lines = String::new();
    let mut buffer = [0; 256];
    for up in ups() {
        let bytes = encode(&up, &mut buffer).unwrap();
        assert!(bytes.len() <= ota_manifest::wire::MAX_REPORT);
        assert_eq!(decode::<Up>(bytes), Ok(up));
        lines += &hex(bytes);
    }
    for down in downs() {
        let bytes = encode(&down, &mut buffer).unwrap();
        assert_eq!(decode::<Down<'_>>(bytes), Ok(down));
        lines += &hex(bytes);
    }
    assert_eq!(lines, vector("wire"));
}
