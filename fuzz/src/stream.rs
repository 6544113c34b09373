//! Arbitrary bytes on a line, in arbitrary pieces: what arrives is what a naive reader finds, and frames of ours always do.
//!
//! Input: the room of the reader (one byte), a length of pieces (one byte), the line.

use ota_manifest::wire::stream::{CHECKSUM, Decoder, Losses, frame, max_frame};
use ota_manifest::wire::{Down, Up, decode};

use crate::Target;
use crate::naive_stream::read;

/// The target.
pub const TARGET: Target = Target { name: "stream", run, seeds };

fn run(input: &[u8]) {
    let [room, piece, line @ ..] = input else { return };
    let (room, piece) = (usize::from(*room) + CHECKSUM, usize::from(*piece).max(1));
    let (messages, losses) = arrive(line, piece, room);
    assert_eq!((messages, losses.damaged, losses.overlong), read(line, room));
    // The line once more, as a message.
    let framed = framed(line);
    assert!(framed.len() <= max_frame(line.len()));
    let behind = [line, &[0], &framed].concat();
    let (messages, _) = arrive(&behind, piece, line.len() + CHECKSUM);
    assert_eq!(messages.last().map(Vec::as_slice), Some(line), "whatever stood before it");
    messages.iter().for_each(|message| is_read_or_refused(message));
}

fn is_read_or_refused(message: &[u8]) {
    if let Ok(down) = decode::<Down<'_>>(message) {
        let payload = match down {
            Down::Offer { envelope, .. } => envelope,
            Down::Chunk { bytes, .. } => bytes,
            _ => &[],
        };
        assert!(message.len() <= payload.len() + Down::MAX_HEADER);
    }
    let _ = decode::<Up>(message);
}

fn arrive(line: &[u8], piece: usize, room: usize) -> (Vec<Vec<u8>>, Losses) {
    let (mut memory, mut messages) = (vec![0; room], Vec::new());
    let mut decoder = Decoder::new(&mut memory);
    for mut piece in line.chunks(piece) {
        while let Some(message) = decoder.feed(&mut piece) {
            messages.push(message.to_vec());
        }
    }
    (messages, decoder.losses())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; max_frame(message.len())];
    frame(message, &mut buffer).expect("as long as announced").to_vec()
}

fn seeds() -> Vec<Vec<u8>> {
    let vectors = include_str!("../../ota-manifest/tests/vectors/wire.hex");
    let digits: Vec<u8> =
        vectors.bytes().filter_map(|digit| char::from(digit).to_digit(16)?.try_into().ok()).collect();
    let messages: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let line: Vec<u8> = messages.chunks(40).flat_map(framed).collect();
    let noisy = [b"boot: ok\r\n", &line[..]].concat();
    let long = [framed(&[7; 600]), framed(&[0; 300]), framed(b"")].concat();
    [(96, 7, line), (96, 64, noisy), (255, 1, long), (0, 3, b"\x01\x01\x01\x01\x01\0".to_vec())]
        .map(|(room, piece, line)| [&[room, piece], &line[..]].concat())
        .to_vec()
}
