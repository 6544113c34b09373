//! The oldest supported toolchain still builds what promises it: the device crates with all their features, but those that
//! say they need a newer one, the server's engine, and the firmware of the nRF52840 example, whose bootloader has to fit its
//! partition by that compiler too. Adapters of the server may need newer ones and say so.

use anyhow::Result;

use super::outside::NRF52840;
use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::family::{DEVICE_CRATES, NEWER_FEATURES, SERVER_CRATE, THUMB};

/// Builds apart from everything else: two toolchains in one folder would rebuild each other's work.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let toolchain = workspace.msrv()?;
    let target = workspace.target().join("msrv");
    let check = || CommandLine::cargo_of(&toolchain).arg("check").arg("--target-dir").arg(&target);
    for name in DEVICE_CRATES {
        let features = workspace.member(name)?.features.iter().map(String::as_str);
        let features: Vec<_> = features.filter(|name| !NEWER_FEATURES.contains(name)).collect();
        check().args(["-p", name, "--features", &features.join(",")]).run()?;
    }
    check().args(["-p", SERVER_CRATE, "--no-default-features", "--target", THUMB]).run()?;
    let build = CommandLine::cargo_of(&toolchain).args(["build", "--release", "--locked", "--target-dir"]);
    build.arg(target.join("firmware")).dir(&workspace.root().join(NRF52840)).run()
}
