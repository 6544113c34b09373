//! Writes `memory.x`.

use std::path::PathBuf;
use std::{env, fs};

use layout::{Memory, Program};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("memory.x"), Memory(Program::Bootloader).to_string())
        .expect("cargo's folder can be written");
    println!("cargo:rustc-link-search={}", out.display());
    // No interrupt is enabled here. The handler of the application's timer would be linked all the same, 560 bytes, as cargo
    // builds a workspace with the features of all its members.
    println!("cargo:rustc-link-arg-bins=--defsym=RTC1=DefaultHandler");
    println!("cargo:rerun-if-changed=build.rs");
}
