//! Freshness replies, reader against writer and postcard: one encoding for each reply, one reply for each encoding.

mod oracle;

use ota_manifest::{DecodeError, Field, Freshness, FreshnessDraft, Nonce, Order};
use proptest::prelude::*;

fn draft(epoch: u16, sequence: u32, time: u64, trust_version: u32) -> FreshnessDraft {
    FreshnessDraft { nonce: Nonce::new([7; 16]), time, latest: Order { epoch, sequence }, trust_version }
}

fn encoded(draft: &FreshnessDraft) -> Vec<u8> {
    draft.encode(&mut [0; FreshnessDraft::MAX]).unwrap().to_vec()
}

#[test]
fn longest_reply_fits_the_buffer_that_is_said_to_hold_it() {
    assert_eq!(encoded(&draft(u16::MAX, u32::MAX, u64::MAX, u32::MAX)).len(), FreshnessDraft::MAX);
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let mut bytes = encoded(&draft(300, 70_000, u64::MAX, 2));
    for len in 0..bytes.len() {
        assert_eq!(Freshness::decode_unauthenticated(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
    }
    bytes.push(0);
    assert_eq!(Freshness::decode_unauthenticated(&bytes), Err(DecodeError::Trailing(1)));
}

#[test]
fn trust_version_zero_is_refused() {
    let mut bytes = encoded(&draft(0, 1, 2, 1));
    *bytes.last_mut().unwrap() = 0;
    assert_eq!(Freshness::decode_unauthenticated(&bytes), Err(DecodeError::OutOfRange(Field::TrustVersion)));
}

proptest! {
    /// What the reader takes, postcard takes with the same meaning and writes back identically; what postcard takes but the
    /// reader refuses is non-canonical or out of range.
    #[test]
    fn reader_agrees_with_postcard_on_arbitrary_bytes(
        nonce in any::<[u8; 16]>(),
        // Bytes of numbers: the last of each has no high bit, so that most strings nearly read.
        numbers in prop::collection::vec(prop_oneof![0..128u8, any::<u8>()], 0..26),
    ) {
        let bytes = [&nonce[..], &numbers].concat();
        oracle::check_freshness(&bytes);
    }
}
