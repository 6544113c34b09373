//! The bare-metal program without an allocator, `xtask/no-alloc`.
//!
//! It calls the main entry points of every device crate. An executable, not a static library: a library may leave
//! symbols open, an executable must find every one, so it links only when nothing asks for memory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::elf::Sizes;
use crate::family::THUMB;

/// Where its crate lives below the root.
pub(crate) const FOLDER: &str = "xtask/no-alloc";

/// Links the program with calls into all device crates.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let sizes = link(workspace, &Calls::All)?;
    eprintln!("linked: {} bytes of code and constants", sizes.text);
    Ok(())
}

/// Which crates the program calls.
pub(crate) enum Calls<'a> {
    /// All device crates.
    All,
    /// These, by the program's feature names; none gives the empty program.
    Only(&'a [&'a str]),
}

/// Links the program for [`THUMB`] and reads its sizes.
///
/// # Errors
///
/// When it does not compile or link, or the linker's output is not what it should be.
pub(crate) fn link(workspace: &Workspace, calls: &Calls<'_>) -> Result<Sizes> {
    let folder = workspace.root().join(FOLDER);
    // Its own workspace, for its own profile, but the same versions of everything.
    fs::copy(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("cannot copy Cargo.lock to the program without an allocator")?;
    let target = workspace.target().join("no-alloc");
    let mut build = CommandLine::cargo().args(["build", "--release", "--target", THUMB, "--target-dir"]);
    build = build.arg(&target).dir(&folder);
    if let Calls::Only(crates) = calls {
        build = build.arg("--no-default-features").arg(format!("--features={}", crates.join(",")));
    }
    build.run().context("the program without an allocator does not build")?;
    let program: PathBuf = target.join(THUMB).join("release/no-alloc");
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    Sizes::read(&bytes).with_context(|| format!("cannot measure {}", program.display()))
}
