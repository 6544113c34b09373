//! Everything of the nRF52840 but its core: memories, peripherals, and the wires between them.

mod acl;
mod clock;
mod devices;
mod ficr;
mod flash;
mod gpio;
mod memory;
mod misuse;
mod nvmc;
mod peripheral;
mod power;
mod ppi;
mod ram;
mod reset;
mod rng;
mod rtc;
mod timer;
mod twim;
mod uarte;
mod unmodelled;
mod wdt;

use std::collections::VecDeque;

pub use flash::{Cut, Flash, FlashFault, Operation, PAGE, PAGES, PROGRAMS_PER_ERASE, UICR};
pub use misuse::Misuse;
pub use peripheral::HZ;
pub use reset::ResetCause;
pub use twim::{Answer, TwiDevice};
pub(crate) use uarte::Uarte;
pub use unmodelled::Unmodelled;

use crate::core::Touch;

use acl::Acl;
use devices::{Devices, IDS};
use gpio::Port;
use nvmc::Nvmc;
use peripheral::{Context, EVENTS, Ending, Peripheral, Signals};
use ppi::Ppi;
use ram::Ram;

/// Numbers of peripherals that have no events.
const NVMC: u32 = 0x1E;
const PPI: u32 = 0x1F;
/// Where peripherals begin, and where the ports do.
const PERIPHERALS: u32 = 0x4000_0000;
const PORTS: u32 = 0x5000_0000;

/// The chip around the core.
#[derive(Clone)]
pub(crate) struct Chip {
    /// Cycles since power first came on.
    now: u64,
    /// The cycle at which something has to be looked at; zero for at once.
    wake: u64,
    flash: Flash,
    ram: Ram,
    nvmc: Nvmc,
    acl: Acl,
    ports: [Port; 2],
    ppi: Ppi,
    devices: Devices,
    signals: [Signals; 64],
    unmodelled: Unmodelled,
    ending: Ending,
}

impl Default for Chip {
    fn default() -> Self {
        Self {
            now: 0,
            wake: 0,
            flash: Flash::default(),
            ram: Ram::default(),
            nvmc: Nvmc::default(),
            acl: Acl::default(),
            ports: [Port::default(), Port::default()],
            ppi: Ppi::default(),
            devices: Devices::default(),
            signals: [Signals::default(); 64],
            unmodelled: Unmodelled::default(),
            ending: Ending::default(),
        }
    }
}

/// A peripheral's number, and the offset of a register in it.
const fn locate(address: u32) -> (u32, u32) {
    (address >> 12 & 0x3F, address & 0xFFF)
}

impl Chip {
    /// Applies a reset to everything but the core.
    pub(crate) fn reset(&mut self, cause: ResetCause) {
        if cause == ResetCause::PowerOn {
            self.ram.scramble();
        }
        self.devices = self.devices.reset(cause);
        self.ports = [self.ports[0].reset(), self.ports[1].reset()];
        self.nvmc = Nvmc::default();
        self.acl = Acl::default();
        self.ppi = Ppi::default();
        self.signals = [Signals::default(); 64];
        self.ending = Ending::default();
        self.wake = 0;
    }

    pub(crate) const fn time(&self) -> u64 {
        self.now
    }

    pub(crate) const fn wake(&self) -> u64 {
        self.wake
    }

    /// An instruction went by.
    #[inline]
    pub(crate) const fn count_cycle(&mut self) {
        self.now += 1;
    }

    /// The core sleeps until `cycle`.
    pub(crate) fn sleep_until(&mut self, cycle: u64) {
        if self.devices.wdt.pauses_in_sleep() {
            self.devices.wdt.pause(cycle - self.now);
        }
        self.now = cycle;
    }

    /// What ends the run, if anything does; asked for once.
    pub(crate) fn take_ending(&mut self) -> Ending {
        std::mem::take(&mut self.ending)
    }

    pub(crate) const fn is_off(&self) -> bool {
        self.devices.supply.power.off
    }

    /// Levels of the interrupt lines.
    pub(crate) fn lines(&self) -> u64 {
        IDS.iter().fold(0, |lines, id| lines | u64::from(self.signals[*id as usize].line()) << id)
    }

    /// The next cycle at which a peripheral does something by itself.
    pub(crate) fn due(&mut self) -> Option<u64> {
        self.first_due().map(|(due, _)| due)
    }

    /// Sets the cycle at which to look again.
    pub(crate) const fn set_wake(&mut self, cycle: u64) {
        self.wake = cycle;
    }

    fn first_due(&mut self) -> Option<(u64, u32)> {
        let due = |id: u32| {
            let enabled = self.signals[id as usize].enabled;
            Some((self.devices.get(id)?.due(enabled)?, id))
        };
        IDS.into_iter().filter_map(due).min()
    }

    /// Lets the peripherals do all that is due by now, in order, each at its own time.
    pub(crate) fn advance(&mut self) {
        while let Some((due, id)) = self.first_due().filter(|(due, _)| *due <= self.now) {
            self.act(due, id, |device, context| {
                device.advance(context);
                Some(())
            });
            if !self.ending.is_none() {
                return;
            }
        }
    }

    /// Lets a peripheral do something, and everything that follows from the events it raises.
    fn act(
        &mut self,
        now: u64,
        id: u32,
        act: impl FnOnce(&mut dyn Peripheral, &mut Context<'_>) -> Option<()>,
    ) -> Option<()> {
        let (done, raised) = self.act_alone(now, id, act);
        self.publish(now, id, &raised);
        done
    }

    /// The same without what follows: the events.
    fn act_alone(
        &mut self,
        now: u64,
        id: u32,
        act: impl FnOnce(&mut dyn Peripheral, &mut Context<'_>) -> Option<()>,
    ) -> (Option<()>, Vec<u32>) {
        let mut raised = Vec::new();
        let enabled = self.signals[id as usize & 63].enabled;
        let (ram, ending) = (&mut self.ram, &mut self.ending);
        let mut context = Context { now, enabled, ram, raised: &mut raised, ending };
        let done = self.devices.get(id).and_then(|device| act(device, &mut context));
        self.devices.settle(now);
        self.wake = 0;
        (done, raised)
    }

    /// Sets event registers and follows PPI from there. Channels may form a circle, in which a chip would run as well, but
    /// not in no time.
    fn publish(&mut self, now: u64, id: u32, events: &[u32]) {
        /// More than any chain of channels without a circle.
        const LONGEST: usize = 1000;
        let mut queue: VecDeque<(u32, u32)> = events.iter().map(|event| (id, *event)).collect();
        for _ in 0..LONGEST {
            let Some((id, event)) = queue.pop_front() else { return };
            self.signals[id as usize & 63].events |= Signals::bit(event);
            if self.ppi.is_idle() {
                continue;
            }
            for task in self.ppi.tasks(PERIPHERALS + (id << 12) + event) {
                let raised = self.trigger(now, task);
                queue.extend(raised.into_iter().map(|event| (locate(task).0, event)));
            }
        }
    }

    /// Triggers the task at this address: the events that it raises.
    fn trigger(&mut self, now: u64, task: u32) -> Vec<u32> {
        let (id, offset) = locate(task);
        let (done, raised) = if id == PPI {
            (self.ppi.write(offset, 1), Vec::new())
        } else {
            self.act_alone(now, id, |device, context| device.task(offset, context))
        };
        if done.is_none() {
            self.note_write(task);
        }
        raised
    }

    /// Reads a register of a peripheral.
    fn read_register(&mut self, address: u32) -> u32 {
        let value = if address >= PORTS { self.read_port(address) } else { self.read_peripheral(address) };
        value.unwrap_or_else(|| {
            self.unmodelled.note(address, Touch::Read);
            0
        })
    }

    fn read_peripheral(&mut self, address: u32) -> Option<u32> {
        let (id, offset) = locate(address);
        match id {
            NVMC => return self.nvmc.read(offset).or_else(|| self.acl.read(offset)),
            PPI => return self.ppi.read(offset),
            _ => {}
        }
        let device = self.devices.get(id)?;
        let signals = self.signals[id as usize];
        match offset {
            // Tasks are written only.
            0..EVENTS => Some(0),
            EVENTS..0x180 => {
                let bit = Signals::bit(offset);
                (device.events() & bit != 0).then_some(u32::from(signals.events & bit != 0))
            }
            0x300 | 0x304 | 0x308 => Some(signals.enabled),
            _ => device.read(offset, self.now),
        }
    }

    fn write_register(&mut self, address: u32, value: u32) {
        let done = if address >= PORTS {
            self.write_port(address, value)
        } else {
            self.write_peripheral(address, value)
        };
        if done.is_none() {
            self.note_write(address);
        }
    }

    fn note_write(&mut self, address: u32) {
        self.unmodelled.note(address, Touch::Write);
    }

    fn write_peripheral(&mut self, address: u32, value: u32) -> Option<()> {
        let (id, offset) = locate(address);
        match id {
            // What NVMC itself is told goes another way: see `write_nvmc`.
            NVMC => {
                // The core may be executing what it may not from now on.
                self.wake = 0;
                return self.acl.write(offset, value);
            }
            PPI => return self.ppi.write(offset, value),
            _ => {}
        }
        let implemented = self.devices.get(id)?.events();
        let signals = &mut self.signals[id as usize];
        match offset {
            0..EVENTS if value & 1 == 0 => {}
            0..EVENTS => return self.act(self.now, id, |device, context| device.task(offset, context)),
            EVENTS..0x180 => {
                let bit = Signals::bit(offset);
                signals.events = if value & 1 == 0 { signals.events & !bit } else { signals.events | bit };
                self.wake = 0;
                return (implemented & bit != 0).then_some(());
            }
            0x300 => signals.enabled = value,
            0x304 => signals.enabled |= value,
            0x308 => signals.enabled &= !value,
            _ => return self.act(self.now, id, |device, context| device.write(offset, value, context)),
        }
        self.wake = 0;
        Some(())
    }

    /// The second port's registers lie 0x300 above the first's.
    fn port(&mut self, address: u32) -> Option<(&mut Port, u32)> {
        let [first, second] = &mut self.ports;
        match address - PORTS {
            offset @ 0x500..0x780 => Some((first, offset)),
            offset @ 0x800..0xA80 => Some((second, offset - 0x300)),
            _ => None,
        }
    }

    fn read_port(&mut self, address: u32) -> Option<u32> {
        self.port(address).and_then(|(port, offset)| port.read(offset))
    }

    fn write_port(&mut self, address: u32, value: u32) -> Option<()> {
        self.port(address).and_then(|(port, offset)| port.write(offset, value))
    }

    pub(crate) const fn flash(&mut self) -> &mut Flash {
        &mut self.flash
    }

    pub(crate) const fn unmodelled(&self) -> &Unmodelled {
        &self.unmodelled
    }

    pub(crate) const fn random(&mut self) -> &mut rng::Rng {
        &mut self.devices.rng
    }

    pub(crate) fn pin(&mut self, port: usize) -> Option<&mut Port> {
        self.ports.get_mut(port)
    }

    /// Something from outside changed: time may have to be planned anew.
    pub(crate) fn uarte(&mut self, index: usize) -> Option<&mut Uarte> {
        self.wake = 0;
        self.devices.uartes.get_mut(index)
    }

    pub(crate) fn twi_devices(&mut self, index: usize) -> Option<&mut Vec<TwiDevice>> {
        self.devices.twims.get_mut(index).map(twim::Twim::devices)
    }

    pub(crate) fn ram_bytes(&mut self, address: u32, len: u32) -> Option<&mut [u8]> {
        self.ram.slice(address, len)
    }

    pub(crate) const fn watchdog_runs(&self) -> bool {
        self.devices.wdt.runs()
    }

    pub(crate) fn flash_is_protected(&self) -> bool {
        self.acl.protects()
    }
}
