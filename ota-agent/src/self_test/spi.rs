//! Who answers on SPI.

use embedded_hal::spi::{Operation, SpiDevice};

use super::retry::{Retry, agree};
use super::{Fault, Outcome, Probe, Step};

/// "Read identification" of serial flash: the maker's number (JEDEC JEP106), then a type and a capacity of his own.
const READ_ID: u8 = 0x9F;

/// Sends a command to a part on SPI and compares the answer, under a mask.
///
/// `W` bytes are written, then `R` are read, under one chip select. SPI acknowledges nothing: an answer of nothing
/// but ones or nothing but zeros, which was not expected, is taken for a line that nobody drives. By default three
/// attempts are made, 10 ms apart, within 250 ms; an answer that differs is final.
///
/// ```
/// use embedded_hal_mock::eh1::spi::{Mock, Transaction};
/// use ota_agent::self_test::{Outcome, Probe, SpiIdentity, Step};
///
/// let mut device = Mock::new(&[
///     Transaction::transaction_start(),
///     Transaction::write_vec(vec![0x9F]),
///     Transaction::read_vec(vec![0xC2, 0x28, 0x17]),
///     Transaction::transaction_end(),
/// ]);
/// let mut flash = SpiIdentity::jedec("staging", &mut device, [0xC2, 0x28, 0x17]); // an MX25R6435F
/// assert_eq!(flash.poll(0), Step::Done(Outcome::Passed));
/// device.done();
/// ```
#[derive(Debug)]
pub struct SpiIdentity<S, const W: usize, const R: usize> {
    name: &'static str,
    device: S,
    command: [u8; W],
    expected: [u8; R],
    mask: [u8; R],
    retry: Retry,
    timeout_ms: u32,
    found: Option<[u8; R]>,
}

impl<S: SpiDevice> SpiIdentity<S, 1, 3> {
    /// Serial flash must identify itself as manufacturer, type, capacity.
    #[must_use]
    pub const fn jedec(name: &'static str, device: S, expected: [u8; 3]) -> Self {
        Self::new(name, device, [READ_ID], expected)
    }
}

impl<S: SpiDevice, const W: usize, const R: usize> SpiIdentity<S, W, R> {
    /// The part must answer `command` with `expected`.
    #[must_use]
    pub const fn new(name: &'static str, device: S, command: [u8; W], expected: [u8; R]) -> Self {
        const { assert!(R > 0, "an identity has at least one byte") };
        let (mask, retry, timeout_ms) = ([0xFF; R], Retry::new(3, 10), 250);
        Self { name, device, command, expected, mask, retry, timeout_ms, found: None }
    }

    /// Compares only the bits that are set here: one type may come in several capacities.
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

impl<S: SpiDevice, const W: usize, const R: usize> Probe for SpiIdentity<S, W, R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, now: u64) -> Step {
        let mut found = [0; R];
        let mut operations = [Operation::Write(&self.command), Operation::Read(&mut found)];
        if self.device.transaction(&mut operations).is_err() {
            return self.retry.again(now, Fault::BusFailed);
        }
        self.found = Some(found);
        if agree(&found, &self.expected, &self.mask) {
            Step::Done(Outcome::Passed)
        } else if found == [0x00; R] || found == [0xFF; R] {
            self.retry.again(now, Fault::NoAnswer)
        } else {
            Step::Done(Outcome::Failed(Fault::WrongIdentity))
        }
    }
}
