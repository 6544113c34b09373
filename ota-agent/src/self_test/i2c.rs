//! Who answers on I2C.

use embedded_hal::i2c::{Error as _, ErrorKind, I2c};

use super::retry::{Retry, agree};
use super::{Fault, Outcome, Probe, Step};

/// Reads a register of a part on I2C and compares it, under a mask.
///
/// `W` bytes are written to select the register, `R` are read. By default three attempts are made, 10 ms apart,
/// within 250 ms. A bus error counts as a failed attempt; an answer that differs is final.
///
/// ```
/// use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
/// use ota_agent::self_test::{I2cIdentity, Outcome, Probe, Step};
///
/// // A BME280 at 0x76: register 0xD0 holds 0x60.
/// let mut bus = Mock::new(&[Transaction::write_read(0x76, vec![0xD0], vec![0x60])]);
/// let mut sensor = I2cIdentity::new("bme280", &mut bus, 0x76, [0xD0], [0x60]);
/// assert_eq!(sensor.poll(0), Step::Done(Outcome::Passed));
/// assert_eq!(sensor.found(), Some([0x60]));
/// bus.done();
/// ```
#[derive(Debug)]
pub struct I2cIdentity<I, const W: usize, const R: usize> {
    name: &'static str,
    bus: I,
    address: u8,
    register: [u8; W],
    expected: [u8; R],
    mask: [u8; R],
    retry: Retry,
    timeout_ms: u32,
    found: Option<[u8; R]>,
}

impl<I: I2c, const W: usize, const R: usize> I2cIdentity<I, W, R> {
    /// The part at the seven-bit `address` must answer `register` with `expected`.
    #[must_use]
    pub const fn new(name: &'static str, bus: I, address: u8, register: [u8; W], expected: [u8; R]) -> Self {
        const { assert!(R > 0, "an identity has at least one byte") };
        let (mask, retry, timeout_ms) = ([0xFF; R], Retry::new(3, 10), 250);
        Self { name, bus, address, register, expected, mask, retry, timeout_ms, found: None }
    }

    /// Compares only the bits that are set here: a revision in the same register may rise.
    #[must_use]
    pub const fn under_mask(mut self, mask: [u8; R]) -> Self {
        self.mask = mask;
        self
    }

    /// Makes `attempts`, at least one, `pause_ms` apart, within `timeout_ms` in all.
    #[must_use]
    pub const fn attempts(mut self, attempts: u8, pause_ms: u32, timeout_ms: u32) -> Self {
        self.retry = Retry::new(attempts, pause_ms);
        self.timeout_ms = timeout_ms;
        self
    }

    /// What was read last, for the log.
    #[must_use]
    pub const fn found(&self) -> Option<[u8; R]> {
        self.found
    }
}

impl<I: I2c, const W: usize, const R: usize> Probe for I2cIdentity<I, W, R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, now: u64) -> Step {
        let mut found = [0; R];
        match self.bus.write_read(self.address, &self.register, &mut found) {
            Ok(()) => {
                self.found = Some(found);
                Step::Done(if agree(&found, &self.expected, &self.mask) {
                    Outcome::Passed
                } else {
                    Outcome::Failed(Fault::WrongIdentity)
                })
            }
            Err(error) => match error.kind() {
                ErrorKind::NoAcknowledge(_) => self.retry.again(now, Fault::NoAnswer),
                _ => self.retry.again(now, Fault::BusFailed),
            },
        }
    }
}
