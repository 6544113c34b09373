//! The least that embassy-boot-nrf makes a bootloader of: watchdog, swap, jump. It checks no signature and no digest.
#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use embassy_boot_nrf::{BootLoader, BootLoaderConfig, WatchdogFlash};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::wdt;
use embassy_sync::blocking_mutex::Mutex;

#[entry]
fn main() -> ! {
    let peripherals = embassy_nrf::init(embassy_nrf::config::Config::default());
    let mut config = wdt::Config::default();
    config.timeout_ticks = 32_768 * 8;
    let flash = WatchdogFlash::start(Nvmc::new(peripherals.NVMC), peripherals.WDT, config);
    let flash = Mutex::new(RefCell::new(flash));
    let config = BootLoaderConfig::from_linkerfile_blocking(&flash, &flash, &flash);
    let active = config.active.offset();
    let loader: BootLoader = BootLoader::prepare(config);
    // SAFETY: what lies there is firmware, if one was ever written; the crate asks for no more.
    unsafe { loader.load(active) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
