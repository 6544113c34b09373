//! TWIM (product specification, "TWIM - I2C compatible two-wire interface master with EasyDMA"), and the devices on its
//! bus, which a test scripts.

use std::collections::VecDeque;

use super::peripheral::{Context, Peripheral, mask};

const STOPPED: u32 = 0x104;
const ERROR: u32 = 0x124;
const SUSPENDED: u32 = 0x148;
const RXSTARTED: u32 = 0x14C;
const TXSTARTED: u32 = 0x150;
const LASTRX: u32 = 0x15C;
const LASTTX: u32 = 0x160;

/// ERRORSRC: no answer to the address, or to a byte.
const ANACK: u32 = 1 << 1;
const DNACK: u32 = 1 << 2;
const ENABLED: u32 = 6;

/// How a device answers one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Normal,
    /// Not at all.
    NoAddress,
    /// It takes this many bytes and refuses the next.
    NoByte(u32),
    /// It holds the clock, for ever.
    Hang,
}

/// A device with up to 256 registers: the first byte written says which, and they count up.
///
/// ```
/// use emulator::{Answer, Machine, TwiDevice};
///
/// let mut machine = Machine::new();
/// // A sensor that names itself in register 0x0F, and misses the first transfer.
/// let mut sensor = TwiDevice::new(0x18).with(0x0F, &[0x33]);
/// sensor.script([Answer::NoAddress]);
/// machine.twi_devices(0).expect("there are two buses").push(sensor);
/// ```
#[derive(Clone, Debug)]
pub struct TwiDevice {
    address: u8,
    registers: [u8; 256],
    pointer: u8,
    script: VecDeque<Answer>,
    transfers: u64,
}

impl TwiDevice {
    /// A device at `address`, of seven bits, whose registers are all zero.
    #[must_use]
    pub fn new(address: u8) -> Self {
        Self { address, registers: [0; 256], pointer: 0, script: VecDeque::new(), transfers: 0 }
    }

    /// With `values` from register `first` on.
    #[must_use]
    pub fn with(mut self, first: u8, values: &[u8]) -> Self {
        for (register, value) in self.registers.iter_mut().skip(first.into()).zip(values) {
            *register = *value;
        }
        self
    }

    /// How it answers the next transfers; those after the script it answers normally.
    pub fn script(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.script.extend(answers);
    }

    /// A register's value.
    #[must_use]
    pub const fn register(&self, register: u8) -> u8 {
        self.registers[register as usize]
    }

    /// Transfers that addressed it, refused ones included.
    #[must_use]
    pub const fn transfers(&self) -> u64 {
        self.transfers
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some((pointer, values)) = bytes.split_first() else { return };
        self.pointer = *pointer;
        for value in values {
            self.registers[usize::from(self.pointer)] = *value;
            self.pointer = self.pointer.wrapping_add(1);
        }
    }

    fn give(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.registers[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Buffer {
    pointer: u32,
    max: u32,
    amount: u32,
    list: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Write,
    Read,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Twim {
    enable: u32,
    pins: [u32; 2],
    frequency: u32,
    address: u32,
    shorts: u32,
    errors: u32,
    receive: Buffer,
    transmit: Buffer,
    /// The transfer under way and when it ends.
    transfer: Option<(Direction, Answer, u64)>,
    devices: Vec<TwiDevice>,
}

impl Twim {
    /// After a reset: the devices are not the chip's.
    pub(super) fn reset(&mut self) -> Self {
        Self {
            frequency: 0x0400_0000,
            pins: [u32::MAX; 2],
            devices: std::mem::take(&mut self.devices),
            ..Self::default()
        }
    }

    pub(super) const fn devices(&mut self) -> &mut Vec<TwiDevice> {
        &mut self.devices
    }

    /// Cycles of a byte with its acknowledgement.
    fn byte(&self) -> u64 {
        (36 << 32) / u64::from(self.frequency.max(1))
    }

    fn device(&mut self) -> Option<&mut TwiDevice> {
        let address = self.address;
        self.devices.iter_mut().find(|device| u32::from(device.address) == address)
    }

    fn start(&mut self, direction: Direction, context: &mut Context<'_>) {
        if self.enable != ENABLED {
            return;
        }
        let (started, buffer) = match direction {
            Direction::Write => (TXSTARTED, self.transmit),
            Direction::Read => (RXSTARTED, self.receive),
        };
        context.raise(started);
        let answer = self.device().map_or(Answer::NoAddress, |device| {
            device.transfers += 1;
            device.script.pop_front().unwrap_or(Answer::Normal)
        });
        let bytes = match answer {
            Answer::Normal => buffer.max,
            Answer::NoAddress => 0,
            Answer::NoByte(taken) => buffer.max.min(taken + 1),
            Answer::Hang => return,
        };
        self.transfer = Some((direction, answer, context.now + self.byte() * (u64::from(bytes) + 1)));
    }

    fn finish(&mut self, direction: Direction, answer: Answer, context: &mut Context<'_>) {
        match answer {
            Answer::NoAddress => return self.fail(ANACK, context),
            Answer::NoByte(taken) if direction == Direction::Write => {
                self.transmit.amount = taken.min(self.transmit.max);
                return self.fail(DNACK, context);
            }
            _ => {}
        }
        let buffer = if direction == Direction::Write { self.transmit } else { self.receive };
        let Some(bytes) = context.ram.slice(buffer.pointer, buffer.max) else {
            return context.misuse_dma(buffer.pointer);
        };
        if let Some(device) = self.device() {
            match direction {
                Direction::Write => device.take(bytes),
                Direction::Read => device.give(bytes),
            }
        }
        self.done(direction, context);
    }

    /// Raises the end of a transfer and follows the shortcuts: start the other one, suspend, or stop.
    fn done(&mut self, direction: Direction, context: &mut Context<'_>) {
        let (buffer, event, first, next) = match direction {
            Direction::Write => (&mut self.transmit, LASTTX, 7, Direction::Read),
            Direction::Read => (&mut self.receive, LASTRX, 10, Direction::Write),
        };
        buffer.amount = buffer.max;
        context.raise(event);
        match self.shorts >> first & 7 {
            shorts if shorts & 1 != 0 => self.start(next, context),
            shorts if shorts & 2 != 0 => context.raise(SUSPENDED),
            shorts if shorts & 4 != 0 => context.raise(STOPPED),
            _ => {}
        }
    }

    fn fail(&mut self, error: u32, context: &mut Context<'_>) {
        self.errors |= error;
        context.raise(ERROR);
    }
}

impl Peripheral for Twim {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x200 => self.shorts,
            0x4C4 => self.errors,
            0x500 => self.enable,
            0x508 => self.pins[0],
            0x50C => self.pins[1],
            0x524 => self.frequency,
            0x534 => self.receive.pointer,
            0x538 => self.receive.max,
            0x53C => self.receive.amount,
            0x540 => self.receive.list,
            0x544 => self.transmit.pointer,
            0x548 => self.transmit.max,
            0x54C => self.transmit.amount,
            0x550 => self.transmit.list,
            0x588 => self.address,
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, _context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x200 => self.shorts = value,
            0x4C4 => self.errors &= !value,
            0x500 if value == 0 || value == ENABLED => self.enable = value,
            0x508 => self.pins[0] = value,
            0x50C => self.pins[1] = value,
            0x524 => self.frequency = value,
            0x534 => self.receive.pointer = value,
            0x538 => self.receive.max = value & 0xFFFF,
            // Array lists are kept and not followed.
            0x540 if value == 0 => self.receive.list = value,
            0x544 => self.transmit.pointer = value,
            0x548 => self.transmit.max = value & 0xFFFF,
            0x550 if value == 0 => self.transmit.list = value,
            0x588 => self.address = value & 0x7F,
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x00 => self.start(Direction::Read, context),
            0x08 => self.start(Direction::Write, context),
            0x14 => {
                self.transfer = None;
                context.raise(STOPPED);
            }
            0x1C => context.raise(SUSPENDED),
            0x20 => {}
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        mask(&[STOPPED, ERROR, SUSPENDED, RXSTARTED, TXSTARTED, LASTRX, LASTTX])
    }

    fn due(&self, _enabled: u32) -> Option<u64> {
        self.transfer.map(|(.., due)| due)
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if let Some((direction, answer, _)) = self.transfer.take_if(|(.., due)| *due <= context.now) {
            self.finish(direction, answer, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::super::ram::BASE;
    use super::*;

    fn ready(bench: &mut Bench, device: TwiDevice) -> Twim {
        let mut twim = Twim::default().reset();
        twim.devices().push(device);
        let registers =
            [(0x500, ENABLED), (0x588, 0x18), (0x544, BASE), (0x548, 1), (0x534, BASE + 16), (0x538, 2)];
        for (offset, value) in registers {
            bench.write(&mut twim, offset, value);
        }
        twim
    }

    #[test]
    fn a_register_is_read_by_writing_its_number_and_reading_on() {
        let mut bench = Bench::new();
        let mut twim = ready(&mut bench, TwiDevice::new(0x18).with(0x0F, &[0x33, 0x44]));
        bench.ram.write(BASE, [0x0F]).unwrap();
        // LASTTX starts reading, LASTRX stops.
        bench.write(&mut twim, 0x200, 1 << 7 | 1 << 12);
        assert_eq!(bench.task(&mut twim, 8), [TXSTARTED]);
        assert_eq!(bench.next(&mut twim), [LASTTX, RXSTARTED]);
        assert_eq!(bench.next(&mut twim), [LASTRX, STOPPED]);
        assert_eq!(bench.ram.read(BASE + 16), Ok([0x33, 0x44]));
        assert_eq!((twim.read(0x53C, 0), twim.devices()[0].transfers()), (Some(2), 2));
    }

    #[test]
    fn scripted_failures_are_told_in_the_error_source_and_pass() {
        let mut bench = Bench::new();
        let mut device = TwiDevice::new(0x18);
        device.script([Answer::NoAddress, Answer::NoByte(0), Answer::Hang]);
        let mut twim = ready(&mut bench, device);
        for expected in [ANACK, DNACK] {
            bench.task(&mut twim, 8);
            assert_eq!(bench.next(&mut twim), [ERROR]);
            assert_eq!(twim.read(0x4C4, 0), Some(expected));
            bench.write(&mut twim, 0x4C4, expected);
        }
        bench.task(&mut twim, 8);
        assert_eq!(twim.due(0), None, "the clock is held");
        assert_eq!(bench.task(&mut twim, 0x14), [STOPPED]);
        bench.task(&mut twim, 8);
        assert_eq!(bench.next(&mut twim), [LASTTX]);
        bench.write(&mut twim, 0x588, 0x19);
        bench.task(&mut twim, 0);
        assert_eq!(bench.next(&mut twim), [ERROR], "nobody at this address");
    }
}
