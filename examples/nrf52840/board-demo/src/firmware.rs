//! The firmware of the acts.

use std::path::Path;

use anyhow::Result;
use emulator::Program;
use ota_manifest::{ChunkSize, Version};
use ota_slots::SlotId;
use ota_verify::sign::describe_image;
use provision::{App, Bootloader, Factory, Image, Keys, Packed, Workshop};

/// Bootloader and applications, and the keys that they trust.
pub struct Firmware {
    keys: Keys,
    bootloader: Program,
    /// Release 1, for slot A.
    pub first: Image,
    /// Release 2, for slot B.
    pub second: Image,
    /// Release 3, for slot A; it fails its self-test.
    pub bad: Image,
}

impl Firmware {
    /// How many programs are built.
    pub const PROGRAMS: usize = 4;

    /// Builds all of it to `target`, as releases that trust the keys of a folder. `tell` is told of each program before it is
    /// built.
    ///
    /// # Errors
    /// If one does not build, or what it is built for cannot be installed.
    pub fn build(target: &Path, keys: &Path, tell: &mut dyn FnMut(&str)) -> Result<Self> {
        let workshop = Workshop::new(&target.join("firmware"), Some(keys));
        tell("the bootloader");
        let bootloader = workshop.bootloader(Bootloader::Ed25519)?;
        let mut image = |slot, number, features: &[&'static str], what: &str| {
            tell(&format!("release {number}, {what}"));
            let app = App { slot, version: version(number), features: features.to_vec() };
            Image::of(&workshop.app(&app)?)
        };
        Ok(Self {
            bootloader,
            first: image(SlotId::A, 1, &[], "for slot A")?,
            second: image(SlotId::B, 2, &[], "for slot B")?,
            bad: image(SlotId::A, 3, &["fails-self-test"], "for slot A, which fails its self-test")?,
            keys: Keys::read(keys)?,
        })
    }

    /// A board as it leaves the factory, with release 1 and the envelope that was signed for it.
    ///
    /// # Errors
    /// If the bootloader would not run that.
    pub fn board(&self, envelope: &[u8]) -> Result<Factory> {
        let image = self.first.clone();
        let leaves = describe_image(&image.bytes, link_address(&image), ChunkSize::KIB4)?.leaves;
        Factory::make(&self.bootloader, &self.keys, &Packed { image, leaves }, envelope)
    }
}

/// What release `number` is called.
pub(crate) const fn version(number: u16) -> Version {
    Version::new(number, 0, 0)
}

/// The address that an image is linked for.
pub(crate) fn link_address(image: &Image) -> u32 {
    layout::LAYOUT.slot(image.slot).link_address
}
