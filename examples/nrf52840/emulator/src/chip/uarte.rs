//! UARTE (product specification, "UARTE - Universal asynchronous receiver/transmitter with EasyDMA").
//!
//! Bytes from outside arrive one after the other, at the pace of the baud rate. Without flow control those that arrive
//! while nobody receives are lost, and counted; with it they wait.

use std::collections::VecDeque;

use super::peripheral::{Context, Peripheral, mask};

const CTS: u32 = 0x100;
const NCTS: u32 = 0x104;
const RXDRDY: u32 = 0x108;
const ENDRX: u32 = 0x110;
const TXDRDY: u32 = 0x11C;
const ENDTX: u32 = 0x120;
const ERROR: u32 = 0x124;
const RXTO: u32 = 0x144;
const RXSTARTED: u32 = 0x14C;
const TXSTARTED: u32 = 0x150;
const TXSTOPPED: u32 = 0x158;

/// SHORTS: a full buffer starts the next one, or stops reception.
const ENDRX_STARTRX: u32 = 1 << 5;
const ENDRX_STOPRX: u32 = 1 << 6;
/// ERRORSRC.
const OVERRUN: u32 = 1;
/// Bytes that wait between two buffers.
const FIFO: usize = 4;
/// ENABLE: with EasyDMA. The older UART, 4, is not modelled.
const ENABLED: u32 = 8;

/// One direction's registers.
#[derive(Clone, Copy, Debug, Default)]
struct Buffer {
    pointer: u32,
    max: u32,
    amount: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Uarte {
    enable: u32,
    config: u32,
    baud: u32,
    pins: [u32; 4],
    shorts: u32,
    errors: u32,
    receive: Buffer,
    /// The buffer that is being filled: where, and how many are still missing.
    filling: Option<(u32, u32)>,
    receiving: bool,
    fifo: VecDeque<u8>,
    transmit: Buffer,
    sending: VecDeque<u8>,
    /// The cycle at which the next byte is through.
    sent_at: Option<u64>,
    arrives_at: Option<u64>,
    line: VecDeque<u8>,
    output: Vec<u8>,
    lost: u64,
    pace: Option<u64>,
}

impl Uarte {
    /// After a reset: what is on the line, or has left it, is not the chip's any more.
    pub(super) fn reset(&mut self) -> Self {
        Self {
            baud: 0x0400_0000,
            pins: [u32::MAX; 4],
            arrives_at: self.arrives_at,
            line: std::mem::take(&mut self.line),
            output: std::mem::take(&mut self.output),
            lost: self.lost,
            pace: self.pace,
            ..Self::default()
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], now: u64) {
        self.line.extend(bytes);
        self.expect_byte(now);
    }

    pub(crate) const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) const fn set_pace(&mut self, cycles: Option<u64>) {
        self.pace = cycles;
    }

    /// Cycles of a byte: ten bits, one more for parity and for a second stop bit.
    fn byte(&self) -> u64 {
        let bits = 10 + u64::from(self.config & 0xE != 0) + u64::from(self.config >> 4 & 1);
        // The rate is BAUDRATE * 16 MHz / 2^32, of cycles at 64 MHz.
        self.pace.unwrap_or_else(|| ((bits * 4) << 32) / u64::from(self.baud.max(1)))
    }

    const fn flow_control(&self) -> bool {
        self.config & 1 != 0
    }

    fn expect_byte(&mut self, now: u64) {
        let held = self.flow_control() && self.filling.is_none();
        if self.arrives_at.is_none() && !self.line.is_empty() && !held {
            self.arrives_at = Some(now + self.byte());
        }
    }

    fn start_receiving(&mut self, context: &mut Context<'_>) {
        if self.enable != ENABLED {
            return;
        }
        self.receiving = true;
        self.filling = Some((self.receive.pointer, self.receive.max));
        self.receive.amount = 0;
        context.raise(RXSTARTED);
        self.drain(context);
        self.expect_byte(context.now);
    }

    /// Moves what waits between two buffers into the new one.
    fn drain(&mut self, context: &mut Context<'_>) {
        while let (Some((_, 1..)), Some(byte)) = (self.filling, self.fifo.front().copied()) {
            self.fifo.pop_front();
            self.store(byte, context);
        }
    }

    fn store(&mut self, byte: u8, context: &mut Context<'_>) {
        let Some((pointer, left @ 1..)) = self.filling else { return };
        if context.ram.write(pointer, [byte]).is_err() {
            context.misuse_dma(pointer);
            return;
        }
        self.receive.amount += 1;
        self.filling = Some((pointer + 1, left - 1));
        if left == 1 {
            self.end_of_buffer(context);
        }
    }

    fn end_of_buffer(&mut self, context: &mut Context<'_>) {
        self.filling = None;
        context.raise(ENDRX);
        if self.shorts & ENDRX_STARTRX != 0 {
            self.start_receiving(context);
        } else if self.shorts & ENDRX_STOPRX != 0 {
            self.receiving = false;
            context.raise(RXTO);
        }
    }

    fn stop_receiving(&mut self, context: &mut Context<'_>) {
        if self.filling.take().is_some() {
            context.raise(ENDRX);
        }
        self.receiving = false;
        context.raise(RXTO);
    }

    /// What arrived between STOPRX and RXTO, for those who want it.
    fn flush(&mut self, context: &mut Context<'_>) {
        self.filling = Some((self.receive.pointer, self.receive.max));
        self.receive.amount = 0;
        self.drain(context);
        if self.filling.take().is_some() {
            context.raise(ENDRX);
        }
    }

    fn arrived(&mut self, context: &mut Context<'_>) {
        let Some(byte) = self.line.pop_front() else { return };
        if !self.receiving {
            self.lost += 1;
            return;
        }
        context.raise(RXDRDY);
        if self.filling.is_some_and(|(_, left)| left > 0) {
            self.store(byte, context);
        } else if self.fifo.len() < FIFO {
            self.fifo.push_back(byte);
        } else {
            self.lost += 1;
            self.errors |= OVERRUN;
            context.raise(ERROR);
        }
    }

    fn start_sending(&mut self, context: &mut Context<'_>) {
        if self.enable != ENABLED {
            return;
        }
        let Some(bytes) = context.ram.slice(self.transmit.pointer, self.transmit.max) else {
            return context.misuse_dma(self.transmit.pointer);
        };
        self.sending = bytes.iter().copied().collect();
        self.transmit.amount = 0;
        context.raise(TXSTARTED);
        if self.sending.is_empty() {
            context.raise(ENDTX);
        } else {
            self.sent_at = Some(context.now + self.byte());
        }
    }

    fn sent(&mut self, context: &mut Context<'_>) {
        self.output.extend(self.sending.pop_front());
        self.transmit.amount += 1;
        context.raise(TXDRDY);
        self.sent_at = (!self.sending.is_empty()).then(|| context.now + self.byte());
        if self.sent_at.is_none() {
            context.raise(ENDTX);
        }
    }
}

impl Peripheral for Uarte {
    fn read(&mut self, offset: u32, _now: u64) -> Option<u32> {
        Some(match offset {
            0x200 => self.shorts,
            0x480 => self.errors,
            0x500 => self.enable,
            0x508..0x518 => self.pins[(offset as usize - 0x508) / 4],
            0x524 => self.baud,
            0x534 => self.receive.pointer,
            0x538 => self.receive.max,
            0x53C => self.receive.amount,
            0x544 => self.transmit.pointer,
            0x548 => self.transmit.max,
            0x54C => self.transmit.amount,
            0x56C => self.config,
            _ => return None,
        })
    }

    fn write(&mut self, offset: u32, value: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x200 => self.shorts = value,
            0x480 => self.errors &= !value,
            0x500 if value == 0 || value == ENABLED => {
                self.enable = value;
                if value == 0 {
                    (self.receiving, self.filling, self.sent_at) = (false, None, None);
                    self.fifo.clear();
                }
            }
            0x508..0x518 => self.pins[(offset as usize - 0x508) / 4] = value,
            0x524 => self.baud = value,
            0x534 => self.receive.pointer = value,
            0x538 => self.receive.max = value & 0xFFFF,
            0x544 => self.transmit.pointer = value,
            0x548 => self.transmit.max = value & 0xFFFF,
            0x56C => {
                self.config = value & 0x1F;
                self.expect_byte(context.now);
            }
            _ => return None,
        }
        Some(())
    }

    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()> {
        match offset {
            0x00 => self.start_receiving(context),
            0x04 => self.stop_receiving(context),
            0x08 => self.start_sending(context),
            0x0C => {
                self.sent_at = None;
                self.sending.clear();
                context.raise(TXSTOPPED);
            }
            0x2C => self.flush(context),
            _ => return None,
        }
        Some(())
    }

    fn events(&self) -> u32 {
        mask(&[CTS, NCTS, RXDRDY, ENDRX, TXDRDY, ENDTX, ERROR, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED])
    }

    fn due(&self, _enabled: u32) -> Option<u64> {
        [self.sent_at, self.arrives_at].into_iter().flatten().min()
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.sent_at.is_some_and(|due| due <= context.now) {
            self.sent(context);
        }
        if self.arrives_at.take_if(|due| *due <= context.now).is_some() {
            self.arrived(context);
            self.expect_byte(context.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peripheral::bench::Bench;
    use super::super::ram::BASE;
    use super::*;

    fn enabled(bench: &mut Bench) -> Uarte {
        let mut uarte = Uarte::default().reset();
        // 115,200 baud.
        for (offset, value) in [(0x500, ENABLED), (0x524, 0x01D6_0000), (0x534, BASE), (0x538, 3)] {
            bench.write(&mut uarte, offset, value);
        }
        uarte
    }

    #[test]
    fn bytes_are_received_at_the_baud_rate_into_ram() {
        let mut bench = Bench::new();
        let mut uarte = enabled(&mut bench);
        assert_eq!(bench.task(&mut uarte, 0), [RXSTARTED]);
        uarte.feed(b"abc", 0);
        assert_eq!(bench.next(&mut uarte), [RXDRDY]);
        assert_eq!(bench.now, 5577);
        assert_eq!(bench.next(&mut uarte), [RXDRDY]);
        assert_eq!(bench.next(&mut uarte), [RXDRDY, ENDRX]);
        assert_eq!((bench.ram.read(BASE), uarte.read(0x53C, 0)), (Ok(*b"abc"), Some(3)));
        assert_eq!((uarte.due(0), uarte.lost()), (None, 0));
    }

    #[test]
    fn between_buffers_four_bytes_wait_and_more_are_an_overrun() {
        let mut bench = Bench::new();
        let mut uarte = enabled(&mut bench);
        bench.task(&mut uarte, 0);
        uarte.feed(b"abcdefgh", 0);
        let raised: Vec<_> = (0..8).flat_map(|_| bench.next(&mut uarte)).collect();
        assert_eq!(raised.iter().filter(|event| **event == ERROR).count(), 1);
        assert_eq!((uarte.lost(), uarte.read(0x480, 0)), (1, Some(OVERRUN)));
        assert_eq!(bench.task(&mut uarte, 0), [RXSTARTED, ENDRX]);
        assert_eq!(bench.ram.read(BASE), Ok(*b"def"));
    }

    #[test]
    fn nobody_receives_and_bytes_are_lost_unless_flow_control_holds_them() {
        let mut bench = Bench::new();
        let mut uarte = enabled(&mut bench);
        uarte.feed(b"a", 0);
        bench.next(&mut uarte);
        assert_eq!((uarte.lost(), uarte.waiting()), (1, 0));
        bench.write(&mut uarte, 0x56C, 1);
        uarte.feed(b"b", bench.now);
        assert_eq!(uarte.due(0), None);
        bench.task(&mut uarte, 0);
        assert_eq!(bench.next(&mut uarte), [RXDRDY]);
        assert_eq!(bench.task(&mut uarte, 4), [ENDRX, RXTO]);
        assert_eq!(uarte.read(0x53C, 0), Some(1));
    }

    #[test]
    fn shortcuts_go_on_with_the_next_buffer_or_stop() {
        let mut bench = Bench::new();
        let mut uarte = enabled(&mut bench);
        bench.write(&mut uarte, 0x538, 1);
        bench.write(&mut uarte, 0x200, ENDRX_STARTRX);
        bench.task(&mut uarte, 0);
        uarte.feed(b"xy", 0);
        assert_eq!(bench.next(&mut uarte), [RXDRDY, ENDRX, RXSTARTED]);
        bench.write(&mut uarte, 0x200, ENDRX_STOPRX);
        assert_eq!(bench.next(&mut uarte), [RXDRDY, ENDRX, RXTO]);
    }

    #[test]
    fn a_buffer_is_sent_byte_by_byte_and_only_from_ram() {
        let mut bench = Bench::new();
        let mut uarte = enabled(&mut bench);
        bench.ram.write(BASE + 8, *b"ok").unwrap();
        bench.write(&mut uarte, 0x544, BASE + 8);
        bench.write(&mut uarte, 0x548, 2);
        assert_eq!(bench.task(&mut uarte, 8), [TXSTARTED]);
        assert_eq!(bench.next(&mut uarte), [TXDRDY]);
        assert_eq!(bench.next(&mut uarte), [TXDRDY, ENDTX]);
        assert_eq!(uarte.output().as_slice(), b"ok");
        assert_eq!(uarte.read(0x54C, 0), Some(2));
        bench.write(&mut uarte, 0x544, 0x1000);
        assert_eq!(bench.task(&mut uarte, 8), [0; 0]);
        assert_eq!(bench.misuse, Some(super::super::Misuse::DmaOutsideRam(0x1000)));
    }
}
