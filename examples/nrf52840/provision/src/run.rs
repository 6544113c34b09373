//! What `cargo run` in `app` does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use emulator::{HZ, Machine, Stop};
use ota_manifest::wire::stream::{Decoder, MAX_REPORT_FRAME};
use ota_manifest::wire::{Up, decode};
use provision::{Bootloader, Factory, Image, Keys, Release, SecretKey, Terms, Workshop, development};

/// The chip's name to `probe-rs`.
const CHIP: &str = "nRF52840_xxAA";

#[derive(Args)]
pub(crate) struct Run {
    /// The application's ELF file.
    elf: PathBuf,
    /// Run it on the emulator, whether or not `probe-rs` is there.
    #[arg(long)]
    emulate: bool,
    /// On the emulator: for how many seconds of its time.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Run {
    pub(crate) fn obey(&self) -> Result<()> {
        let factory = self.pack()?;
        let hex = self.elf.with_extension("hex");
        crate::write(&hex, factory.hex()?.as_bytes())?;
        if self.emulate || !has_probe_rs() {
            println!("{} is for a board; here it runs on the emulator", hex.display());
            return emulate(&factory, self.seconds);
        }
        flash(&hex)
    }

    /// Signed with the development key, which a release bootloader does not pin.
    fn pack(&self) -> Result<Factory> {
        let folder = development();
        let image = Image::of(&crate::program(&self.elf)?)?;
        let key = SecretKey::read(&folder.join("release.key"))?;
        let release = Release::sign(vec![image], &Terms::numbered(1), &key)?;
        // Beside the application, which cargo has just built there: target/thumbv7em-none-eabihf/debug/app.
        let target = self.elf.ancestors().nth(3).context("the application is in no target folder")?;
        let bootloader = Workshop::new(target, None).bootloader(Bootloader::Ed25519)?;
        let first = release.packed.first().context("an image was given")?;
        Factory::make(&bootloader, &Keys::read(&folder)?, first, &release.envelope)
    }
}

fn has_probe_rs() -> bool {
    let version = Command::new("probe-rs").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn flash(hex: &Path) -> Result<()> {
    let probe_rs = |args: &[&str], file: Option<&Path>| {
        let status = Command::new("probe-rs").args(args).args(["--chip", CHIP]).args(file).status();
        let status = status.context("cannot start probe-rs")?;
        ensure!(status.success(), "probe-rs {} failed: is the board connected?", args.join(" "));
        Ok(())
    };
    probe_rs(&["download", "--binary-format", "hex"], Some(hex))?;
    probe_rs(&["reset"], None)?;
    println!("it runs; connect it with: gateway --server URL --board /dev/ttyACM0=TOKEN");
    Ok(())
}

/// Prints what the board asks, with nobody there to answer.
fn emulate(factory: &Factory, seconds: u64) -> Result<()> {
    let mut machine = Machine::new();
    factory.load(&mut machine)?;
    machine.power_on();
    let mut memory = [0; MAX_REPORT_FRAME];
    let mut decoder = Decoder::new(&mut memory);
    while machine.time() < seconds * HZ {
        let stop = machine.run(HZ / 100);
        let at = machine.time() / (HZ / 1000);
        match stop {
            Stop::Deadline => {}
            Stop::Reset(cause) => println!("{at:>6} ms  reset: {cause:?}"),
            stop => anyhow::bail!("ended by {stop:?}"),
        }
        let sent = machine.sent(0);
        let mut rest = &sent[..];
        while let Some(frame) = decoder.feed(&mut rest) {
            if let Ok(up) = decode::<Up>(frame) {
                println!("{at:>6} ms  {up:?}");
            }
        }
    }
    Ok(())
}
