//! The firmware of the play: bootloader, applications, and releases of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::change::{Change, copy};
use crate::plant::Plant;
use anyhow::{Context, Result};
use emulator::{Machine, Program};
use ota_manifest::{Role, TrustDraft, Version};
use ota_slots::SlotId;
use ota_verify::sign::{Signer, seal_trust};
use provision::{App, Bootloader, Factory, Image, Keys, Release, SecretKey, Terms, Workshop, keep_public};

/// What is wrong with an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Conduct {
    /// Nothing.
    Healthy,
    /// One of its probes fails.
    FailsSelfTest,
    /// It hangs before it has confirmed itself.
    Hangs,
    /// The same with interrupts off.
    HangsMasked,
    /// It takes a hard fault.
    HardFault,
    /// It never talks to its server.
    Silent,
}

impl Conduct {
    /// All that does not work.
    pub const BAD: [Self; 5] =
        [Self::FailsSelfTest, Self::Hangs, Self::HangsMasked, Self::HardFault, Self::Silent];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.feature() {
            None => "healthy",
            Some(feature) => feature,
        }
    }

    const fn feature(self) -> Option<&'static str> {
        Some(match self {
            Self::Healthy => return None,
            Self::FailsSelfTest => "fails-self-test",
            Self::Hangs => "hangs",
            Self::HangsMasked => "hangs-masked",
            Self::HardFault => "hard-fault",
            Self::Silent => "silent",
        })
    }
}

/// Keys, and a place to build firmware that trusts them.
#[derive(Clone)]
pub struct Cast {
    target: PathBuf,
    workshop: Workshop,
    keys: Keys,
    root: Arc<SecretKey>,
    release: Arc<SecretKey>,
    /// Signs what time it is.
    pub freshness: Arc<SecretKey>,
    /// The bootloader.
    pub bootloader: Program,
    /// The first image, for slot A.
    pub first: Image,
}

impl Cast {
    /// Builds what every play needs, to `target`, as a release.
    ///
    /// # Errors
    /// If the firmware does not build.
    pub fn assemble(target: &Path) -> Result<Self> {
        let folder = target.join("board-keys");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [root, release, freshness] = [1, 2, 3].map(|seed| SecretKey::new([seed; 32]));
        for (name, key) in [("root", &root), ("release", &release), ("freshness", &freshness)] {
            keep_public(&folder.join(format!("{name}.pub")), &key.public_key())?;
        }
        let workshop = Workshop::new(&target.join("firmware"), Some(&folder));
        let bootloader = workshop.bootloader(Bootloader::Ed25519)?;
        let first = image(&workshop, SlotId::A, 1, Conduct::Healthy)?;
        let keys = Keys::read(&folder)?;
        let [root, release, freshness] = [root, release, freshness].map(Arc::new);
        Ok(Self { target: target.into(), workshop, keys, root, release, freshness, bootloader, first })
    }

    /// The same under a bootloader that lacks something.
    ///
    /// # Errors
    /// If that does not build.
    pub fn under(&self, plant: Plant) -> Result<Self> {
        let sources = plant.sources(&self.target)?;
        let bootloader = self.workshop.clone().with_sources(&sources).bootloader(Bootloader::Ed25519)?;
        Ok(Self { bootloader, ..self.clone() })
    }

    /// Bootloader and application, for slot B, from sources that differ.
    ///
    /// # Errors
    /// If they do not build.
    pub fn changed(&self, name: &str, changes: &[Change]) -> Result<[Program; 2]> {
        let workshop = self.workshop.clone().with_sources(&copy(&self.target, name, changes)?);
        let app = App { slot: SlotId::B, version: Version::new(1, 0, 0), features: Vec::new() };
        Ok([workshop.bootloader(Bootloader::Ed25519)?, workshop.app(&app)?])
    }

    /// Builds an application of version `number.0.0`.
    ///
    /// # Errors
    /// If it does not build.
    pub fn image(&self, slot: SlotId, number: u16, conduct: Conduct) -> Result<Image> {
        image(&self.workshop, slot, number, conduct)
    }

    /// A release of these images, `number.0.0`, that has a minute to confirm itself, and two boots.
    ///
    /// # Errors
    /// If a device would not take it.
    pub fn release(&self, images: Vec<Image>, number: u16) -> Result<Arc<Release>> {
        self.release_on(images, &Terms { confirm_window_s: 60, trial_attempts: 2, ..Terms::numbered(number) })
    }

    /// A release of these images on these terms.
    ///
    /// # Errors
    /// If a device would not take it.
    pub fn release_on(&self, images: Vec<Image>, terms: &Terms) -> Result<Arc<Release>> {
        Release::sign(images, terms, &*self.release).map(Arc::new)
    }

    /// A release that the key signs which the trust document brings.
    ///
    /// # Errors
    /// If a device would not take it.
    pub fn release_by_the_next_key(&self, images: Vec<Image>, number: u16) -> Result<Arc<Release>> {
        Release::sign(images, &Terms::numbered(number), &next_key()).map(Arc::new)
    }

    /// The trust document with version 2: another release key beside the one that is pinned.
    ///
    /// # Errors
    /// If a device would not take it.
    pub fn document(&self) -> Result<Vec<u8>> {
        let mut draft = TrustDraft::new(2);
        draft.thresholds.freshness = 1;
        let another = next_key();
        let roles = [
            (Role::Root, &*self.root),
            (Role::Release, &*self.release),
            (Role::Release, &another),
            (Role::Freshness, &*self.freshness),
        ];
        for (role, key) in roles {
            draft
                .keys
                .push(key.public_key().draft(role))
                .ok()
                .context("a document has room for four keys")?;
        }
        Ok(seal_trust(&draft, &[&*self.root])?)
    }

    /// The keys that are pinned.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A board as it leaves the factory, without power.
    ///
    /// # Errors
    /// If the first image does not prove itself.
    pub fn board(&self) -> Result<Machine> {
        let release = self.release(vec![self.first.clone()], 1)?;
        let first = release.packed.first().context("there is one image")?;
        let factory = Factory::make(&self.bootloader, &self.keys, first, &release.envelope)?;
        let mut machine = Machine::new();
        factory.load(&mut machine)?;
        Ok(machine)
    }
}

fn image(workshop: &Workshop, slot: SlotId, number: u16, conduct: Conduct) -> Result<Image> {
    let features = conduct.feature().into_iter().collect();
    let program = workshop.app(&App { slot, version: Version::new(number, 0, 0), features })?;
    Image::of(&program)
}

fn next_key() -> SecretKey {
    SecretKey::new([9; 32])
}
