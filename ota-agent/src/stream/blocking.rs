//! The loops over embedded-io.

use embedded_io::{Error as _, ErrorKind, Read, ReadReady, Write};
use ota_manifest::wire::{Down, Up};

use super::{StreamError, StreamLink};

impl StreamLink<'_> {
    /// Writes `up` and flushes.
    ///
    /// ```
    /// # use ota_agent::{Buffers, StreamLink};
    /// # use ota_manifest::{JobId, wire::{Fetch, Object, Up, decode, stream::Decoder}};
    /// # let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    /// # let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    /// # let mut memory = [0; StreamLink::memory(4096, 1536)];
    /// # let mut link = StreamLink::new(&mut memory, &buffers)?;
    /// let up = Up::Fetch(Fetch { job: JobId::new([1; 16]), image: 0, object: Object::Payload, first: 8, count: 4 });
    /// let mut line = [0; 64];
    /// let mut uart = &mut line[..]; // anything that is `embedded_io::Write`
    /// link.send_blocking(&mut uart, &up)?;
    ///
    /// let mut memory = [0; 64];
    /// let mut server = Decoder::new(&mut memory);
    /// assert_eq!(decode(server.feed(&mut &line[..]).ok_or("a message")?), Ok(up));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StreamError`]: the message, or the end of it, was not sent.
    pub fn send_blocking<P: Write>(&mut self, port: &mut P, up: &Up) -> Result<(), StreamError<P::Error>> {
        self.send(up);
        while !self.to_write().is_empty() {
            match port.write(self.to_write()).map_err(StreamError::Port)? {
                0 => return Err(StreamError::Closed),
                bytes => self.written(bytes),
            }
        }
        port.flush().map_err(StreamError::Port)
    }

    /// The next message, after one read at most; `None` if it is not whole yet. Call it again, until the agent's next timeout.
    ///
    /// A read waits as long as the port does, so give the port a time limit below the agent's: an error of the kind
    /// [`ErrorKind::TimedOut`] or [`ErrorKind::Interrupted`] is no error here. Or see [`Self::poll_blocking`].
    ///
    /// ```
    /// # use ota_agent::{Buffers, StreamError, StreamLink};
    /// # use ota_manifest::wire::{Down, stream::encode_frame};
    /// # let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    /// # let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    /// # let mut memory = [0; StreamLink::memory(4096, 1536)];
    /// # let mut link = StreamLink::new(&mut memory, &buffers)?;
    /// let (ack, idle) = (Down::Ack { seq: 7 }, Down::Idle { retry_after_ms: 60_000 });
    /// let (mut one, mut other) = ([0; 16], [0; 16]);
    /// let line = [encode_frame(&ack, &mut one)?, encode_frame(&idle, &mut other)?].concat();
    /// let mut uart = &line[..]; // anything that is `embedded_io::Read`
    /// assert_eq!(link.receive_blocking(&mut uart), Ok(Some(ack)));
    /// assert_eq!(link.receive_blocking(&mut uart), Ok(Some(idle)));
    /// assert_eq!(link.receive_blocking(&mut uart), Err(StreamError::Closed));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn receive_blocking<P: Read>(
        &mut self,
        port: &mut P,
    ) -> Result<Option<Down<'_>>, StreamError<P::Error>> {
        if !self.advance() {
            match port.read(self.space()) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(bytes) => self.received(bytes),
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(StreamError::Port(error)),
            }
            self.advance();
        }
        Ok(self.message())
    }

    /// As [`Self::receive_blocking`], and never waits: `None` if nothing is there.
    ///
    /// One read at most, so that a line that never falls silent does not keep the caller from its other duties.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn poll_blocking<P: Read + ReadReady>(
        &mut self,
        port: &mut P,
    ) -> Result<Option<Down<'_>>, StreamError<P::Error>> {
        if self.advance() {
            return Ok(self.message());
        }
        if port.read_ready().map_err(StreamError::Port)? { self.receive_blocking(port) } else { Ok(None) }
    }
}
