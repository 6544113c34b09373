//! Flash and the watchdog that watches over work on it.

use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::wdt::WatchdogHandle;
use embedded_storage::nor_flash::ReadNorFlash as _;
use layout::LAYOUT;
use ota_agent::self_test::Watchdog;
use ota_agent::{Bench, BootReport, SlotDriver};
use ota_slots::{BootDescriptor, Machine, OpenError, Policy, SlotId, run_blocking};

/// Memory to work in.
pub(crate) type Buffer = [u8; LAYOUT.work_buffer()];

/// The driver is a blocking one, as the chip is: it stands still while its flash is written. Nothing would be won by
/// making it look asynchronous.
pub(crate) struct Workbench {
    flash: Nvmc<'static>,
    watchdog: WatchdogHandle,
}

impl Workbench {
    pub(crate) const fn new(flash: Nvmc<'static>, watchdog: WatchdogHandle) -> Self {
        Self { flash, watchdog }
    }

    /// What the bootloader says it is. `None` if there is another one.
    pub(crate) fn descriptor(&mut self) -> Option<BootDescriptor> {
        let mut bytes = [0; BootDescriptor::LEN];
        self.flash.read(layout::DESCRIPTOR, &mut bytes).ok()?;
        BootDescriptor::parse(&bytes)
    }

    /// Runs a machine to its end.
    pub(crate) fn run<M: Machine>(&mut self, machine: M, buffer: &mut Buffer) -> M::Output {
        run_blocking(machine, &mut self.flash, &LAYOUT, buffer, || self.watchdog.pet())
    }

    /// Opens the slots for the firmware that runs from `slot`.
    ///
    /// Not in the task itself: as a part of that, it takes a quarter more flash.
    #[inline(never)]
    pub(crate) fn open<'a>(
        &mut self,
        policy: &'a Policy<'a>,
        slot: SlotId,
        buffer: &mut Buffer,
    ) -> Result<(SlotDriver<'a>, BootReport), OpenError> {
        let Self { flash, watchdog } = self;
        SlotDriver::open(&LAYOUT, policy, slot, Bench { flash, buffer, feed: &mut || watchdog.pet() })
    }
}

impl Watchdog for Workbench {
    fn feed(&mut self) {
        self.watchdog.pet();
    }
}
