//! The bootloader of the nRF52840 example: the flash it takes in each of its profiles, and what a boot costs.
//!
//! Built as a release is, with keys whose private halves everybody knows: sizes do not depend on them, and `boot-cost`
//! signs what the emulated chip boots. Beside it stands embassy-boot-nrf's bootloader, built with the same profile. It moves
//! images and checks no signature, so the two do different work; the figure says what that work costs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::elf::{self, Sizes};
use crate::family::THUMB;
use crate::quickstart::Figures;

/// The firmware's workspace below the root.
const FOLDER: &str = "examples/nrf52840";
/// Another project's bootloader.
pub(crate) const PEER: &str = "xtask/peers/embassy-boot-nrf";
/// The most that a figure may be, and what it is held against until it gets there, so that it does not grow meanwhile.
const LIMITS: [(&str, u32, u32); 8] = [
    ("bootloader_ed25519_flash_bytes", 24_576, 28_050),
    ("bootloader_ed25519_pinned_flash_bytes", 24_576, 24_576),
    ("bootloader_lms_flash_bytes", 12_288, 15_200),
    ("bootloader_ed25519_stack_bytes", 12_288, 12_288),
    ("boot_proof_instructions_per_byte", 64, 64),
    ("bootloader_panic_formatting_symbols", 0, 0),
    ("bootloader_panic_symbols", 0, 2),
    ("bootloader_source_lines", 300, 300),
];

/// Takes all figures, each with its limit if it has one.
///
/// # Errors
///
/// When something does not build, or the emulated chip does not boot.
pub(crate) fn figures(workspace: &Workspace) -> Result<Figures> {
    let keys = workspace.target().join("firmware-keys");
    boot_cost(&["keys".as_ref(), keys.as_os_str()]).run()?;
    let [ed25519_keys, lms_keys] = ["ed25519", "lms"].map(|profile| keys.join(profile));
    let mut figures = Figures::new();

    let ed25519 = bootloader(workspace, &ed25519_keys, &[])?;
    let names = [
        ("boot_proof_instructions_per_byte", "instructions_per_byte"),
        ("bootloader_ed25519_stack_bytes", "stack_bytes"),
        ("bootloader_partition_bytes", "partition_bytes"),
    ];
    figures.extend(cost_of(&ed25519, &names)?);
    let elf = read(&ed25519)?;
    let functions = elf::functions(&elf)?;
    let named = |part| functions.iter().filter(|function| function.name.contains(part)).count();
    figures.insert("bootloader_ed25519_flash_bytes".into(), flash(&elf)?.into());
    figures.insert("bootloader_panic_formatting_symbols".into(), named("4core3fmt").into());
    figures.insert("bootloader_panic_symbols".into(), named("panicking").into());

    let pinned = bootloader(workspace, &ed25519_keys, &["--no-default-features", "--features", "ed25519"])?;
    figures.insert("bootloader_ed25519_pinned_flash_bytes".into(), flash(&read(&pinned)?)?.into());
    let lms = bootloader(workspace, &lms_keys, &["--no-default-features", "--features", "lms"])?;
    let names = [
        ("boot_proof_lms_instructions_per_byte", "instructions_per_byte"),
        ("bootloader_lms_stack_bytes", "stack_bytes"),
    ];
    figures.extend(cost_of(&lms, &names)?);
    figures.insert("bootloader_lms_flash_bytes".into(), flash(&read(&lms)?)?.into());
    let both = bootloader(workspace, &ed25519_keys, &["--features", "lms"])?;
    figures.insert("bootloader_ed25519_and_lms_flash_bytes".into(), flash(&read(&both)?)?.into());
    figures.insert("bootloader_source_lines".into(), source_lines(workspace)?.into());

    let peer = build(workspace, PEER, &[], "embassy-boot-nrf-bootloader", None)?;
    figures.insert("embassy_boot_nrf_flash_bytes".into(), flash(&read(&peer)?)?.into());
    for (name, limit, _) in LIMITS {
        figures.insert(limit_name(name), limit.into());
    }
    Ok(figures)
}

/// Takes the figures and holds them against their limits.
///
/// # Errors
///
/// As [`figures`], and with every figure beyond its limit.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let figures = figures(workspace)?;
    eprintln!("bootloader of the nRF52840: {}", Value::from(figures.clone()));
    hold(&figures)
}

fn hold(figures: &Figures) -> Result<()> {
    let mut beyond = Vec::new();
    for (name, _, held) in LIMITS {
        let figure =
            figures.get(name).and_then(Value::as_f64).with_context(|| format!("no figure {name}"))?;
        if figure > f64::from(held) {
            beyond.push(format!("{name} is {figure}, more than {held}"));
        }
    }
    ensure!(beyond.is_empty(), "the bootloader costs too much: {}", beyond.join("; "));
    Ok(())
}

/// `a_flash_limit_bytes` for `a_flash_bytes`: a figure's name ends in its unit.
fn limit_name(name: &str) -> String {
    match name.strip_suffix("_bytes") {
        Some(figure) => format!("{figure}_limit_bytes"),
        None => format!("{name}_limit"),
    }
}

fn boot_cost(arguments: &[&std::ffi::OsStr]) -> CommandLine {
    CommandLine::cargo().args(["run", "--quiet", "-p", "boot-cost", "--"]).args(arguments)
}

/// Boots a device with this bootloader on the emulated chip, up to an image of 400 KiB. Each figure under its name here, of
/// the name that `boot-cost` has for it.
fn cost_of(bootloader: &Path, names: &[(&str, &str)]) -> Result<Figures> {
    let cost = boot_cost(&["boot".as_ref(), bootloader.as_os_str()]).output()?;
    let cost: Figures = serde_json::from_str(&cost).context("boot-cost prints one JSON object")?;
    let named = |(here, there): &(&str, &str)| {
        let figure = cost.get(*there).with_context(|| format!("boot-cost prints no {there}"))?;
        Ok(((*here).to_owned(), figure.clone()))
    };
    names.iter().map(named).collect()
}

fn bootloader(workspace: &Workspace, keys: &Path, features: &[&str]) -> Result<PathBuf> {
    let arguments = [&["-p", "bootloader"], features].concat();
    build(workspace, FOLDER, &arguments, "bootloader", Some(keys))
}

/// Builds a program and puts it where the next build does not replace it.
fn build(
    workspace: &Workspace,
    folder: &str,
    arguments: &[&str],
    name: &str,
    keys: Option<&Path>,
) -> Result<PathBuf> {
    let target = workspace.target().join("firmware");
    let mut build =
        CommandLine::cargo().args(["build", "--release", "--locked", "--target-dir"]).arg(&target);
    build = build.args(arguments).dir(&workspace.root().join(folder));
    if let Some(keys) = keys {
        build = build.env("OTA_KEYS", keys);
    }
    build.run().with_context(|| format!("{folder} does not build"))?;
    Ok(target.join(THUMB).join("release").join(name))
}

fn read(elf: &Path) -> Result<Vec<u8>> {
    fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))
}

/// Everything that is written to flash: vectors, code, constants, initial values, descriptor.
fn flash(elf: &[u8]) -> Result<u64> {
    let sizes = Sizes::read(elf)?;
    Ok(sizes.text + sizes.data)
}

/// Lines of all of the bootloader's Rust files.
fn source_lines(workspace: &Workspace) -> Result<usize> {
    let folder = workspace.root().join(FOLDER).join("bootloader");
    let sources = fs::read_dir(folder.join("src"))?.map(|entry| Ok(entry?.path()));
    let files = sources.chain([Ok(folder.join("build.rs"))]);
    files.map(|file: Result<PathBuf>| Ok(fs::read_to_string(file?)?.lines().count())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_the_limits() -> Figures {
        LIMITS.iter().map(|(name, _, held)| ((*name).to_owned(), Value::from(*held))).collect()
    }

    #[test]
    fn figures_at_their_limits_pass_and_one_beyond_does_not() {
        hold(&at_the_limits()).unwrap();
        for (name, limit, held) in LIMITS {
            assert!(limit <= held);
            let mut figures = at_the_limits();
            figures.insert(name.into(), (held + 1).into());
            assert!(hold(&figures).unwrap_err().to_string().contains(name));
            figures.remove(name);
            assert!(hold(&figures).is_err(), "{name} is missing");
        }
    }

    #[test]
    fn limit_of_a_figure_has_its_unit() {
        assert_eq!(limit_name("bootloader_lms_flash_bytes"), "bootloader_lms_flash_limit_bytes");
        assert_eq!(limit_name("bootloader_source_lines"), "bootloader_source_lines_limit");
    }
}
