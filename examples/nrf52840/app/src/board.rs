//! The chip: which of its parts does what, and how a life ends.

use core::panic::PanicInfo;

use cortex_m_rt::exception;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{AnyPin, Level, Output, OutputDrive};
use embassy_nrf::mode::Blocking;
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::rng::Rng;
use embassy_nrf::twim::{self, Twim};
use embassy_nrf::wdt::{self, Watchdog};
use embassy_nrf::{Peri, bind_interrupts, pac, peripherals};

use crate::lights::Lights;
use crate::line::Line;
use crate::memory::Rings;
use crate::release::SLOT;
use crate::workbench::Workbench;

bind_interrupts!(struct Interrupts {
    TWISPI0 => twim::InterruptHandler<peripherals::TWISPI0>;
});

/// What updates drive.
pub(crate) struct Board {
    pub(crate) bench: Workbench,
    pub(crate) line: Line,
    pub(crate) random: Random,
    pub(crate) lights: Lights,
    /// Where the sensor is.
    pub(crate) bus: Twim<'static>,
}

struct Pins {
    leds: [Peri<'static, AnyPin>; 4],
    receive: Peri<'static, AnyPin>,
    transmit: Peri<'static, AnyPin>,
    sda: Peri<'static, AnyPin>,
    scl: Peri<'static, AnyPin>,
}

impl Board {
    /// Starts the chip; beside the board the light that is not for updates.
    ///
    /// An image that was signed for the other slot would begin here with the code of the image that is there, and on trial for
    /// ever: it takes a fault instead, by which the trial ends.
    pub(crate) fn start(rings: &'static mut Rings) -> (Self, Output<'static>) {
        let handed_over = cortex_m::Peripherals::take().map(|core| core.SCB.vtor.read());
        if handed_over != Some(layout::LAYOUT.slot(SLOT).link_address) {
            cortex_m::asm::udf()
        }
        let mut config = Config::default();
        // The internal oscillator may be off by more than a serial line bears.
        config.hfclk_source = HfclkSource::ExternalXtal;
        let chip = embassy_nrf::init(config);
        let pins = layout::pins!(chip, Pins);

        // The bootloader has started it: this finds it running, with the same setting, or something is badly wrong.
        let mut config = wdt::Config::default();
        config.timeout_ticks = layout::WATCHDOG_TICKS;
        let Ok((_, [watchdog])) = Watchdog::try_new(chip.WDT, config) else { reset() };

        let line = Line {
            uarte: chip.UARTE0,
            timer: chip.TIMER0,
            channels: (chip.PPI_CH0, chip.PPI_CH1),
            group: chip.PPI_GROUP0,
            receive: pins.receive,
            transmit: pins.transmit,
            rings,
        };

        // With nothing connected to it, a line that floats would be a bus that is busy for ever.
        let mut config = twim::Config::default();
        (config.sda_pullup, config.scl_pullup) = (true, true);
        let bus = Twim::new(chip.TWISPI0, Interrupts, pins.sda, pins.scl, config, &mut []);

        let [heartbeat, lights @ ..] =
            pins.leds.map(|pin| Output::new(pin, Level::High, OutputDrive::Standard));
        let bench = Workbench::new(Nvmc::new(chip.NVMC), watchdog);
        let board = Self { bench, line, random: Random::new(chip.RNG), lights: Lights::new(lights), bus };
        (board, heartbeat)
    }
}

/// Bytes that nobody can guess.
pub(crate) struct Random(Rng<'static, Blocking>);

impl Random {
    fn new(rng: Peri<'static, peripherals::RNG>) -> Self {
        let rng = Rng::new_blocking(rng);
        rng.set_bias_correction(true);
        Self(rng)
    }

    /// Takes about 120 microseconds a byte.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.blocking_fill_bytes(&mut bytes);
        bytes
    }
}

/// What tells this chip from all others (FICR, DEVICEID).
pub(crate) fn serial_number() -> [u32; 2] {
    [pac::FICR.deviceid(0).read(), pac::FICR.deviceid(1).read()]
}

/// The end that was meant: what the bootloader reports as [`ResetCause::Software`](ota_manifest::ResetCause::Software).
pub(crate) fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// A fault within the handler of faults is a lockup, which resets the chip at once, and by which the bootloader tells a crash
/// from a hang, which the watchdog ends, and from an end that was meant.
#[exception(trampoline = false)]
#[expect(unsafe_code, reason = "cortex-m-rt wants it so of this one handler, which relies on nothing")]
unsafe fn HardFault() -> ! {
    cortex_m::asm::udf()
}

/// A panic is a fault. Nobody would read its text, which takes more flash than anything else here.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
