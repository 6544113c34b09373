//! Flash that is waited for, and somebody who waits, for a while.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use ota_slots::sim::{LabFlash, SimError};

/// The simulated flash; no operation is done the first time somebody looks.
pub(crate) struct Waiting<'f>(pub(crate) &'f mut LabFlash);

/// How often flash is waited for until whoever waits gives up, once.
pub(crate) struct Patience(Cell<usize>);

impl Patience {
    pub(crate) const fn new(waits: usize) -> Self {
        Self(Cell::new(waits))
    }

    pub(crate) const fn left(&self) -> usize {
        self.0.get()
    }

    /// Waits for `future`; `None` if patience came to its end, with the future dropped.
    pub(crate) fn wait<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending => {
                    let left = self.0.get().checked_sub(1);
                    self.0.set(left.unwrap_or(usize::MAX));
                    left?;
                }
            }
        }
    }
}

async fn once() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl ErrorType for Waiting<'_> {
    type Error = SimError;
}

impl ReadNorFlash for Waiting<'_> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        once().await;
        ReadNorFlash::read(self.0, offset, bytes).await
    }

    fn capacity(&self) -> usize {
        ReadNorFlash::capacity(self.0)
    }
}

impl NorFlash for Waiting<'_> {
    const WRITE_SIZE: usize = <LabFlash as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <LabFlash as NorFlash>::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        once().await;
        NorFlash::erase(self.0, from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        once().await;
        NorFlash::write(self.0, offset, bytes).await
    }
}
