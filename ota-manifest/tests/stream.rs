//! Frames of a byte stream: what was sent arrives in whatever pieces, and what arrives was sent.

use ota_manifest::wire::stream::{
    CHECKSUM, DELIMITER, Decoder, Losses, MAX_REPORT_FRAME, encode_frame, frame, max_frame,
};
use ota_manifest::wire::{Down, MAX_REPORT, Object, WireError, decode, encode};
use ota_manifest::{JobId, wire::Up};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "oracle/stream.rs"]
mod oracle;

const LONGEST: usize = 1000;

fn framed(message: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xEE; max_frame(message.len())];
    frame(message, &mut buffer).unwrap().to_vec()
}

/// What arrives of `line` when it comes in pieces that end at `cuts`.
fn arrive(line: &[u8], cuts: &[usize], longest: usize) -> (Vec<Vec<u8>>, Losses) {
    let mut buffer = vec![0; longest + CHECKSUM];
    let mut decoder = Decoder::new(&mut buffer);
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (line.len() + 1)).collect();
    cuts.push(line.len());
    cuts.sort_unstable();
    let (mut messages, mut from) = (Vec::new(), 0);
    for cut in cuts {
        let mut piece = &line[from..cut];
        while let Some(message) = decoder.feed(&mut piece) {
            messages.push(message.to_vec());
        }
        assert!(piece.is_empty());
        from = cut;
    }
    (messages, decoder.losses())
}

/// Any bytes, with many zeros and long runs without one.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..80),
        vec(prop_oneof![Just(0), Just(1), Just(255), any::<u8>()], 0..80),
        // Runs that are just full: most bytes alike, since only zeros matter.
        (240..=520usize, 1..=255u8, any::<u8>(), any::<usize>()).prop_map(|(len, fill, other, at)| {
            let mut message = vec![fill; len];
            message[at % len] = other;
            message
        }),
    ]
}

#[test]
fn frame_bytes_are_frozen() {
    let path = format!("{}/tests/vectors/stream.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (message, expected) = line.split_once(" -> ").unwrap();
        let (message, expected) = (unhex(message), unhex(expected));
        assert_eq!(framed(&message), expected, "{line}");
        assert_eq!(arrive(&expected, &[], LONGEST), (vec![message], Losses::default()), "{line}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

/// Hexadecimal digits; `xx*n` is n times the byte.
fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace().filter(|word| *word != "-") {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let one: Vec<u8> = (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        bytes.extend(one.repeat(times.parse().unwrap()));
    }
    bytes
}

#[test]
fn messages_of_every_length_around_full_runs_come_back_in_their_announced_room() {
    for len in (0..=4).chain(248..=256).chain(502..=512) {
        for byte in [0x00, 0x01, 0xFF] {
            let message = vec![byte; len];
            let framed = framed(&message);
            assert!(framed.len() <= max_frame(len), "{len}");
            assert_eq!(framed.iter().filter(|byte| **byte == DELIMITER).count(), 1);
            assert_eq!(arrive(&framed, &[], len), (vec![message], Losses::default()), "{len} {byte}");
            let mut short = vec![0; framed.len() - 1];
            assert_eq!(frame(&vec![byte; len], &mut short), Err(WireError::BufferFull));
        }
    }
    assert_eq!(MAX_REPORT_FRAME, 102);
    assert_eq!(frame(&[], &mut []), Err(WireError::BufferFull));
}

#[test]
fn longest_frame_is_as_long_as_announced() {
    // Without a zero in message and checksum nothing is saved.
    for len in [250, 251, 4000] {
        let worst = (0..200u8).map(|salt| {
            let message: Vec<u8> = (0..len).map(|at| if at == 0 { salt + 1 } else { 7 }).collect();
            framed(&message).len()
        });
        assert_eq!(worst.max(), Some(max_frame(len)), "{len}");
    }
}

#[test]
fn messages_are_framed_as_their_bytes_are() {
    let bytes = [0; 700];
    let down = Down::Chunk { job: JobId::new([0; 16]), object: Object::Payload, first: 3, bytes: &bytes };
    let (mut plain, mut direct) = ([0; 800], [0; 800]);
    let message = encode(&down, &mut plain).unwrap();
    assert_eq!(encode_frame(&down, &mut direct).unwrap(), framed(message));
    assert!(message.len() <= bytes.len() + Down::MAX_HEADER);
    assert_eq!(encode_frame(&down, &mut [0; 100]), Err(WireError::BufferFull));
}

#[test]
fn no_message_has_a_longer_header_than_announced() {
    let (job, empty) = (JobId::new([1; 16]), &[][..]);
    let mut buffer = [0; 64];
    let chunk = Down::Chunk { job, object: Object::Payload, first: u32::MAX, bytes: empty };
    // The length itself takes up to five bytes, one of them counted already.
    assert_eq!(encode(&chunk, &mut buffer).unwrap().len() + 4, Down::MAX_HEADER);
    let offer = Down::Offer { job, attempt: 255, envelope: empty };
    assert!(encode(&offer, &mut buffer).unwrap().len() + 4 <= Down::MAX_HEADER);
}

#[test]
fn frame_behind_noise_arrives_when_a_delimiter_stands_before_it() {
    let frame = framed(b"message");
    let noise = b"[    0.012] uart up\r\n";
    let line = [noise, &[DELIMITER][..], &frame].concat();
    assert_eq!(arrive(&line, &[], LONGEST), (vec![b"message".to_vec()], Losses { damaged: 1, overlong: 0 }));
}

#[test]
fn missing_delimiter_costs_the_two_frames_it_would_have_kept_apart() {
    let (one, two, three) = (framed(b"one"), framed(b"two"), framed(b"three"));
    let line = [&one[..one.len() - 1], &two, &three].concat();
    assert_eq!(arrive(&line, &[], LONGEST), (vec![b"three".to_vec()], Losses { damaged: 1, overlong: 0 }));
}

#[test]
fn overlong_frame_is_counted_once_and_the_next_one_arrives() {
    let line = [framed(&[7; 2000]), framed(b"fits")].concat();
    assert_eq!(arrive(&line, &[], 100), (vec![b"fits".to_vec()], Losses { damaged: 0, overlong: 1 }));
    // One byte more than there is room for, and exactly as many.
    let line = [framed(&[7; 101]), framed(&[7; 100])].concat();
    assert_eq!(arrive(&line, &[], 100), (vec![vec![7; 100]], Losses { damaged: 0, overlong: 1 }));
}

#[test]
fn endless_line_without_a_delimiter_is_one_loss() {
    let mut memory = [0; 32];
    let mut decoder = Decoder::new(&mut memory);
    for _ in 0..10_000 {
        assert_eq!(decoder.feed(&mut &[0x41; 64][..]), None);
    }
    assert_eq!(decoder.losses(), Losses { damaged: 0, overlong: 1 });
    assert_eq!(decoder.feed(&mut &[&[0], &framed(b"back")[..]].concat()[..]), Some(&b"back"[..]));
}

#[test]
fn idle_line_of_delimiters_is_no_loss() {
    assert_eq!(arrive(&[DELIMITER; 100], &[], LONGEST), (vec![], Losses::default()));
}

#[test]
fn every_truncation_is_refused() {
    let frame = framed(&[3, 0, 5, 0, 0, 9]);
    for end in 0..frame.len() - 1 {
        let (messages, losses) = arrive(&[&frame[..end], &[DELIMITER]].concat(), &[], LONGEST);
        assert_eq!((messages, losses.damaged), (vec![], u32::from(end > 0)), "{end}");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let message: Vec<u8> = (0..=255).chain([0; 20]).collect();
    let frame = framed(&message);
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut line = frame.clone();
            line[at] ^= 1 << bit;
            let behind = framed(b"next");
            let (messages, losses) = arrive(&[&line, &[DELIMITER][..], &behind].concat(), &[], LONGEST);
            assert_eq!(messages, [b"next".to_vec()], "byte {at}, bit {bit}");
            assert!(losses.damaged > 0);
        }
    }
}

#[test]
fn decoder_without_memory_hands_out_nothing_and_does_not_panic() {
    for memory in 0..CHECKSUM {
        let mut memory = vec![0; memory];
        let mut decoder = Decoder::new(&mut memory);
        assert_eq!(decoder.feed(&mut &framed(b"")[..]), None);
        assert_eq!(decoder.losses().overlong, 1);
    }
    let mut memory = [0; CHECKSUM];
    assert_eq!(Decoder::new(&mut memory).feed(&mut &framed(b"")[..]), Some(&[][..]));
}

#[test]
fn reset_forgets_half_a_frame() {
    let mut memory = [0; 64];
    let mut decoder = Decoder::new(&mut memory);
    let frame = framed(b"message");
    assert_eq!(decoder.feed(&mut &frame[..5]), None);
    decoder.reset();
    assert_eq!(decoder.feed(&mut &frame[..]), Some(&b"message"[..]));
    assert_eq!(decoder.losses(), Losses::default());
}

#[test]
fn unknown_variant_in_a_good_frame_leaves_the_stream_in_step() {
    let unknown = [0x55, 1, 2, 3];
    let mut known = [0; 8];
    let known = encode(&Down::Ack { seq: 1 }, &mut known).unwrap();
    let line = [framed(&unknown), framed(known)].concat();
    let (messages, losses) = arrive(&line, &[], MAX_REPORT);
    assert_eq!(losses, Losses::default());
    assert_eq!(decode::<Down<'_>>(&messages[0]), Err(WireError::Malformed));
    assert_eq!(decode::<Up>(&messages[0]), Err(WireError::Malformed));
    assert_eq!(decode::<Down<'_>>(&messages[1]), Ok(Down::Ack { seq: 1 }));
}

#[test]
fn frame_of_an_encoder_that_closes_a_full_last_run_is_read() {
    // 250 bytes and a checksum without a zero: one full run.
    let message =
        (1..=255u8).map(|byte| vec![byte; 250]).find(|message| framed(message).len() == 256).unwrap();
    let ours = framed(&message);
    let theirs = [&ours[..255], &[1, 0]].concat();
    assert_eq!(arrive(&theirs, &[], LONGEST), (vec![message], Losses::default()));
}

proptest! {
    #[test]
    fn messages_come_back_under_any_split(messages in vec(message(), 1..5), cuts in vec(any::<usize>(), 0..20)) {
        let line = messages.iter().flat_map(|message| framed(message)).collect::<Vec<_>>();
        prop_assert_eq!(arrive(&line, &cuts, LONGEST), (messages, Losses::default()));
    }

    #[test]
    fn what_arrives_of_a_damaged_line_was_sent(
        messages in vec(message(), 1..5),
        cuts in vec(any::<usize>(), 0..10),
        damage in vec((any::<usize>(), any::<u8>(), 0..3u8), 1..8),
    ) {
        let mut line = messages.iter().flat_map(|message| framed(message)).collect::<Vec<_>>();
        for (at, byte, how) in damage {
            let at = at % line.len();
            match how {
                0 => line[at] ^= byte,
                1 => line.insert(at, byte),
                _ => if line.len() > 1 { line.remove(at); },
            }
        }
        let (arrived, _) = arrive(&line, &cuts, LONGEST);
        // In order, and each of them one that was sent.
        let mut sent = messages.iter();
        for message in &arrived {
            prop_assert!(sent.any(|sent| sent == message), "never sent, or not in this order: {:02x?}", message);
        }
    }

    #[test]
    fn frame_is_what_the_cobs_and_crc_crates_make_of_it(message in message()) {
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&message);
        let body = [&message[..], &sum.to_le_bytes()].concat();
        let mut theirs = cobs::encode_vec(&body);
        theirs.push(DELIMITER);
        let ours = framed(&message);
        prop_assert_eq!(cobs::decode_vec(&ours[..ours.len() - 1]).ok(), Some(body));
        prop_assert_eq!(arrive(&theirs, &[], LONGEST).0, [message]);
        // That crate closes a full last run; nothing else differs.
        let closes = theirs.strip_suffix(&[1, 0]).map(|front| [front, &[0]].concat());
        prop_assert!(ours == theirs || Some(&ours) == closes.as_ref());
    }

    #[test]
    fn any_bytes_give_what_a_naive_reader_finds(
        line in vec(prop_oneof![Just(0u8), Just(1), Just(5), any::<u8>()], 0..400),
        cuts in vec(any::<usize>(), 0..10),
        longest in 0..20usize,
    ) {
        let expected = oracle::read(&line, longest + CHECKSUM);
        let (messages, losses) = arrive(&line, &cuts, longest);
        prop_assert_eq!((messages, losses.damaged, losses.overlong), expected);
    }
}
