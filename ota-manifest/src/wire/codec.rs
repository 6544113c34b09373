//! Messages to bytes and back: one encoding for each message, one message for each encoding.

use thiserror::Error;

use super::writer::{Plain, Writer};
use crate::codec::Reader;

/// Longest encoded [`Up::Poll`](super::Up::Poll) or [`Up::Report`](super::Up::Report), bytes.
pub const MAX_REPORT: usize = 96;

/// Why a message could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Not a message this version knows, or not its canonical encoding. The peer's fault.
    #[error("not a canonical message of this protocol")]
    Malformed,
    /// The output buffer is too small. The caller's fault.
    #[error("output buffer too small for the message")]
    BufferFull,
}

/// A message: [`Up`](super::Up) or [`Down`](super::Down).
#[expect(private_interfaces, reason = "sealed by its private reader; named in bounds only")]
pub trait Message<'a>: Sized {
    /// What stands there; anything, if the reader has refused a field.
    #[doc(hidden)]
    fn read(r: &mut Reader<'a>) -> Self;
    /// What [`Self::read`] takes for this message, and nothing else.
    #[doc(hidden)]
    fn write(&self, w: &mut impl Writer);
}

/// Writes `message` into `buffer` and returns the part used.
///
/// ```
/// use ota_manifest::wire::{Down, WireError, encode};
/// assert_eq!(encode(&Down::Ack { seq: 300 }, &mut [0; 8])?, [2, 0xAC, 0x02]);
/// assert_eq!(encode(&Down::Ack { seq: 300 }, &mut [0; 2]), Err(WireError::BufferFull));
/// # Ok::<(), WireError>(())
/// ```
///
/// # Errors
/// [`WireError::BufferFull`].
pub fn encode<'b, 'm, T: Message<'m>>(message: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], WireError> {
    let mut writer = Plain::new(buffer);
    message.write(&mut writer);
    writer.finish().ok_or(WireError::BufferFull)
}

/// Reads a message that fills `bytes` exactly.
///
/// ```
/// use ota_manifest::wire::{Down, WireError, decode};
/// assert_eq!(decode::<Down<'_>>(&[2, 0xAC, 0x02]), Ok(Down::Ack { seq: 300 }));
/// assert_eq!(decode::<Down<'_>>(&[2, 0x85, 0x00]), Err(WireError::Malformed), "5 has a shorter form");
/// ```
///
/// # Errors
/// [`WireError::Malformed`] for anything a writer of this protocol would not have written.
pub fn decode<'a, T: Message<'a>>(bytes: &'a [u8]) -> Result<T, WireError> {
    let mut reader = Reader::new(bytes);
    let message = T::read(&mut reader);
    match reader.finish() {
        Ok(()) => Ok(message),
        Err(_) => Err(WireError::Malformed),
    }
}
