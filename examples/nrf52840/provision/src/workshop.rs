//! Builds firmware with cargo.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use emulator::Program;
use ota_manifest::Version;
use ota_slots::SlotId;

/// What the firmware is built for.
const TARGET: &str = "thumbv7em-none-eabihf";

/// Variables of a cargo around this one that would change what is built.
const FOREIGN: [&str; 7] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_UNSTABLE_SPARSE_REGISTRY",
    "OTA_KEYS",
    "OTA_VERSION",
    "RUSTFLAGS",
];

/// Which bootloader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bootloader {
    /// Ed25519, and trust documents.
    #[default]
    Ed25519,
    /// Hash-based signatures alone, and the keys that it was built with.
    Lms,
}

/// Which application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Slot that it is linked for.
    pub slot: SlotId,
    /// What it says it is.
    pub version: Version,
    /// Cargo features, such as the one of a variant that does not work.
    pub features: Vec<&'static str>,
}

/// Builds the firmware of `examples/nrf52840` and keeps what it has built.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The workspace of the firmware.
    sources: PathBuf,
    target: PathBuf,
    /// The keys that a release pins; `None` builds for development.
    keys: Option<PathBuf>,
}

impl Workshop {
    /// Builds to `target`. The firmware trusts the keys of the folder `keys`, or else the development keys.
    #[must_use]
    pub fn new(target: &Path, keys: Option<&Path>) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self { sources, target: target.to_owned(), keys: keys.map(Path::to_owned) }
    }

    /// Builds from the firmware workspace in another folder.
    #[must_use]
    pub fn with_sources(self, folder: &Path) -> Self {
        Self { sources: folder.to_owned(), ..self }
    }

    /// The bootloader.
    ///
    /// # Errors
    /// If it does not build, or the target cannot be installed.
    pub fn bootloader(&self, kind: Bootloader) -> Result<Program> {
        let features: &[&str] = match kind {
            Bootloader::Ed25519 => &[],
            Bootloader::Lms => &["--no-default-features", "--features=lms"],
        };
        self.build("bootloader", features, None)
    }

    /// An application.
    ///
    /// # Errors
    /// As [`Self::bootloader`].
    pub fn app(&self, app: &App) -> Result<Program> {
        let slot = match app.slot {
            SlotId::A => None,
            SlotId::B => Some("slot-b"),
        };
        let features: Vec<&str> = app.features.iter().copied().chain(slot).collect();
        self.build("app", &[&format!("--features={}", features.join(","))], Some(app.version))
    }

    /// Builds one package. Others may be building in the same folder, and the next build overwrites what this one made: the
    /// lock is held until it was read.
    fn build(&self, package: &str, features: &[&str], version: Option<Version>) -> Result<Program> {
        ensure_target()?;
        fs::create_dir_all(&self.target).with_context(|| format!("cannot make {}", self.target.display()))?;
        let lock = File::create(self.target.join(".workshop")).context("cannot lock the workshop")?;
        lock.lock().context("cannot lock the workshop")?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        cargo.current_dir(&self.sources).args(["build", "--locked", "--quiet", "--package", package]);
        cargo.args(features).arg("--target-dir").arg(&self.target).stdin(Stdio::null());
        FOREIGN.iter().for_each(|variable| {
            cargo.env_remove(variable);
        });
        let profile = match &self.keys {
            Some(keys) => {
                let keys =
                    fs::canonicalize(keys).with_context(|| format!("no keys in {}", keys.display()))?;
                cargo.arg("--release").env("OTA_KEYS", keys);
                "release"
            }
            None => "debug",
        };
        if let Some(version) = version {
            cargo.env("OTA_VERSION", version.to_string());
        }
        let status = cargo.status().context("cannot start cargo")?;
        ensure!(status.success(), "{package} does not build");
        let file = self.target.join(TARGET).join(profile).join(package);
        let elf = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Program::read(&elf).with_context(|| format!("{} is not firmware", file.display()))
    }
}

/// Installs the core library for the chip, if it is not there.
fn ensure_target() -> Result<()> {
    let rustup = |args: &[&str]| Command::new("rustup").args(args).stderr(Stdio::inherit()).output();
    let Ok(installed) = rustup(&["target", "list", "--installed"]) else {
        // A toolchain that did not come from rustup has the target, or cargo will say that it has not.
        return Ok(());
    };
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    eprintln!("installing {TARGET}");
    match rustup(&["target", "add", TARGET]) {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!("the firmware needs {TARGET}; run: rustup target add {TARGET}"),
    }
}
