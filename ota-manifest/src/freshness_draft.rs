//! Writing a freshness reply.

use serde::{Deserialize, Serialize};

use crate::{EncodeError, Freshness, Nonce, Order};

/// A freshness reply to be written. Field for field what [`Freshness`] reads.
///
/// ```
/// use ota_manifest::{Freshness, FreshnessDraft, Nonce, Order};
///
/// let latest = Order { epoch: 0, sequence: 9 };
/// let draft = FreshnessDraft { nonce: Nonce::new([7; 16]), time: 1_790_000_000, latest, trust_version: 1 };
/// let mut buffer = [0; FreshnessDraft::MAX];
/// let reply = Freshness::decode_unauthenticated(draft.encode(&mut buffer)?).unwrap();
/// assert_eq!((reply.time, reply.latest), (1_790_000_000, latest));
/// # Ok::<(), ota_manifest::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessDraft {
    /// See [`Freshness::nonce`].
    pub nonce: Nonce,
    /// See [`Freshness::time`].
    pub time: u64,
    /// See [`Freshness::latest`].
    pub latest: Order,
    /// See [`Freshness::trust_version`].
    pub trust_version: u32,
}

impl FreshnessDraft {
    /// Longest encoding, bytes: nonce and the longest of each number.
    pub const MAX: usize = 16 + 10 + 3 + 5 + 5;

    /// Writes the canonical encoding into `buffer` and returns the part used.
    ///
    /// # Errors
    /// [`EncodeError::Refused`] if a device would refuse the values.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
        let bytes: &'b [u8] = postcard::to_slice(self, buffer).map_err(|_| EncodeError::BufferFull)?;
        Freshness::decode_unauthenticated(bytes).map_err(EncodeError::Refused)?;
        Ok(bytes)
    }
}
