//! Frames are found again in any pieces, over memory that is lent.

use super::crc::Crc32;
use super::encoder::FULL;
use super::{CHECKSUM, DELIMITER};

/// Finds frames in a byte stream, whatever pieces it comes in.
///
/// A byte costs the same bounded work wherever it stands. What is damaged is dropped and counted, up to the next delimiter.
/// An encoder may close a full last run with another code byte, as some do: the message is the same, and its checksum counts.
#[derive(Debug)]
pub struct Decoder<'b> {
    buffer: &'b mut [u8],
    /// Bytes of message and checksum so far.
    len: usize,
    state: State,
    crc: Crc32,
    losses: Losses,
}

/// Where in a frame the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first code byte.
    Outside,
    /// So many bytes are left of a run; behind it stands a zero that was not sent, unless the frame ends there.
    Run { left: u8, zero: bool },
    /// In a frame that is lost already.
    Lost,
}

/// Frames that were dropped. The counters stay at their limit once they have reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Cut short, run together, or with a checksum that is not theirs; text of others on the same line, too.
    pub damaged: u32,
    /// Longer than the lent memory.
    pub overlong: u32,
}

impl<'b> Decoder<'b> {
    /// A decoder for messages of up to [`CHECKSUM`] bytes less than `buffer` has.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        let losses = Losses { damaged: 0, overlong: 0 };
        Self { buffer, len: 0, state: State::Outside, crc: Crc32::new(), losses }
    }

    /// Takes bytes from the front of `bytes` until a message is whole; what is left of them stands behind its frame.
    ///
    /// `None` once they are used up. Call it again with the rest, until then; a message is gone with the next call.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Option<&[u8]> {
        self.advance(bytes).then(|| self.message())
    }

    /// As [`Self::feed`]; whether [`Self::message`] is a new one.
    pub fn advance(&mut self, bytes: &mut &[u8]) -> bool {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if self.push(*byte) {
                return true;
            }
        }
        false
    }

    /// The message that [`Self::advance`] has found last. Before that, and while another one arrives, bytes without meaning.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.buffer.get(..self.len.saturating_sub(CHECKSUM)).unwrap_or(&[])
    }

    /// Frames that were dropped so far.
    #[must_use]
    pub const fn losses(&self) -> Losses {
        self.losses
    }

    /// Forgets the frame that is arriving: the connection is a new one.
    pub const fn reset(&mut self) {
        self.state = State::Outside;
    }

    /// Whether the byte makes a message whole.
    fn push(&mut self, byte: u8) -> bool {
        if byte == DELIMITER {
            return self.end();
        }
        match self.state {
            State::Outside => {
                self.len = 0;
                self.crc = Crc32::new();
                self.open_run(byte);
            }
            State::Run { left: 0, zero } => {
                if !zero || self.keep(0) {
                    self.open_run(byte);
                }
            }
            State::Run { left, zero } => {
                if self.keep(byte) {
                    self.state = State::Run { left: left - 1, zero };
                }
            }
            State::Lost => {}
        }
        false
    }

    const fn open_run(&mut self, code: u8) {
        self.state = State::Run { left: code.saturating_sub(1), zero: code != FULL };
    }

    /// Whether there was room.
    fn keep(&mut self, byte: u8) -> bool {
        let Some(place) = self.buffer.get_mut(self.len) else {
            self.losses.overlong = self.losses.overlong.saturating_add(1);
            self.state = State::Lost;
            return false;
        };
        *place = byte;
        self.len += 1;
        self.crc.push(byte);
        true
    }

    fn end(&mut self) -> bool {
        let ended = core::mem::replace(&mut self.state, State::Outside);
        let whole = matches!(ended, State::Run { left: 0, .. }) && self.len >= CHECKSUM && self.crc.holds();
        if !whole && matches!(ended, State::Run { .. }) {
            self.losses.damaged = self.losses.damaged.saturating_add(1);
        }
        whole
    }
}
