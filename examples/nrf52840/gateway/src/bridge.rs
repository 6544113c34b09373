//! Frames to messages and back, without I/O.

use ota_manifest::wire::stream::{CHECKSUM, DELIMITER, Decoder, Losses, encode_frame, max_frame};
use ota_manifest::wire::{Down, MAX_REPORT, Up, decode};

/// The server's end of a board's byte stream, without I/O: bytes that the board sent become messages, answers become bytes.
///
/// ```
/// use gateway::{Bridge, Heard};
/// use ota_manifest::wire::{Down, Up, stream::encode_frame};
///
/// let mut memory = Bridge::memory();
/// let mut bridge = Bridge::new(&mut memory);
/// let (up, mut frame) = (Up::Trust { version: 2 }, [0; 64]);
/// let line = [b"boot: ok\r\n\0", encode_frame(&up, &mut frame)?].concat();
/// let heard: Vec<Heard> = bridge.received(&line).collect();
/// assert_eq!(heard, [Heard::Asked(up)]);
/// assert_eq!(bridge.losses().damaged, 1, "the text");
/// let answer = bridge.answer(&Down::Trust { envelope: b"signed" });
/// assert_eq!((answer.first(), answer.last()), (Some(&0), Some(&0)), "a frame between delimiters");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bridge<'m> {
    decoder: Decoder<'m>,
    /// The answer under way; as long as the longest so far.
    frame: Vec<u8>,
}

/// Memory of a [`Bridge`]: the longest message of a board and its checksum.
pub type Memory = [u8; MAX_REPORT + CHECKSUM];

/// What a whole frame brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A board asks or tells. It waits for an answer.
    Asked(Up),
    /// A message of a kind that this program does not know: the board is newer, or it is no board of ours.
    Unknown,
    /// An answer of our own: the line echoes. To answer would go on for ever.
    Echo,
}

impl<'m> Bridge<'m> {
    /// Memory for [`Self::new`].
    #[must_use]
    pub const fn memory() -> Memory {
        [0; MAX_REPORT + CHECKSUM]
    }

    /// A bridge that has heard nothing yet.
    #[must_use]
    pub const fn new(memory: &'m mut Memory) -> Self {
        Self { decoder: Decoder::new(memory), frame: Vec::new() }
    }

    /// The frames that end in `bytes`. Bytes count as received as far as the iterator was driven.
    pub fn received(&mut self, mut bytes: &[u8]) -> impl Iterator<Item = Heard> {
        std::iter::from_fn(move || self.hear(&mut bytes))
    }

    /// The next frame that ends in `bytes`, which are taken from the front; `None` once they are used up.
    pub fn hear(&mut self, bytes: &mut &[u8]) -> Option<Heard> {
        self.decoder.feed(bytes).map(meaning)
    }

    /// The bytes of an answer. A delimiter goes first: it ends what noise has begun at the board.
    pub fn answer(&mut self, down: &Down<'_>) -> &[u8] {
        let payload = match down {
            Down::Offer { envelope, .. } | Down::Fresh { envelope } | Down::Trust { envelope } => {
                envelope.len()
            }
            Down::Chunk { bytes, .. } => bytes.len(),
            _ => 0,
        };
        self.frame.clear();
        self.frame.resize(1 + max_frame(Down::MAX_HEADER + payload), DELIMITER);
        let frame = self.frame.get_mut(1..).unwrap_or_default();
        let len = encode_frame(down, frame).map_or(0, <[u8]>::len);
        self.frame.get(..=len).unwrap_or_default()
    }

    /// Frames that were dropped so far; text between frames counts as one.
    #[must_use]
    pub const fn losses(&self) -> Losses {
        self.decoder.losses()
    }

    /// Forgets the frame that is arriving: the connection is a new one.
    pub const fn reset(&mut self) {
        self.decoder.reset();
    }
}

fn meaning(message: &[u8]) -> Heard {
    match decode(message) {
        Ok(up) => Heard::Asked(up),
        Err(_) if decode::<Down<'_>>(message).is_ok() => Heard::Echo,
        Err(_) => Heard::Unknown,
    }
}
