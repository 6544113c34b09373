//! The serial line to the gateway.

use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::gpio::AnyPin;
use embassy_nrf::uarte::{self, Baudrate};
use embassy_nrf::{Peri, bind_interrupts, peripherals};

use crate::memory::Rings;

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

/// What the line's driver takes.
pub(crate) struct Line {
    pub(crate) uarte: Peri<'static, peripherals::UARTE0>,
    pub(crate) timer: Peri<'static, peripherals::TIMER0>,
    pub(crate) channels: (Peri<'static, peripherals::PPI_CH0>, Peri<'static, peripherals::PPI_CH1>),
    pub(crate) group: Peri<'static, peripherals::PPI_GROUP0>,
    pub(crate) receive: Peri<'static, AnyPin>,
    pub(crate) transmit: Peri<'static, AnyPin>,
    pub(crate) rings: &'static mut Rings,
}

impl Line {
    /// The driver. It counts bytes to know what has arrived, and counts those that found no room as well: after an overrun
    /// it shows as many old bytes for new ones, for ever. Then open it anew.
    pub(crate) fn open(&mut self) -> BufferedUarte<'_> {
        let mut config = uarte::Config::default();
        config.baudrate = BAUD;
        let (receive, transmit) = &mut *self.rings;
        BufferedUarte::new(
            self.uarte.reborrow(),
            self.timer.reborrow(),
            self.channels.0.reborrow(),
            self.channels.1.reborrow(),
            self.group.reborrow(),
            self.receive.reborrow(),
            self.transmit.reborrow(),
            Interrupts,
            config,
            receive,
            transmit,
        )
    }
}

const BAUD: Baudrate = match layout::BAUD {
    115_200 => Baudrate::Baud115200,
    230_400 => Baudrate::Baud230400,
    460_800 => Baudrate::Baud460800,
    921_600 => Baudrate::Baud921600,
    1_000_000 => Baudrate::Baud1m,
    _ => panic!("the chip has no such speed"),
};
