//! Everything that is wrong with a frame, each with its own code.

use ota_manifest::{DecodeError, Field, Frame, FrameError, KeyId, Kind, frame_header};

fn frame(payload: &[u8], signatures: &[(u8, [u8; 8], &[u8])]) -> Vec<u8> {
    let mut bytes = frame_header(Kind::Manifest, u16::try_from(payload.len()).unwrap()).to_vec();
    bytes.extend_from_slice(payload);
    bytes.push(u8::try_from(signatures.len()).unwrap());
    for (alg, id, signature) in signatures {
        bytes.push(*alg);
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&u16::try_from(signature.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(signature);
    }
    bytes
}

fn verdict(bytes: &[u8]) -> Option<FrameError> {
    Frame::parse(bytes).err()
}

#[test]
fn a_good_frame_comes_apart_into_what_it_was_made_of() {
    let bytes = frame(b"payload", &[(1, [1; 8], &[7; 64]), (2, [2; 8], &[8; 64])]);
    let frame = Frame::parse(&bytes).unwrap();
    assert_eq!(frame.signed_bytes(), &bytes[..15]);
    assert_eq!(frame.payload_unauthenticated(), b"payload");
    assert_eq!(frame.encoded_len(), bytes.len());
    let ids: Vec<_> = frame.signatures().map(|s| (s.alg as u8, s.key_id, s.bytes.len())).collect();
    assert_eq!(ids, [(1, KeyId::new([1; 8]), 64), (2, KeyId::new([2; 8]), 64)]);
}

#[test]
fn zero_signatures_empty_signature_duplicate_key_and_unknown_algorithm_have_their_own_codes() {
    assert_eq!(verdict(&frame(b"x", &[])), Some(FrameError::NoSignature));
    assert_eq!(verdict(&frame(b"x", &[(1, [1; 8], b"")])), Some(FrameError::EmptySignature));
    assert_eq!(verdict(&frame(b"x", &[(1, [1; 8], b"s"), (1, [1; 8], b"s")])), Some(FrameError::KeyOrder));
    assert_eq!(verdict(&frame(b"x", &[(1, [2; 8], b"s"), (1, [1; 8], b"s")])), Some(FrameError::KeyOrder));
    for unknown in [0, 5, 9, 0x84, 255] {
        let verdict = verdict(&frame(b"x", &[(unknown, [1; 8], b"s")]));
        assert_eq!(verdict, Some(FrameError::UnknownAlgorithm(unknown)));
    }
    let nine: Vec<_> = (0..9u8).map(|n| (1, [n; 8], &b"s"[..])).collect();
    assert_eq!(verdict(&frame(b"x", &nine)), Some(FrameError::TooManySignatures(9)));
}

#[test]
fn magic_format_kind_and_bytes_left_over_have_their_own_codes() {
    let good = frame(b"x", &[(1, [1; 8], b"s")]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(verdict(&changed(0, b'X')), Some(FrameError::BadMagic));
    assert_eq!(verdict(&changed(4, 2)), Some(FrameError::UnknownFormat(2)));
    assert_eq!(verdict(&changed(5, 4)), Some(FrameError::UnknownKind(4)));
    let mut long = good.clone();
    long.push(0);
    assert_eq!(verdict(&long), Some(FrameError::Trailing(1)));
    assert_eq!(Frame::parse_prefix(&long).map(|f| f.encoded_len()).ok(), Some(good.len()));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = frame(b"payload", &[(1, [1; 8], &[7; 64])]);
    for len in 0..bytes.len() {
        assert_eq!(verdict(&bytes[..len]), Some(FrameError::Truncated), "{len}");
    }
}

#[test]
fn codes_in_the_devices_log_are_frozen() {
    let frame = [
        (FrameError::Truncated, 0x0901),
        (FrameError::BadMagic, 0x0902),
        (FrameError::UnknownFormat(0), 0x0903),
        (FrameError::UnknownKind(0), 0x0904),
        (FrameError::NoSignature, 0x0905),
        (FrameError::TooManySignatures(0), 0x0906),
        (FrameError::EmptySignature, 0x0907),
        (FrameError::UnknownAlgorithm(0), 0x0908),
        (FrameError::KeyOrder, 0x0909),
        (FrameError::Trailing(0), 0x090A),
    ];
    for (error, code) in frame {
        assert_eq!(error.code(), code, "{error}");
    }
    let decode = [
        (DecodeError::Truncated, 0x0A01),
        (DecodeError::NonCanonical, 0x0A02),
        (DecodeError::Overflow, 0x0A03),
        (DecodeError::UnknownTag(0), 0x0A04),
        (DecodeError::TooMany { found: 0, limit: 0 }, 0x0A05),
        (DecodeError::Empty(Field::Images), 0x0A06),
        (DecodeError::OutOfRange(Field::Version), 0x0A07),
        (DecodeError::Threshold, 0x0A08),
        (DecodeError::KeyOrder, 0x0A09),
        (DecodeError::ExtensionOrder, 0x0A0A),
        (DecodeError::ConflictingImages, 0x0A0B),
        (DecodeError::Trailing(0), 0x0A0C),
        (DecodeError::PinnedOnly(0), 0x0A0D),
    ];
    for (error, code) in decode {
        assert_eq!(error.code(), code, "{error}");
    }
}
