//! What the checks need beyond a toolchain, and how it is installed.
//!
//! Everything is looked for first and installed only when missing, so that a second run touches nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::family::THUMB;

/// The cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Something a check needs installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A component of the active toolchain.
    Component(&'static str),
    /// The core library for [`THUMB`], of the active toolchain.
    ThumbTarget,
    /// The oldest supported toolchain, with the core library for [`THUMB`].
    OldestToolchain,
    /// The C compiler that builds SQLite.
    CCompiler,
    /// cargo-deny.
    CargoDeny,
    /// An MQTT broker. Where there is an init system, its Debian package also starts one as a service, on port 1883;
    /// nothing here talks to that one.
    Mosquitto,
    /// A PKCS#11 token in software.
    SoftHsm,
    /// A second opinion on keys, signatures and certificates.
    OpenSsl,
    /// An emulator of Cortex-M processors that counts instructions.
    QemuArm,
}

/// Where programs are that are not in the `PATH` of ordinary users.
const SBIN: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];

/// Where the module of SoftHSM is: Debian's link, and what other systems have.
const SOFTHSM: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

impl Tool {
    /// Installs the tool when it is missing.
    ///
    /// # Errors
    ///
    /// When it is missing and cannot be installed; the message holds the command to run by hand.
    pub(crate) fn ensure(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Component(name) => ensure_component(name),
            Self::ThumbTarget => ensure_target(None),
            Self::OldestToolchain => ensure_toolchain(&workspace.msrv()?),
            Self::CCompiler => ensure_debian("cc", runs("cc"), "gcc libc6-dev"),
            Self::CargoDeny => ensure_cargo_deny(),
            Self::Mosquitto => ensure_debian("mosquitto", find("mosquitto").is_some(), "mosquitto"),
            Self::SoftHsm => ensure_debian("softhsm2-util", has_softhsm(), "softhsm2"),
            Self::OpenSsl => ensure_debian("openssl", find("openssl").is_some(), "openssl"),
            Self::QemuArm => {
                ensure_debian("qemu-system-arm", find("qemu-system-arm").is_some(), "qemu-system-arm")
            }
        }
    }
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The program makes tokens; what uses them loads the module.
fn has_softhsm() -> bool {
    find("softhsm2-util").is_some() && SOFTHSM.iter().any(|module| Path::new(module).exists())
}

fn runs(program: &str) -> bool {
    CommandLine::new(program).arg("--version").succeeds()
}

fn ensure_component(name: &str) -> Result<()> {
    // Listed names carry the host triple, except where a component has none.
    if rustup(&["component", "list", "--installed"], None)?.lines().any(|line| line.starts_with(name)) {
        return Ok(());
    }
    CommandLine::new("rustup").args(["component", "add", name]).run()
}

fn ensure_toolchain(version: &str) -> Result<()> {
    let prefix = format!("{version}-");
    let installed = rustup(&["toolchain", "list"], None)?;
    if !installed.lines().any(|line| line == version || line.starts_with(&prefix)) {
        let install = ["toolchain", "install", version, "--profile", "minimal", "--no-self-update"];
        CommandLine::new("rustup").args(install).run()?;
    }
    ensure_target(Some(version))
}

fn ensure_target(toolchain: Option<&str>) -> Result<()> {
    if rustup(&["target", "list", "--installed"], toolchain)?.lines().any(|line| line == THUMB) {
        return Ok(());
    }
    let mut add = CommandLine::new("rustup").args(["target", "add", THUMB]);
    if let Some(toolchain) = toolchain {
        add = add.args(["--toolchain", toolchain]);
    }
    add.run()
}

fn rustup(args: &[&str], toolchain: Option<&str>) -> Result<String> {
    let mut line = CommandLine::new("rustup").args(args);
    if let Some(toolchain) = toolchain {
        line = line.args(["--toolchain", toolchain]);
    }
    line.output().context("rustup manages targets and toolchains here; it can be had from https://rustup.rs")
}

fn ensure_cargo_deny() -> Result<()> {
    if CommandLine::cargo().args(["deny", "--version"]).succeeds() {
        return Ok(());
    }
    // Unoptimised: it builds in a third of the time and runs once.
    CommandLine::cargo().args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--debug"]).run()
}

/// Installs Debian packages when `program` is not there and this user may install.
///
/// Whether it is there is found out by the caller: of the programs here, only the compiler answers to `--version` with a
/// success everywhere.
fn ensure_debian(program: &str, is_there: bool, packages: &str) -> Result<()> {
    if is_there {
        return Ok(());
    }
    let install = format!("apt-get install --yes --no-install-recommends {packages}");
    let Some(become_root) = way_to_root() else {
        bail!("`{program}` is missing and may not be installed from here; run: sudo {install}");
    };
    for line in ["apt-get update", &install] {
        // `env` stands after `sudo`, which hands no environment on.
        let quiet = ["env", "DEBIAN_FRONTEND=noninteractive"];
        let mut words = become_root.iter().copied().chain(quiet).chain(line.split(' '));
        CommandLine::new(words.next().unwrap_or_default())
            .args(words)
            .run()
            .with_context(|| format!("`{program}` is missing; run: sudo {install}"))?;
    }
    Ok(())
}

/// The words before a command that needs root: none for root, `sudo -n` where no password is asked for.
fn way_to_root() -> Option<&'static [&'static str]> {
    if !CommandLine::new("apt-get").arg("--version").succeeds() {
        return None;
    }
    if CommandLine::new("id").arg("-u").output().is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    let sudo = CommandLine::new("sudo").args(["-n", "true"]).succeeds();
    sudo.then_some(&["sudo", "-n"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_it_is_and_nowhere_else() {
        let cargo = find("cargo").unwrap();
        assert!(cargo.is_absolute() && cargo.ends_with("cargo"), "{}", cargo.display());
        assert_eq!(find("no-such-program-anywhere"), None);
        assert_eq!(find("."), None, "a folder is no program");
    }
}
