//! Messages over a byte stream: UART, USB CDC, TCP.
//!
//! ```text
//!   message | CRC-32, little endian        any bytes
//!        \  COBS  /
//!   no byte of it is zero           | 00   a frame
//! ```
//! [`encode_frame`] and [`frame`] write frames, [`Decoder`] finds them again in whatever pieces they arrive. A decoder that
//! has seen garbage is back in step at the next zero byte. What it hands out has the checksum that was sent with it: damage
//! passes with a chance of one in 2^32. That is no protection against people; what matters is signed.
//!
//! Every frame stands alone: no sequence numbers, no acknowledgement, no version. Messages have their own answers, their own
//! repetition, and their own [`PROTOCOL`](super::PROTOCOL); a version in each frame would say it twice.
//!
//! ```
//! use ota_manifest::wire::{Down, decode, stream::{Decoder, MAX_REPORT_FRAME, encode_frame}};
//!
//! let mut line = [0; MAX_REPORT_FRAME];
//! let frame = encode_frame(&Down::Ack { seq: 7 }, &mut line)?;
//!
//! let mut memory = [0; 64]; // the longest message and its checksum
//! let mut decoder = Decoder::new(&mut memory);
//! let mut first: &[u8] = b"boot: ok\r\n\0\x03"; // noise, and a frame that was cut off
//! assert_eq!(decoder.feed(&mut first), None);
//! let mut second = &[&[0], frame].concat()[..];
//! let message = decoder.feed(&mut second).ok_or("a message")?;
//! assert_eq!(decode::<Down<'_>>(message)?, Down::Ack { seq: 7 });
//! assert_eq!(decoder.losses().damaged, 2);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod crc;
mod decoder;
mod encoder;

pub use decoder::{Decoder, Losses};
pub use encoder::{encode_frame, frame};

use super::MAX_REPORT;

/// Ends every frame, and stands nowhere else. Between frames there may be any number of them.
pub const DELIMITER: u8 = 0;
/// Length of a checksum, bytes.
pub const CHECKSUM: usize = 4;
/// Bytes that one code byte of COBS can announce.
const RUN: usize = 254;

/// Length of the frame of the longest [`Up`](super::Up), bytes.
pub const MAX_REPORT_FRAME: usize = max_frame(MAX_REPORT);

/// Length of the longest frame of a message of `message` bytes: the message, its checksum, a code byte for each 254 bytes of
/// these, the delimiter.
///
/// ```
/// use ota_manifest::wire::stream::max_frame;
/// assert_eq!(max_frame(96), 96 + 4 + 1 + 1);
/// assert_eq!(max_frame(4096), 4096 + 4 + 17 + 1);
/// ```
#[must_use]
pub const fn max_frame(message: usize) -> usize {
    let body = message.saturating_add(CHECKSUM);
    body.saturating_add(body.div_ceil(RUN)).saturating_add(1)
}
