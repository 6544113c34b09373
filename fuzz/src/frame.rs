//! Arbitrary bytes as an envelope: taken apart as `docs/wire.md` draws it, and believed only if a release key signed it.

use ota_manifest::{ChunkSize, ClassId, Frame, ManifestDraft, Role, VendorId, Version};
use ota_verify::sign::{Signer as _, cosign, describe_image, seal_manifest};
use ota_verify::{Trust, TrustedKey};

use crate::Target;
use crate::keys::Key;

/// The target.
pub const TARGET: Target = Target { name: "frame", run, seeds };

const LAST_ALGORITHM: u8 = 4;

#[derive(Debug, PartialEq)]
struct Parts<'a> {
    len: usize,
    kind: u8,
    payload: &'a [u8],
    entries: Vec<Entry<'a>>,
}

/// Algorithm, key id and signature.
type Entry<'a> = (u8, [u8; 8], &'a [u8]);

fn run(input: &[u8]) {
    let expected = drawn(input);
    assert_eq!(Frame::parse_prefix(input).ok().map(|frame| parts(&frame)), expected);
    let whole = Frame::parse(input).ok();
    assert_eq!(whole.as_ref().map(parts), expected.filter(|parts| parts.len == input.len()));
    if let Some(frame) = whole {
        is_authentic_only_if_signed(frame);
    }
}

fn is_authentic_only_if_signed(frame: Frame<'_>) {
    let key = Key::seeded(1).public_key();
    let keys = [TrustedKey::new(Role::Release, &key)];
    let signed = frame.signed_bytes();
    if Trust::pinned(&keys).authenticate(frame, Role::Release).is_ok() {
        let ours = released();
        let ours = Frame::parse(&ours).expect("an envelope");
        assert_eq!(signed, ours.signed_bytes(), "authentic, and never signed");
    }
}

fn parts<'a>(frame: &Frame<'a>) -> Parts<'a> {
    Parts {
        len: frame.encoded_len(),
        kind: frame.kind() as u8,
        payload: frame.payload_unauthenticated(),
        entries: frame.signatures().map(|s| (s.alg as u8, *s.key_id.as_bytes(), s.bytes)).collect(),
    }
}

/// The drawing of `docs/wire.md`, naively.
fn drawn(input: &[u8]) -> Option<Parts<'_>> {
    let [b'O', b'T', b'A', b'M', 1, kind @ 1..=3, low, high, rest @ ..] = input else { return None };
    let (payload, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    let [count @ 1..=8, rest @ ..] = rest else { return None };
    let (mut rest, mut entries) = (rest, Vec::<Entry<'_>>::new());
    for _ in 0..*count {
        let (head, behind) = rest.split_at_checked(11)?;
        let (signature, behind) =
            behind.split_at_checked(usize::from(u16::from_le_bytes([head[9], head[10]])))?;
        entries.push((head[0], head[1..9].try_into().ok()?, signature));
        rest = behind;
    }
    let good = entries.iter().all(|(alg, _, bytes)| (1..=LAST_ALGORITHM).contains(alg) && !bytes.is_empty());
    let ascending = entries.windows(2).all(|pair| pair[0].1 < pair[1].1);
    (good && ascending).then_some(Parts { len: input.len() - rest.len(), kind: *kind, payload, entries })
}

fn released() -> Vec<u8> {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    let image = describe_image(&[0x55; 1000], 0x8000, ChunkSize::KIB4).expect("an image").image;
    draft.images.push(image).expect("room for four");
    seal_manifest(&draft, &[(&Key::seeded(1), Role::Release)]).expect("a manifest")
}

fn seeds() -> Vec<Vec<u8>> {
    let one = released();
    let two = cosign(&one, &Key::seeded(2), Role::Approval).expect("two signatures");
    let other_role = cosign(&two, &Key::seeded(3), Role::Freshness).expect("three signatures");
    let behind = [&one[..], &[0xFF; 20]].concat();
    vec![one, two, other_role, behind, b"OTAM\x01\x02\x01\x00x\x00".to_vec()]
}
