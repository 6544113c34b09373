//! What a boot of the nRF52840 example's bootloader costs: instructions and stack, on the emulated chip.
//!
//! ```text
//!   cargo run -p boot-cost -- keys FOLDER       folders `ed25519` and `lms` of public keys for OTA_KEYS, whose private
//!                                               halves everybody knows
//!   cargo run -p boot-cost -- boot ELF          figures of a bootloader that was built with one of them, as JSON
//! ```

mod device;

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail, ensure};
use device::Profile;
use emulator::{Machine, Program, ResetCause, Stop};
use ota_slots::BootDescriptor;
use ota_slots::sim::LabKey;
use ota_verify::sign::Signer as _;
use serde_json::json;

/// Bytes of the image that is proven.
const IMAGE: u32 = 400 * 1024;
/// Boots: one that sets the chip up, one that writes down what runs, one that repeats it. From then on they are the same.
const BOOTS: u32 = 5;
/// Far longer than a boot takes, cycles.
const PATIENCE: u64 = 60 * 64_000_000;
/// What memory is painted with. It is random when power comes.
const PAINT: u8 = 0xA5;

/// A boot's cost.
struct Cost {
    instructions: u64,
    stack: u32,
}

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["keys", folder] => write_keys(Path::new(folder)),
        ["boot", elf] => boot(Path::new(elf)),
        _ => bail!("boot-cost keys FOLDER, or boot-cost boot ELF"),
    }
}

fn write_keys(folder: &Path) -> Result<()> {
    for profile in [Profile::ed25519(), Profile::lms()] {
        let folder = folder.join(profile.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("release.pub"), profile.release_key().public_key().to_string())?;
        if profile.has_documents {
            fs::write(folder.join("root.pub"), LabKey::seeded(2).public_key().to_string())?;
            fs::write(folder.join("freshness.pub"), LabKey::seeded(3).public_key().to_string())?;
        }
    }
    Ok(())
}

fn boot(elf: &Path) -> Result<()> {
    let elf = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let program = Program::read(&elf).map_err(|error| anyhow!("not a program: {error:?}"))?;
    let mut machine = Machine::new();
    let profile = Profile::of(&descriptor(&program).context("no boot descriptor at its place")?)?;
    let image = device::running(&profile, IMAGE)?;
    let loaded = machine.flash().load(0, &image).and_then(|()| machine.load(&program));
    loaded.map_err(|error| anyhow!("not a program for this chip's flash: {error:?}"))?;
    machine.power_on();
    let costs: Vec<_> =
        (0..BOOTS).filter_map(|_| boot_once(&mut machine).transpose()).collect::<Result<_>>()?;
    let last = costs.last().context("the bootloader never got to the image")?;
    let per_byte = f64::from(u32::try_from(last.instructions)?) / f64::from(IMAGE);
    let figures = json!({
        "instructions_per_byte": (per_byte * 100.0).round() / 100.0,
        "partition_bytes": layout::BOOTLOADER.len,
        "stack_bytes": costs.iter().map(|cost| cost.stack).max(),
    });
    println!("{figures}");
    Ok(())
}

/// What the bootloader says about itself.
fn descriptor(program: &Program) -> Option<BootDescriptor> {
    let segments = program.segments().iter();
    let bytes = segments.filter_map(|(start, bytes)| {
        bytes.get(usize::try_from(layout::DESCRIPTOR.checked_sub(*start)?).ok()?..)?.first_chunk()
    });
    bytes.filter_map(BootDescriptor::parse).next()
}

/// Until the image runs; `None` if the chip was set up, which ends in a reset.
fn boot_once(machine: &mut Machine) -> Result<Option<Cost>> {
    let (ram, len) = layout::RAM;
    machine.ram(ram, len).context("there is memory")?.fill(PAINT);
    let before = machine.core().instructions();
    let stop = machine.run(PATIENCE);
    if let Stop::Reset(ResetCause::Soft) = stop {
        return Ok(None);
    }
    ensure!(stop == Stop::Breakpoint(device::RUNS), "the image does not run: {stop:?}");
    ensure!(machine.flash_is_protected(), "the bootloader has not locked the flash");
    let instructions = machine.core().instructions() - before;
    let bytes = machine.ram(ram, len).context("there is memory")?;
    // From the top down to the first stretch that nothing has touched, far longer than any hole in a frame.
    let untouched = bytes.rchunks(4096).position(|chunk| chunk.iter().all(|byte| *byte == PAINT));
    let above = untouched.context("the stack reaches the variables")? * 4096;
    let deepest = bytes[bytes.len() - above..].iter().position(|byte| *byte != PAINT).unwrap_or(0);
    machine.reset(ResetCause::Pin);
    Ok(Some(Cost { instructions, stack: u32::try_from(above - deepest)? }))
}
