//! Writes `memory.x` for the slot, and which slot and version this is as constants.

use std::path::PathBuf;
use std::{env, fs};

use layout::{Memory, Program};
use ota_manifest::Version;
use ota_slots::SlotId;

/// What a bad release may do. One is enough.
const VARIANTS: [&str; 5] = ["FAILS_SELF_TEST", "HANGS", "HANGS_MASKED", "HARD_FAULT", "SILENT"];

fn main() {
    println!("cargo:rerun-if-env-changed=OTA_VERSION");
    println!("cargo:rerun-if-changed=build.rs");
    let chosen = VARIANTS.iter().filter(|variant| has(variant)).count();
    assert!(chosen <= 1, "at most one of the features in src/variant.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let slot = if has("SLOT_B") { SlotId::B } else { SlotId::A };
    fs::write(out.join("memory.x"), Memory(Program::Application(slot)).to_string())
        .expect("cargo's folder can be written");
    fs::write(out.join("release.rs"), release(slot, version())).expect("cargo's folder can be written");
    println!("cargo:rustc-link-search={}", out.display());
}

fn has(feature: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{feature}")).is_some()
}

fn version() -> Version {
    let text = env::var("OTA_VERSION").unwrap_or_else(|_| "1.0.0".into());
    text.parse().unwrap_or_else(|error| panic!("OTA_VERSION is {text}: {error}"))
}

fn release(slot: SlotId, version: Version) -> String {
    let Version { major, minor, patch, build } = version;
    format!(
        "/// The slot that this is linked for.\npub(crate) const SLOT: SlotId = SlotId::{slot:?};\n\
         /// What this is.\npub(crate) const VERSION: Version = \
         Version {{ major: {major}, minor: {minor}, patch: {patch}, build: {build} }};\n"
    )
}
