//! Frames are written in one pass, into memory that is lent.

use super::crc::Crc32;
use super::{DELIMITER, RUN};
use crate::wire::writer::Writer;
use crate::wire::{Message, WireError};

/// The code byte of a run of 254 bytes with no zero behind it.
pub(super) const FULL: u8 = 0xFF;

/// Writes `message` as a frame into `buffer` and returns the part used: [`max_frame`](super::max_frame) bytes at most.
///
/// ```
/// use ota_manifest::wire::{Down, stream::encode_frame};
/// let mut line = [0; 16];
/// let frame = encode_frame(&Down::Ack { seq: 0 }, &mut line)?;
/// assert_eq!(frame, [2, 2, 5, 0x7D, 0x70, 0xEF, 0x73, 0]);
/// # Ok::<(), ota_manifest::wire::WireError>(())
/// ```
///
/// # Errors
/// [`WireError::BufferFull`].
pub fn encode_frame<'b, 'm, T: Message<'m>>(
    message: &T,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], WireError> {
    let mut encoder = Encoder::new(buffer);
    message.write(&mut encoder);
    encoder.finish().ok_or(WireError::BufferFull)
}

/// Writes `message`, the bytes of one, as a frame into `buffer` and returns the part used.
///
/// # Errors
/// [`WireError::BufferFull`].
pub fn frame<'b>(message: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], WireError> {
    let mut encoder = Encoder::new(buffer);
    encoder.array(message);
    encoder.finish().ok_or(WireError::BufferFull)
}

/// A frame under way. What has no room is counted and dropped.
struct Encoder<'b> {
    buffer: &'b mut [u8],
    len: usize,
    /// Where the code byte of the run under way will stand.
    code_at: usize,
    /// Its value so far: one more than the run has bytes.
    code: u8,
    crc: Crc32,
}

impl<'b> Encoder<'b> {
    fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 1, code_at: 0, code: 1, crc: Crc32::new() }
    }

    fn stuff(&mut self, byte: u8) {
        // A full run is closed only when something follows: nothing is announced behind the last one.
        if self.code == FULL {
            self.close_run();
        }
        if byte == DELIMITER {
            return self.close_run();
        }
        self.put(self.len, byte);
        self.len += 1;
        self.code += 1;
    }

    fn close_run(&mut self) {
        self.put(self.code_at, self.code);
        self.code_at = self.len;
        self.len += 1;
        self.code = 1;
    }

    fn put(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.buffer.get_mut(at) {
            *place = byte;
        }
    }

    fn finish(mut self) -> Option<&'b [u8]> {
        self.crc.bytes().into_iter().for_each(|byte| self.stuff(byte));
        self.put(self.code_at, self.code);
        self.put(self.len, DELIMITER);
        self.buffer.get(..=self.len)
    }
}

const _: () = assert!(FULL as usize == RUN + 1);

impl Writer for Encoder<'_> {
    fn u8(&mut self, byte: u8) {
        self.crc.push(byte);
        self.stuff(byte);
    }
}
