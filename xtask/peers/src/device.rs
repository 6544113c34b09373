//! A device with the peer's bootloader: three partitions over one flash.

use std::cell::RefCell;
use std::rc::Rc;

use embassy_boot::{
    AlignedBuffer, BlockingFirmwareUpdater, BootError, BootLoader, BootLoaderConfig, FirmwareUpdaterConfig,
    FirmwareUpdaterError, State,
};
use embassy_embedded_hal::flash::partition::BlockingPartition;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use ota_slots::sim::CutMode;

use crate::geometry::{Geometry, Name, PAGE, WORD};
use crate::images::Images;
use crate::lives::Running;
use crate::meter::{Cost, Metered, Simulated};

type Partition<'a> = BlockingPartition<'a, NoopRawMutex, Metered>;
type Updater<'a> = BlockingFirmwareUpdater<'a, Partition<'a>, Partition<'a>>;

/// Flash, partitions, and the images that may be on it.
pub struct Device {
    flash: Mutex<NoopRawMutex, RefCell<Metered>>,
    geometry: Geometry,
    images: Rc<Images>,
}

impl Device {
    /// A device that has run the old image for a while: it has marked itself booted, and DFU holds what an earlier
    /// update left there.
    ///
    /// # Panics
    /// If the images do not fit ACTIVE.
    #[must_use]
    pub fn provisioned(geometry: Geometry, images: &Rc<Images>, seed: u64) -> Self {
        let mut flash = Simulated::new(geometry.total() as usize, 0xFF, seed);
        flash.write(geometry.part(Name::Active).start, images.old()).expect("the old image fits");
        flash.write(geometry.part(Name::Dfu).start, images.leftover()).expect("so does an earlier one");
        let device = Self::on(flash, geometry, images);
        device.mark_booted().expect("a device with power");
        device.fork(seed)
    }

    fn on(flash: Simulated, geometry: Geometry, images: &Rc<Images>) -> Self {
        let metered = Metered::new(flash, geometry);
        Self { flash: Mutex::new(RefCell::new(metered)), geometry, images: Rc::clone(images) }
    }

    /// The same device, as if nothing had been logged or counted yet, with another source of randomness.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self::on(self.flash(|flash| flash.reseeded(seed)), self.geometry, &self.images)
    }

    /// Where the partitions are.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The flash, past the counters.
    pub fn flash<T>(&self, look: impl FnOnce(&mut Simulated) -> T) -> T {
        self.flash.lock(|flash| look(flash.borrow_mut().flash()))
    }

    /// Plans a power failure after so many operations from now; [`Self::disarm`] takes it back.
    pub fn arm(&self, operations: usize, mode: CutMode) {
        self.flash.lock(|flash| flash.borrow_mut().arm(operations, mode));
    }

    /// Takes back what [`Self::arm`] planned; whether it had not happened.
    #[must_use]
    pub fn disarm(&self) -> bool {
        self.flash.lock(|flash| flash.borrow_mut().disarm())
    }

    /// Whether there is power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.flash(|flash| flash.is_powered())
    }

    /// What was done since the last call.
    #[must_use]
    pub fn take_cost(&self) -> Cost {
        self.flash.lock(|flash| flash.borrow_mut().take())
    }

    /// What the bootloader does after a reset, up to the jump, with a buffer of one page as its board crates have.
    ///
    /// # Errors
    /// As the bootloader's.
    pub fn boot(&self) -> Result<State, BootError> {
        let mut buffer = AlignedBuffer([0; PAGE]);
        let config = BootLoaderConfig {
            active: self.partition(Name::Active),
            dfu: self.partition(Name::Dfu),
            state: self.partition(Name::State),
        };
        BootLoader::new(config).prepare_boot(buffer.as_mut())
    }

    /// What the processor would find in ACTIVE.
    #[must_use]
    pub fn running(&self) -> Running {
        let start = self.geometry.part(Name::Active).start;
        let (old, new) = (self.images.old(), self.images.new_image());
        let mut found = vec![0; old.len()];
        let read = self.flash(|flash| flash.read(start, &mut found));
        match read {
            Ok(()) if found == old => Running::Old,
            Ok(()) if found == new => Running::New,
            _ => Running::Neither,
        }
    }

    /// The application asks in which state it was started.
    ///
    /// # Errors
    /// As the updater's.
    pub fn state(&self) -> Result<State, FirmwareUpdaterError> {
        self.updater(|updater| updater.get_state())
    }

    /// The application writes the new image to DFU, in chunks of so many bytes.
    ///
    /// # Errors
    /// As the updater's.
    pub fn download(&self, chunk: usize) -> Result<(), FirmwareUpdaterError> {
        self.updater(|updater| {
            let mut chunks = self.images.new_image().chunks(chunk).enumerate();
            chunks.try_for_each(|(number, bytes)| updater.write_firmware(number * chunk, bytes))
        })
    }

    /// The application asks for the swap.
    ///
    /// # Errors
    /// As the updater's.
    pub fn mark_updated(&self) -> Result<(), FirmwareUpdaterError> {
        self.updater(|updater| updater.mark_updated())
    }

    /// The application is content with itself.
    ///
    /// # Errors
    /// As the updater's.
    pub fn mark_booted(&self) -> Result<(), FirmwareUpdaterError> {
        self.updater(|updater| updater.mark_booted())
    }

    fn updater<T>(&self, work: impl FnOnce(&mut Updater<'_>) -> T) -> T {
        let mut word = AlignedBuffer([0; WORD]);
        let config =
            FirmwareUpdaterConfig { dfu: self.partition(Name::Dfu), state: self.partition(Name::State) };
        work(&mut BlockingFirmwareUpdater::new(config, word.as_mut()))
    }

    fn partition(&self, name: Name) -> Partition<'_> {
        let part = self.geometry.part(name);
        BlockingPartition::new(&self.flash, part.start, part.len)
    }
}
