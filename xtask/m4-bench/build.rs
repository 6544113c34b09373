//! Tells the linker where memory is.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=m4.ld");
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg-bins=-T{folder}/m4.ld");
}
