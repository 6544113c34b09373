//! Postcard with its two leniencies taken away: bytes left over and numbers in longer than shortest form.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

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

/// Writes `message` into `buffer` and returns the part used.
///
/// # Errors
/// [`WireError::BufferFull`].
pub fn encode<'b, T: Serialize>(message: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], WireError> {
    match postcard::to_slice(message, buffer) {
        Ok(used) => Ok(used),
        Err(_) => Err(WireError::BufferFull),
    }
}

/// Reads a message that fills `bytes` exactly.
///
/// # Errors
/// [`WireError::Malformed`] for anything a writer of this protocol would not have written.
pub fn decode<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, WireError> {
    let (message, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| WireError::Malformed)?;
    if !rest.is_empty() {
        return Err(WireError::Malformed);
    }
    // Postcard reads numbers in longer forms than it writes. Writing the message again, against the bytes it came from,
    // leaves one encoding for each message and needs no second buffer.
    match postcard::serialize_with_flavor::<T, Same<'a>, bool>(&message, Same { rest: bytes }) {
        Ok(true) => Ok(message),
        _ => Err(WireError::Malformed),
    }
}

/// Compares what is written with what is expected.
struct Same<'a> {
    rest: &'a [u8],
}

impl Flavor for Same<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(postcard::Error::SerializeBufferFull),
        }
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.rest.is_empty())
    }
}
