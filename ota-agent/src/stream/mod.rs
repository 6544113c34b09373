//! Messages over a byte stream: UART, USB CDC, TCP. Frames are those of [`ota_manifest::wire::stream`].

#[cfg(feature = "embedded-io-async")]
mod awaited;
#[cfg(feature = "embedded-io")]
mod blocking;
mod error;
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
mod port;

use ota_manifest::wire::stream::{CHECKSUM, DELIMITER, Decoder, Losses, MAX_REPORT_FRAME, encode_frame};
use ota_manifest::wire::{Down, Up, decode};

use crate::Buffers;

pub use error::{MemoryTooSmall, StreamError};
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
pub use port::StreamPort;

/// Bytes that are read at once, at least; more if the lent memory has more.
const READ: usize = 64;
/// The longest frame of a device and a delimiter before it.
const FRAME: usize = MAX_REPORT_FRAME + 1;

/// The device's end of a byte stream, without I/O: an [`Up`] becomes bytes to write, bytes that were read become a [`Down`].
///
/// `send_blocking` and `receive_blocking` (feature `embedded-io`) or `send_async` and `receive_async` (`embedded-io-async`)
/// move the bytes; so does anything else:
///
/// ```
/// use ota_agent::{Agent, BootReport, Buffers, Config, Input, Output, StreamLink};
/// use ota_manifest::wire::{Down, Up, decode, stream::{Decoder, encode_frame}};
///
/// let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
/// let buffers = Buffers { envelope: &mut envelope, window: &mut window };
/// let mut memory = [0; StreamLink::memory(4096, 1536)];
/// let mut link = StreamLink::new(&mut memory, &buffers)?;
/// let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
///
/// let Output::Send(up) = agent.poll_output(0) else { panic!("a new agent asks for work") };
/// link.send(&up);
/// let line = link.to_write().to_vec();
/// link.written(line.len());
///
/// // At the other end, a server:
/// let (mut memory, mut frame) = ([0; 128], [0; 64]);
/// let mut server = Decoder::new(&mut memory);
/// let asked = server.feed(&mut &line[..]).ok_or("a message")?;
/// assert!(matches!(decode(asked)?, Up::Poll(_)));
/// let answer = encode_frame(&Down::Idle { retry_after_ms: 60_000 }, &mut frame)?;
///
/// // Back at the device, in any pieces:
/// for piece in answer.chunks(3) {
///     link.space()[..piece.len()].copy_from_slice(piece);
///     link.received(piece.len());
///     if link.advance() && let Some(down) = link.message() {
///         agent.handle_input(5, Input::Message(down));
///     }
/// }
/// assert!(matches!(agent.poll_output(5), Output::Wait));
/// assert!(agent.poll_timeout().unwrap() > 5, "the answer has arrived");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StreamLink<'b> {
    decoder: Decoder<'b>,
    /// A message of the decoder's can be read.
    whole: bool,
    unreadable: u32,
    input: &'b mut [u8],
    /// What of it was read and not looked at yet.
    input_from: usize,
    input_to: usize,
    output: [u8; FRAME],
    /// What of it is still to be written.
    output_from: usize,
    output_to: usize,
}

/// What a link has passed over. The counters stay at their limit once they have reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamLosses {
    /// Frames that were dropped.
    pub frames: Losses,
    /// Whole frames with a message that this version does not know: from a newer server, or from another program.
    pub unreadable: u32,
}

impl<'b> StreamLink<'b> {
    /// Bytes of memory that a link needs for an agent with a window and an envelope buffer of these lengths, bytes.
    ///
    /// The window is what an agent asks for at once, and a server may send all of it in one message.
    #[must_use]
    pub const fn memory(window: usize, envelope: usize) -> usize {
        Self::frame_room(window, envelope).saturating_add(READ)
    }

    /// The part of it that holds a message and its checksum.
    const fn frame_room(window: usize, envelope: usize) -> usize {
        let payload = if window > envelope { window } else { envelope };
        payload.saturating_add(Down::MAX_HEADER + CHECKSUM)
    }

    /// A link for the agent that gets `buffers`. Memory beyond what is needed is used to read more at once.
    ///
    /// # Errors
    /// [`MemoryTooSmall`]: a window or an envelope would not arrive in one message.
    pub fn new(memory: &'b mut [u8], buffers: &Buffers<'_>) -> Result<Self, MemoryTooSmall> {
        let (window, envelope) = (buffers.window.len(), buffers.envelope.len());
        let needed = Self::memory(window, envelope);
        let lent = memory.len();
        if lent < needed {
            return Err(MemoryTooSmall { lent, needed });
        }
        let (message, input) = memory.split_at_mut(Self::frame_room(window, envelope));
        Ok(Self {
            decoder: Decoder::new(message),
            whole: false,
            unreadable: 0,
            input,
            input_from: 0,
            input_to: 0,
            output: [DELIMITER; FRAME],
            output_from: 0,
            output_to: 0,
        })
    }

    /// Makes `up` what is to be written. What is left of the message before it is given up.
    ///
    /// A delimiter goes first: it ends what noise, or that half message, has begun at the other end.
    pub fn send(&mut self, up: &Up) {
        let [_, place @ ..] = &mut self.output;
        // Every message of a device fits; one that did not would be one without an answer, which an agent can live with.
        let len = encode_frame(up, place).map_or(0, <[u8]>::len);
        self.output_from = 0;
        self.output_to = len + 1;
    }

    /// What is to be written; nothing once all of it is.
    #[must_use]
    pub fn to_write(&self) -> &[u8] {
        self.output.get(self.output_from..self.output_to).unwrap_or(&[])
    }

    /// So many bytes of it have been written.
    pub fn written(&mut self, bytes: usize) {
        self.output_from = self.output_from.saturating_add(bytes);
    }

    /// Where to read to. Never empty after [`Self::advance`] has said no.
    pub fn space(&mut self) -> &mut [u8] {
        if self.input_from == self.input_to {
            (self.input_from, self.input_to) = (0, 0);
        }
        self.input.get_mut(self.input_to..).unwrap_or(&mut [])
    }

    /// So many bytes have been read there.
    pub fn received(&mut self, bytes: usize) {
        self.input_to = self.input_to.saturating_add(bytes).min(self.input.len());
    }

    /// Looks at what was read, up to the next message. Whether there is one; if not, all of it has been looked at.
    ///
    /// What is damaged, too long, or of an unknown kind is passed over and counted: the agent's own time limit asks again.
    pub fn advance(&mut self) -> bool {
        self.whole = false;
        let mut rest = self.input.get(self.input_from..self.input_to).unwrap_or(&[]);
        while !self.whole && self.decoder.advance(&mut rest) {
            self.whole = decode::<Down<'_>>(self.decoder.message()).is_ok();
            if !self.whole {
                self.unreadable = self.unreadable.saturating_add(1);
            }
        }
        self.input_from = self.input_to - rest.len();
        self.whole
    }

    /// The message that [`Self::advance`] has found; gone with its next call.
    #[must_use]
    pub fn message(&self) -> Option<Down<'_>> {
        if self.whole { decode(self.decoder.message()).ok() } else { None }
    }

    /// What was passed over so far.
    #[must_use]
    pub const fn losses(&self) -> StreamLosses {
        StreamLosses { frames: self.decoder.losses(), unreadable: self.unreadable }
    }

    /// Forgets what has arrived and what was to be written: the connection is a new one.
    pub const fn reset(&mut self) {
        self.decoder.reset();
        self.whole = false;
        (self.input_from, self.input_to) = (0, 0);
        (self.output_from, self.output_to) = (0, 0);
    }
}
