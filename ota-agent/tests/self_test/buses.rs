//! I2C and SPI: the right part, a wrong one, none, and a bus that fails.

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal::spi::{self, Operation, SpiDevice};
use embedded_hal_mock::eh1::i2c::{Mock as I2c, Transaction};
use embedded_hal_mock::eh1::spi::{Mock as Spi, Transaction as Transfer};
use ota_agent::self_test::{Fault, I2cIdentity, Outcome, SpiIdentity};

use crate::run;

const ADDRESS: u8 = 0x76;
const NAK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

fn answer(byte: u8) -> Transaction {
    Transaction::write_read(ADDRESS, vec![0xD0], vec![byte])
}

fn failing(kind: ErrorKind) -> Transaction {
    answer(0).with_error(kind)
}

/// Asks for 0x60 in register 0xD0; says what it found, when, and what it read.
fn ask(transactions: &[Transaction]) -> (Outcome, u64, Option<[u8; 1]>) {
    let mut bus = I2c::new(transactions);
    let mut probe = I2cIdentity::new("sensor", &mut bus, ADDRESS, [0xD0], [0x60]);
    let (outcome, at) = run(&mut probe);
    let found = probe.found();
    bus.done();
    (outcome, at, found)
}

#[test]
fn right_part_on_i2c_passes_at_once() {
    assert_eq!(ask(&[answer(0x60)]), (Outcome::Passed, 0, Some([0x60])));
}

#[test]
fn wrong_part_on_i2c_fails_without_another_attempt() {
    assert_eq!(ask(&[answer(0x58)]), (Outcome::Failed(Fault::WrongIdentity), 0, Some([0x58])));
}

#[test]
fn absent_part_on_i2c_is_asked_three_times_and_then_missing() {
    let naks = [failing(NAK), failing(NAK), failing(NAK)];
    assert_eq!(ask(&naks), (Outcome::Failed(Fault::NoAnswer), 20, None));
}

#[test]
fn failing_i2c_bus_is_told_from_an_absent_part() {
    for kind in [ErrorKind::Bus, ErrorKind::ArbitrationLoss, ErrorKind::Overrun, ErrorKind::Other] {
        let failing = [failing(kind), failing(kind), failing(kind)];
        assert_eq!(ask(&failing), (Outcome::Failed(Fault::BusFailed), 20, None), "{kind:?}");
    }
}

#[test]
fn part_that_starts_late_passes() {
    let late = [failing(NAK), failing(ErrorKind::Bus), answer(0x60)];
    assert_eq!(ask(&late), (Outcome::Passed, 20, Some([0x60])));
}

#[test]
fn last_attempt_decides_what_was_wrong() {
    let mixed = [failing(NAK), failing(NAK), failing(ErrorKind::Bus)];
    assert_eq!(ask(&mixed).0, Outcome::Failed(Fault::BusFailed));
}

#[test]
fn part_that_stays_silent_for_its_whole_time_has_timed_out() {
    let mut bus = I2c::new(&[failing(NAK), failing(NAK), failing(NAK)]);
    let mut probe = I2cIdentity::new("sensor", &mut bus, ADDRESS, [0xD0], [0x60]).attempts(u8::MAX, 40, 100);
    assert_eq!(run(&mut probe), (Outcome::Failed(Fault::TimedOut), 100));
    bus.done();
}

#[test]
fn no_attempt_is_still_one() {
    let mut bus = I2c::new(&[failing(NAK)]);
    let mut probe = I2cIdentity::new("sensor", &mut bus, ADDRESS, [0xD0], [0x60]).attempts(0, 10, 100);
    assert_eq!(run(&mut probe), (Outcome::Failed(Fault::NoAnswer), 0));
    bus.done();
}

#[test]
fn only_bits_under_the_mask_count() {
    for (byte, outcome) in
        [(0x6F, Outcome::Passed), (0x60, Outcome::Passed), (0x7F, Outcome::Failed(Fault::WrongIdentity))]
    {
        let mut bus = I2c::new(&[answer(byte)]);
        let mut probe = I2cIdentity::new("sensor", &mut bus, ADDRESS, [0xD0], [0x60]).under_mask([0xF0]);
        assert_eq!(run(&mut probe).0, outcome, "{byte:#x}");
        bus.done();
    }
}

#[test]
fn every_byte_of_a_long_identity_counts() {
    for wrong in 0..4 {
        let mut bytes = [1, 2, 3, 4];
        bytes[wrong] ^= 0x80;
        let mut bus = I2c::new(&[Transaction::write_read(ADDRESS, vec![0x0F, 0xFE], bytes.into())]);
        let mut probe = I2cIdentity::new("sensor", &mut bus, ADDRESS, [0x0F, 0xFE], [1, 2, 3, 4]);
        assert_eq!(run(&mut probe).0, Outcome::Failed(Fault::WrongIdentity), "byte {wrong}");
        bus.done();
    }
}

const ID: [u8; 3] = [0xC2, 0x28, 0x17];

/// One transaction for each answer.
fn ask_jedec(answers: &[[u8; 3]]) -> (Outcome, u64) {
    let transfers = answers.iter().flat_map(|answer| {
        [
            Transfer::transaction_start(),
            Transfer::write_vec(vec![0x9F]),
            Transfer::read_vec(answer.to_vec()),
            Transfer::transaction_end(),
        ]
    });
    let mut device = Spi::new(&transfers.collect::<Vec<_>>());
    let found = run(&mut SpiIdentity::jedec("flash", &mut device, ID));
    device.done();
    found
}

#[test]
fn right_part_on_spi_passes_at_once() {
    assert_eq!(ask_jedec(&[ID]), (Outcome::Passed, 0));
}

#[test]
fn wrong_part_on_spi_fails_without_another_attempt() {
    assert_eq!(ask_jedec(&[[0xC2, 0x28, 0x18]]), (Outcome::Failed(Fault::WrongIdentity), 0));
}

#[test]
fn line_that_nobody_drives_is_asked_again_and_then_told_from_a_wrong_part() {
    for silence in [[0x00; 3], [0xFF; 3]] {
        assert_eq!(ask_jedec(&[silence; 3]), (Outcome::Failed(Fault::NoAnswer), 20));
        assert_eq!(ask_jedec(&[silence, ID]), (Outcome::Passed, 10), "it was still starting");
    }
}

#[test]
fn identity_of_nothing_but_zeros_is_an_answer_where_it_is_expected() {
    let transfers = [
        Transfer::transaction_start(),
        Transfer::write_vec(vec![0x0F]),
        Transfer::read_vec(vec![0]),
        Transfer::transaction_end(),
    ];
    let mut device = Spi::new(&transfers);
    assert_eq!(run(&mut SpiIdentity::new("part", &mut device, [0x0F], [0])).0, Outcome::Passed);
    device.done();
}

#[test]
fn capacity_may_be_left_out_of_the_comparison() {
    let transfers = [
        Transfer::transaction_start(),
        Transfer::write_vec(vec![0x9F]),
        Transfer::read_vec(vec![0xC2, 0x28, 0x18]),
        Transfer::transaction_end(),
    ];
    let mut device = Spi::new(&transfers);
    let mut probe = SpiIdentity::jedec("flash", &mut device, ID).under_mask([0xFF, 0xFF, 0]);
    assert_eq!(run(&mut probe).0, Outcome::Passed);
    assert_eq!(probe.found(), Some([0xC2, 0x28, 0x18]));
    device.done();
}

/// A bus that fails so many times before it answers: the mock has no such transaction.
struct Failing(u8);

impl spi::ErrorType for Failing {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Failing {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        if let Some(left) = self.0.checked_sub(1) {
            self.0 = left;
            return Err(spi::ErrorKind::ModeFault);
        }
        for operation in operations {
            if let Operation::Read(bytes) = operation {
                bytes.copy_from_slice(&ID);
            }
        }
        Ok(())
    }
}

#[test]
fn failing_spi_bus_gets_three_attempts() {
    for (failures, outcome) in [(2, Outcome::Passed), (3, Outcome::Failed(Fault::BusFailed))] {
        assert_eq!(run(&mut SpiIdentity::jedec("flash", Failing(failures), ID)), (outcome, 20));
    }
}

#[test]
fn spi_bus_that_fails_for_the_whole_time_has_timed_out() {
    let mut probe = SpiIdentity::jedec("flash", Failing(u8::MAX), ID).attempts(u8::MAX, 30, 50);
    assert_eq!(run(&mut probe), (Outcome::Failed(Fault::TimedOut), 50));
}
