//! The engine's answer as a message.

use alloc::vec;
use alloc::vec::Vec;

use ota_manifest::wire::{Down, Refusal, encode};

use crate::engine::Answer;

/// How long a device waits when the server cannot keep its word, milliseconds.
#[cfg(any(feature = "http", feature = "mqtt"))]
pub(crate) const STORAGE_PAUSE_MS: u32 = 5000;

/// What a device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub(super) answer: Answer,
    pub(super) envelope: Vec<u8>,
    pub(super) retry_after_ms: u32,
}

impl Reply {
    /// An answer that says it all.
    pub(super) fn of(answer: Answer) -> Self {
        Self { answer, envelope: Vec::new(), retry_after_ms: 0 }
    }

    /// The engine's answer.
    #[must_use]
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// The answer as a message.
    #[must_use]
    pub fn down(&self) -> Down<'_> {
        let retry_after_ms = self.retry_after_ms;
        match self.answer {
            Answer::Offer { job, attempt, .. } => Down::Offer { job, attempt, envelope: &self.envelope },
            Answer::Ack { seq } => Down::Ack { seq },
            Answer::Cancel { job } => Down::Cancel { job },
            Answer::Fresh { .. } => Down::Fresh { envelope: &self.envelope },
            Answer::Trust { .. } => Down::Trust { envelope: &self.envelope },
            Answer::Busy { retry_after_ms } => Down::Refused { refusal: Refusal::Busy, retry_after_ms },
            Answer::Refused(refusal) => Down::Refused { refusal, retry_after_ms },
            Answer::Idle | Answer::Done | Answer::Published(_) | Answer::Created(_) => {
                Down::Idle { retry_after_ms }
            }
        }
    }

    /// The message's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        down_bytes(&self.down())
    }
}

/// A message's bytes.
pub(crate) fn down_bytes(down: &Down<'_>) -> Vec<u8> {
    let payload = match down {
        Down::Offer { envelope, .. } | Down::Fresh { envelope } | Down::Trust { envelope } => envelope.len(),
        Down::Chunk { bytes, .. } => bytes.len(),
        _ => 0,
    };
    // 64 bytes are more than the fixed fields of any message take.
    let mut buffer = vec![0; payload + 64];
    let used = encode(down, &mut buffer).map_or(0, <[u8]>::len);
    buffer.truncate(used);
    buffer
}
