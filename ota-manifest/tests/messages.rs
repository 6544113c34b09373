//! Messages, reader and writer against postcard: one encoding for each message, one message for each encoding.

mod oracle;

use oracle::messages::{all_written, check, downs, ups};
use ota_manifest::wire::stream::{encode_frame, frame, max_frame};
use ota_manifest::wire::{Down, Message, Up, WireError, decode, encode};
use proptest::prelude::*;

#[test]
fn every_message_is_written_as_postcard_writes_it() {
    fn same<'a, T: Message<'a>>(message: &T, expected: &[u8]) {
        assert_eq!(encode(message, &mut [0xEE; 64]), Ok(expected));
        let (mut direct, mut framed) = ([0; 80], [0; 80]);
        assert_eq!(encode_frame(message, &mut direct), frame(expected, &mut framed));
        for room in 0..expected.len() {
            assert_eq!(encode(message, &mut vec![0; room]), Err(WireError::BufferFull), "{room}");
        }
        let needed = encode_frame(message, &mut direct).unwrap().len();
        assert!(needed <= max_frame(expected.len()));
        for room in 0..needed {
            assert_eq!(encode_frame(message, &mut vec![0; room]), Err(WireError::BufferFull), "{room}");
        }
    }
    let mut expected = all_written().into_iter();
    ups().iter().for_each(|up| same(up, &expected.next().unwrap()));
    downs().iter().for_each(|down| same(down, &expected.next().unwrap()));
    assert_eq!(expected.next(), None);
}

#[test]
fn every_truncation_and_every_byte_behind_is_refused() {
    for (number, mut message) in all_written().into_iter().enumerate() {
        for len in 0..message.len() {
            let cut = &message[..len];
            if number < ups().len() {
                assert_eq!(decode::<Up>(cut), Err(WireError::Malformed), "{cut:02x?}");
            } else {
                assert_eq!(decode::<Down<'_>>(cut), Err(WireError::Malformed), "{cut:02x?}");
            }
        }
        assert!(check(&message), "{message:02x?}");
        message.push(0);
        assert!(!check(&message), "{message:02x?}");
    }
}

/// Numbers of messages, stages, refusals, reasons, causes and objects among them: those that are not known are refused.
#[test]
fn reader_agrees_with_postcard_on_every_value_of_every_byte() {
    for mut message in all_written() {
        for at in 0..message.len() {
            let kept = message[at];
            for value in 0..=u8::MAX {
                message[at] = value;
                check(&message);
            }
            message[at] = kept;
        }
    }
}

#[test]
fn every_number_in_a_longer_form_is_refused() {
    for message in all_written() {
        for at in 0..message.len() {
            for behind in [&[0x00][..], &[0x80, 0x00], &[0x80, 0x80, 0x80, 0x80, 0x00]] {
                let longer = [&message[..at], &[message[at] | 0x80], behind, &message[at + 1..]].concat();
                check(&longer);
            }
        }
    }
    for padded in [&[0x82, 0x00, 5][..], &[2, 0x85, 0x00], &[7, 0x80, 0x00], &[7, 0x81, 0x00, 9]] {
        assert_eq!(decode::<Down<'_>>(padded), Err(WireError::Malformed), "{padded:02x?}");
    }
}

#[test]
fn announced_length_beyond_the_message_is_refused() {
    for length in [&[5][..], &[0xFF, 0x7F], &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], &[0xFF; 10]] {
        let message = [&[6][..], length, &[1, 2, 3, 4]].concat();
        assert_eq!(decode::<Down<'_>>(&message), Err(WireError::Malformed), "{length:02x?}");
        check(&message);
    }
}

proptest! {
    #[test]
    fn reader_agrees_with_postcard_on_arbitrary_bytes(
        number in 0..12u8,
        bytes in prop::collection::vec(prop_oneof![0..12u8, any::<u8>()], 0..60),
    ) {
        check(&[&[number], &bytes[..]].concat());
        check(&bytes);
    }

    #[test]
    fn reader_agrees_with_postcard_on_mutated_messages(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        extra in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut message = which.get(&all_written()).clone();
        let at = cut.index(message.len() + 1);
        message.splice(at..at, extra);
        for (at, value) in changes {
            let at = at.index(message.len());
            message[at] = value;
        }
        check(&message);
    }
}
