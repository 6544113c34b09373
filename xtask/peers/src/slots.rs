//! What each phase of an update costs.

use std::fmt::Debug;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::error::PeerError;
use crate::geometry::{Geometry, Name, PAGE};
use crate::images::Images;
use crate::lives::{CHUNK, Running};
use crate::meter::Cost;
use crate::peer;

const KIB: u32 = 1024;

/// The cost of updates with one peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slots {
    /// The peer's version.
    pub version: String,
    /// Bytes of an erase page.
    pub page_bytes: usize,
    /// A 400 KiB image that fills its slot.
    #[serde(flatten)]
    pub image: Figures,
    /// A 64 KiB image in a slot of 496 KiB.
    pub small_image: Figures,
}

/// One image in one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Bytes of the image.
    pub image_bytes: u32,
    /// Bytes of the slot it runs from.
    pub slot_bytes: u32,
    /// What each phase costs.
    pub phases: Phases,
    /// Bytes that a swap programs, per byte of the image.
    pub swap_written_per_image_byte: f64,
    /// Erases of the page of each partition that takes most of them.
    pub wear_per_update: Wear,
    /// The same for an update that is reverted.
    pub wear_per_reverted_update: Wear,
}

/// The phases of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The image is written to DFU in chunks of 1 KiB.
    pub download: Cost,
    /// The same in chunks of one page.
    pub download_by_page: Cost,
    /// The application asks for the swap.
    pub mark_updated: Cost,
    /// The boot that swaps.
    pub swap: Cost,
    /// The boot that swaps back.
    pub revert: Cost,
    /// The application confirms itself.
    pub mark_booted: Cost,
    /// A boot with nothing to do.
    pub idle_boot: Cost,
}

/// Erases of one page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wear {
    /// Of ACTIVE.
    pub active: u32,
    /// Of DFU.
    pub dfu: u32,
    /// Of STATE.
    pub state: u32,
}

/// Measures both images.
///
/// # Errors
/// When the peer refuses a phase, or the wrong image runs after one.
pub fn measure(seed: u64) -> Result<Slots, PeerError> {
    Ok(Slots {
        version: peer::version().to_owned(),
        page_bytes: PAGE,
        image: figures(400 * KIB, 400 * KIB, seed)?,
        small_image: figures(64 * KIB, 496 * KIB, seed)?,
    })
}

/// Measures one image in one slot.
///
/// # Errors
/// When the peer refuses a phase, or the wrong image runs after one.
pub fn figures(image_bytes: u32, slot_bytes: u32, seed: u64) -> Result<Figures, PeerError> {
    let images = Rc::new(Images::new(image_bytes as usize, seed));
    let fresh = || Bench { device: Device::provisioned(Geometry::new(slot_bytes), &images, seed) };
    let (good, bad, by_page) = (fresh(), fresh(), fresh());
    let before = good.wear();

    let (download, mark_updated, swap) = good.update(CHUNK)?;
    let mark_booted = good.spend("mark_booted", Running::New, Device::mark_booted)?;
    let idle_boot = good.spend("idle boot", Running::New, Device::boot)?;

    bad.update(CHUNK)?;
    let revert = bad.spend("revert", Running::Old, Device::boot)?;
    bad.spend("mark_booted after a revert", Running::Old, Device::mark_booted)?;

    let (download_by_page, ..) = by_page.update(PAGE)?;
    let phases = Phases { download, download_by_page, mark_updated, swap, revert, mark_booted, idle_boot };
    Ok(Figures {
        image_bytes,
        slot_bytes,
        swap_written_per_image_byte: per_byte(swap.bytes_written, image_bytes),
        wear_per_update: good.wear().since(&before),
        wear_per_reverted_update: bad.wear().since(&before),
        phases,
    })
}

/// A device, phase by phase.
struct Bench {
    device: Device,
}

impl Bench {
    /// Download, `mark_updated`, swap.
    fn update(&self, chunk: usize) -> Result<(Cost, Cost, Cost), PeerError> {
        let download = self.spend("download", Running::Old, |device| device.download(chunk))?;
        let marked = self.spend("mark_updated", Running::Old, Device::mark_updated)?;
        let swap = self.spend("swap", Running::New, Device::boot)?;
        Ok((download, marked, swap))
    }

    /// One phase, and what runs after it.
    fn spend<T, E: Debug>(
        &self,
        phase: &'static str,
        expected: Running,
        work: impl FnOnce(&Device) -> Result<T, E>,
    ) -> Result<Cost, PeerError> {
        let _ = self.device.take_cost();
        let done = work(&self.device);
        let cost = self.device.take_cost();
        done.map_err(|error| PeerError::Refused { phase, reason: format!("{error:?}") })?;
        let found = self.device.running();
        if found == expected { Ok(cost) } else { Err(PeerError::WrongImage { phase, expected, found }) }
    }

    fn wear(&self) -> Pages {
        Pages { geometry: self.device.geometry(), erases: self.device.flash(|flash| flash.wear().to_vec()) }
    }
}

/// Erases of each page.
#[derive(Clone)]
struct Pages {
    geometry: Geometry,
    erases: Vec<u32>,
}

impl Pages {
    /// The most worn page of each partition, counted from `before`.
    fn since(&self, before: &Self) -> Wear {
        let most = |name| {
            let part = self.geometry.part(name);
            let pages = part.start as usize / PAGE..(part.start + part.len) as usize / PAGE;
            pages.map(|page| self.erases[page] - before.erases[page]).max().unwrap_or(0)
        };
        Wear { active: most(Name::Active), dfu: most(Name::Dfu), state: most(Name::State) }
    }
}

/// Two digits are enough.
fn per_byte(bytes: u64, image: u32) -> f64 {
    let hundredths = u32::try_from(bytes * 100 / u64::from(image)).unwrap_or(u32::MAX);
    f64::from(hundredths) / 100.0
}
