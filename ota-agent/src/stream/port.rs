//! A byte stream as an exchange: the link, its port, and how long to wait.

#[cfg(feature = "embedded-io-async")]
use core::{future::poll_fn, pin::pin, task::Poll};

use ota_manifest::wire::{Down, Up};

use super::{StreamError, StreamLink};
use crate::exchange::answers;

/// A [`StreamLink`], the port that its bytes move over, and a time limit: an [`Exchange`](crate::Exchange) or an
/// [`AsyncExchange`](crate::AsyncExchange), as `time` is a clock or a timer.
///
/// A late answer to an earlier message is passed over, where its kind, its number or its place gives it away.
#[derive(Debug)]
pub struct StreamPort<'l, 'b, P, T> {
    link: &'l mut StreamLink<'b>,
    port: P,
    time: T,
    timeout_ms: u32,
}

impl<'l, 'b, P, T> StreamPort<'l, 'b, P, T> {
    /// Exchanges messages over `port`, and waits at most `timeout_ms` for each answer.
    pub const fn new(link: &'l mut StreamLink<'b>, port: P, time: T, timeout_ms: u32) -> Self {
        Self { link, port, time, timeout_ms }
    }
}

/// `time` is a clock, ms. A read of the port that finds nothing must end by itself, long before `timeout_ms`, with an error of
/// the kind `TimedOut` or `Interrupted`.
///
/// ```
/// # use ota_agent::{Buffers, Exchange, StreamLink, StreamPort};
/// # use ota_manifest::wire::{Down, Up, stream::encode_frame};
/// # use embedded_io::{ErrorType, Read, Write};
/// # struct Uart(Vec<u8>);
/// # impl ErrorType for Uart { type Error = embedded_io::ErrorKind; }
/// # impl Write for Uart {
/// #     fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> { Ok(bytes.len()) }
/// #     fn flush(&mut self) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # impl Read for Uart {
/// #     fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> {
/// #         let Some(byte) = self.0.pop() else { return Err(embedded_io::ErrorKind::TimedOut) };
/// #         bytes[0] = byte;
/// #         Ok(1)
/// #     }
/// # }
/// # let mut line = [0; 16];
/// # let mut answer = encode_frame(&Down::Trust { envelope: &[] }, &mut line)?.to_vec();
/// # answer.reverse();
/// # let (uart, mut ms) = (Uart(answer), 0);
/// # let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
/// # let buffers = Buffers { envelope: &mut envelope, window: &mut window };
/// # let mut memory = [0; StreamLink::memory(4096, 1536)];
/// # let mut link = StreamLink::new(&mut memory, &buffers)?;
/// let clock = || { ms += 1; ms }; // yours
/// let mut port = StreamPort::new(&mut link, uart, clock, 30_000);
/// assert_eq!(port.exchange(&Up::Trust { version: 2 }), Ok(Down::Trust { envelope: &[] }));
/// # assert_eq!(port.exchange(&Up::Trust { version: 2 }), Err(ota_agent::StreamError::NoAnswer));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[cfg(feature = "embedded-io")]
impl<P, T> crate::Exchange for StreamPort<'_, '_, P, T>
where
    P: embedded_io::Read + embedded_io::Write,
    T: FnMut() -> u64,
{
    type Error = StreamError<P::Error>;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, Self::Error> {
        let end = (self.time)().saturating_add(self.timeout_ms.into());
        self.link.send_blocking(&mut self.port, up)?;
        while !self.link.receive_blocking(&mut self.port)?.is_some_and(|down| answers(&down, up)) {
            if (self.time)() >= end {
                return Err(StreamError::NoAnswer);
            }
        }
        self.link.message().ok_or(StreamError::NoAnswer)
    }
}

/// `time` is a timer: an asynchronous closure that sleeps for so many milliseconds. Dropped before its end, an exchange leaves
/// the port as [`StreamLink::send_async`] and [`StreamLink::receive_async`] do.
///
/// ```
/// # use core::{future::pending, pin::pin, task::{Context, Poll, Waker}};
/// # use ota_agent::{AsyncExchange, Buffers, StreamError, StreamLink, StreamPort};
/// # use ota_manifest::wire::Up;
/// # use embedded_io_async::{ErrorType, Read, Write};
/// # struct Uart;
/// # impl ErrorType for Uart { type Error = embedded_io_async::ErrorKind; }
/// # impl Write for Uart {
/// #     async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> { Ok(bytes.len()) }
/// #     async fn flush(&mut self) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # impl Read for Uart {
/// #     async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> { pending().await }
/// # }
/// # let uart = Uart;
/// # let test = async {
/// # let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
/// # let buffers = Buffers { envelope: &mut envelope, window: &mut window };
/// # let mut memory = [0; StreamLink::memory(4096, 1536)];
/// # let mut link = StreamLink::new(&mut memory, &buffers)?;
/// let sleep = async |ms: u32| { /* Timer::after_millis(ms.into()).await */ };
/// let mut port = StreamPort::new(&mut link, uart, sleep, 30_000);
/// // Nobody is at the other end of this one:
/// assert_eq!(port.exchange(&Up::Trust { version: 2 }).await, Err(StreamError::NoAnswer));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// # };
/// # assert!(matches!(pin!(test).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))));
/// ```
#[cfg(feature = "embedded-io-async")]
impl<P, T> crate::AsyncExchange for StreamPort<'_, '_, P, T>
where
    P: embedded_io_async::Read + embedded_io_async::Write,
    T: AsyncFnMut(u32),
{
    type Error = StreamError<P::Error>;

    async fn exchange(&mut self, up: &Up) -> Result<Down<'_>, Self::Error> {
        let Self { link, port, time, timeout_ms } = self;
        {
            let mut late = pin!(time(*timeout_ms));
            let mut answered = pin!(async {
                link.send_async(port, up).await?;
                while !link.receive_async(port).await?.is_some_and(|down| answers(&down, up)) {}
                Ok(())
            });
            // The answer first: one that is there counts, however late it is looked for.
            poll_fn(|context| match answered.as_mut().poll(context) {
                Poll::Pending => late.as_mut().poll(context).map(|()| Err(StreamError::NoAnswer)),
                ready => ready,
            })
            .await?;
        }
        link.message().ok_or(StreamError::NoAnswer)
    }
}
