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
    /// ```
    /// # use core::{pin::pin, task::{Context, Poll, Waker}};
    /// # use ota_agent::{Buffers, StreamLink};
    /// # use ota_manifest::wire::{Down, stream::encode_frame};
    /// # let test = async {
    /// # let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    /// # let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    /// # let mut memory = [0; StreamLink::memory(4096, 1536)];
    /// # let mut link = StreamLink::new(&mut memory, &buffers)?;
    /// let mut line = [0; 16];
    /// let mut uart = encode_frame(&Down::Ack { seq: 7 }, &mut line)?; // anything that is `embedded_io_async::Read`
    /// assert_eq!(link.receive_async(&mut uart).await, Ok(Some(Down::Ack { seq: 7 })));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// # };
    /// # assert!(matches!(pin!(test).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))));
    /// ```
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
