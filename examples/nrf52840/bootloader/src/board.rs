//! The chip: why it was reset, its watchdog, its flash and the lock of it, and a light.

use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::wdt::{self, Watchdog, WatchdogHandle};
use embassy_nrf::{Peripherals, pac};
use ota_manifest::ResetCause;
use ota_slots::Region;

/// Cycles of a moment: 64 MHz.
const TENTH: u32 = 6_400_000;

/// Everything that the bootloader drives.
pub(crate) struct Board {
    /// Why the chip was reset.
    pub(crate) cause: ResetCause,
    pub(crate) flash: Nvmc<'static>,
    pub(crate) watchdog: WatchdogHandle,
    light: Output<'static>,
    locked: usize,
}

impl Board {
    /// Starts the chip. A watchdog that runs already has little left: it is fed before anything else.
    pub(crate) fn start() -> Self {
        pac::WDT.rr(0).write(|w| w.set_rr(pac::wdt::vals::Rr::Reload));
        // With UICR.APPROTECT as `provision` writes it. Otherwise the chip keeps debuggers out until an application lets them
        // in, and there may be none to run.
        pac::APPROTECT.disable().write(|w| w.set_disable(pac::approtect::vals::Disable::SwDisable));
        // Not by `embassy_nrf::init`: it writes UICR, resets, and starts the timer of whoever else is built beside this.
        // SAFETY: `main` calls this function once, at its start, and nothing else in this program makes peripherals.
        #[expect(unsafe_code, reason = "the safe way to them is `init`")]
        let peripherals = unsafe { Peripherals::steal() };
        let cause = take_reset_cause();
        let mut config = wdt::Config::default();
        config.timeout_ticks = layout::WATCHDOG_TICKS;
        // Another setting runs: only a reset ends it, and a watchdog's will.
        let Ok((_, [watchdog])) = Watchdog::try_new(peripherals.WDT, config) else { crate::reset() };
        let flash = Nvmc::new(peripherals.NVMC);
        let light = Output::new(layout::light!(peripherals), Level::Low, OutputDrive::Standard);
        Self { cause, flash, watchdog, light, locked: 0 }
    }

    /// Keeps a region from being written or erased until the next reset, by whoever runs (product specification, ACL).
    pub(crate) fn lock(&mut self, region: Region) {
        let entry = pac::ACL.acl(self.locked & 7);
        self.locked += 1;
        entry.addr().write_value(region.start);
        entry.size().write_value(region.len);
        entry.perm().write(|w| w.set_write(pac::acl::vals::Write::Disable));
    }

    /// Nothing can run: three quick flashes and a pause, for about ten seconds. Then it is worth another look: a bit
    /// that reads differently each time may read right.
    pub(crate) fn wait_for_help(&mut self) {
        for tenth in 0..100_u8 {
            self.light.set_level(if matches!(tenth % 20, 0 | 2 | 4) { Level::Low } else { Level::High });
            self.watchdog.pet();
            cortex_m::asm::delay(TENTH);
        }
    }
}

/// What tells this chip from all others (FICR, DEVICEID).
pub(crate) fn serial_number() -> [u32; 2] {
    [pac::FICR.deviceid(0).read(), pac::FICR.deviceid(1).read()]
}

/// Reads the reset reason and clears it, as it adds up otherwise.
///
/// Without any bit power has come or dipped. Where the pin is among several, the others may be left over (erratum 136);
/// otherwise the worst counts: firmware on trial does not get around losing an attempt.
fn take_reset_cause() -> ResetCause {
    let register = pac::POWER.resetreas();
    let reason = register.read();
    register.write_value(reason);
    match () {
        () if reason.resetpin() => ResetCause::Pin,
        () if reason.lockup() => ResetCause::Lockup,
        () if reason.dog() => ResetCause::Watchdog,
        () if reason.sreq() => ResetCause::Software,
        () if reason.0 == 0 => ResetCause::PowerOn,
        () => ResetCause::Unknown,
    }
}
