//! Reader against writer and postcard: one encoding for each manifest, one manifest for each encoding.

mod oracle;

use ota_manifest::{
    ChunkSize, ClassId, DecodeError, DependencyDraft, DeviceId, Digest, EncodeError, ExtensionDraft, Field,
    HardwareRange, ImageDraft, Manifest, ManifestDraft, PayloadDraft, VendorId, Version,
};
use proptest::prelude::*;

fn minimal() -> ManifestDraft {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    draft.order.sequence = 7;
    draft.issued = 1_790_000_000;
    draft.images.push(ImageDraft::raw(0x8000, 300_000, Digest::new([3; 32]), Digest::new([4; 32]))).unwrap();
    draft
}

fn full() -> ManifestDraft {
    let mut draft = minimal();
    draft.not_after = Some(u64::MAX);
    draft.target = Some(DeviceId::new([9; 16]));
    draft.hardware = HardwareRange::new(2, 5).unwrap();
    for (n, payload) in [
        PayloadDraft::Compressed {
            codec: 1,
            size: 9,
            digest: Digest::new([5; 32]),
            chunk_root: Digest::new([6; 32]),
        },
        PayloadDraft::Delta {
            codec: 1,
            base: Digest::new([8; 32]),
            size: 9,
            digest: Digest::new([5; 32]),
            chunk_root: Digest::new([6; 32]),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let mut image = draft.images[0].clone();
        image.link_address += u32::try_from(n).unwrap() + 1;
        image.payload = payload;
        draft.images.push(image).unwrap();
    }
    draft
        .dependencies
        .push(DependencyDraft { component: 1, min_sequence: 3, max_sequence: Some(4) })
        .unwrap();
    let bytes = [0xEE; 64].into_iter().collect();
    draft.extensions.push(ExtensionDraft { id: 300, critical: true, bytes }).unwrap();
    draft
}

fn encoded(draft: &ManifestDraft) -> Vec<u8> {
    let mut buffer = [0; 1024];
    draft.encode(&mut buffer).unwrap().to_vec()
}

#[test]
fn reader_returns_every_field_the_writer_wrote() {
    for draft in [minimal(), full()] {
        let bytes = encoded(&draft);
        assert_eq!(oracle::manifest_draft(&Manifest::decode_unauthenticated(&bytes).unwrap()), draft);
    }
}

#[test]
fn minimal_manifest_stays_within_its_byte_budget() {
    // 220 bytes for an envelope with one Ed25519 signature: 84 bytes are frame and signature.
    assert!(encoded(&minimal()).len() <= 220 - 84, "{}", encoded(&minimal()).len());
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let mut bytes = encoded(&full());
    for len in 0..bytes.len() {
        assert!(Manifest::decode_unauthenticated(&bytes[..len]).is_err(), "{len}");
    }
    bytes.push(0);
    assert_eq!(Manifest::decode_unauthenticated(&bytes), Err(DecodeError::Trailing(1)));
}

#[test]
fn encrypted_payload_tag_is_reserved_and_refused() {
    let mut bytes = encoded(&minimal());
    let tag = bytes.len() - 3; // payload tag, then two empty lists
    assert_eq!(bytes[tag], 0);
    bytes[tag] = 3;
    assert_eq!(Manifest::decode_unauthenticated(&bytes), Err(DecodeError::UnknownTag(3)));
}

#[test]
fn writer_refuses_what_no_device_would_take() {
    let refuse = |change: fn(&mut ManifestDraft), expected| {
        let mut draft = minimal();
        change(&mut draft);
        assert_eq!(draft.encode(&mut [0; 1024]).map(<[u8]>::len), Err(EncodeError::Refused(expected)));
    };
    refuse(|d| d.images.clear(), DecodeError::Empty(Field::Images));
    refuse(|d| d.classes.clear(), DecodeError::Empty(Field::Classes));
    refuse(|d| d.trial_attempts = 1, DecodeError::OutOfRange(Field::TrialAttempts));
    refuse(|d| d.confirm_window_s = 0, DecodeError::OutOfRange(Field::ConfirmWindow));
    refuse(|d| d.images[0].size = 0, DecodeError::OutOfRange(Field::ImageSize));
    refuse(|d| d.images[0].chunk_log2 = 30, DecodeError::OutOfRange(Field::ChunkSize));
    assert_eq!(minimal().encode(&mut [0; 16]).map(<[u8]>::len), Err(EncodeError::BufferFull));
}

#[test]
fn images_for_one_address_are_the_same_flash_bytes_or_refused() {
    let verdict = |change: fn(&mut ImageDraft)| {
        let mut draft = minimal();
        let mut second = draft.images[0].clone();
        let digest = Digest::new([8; 32]);
        second.payload = PayloadDraft::Compressed { codec: 1, size: 9, digest, chunk_root: digest };
        change(&mut second);
        draft.images.push(second).unwrap();
        draft.encode(&mut [0; 1024]).map(|_| ())
    };
    let conflict = Err(EncodeError::Refused(DecodeError::ConflictingImages));
    assert_eq!(verdict(|_| ()), Ok(()));
    assert_eq!(verdict(|i| i.link_address += 4), Ok(()), "another slot's");
    assert_eq!(verdict(|i| i.digest = Digest::new([9; 32])), conflict);
    assert_eq!(verdict(|i| i.size += 1), conflict);
    assert_eq!(verdict(|i| i.chunk_log2 += 1), conflict);
    assert_eq!(verdict(|i| i.chunk_root = Digest::new([9; 32])), conflict);
    // Addresses of two components do not compare: a sensor's flash begins at 0 as well.
    assert_eq!(verdict(|i| (i.component, i.digest) = (1, Digest::new([9; 32]))), Ok(()));
}

#[test]
fn extensions_have_one_order_and_none_is_given_twice() {
    let verdict = |ids: &[u16]| {
        let mut draft = minimal();
        let extension =
            |id: &u16| ExtensionDraft { id: *id, critical: false, bytes: [1].into_iter().collect() };
        draft.extensions = ids.iter().map(extension).collect();
        let mut buffer = [0; 1024];
        let bytes = postcard::to_slice(&draft, &mut buffer).unwrap();
        Manifest::decode_unauthenticated(bytes).err()
    };
    assert_eq!(verdict(&[1, 2, 3, 300]), None);
    assert_eq!(verdict(&[2, 1]), Some(DecodeError::ExtensionOrder));
    assert_eq!(verdict(&[1, 1]), Some(DecodeError::ExtensionOrder));
    assert_eq!(verdict(&[1, 3, 2]), Some(DecodeError::ExtensionOrder));
}

#[test]
fn image_is_found_by_the_address_it_is_linked_for() {
    let bytes = encoded(&full());
    let manifest = Manifest::decode_unauthenticated(&bytes).unwrap();
    assert_eq!(manifest.image_for(0x8001).map(|i| i.link_address), Some(0x8001));
    assert_eq!(manifest.image_for(0x9999), None);
    assert_eq!(
        manifest.images.iter().next().map(|i| (i.chunks(), i.chunk_size)),
        Some((74, ChunkSize::KIB4))
    );
}

proptest! {
    /// Reader and oracle agree on every input: what the reader takes, postcard reads with the same meaning and writes back
    /// identically; what the reader refuses is not canonical, or breaks a rule of `docs/wire.md`.
    #[test]
    fn reader_agrees_with_postcard_on_mutated_manifests(
        start in prop::sample::select(vec![encoded(&minimal()), encoded(&full())]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = start;
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        oracle::check_manifest(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Manifest::decode_unauthenticated(&bytes);
        let _ = ota_manifest::Frame::parse(&bytes);
        let _ = ota_manifest::wire::decode::<ota_manifest::wire::Up>(&bytes);
        let _ = ota_manifest::wire::decode::<ota_manifest::wire::Down<'_>>(&bytes);
    }
}
