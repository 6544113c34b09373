//! Drivers of a chip that is not there: your chip's have their places. A task has no type parameters, so it names them.

use core::convert::Infallible;

use embedded_hal::i2c::{self, I2c};
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::{self, NorFlash, ReadNorFlash};
use ota_agent::Event;
use ota_agent::self_test::Watchdog;

/// Random generator, log, reset and watchdog.
pub enum Board {}
/// Flash.
pub enum Flash {}
/// A port to the server.
pub enum Uart {}
/// What the sensor is on.
pub enum Bus {}

impl Watchdog for Board {
    fn feed(&mut self) {
        match *self {}
    }
}

impl crate::board::Board for Board {
    fn random<const N: usize>(&mut self) -> [u8; N] {
        match *self {}
    }

    fn log(&mut self, _: Event) {
        match *self {}
    }

    fn reset(&mut self) -> ! {
        match *self {}
    }
}

impl nor_flash::ErrorType for Flash {
    type Error = Infallible;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Infallible> {
        match *self {}
    }

    fn capacity(&self) -> usize {
        match *self {}
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Infallible> {
        match *self {}
    }

    async fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Infallible> {
        match *self {}
    }
}

impl embedded_io_async::ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        match *self {}
    }
}

impl Write for Uart {
    async fn write(&mut self, _: &[u8]) -> Result<usize, Infallible> {
        match *self {}
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        match *self {}
    }
}

impl i2c::ErrorType for Bus {
    type Error = Infallible;
}

impl I2c for Bus {
    fn transaction(&mut self, _: u8, _: &mut [i2c::Operation<'_>]) -> Result<(), Infallible> {
        match *self {}
    }
}
