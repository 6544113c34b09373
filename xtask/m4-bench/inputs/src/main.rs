//! Writes the inputs of each measured program into a folder: `inputs FOLDER`.
//!
//! Everything is made here from fixed seeds, so that figures do not differ from run to run, and each signature is checked on
//! this machine before it is written. The form is that of `m4_bench::Inputs`: fields, each with its length before it.

mod documents;
mod signatures;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ota_verify::Sha256;

/// Content that is hashed for its own sake, bytes: long enough that padding and the timer's steps do not show.
const HASHED: usize = 64 * 1024;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: inputs FOLDER")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let hashed = content(HASHED);
    write(folder, "sha256", &[Sha256::of(&[&hashed]).as_bytes(), &hashed])?;
    let (manifest, trust) = (documents::manifest()?, documents::trust()?);
    signatures::write_all(folder, &manifest)?;
    write(folder, "manifest", &[&documents::MANIFEST_ENTRIES.to_le_bytes(), &manifest])?;
    write(folder, "trust", &[&documents::TRUST_ENTRIES.to_le_bytes(), &trust])
}

/// Bytes without a short period.
fn content(len: usize) -> Vec<u8> {
    (0u32..).map(|index| index.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]).take(len).collect()
}

/// Writes the fields of one program's inputs.
fn write(folder: &Path, program: &str, fields: &[&[u8]]) -> Result<()> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend(u32::try_from(field.len())?.to_le_bytes());
        bytes.extend_from_slice(field);
    }
    let file = folder.join(program);
    fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
}
