//! The same loops over embedded-io-async.

use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use ota_manifest::wire::{Down, Up};

use super::{StreamError, StreamLink};

impl StreamLink<'_> {
    /// Writes `up` and flushes.
    ///
    /// Dropped before its end, it leaves half a message on the line, which the next one ends.
    ///
    /// # Errors
    /// [`StreamError`]: the message, or the end of it, was not sent.
    pub async fn send_async<P: Write>(&mut self, port: &mut P, up: &Up) -> Result<(), StreamError<P::Error>> {
        self.send(up);
        while !self.to_write().is_empty() {
            match port.write(self.to_write()).await.map_err(StreamError::Port)? {
                0 => return Err(StreamError::Closed),
                bytes => self.written(bytes),
            }
        }
        port.flush().await.map_err(StreamError::Port)
    }

    /// The next message, after one read at most; `None` if it is not whole yet.
    ///
    /// Race it against the agent's next timeout, and call it again. Dropped before its end, it loses what the port loses when
    /// its read is dropped: with most, nothing.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn receive_async<P: Read>(
        &mut self,
        port: &mut P,
    ) -> Result<Option<Down<'_>>, StreamError<P::Error>> {
        if !self.advance() {
            match port.read(self.space()).await {
                Ok(0) => return Err(StreamError::Closed),
                Ok(bytes) => self.received(bytes),
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(StreamError::Port(error)),
            }
            self.advance();
        }
        Ok(self.message())
    }
}
