//! Copies of the firmware's sources that differ in a few places.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A place that differs.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// File, from the repository's root.
    pub file: &'static str,
    /// What stands there exactly once.
    pub from: &'static str,
    /// What is to stand there.
    pub to: &'static str,
}

/// What the firmware is made of, below the root; the crates first.
const SOURCES: [&str; 9] = [
    "ota-manifest",
    "ota-verify",
    "ota-slots",
    "ota-agent",
    "examples/nrf52840/.cargo",
    "examples/nrf52840/layout",
    "examples/nrf52840/small-mem",
    "examples/nrf52840/bootloader",
    "examples/nrf52840/app",
];
const FILES: [&str; 2] = ["examples/nrf52840/Cargo.toml", "examples/nrf52840/Cargo.lock"];

/// Copies the sources to a folder `name` below `target` and changes them; returns the firmware's workspace.
///
/// # Errors
/// If the sources are no longer what a change expects.
pub(crate) fn copy(target: &Path, name: &str, changes: &[Change]) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let copy = target.join(name);
    let _ = fs::remove_dir_all(&copy);
    for folder in SOURCES {
        copy_folder(&root.join(folder), &copy.join(folder))?;
    }
    for file in FILES {
        fs::copy(root.join(file), copy.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    fs::write(copy.join("Cargo.toml"), with_members(&manifest)?).context("cannot write Cargo.toml")?;
    for Change { file, from, to } in changes {
        let path = copy.join(file);
        let sound = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        let places = sound.matches(from).count();
        ensure!(places == 1, "what is to change stands {places} times in {file}");
        fs::write(&path, sound.replace(from, to)).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(copy.join("examples/nrf52840"))
}

/// The root's manifest with the copied crates as members.
fn with_members(manifest: &str) -> Result<String> {
    let (head, rest) = manifest.split_once("members = [").context("no members in the manifest")?;
    let (_, rest) = rest.split_once("exclude = [").context("nothing excluded in the manifest")?;
    let (_, tail) = rest.split_once(']').context("the list of excluded folders does not end")?;
    let members = SOURCES.get(..4).unwrap_or_default();
    Ok(format!("{head}members = {members:?}\nexclude = [\"examples\"]{tail}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
