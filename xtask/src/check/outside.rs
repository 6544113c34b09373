//! Programs with a workspace of their own: they have dependencies that nobody else should have to build.

use anyhow::Result;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::family::THUMB;

/// Runs others' bootloaders.
pub(crate) const PEERS: &str = "xtask/peers";
/// The firmware of the nRF52840 example.
pub(crate) const NRF52840: &str = "examples/nrf52840";
/// Fuzz targets.
pub(crate) const FUZZ: &str = "fuzz";
/// The loops of `ota-agent`'s README.
pub(crate) const LOOPS: &str = "examples/loops";

/// Features of the application beside the default ones: the other slot, with each conduct that is not right.
const FIRMWARE: [&str; 6] = [
    "slot-b",
    "slot-b,fails-self-test",
    "slot-b,hangs",
    "slot-b,hangs-masked",
    "slot-b,hard-fault",
    "slot-b,silent",
];

/// Seconds of chance for each fuzz target.
const CHANCE: &str = "5";
/// The fuzz targets.
const TARGETS: [&str; 11] = [
    "slots_state",
    "slots_ops",
    "frame",
    "manifest",
    "trust_chain",
    "chunk_tree",
    "freshness",
    "lms",
    "messages",
    "stream",
    "agent",
];

/// Lints and tests.
pub(super) fn peers(workspace: &Workspace) -> Result<()> {
    cargo(workspace, PEERS, &["clippy", "--all-targets", "--locked"]).args(["--", "-D", "warnings"]).run()?;
    cargo(workspace, PEERS, &["test", "--locked"]).run()
}

/// Lints on bare metal and on the host, and lives on the host.
pub(super) fn loops(workspace: &Workspace) -> Result<()> {
    for args in [["--lib", "--target", THUMB].as_slice(), &["--all-targets"]] {
        let clippy = cargo(workspace, LOOPS, &["clippy", "--locked"]).args(args.iter().copied());
        clippy.args(["--", "-D", "warnings"]).run()?;
    }
    cargo(workspace, LOOPS, &["test", "--locked"]).run()
}

/// Lints and builds the firmware, as a user does, and runs the examples of its layout. Its tests are those of `board-proof`, in
/// the root's workspace.
pub(super) fn nrf52840(workspace: &Workspace) -> Result<()> {
    for features in FIRMWARE {
        cargo(workspace, NRF52840, &["clippy", "--release", "--locked", "--package", "app"])
            .args(["--features", features, "--", "-D", "warnings"])
            .run()?;
    }
    let lints = cargo(workspace, NRF52840, &["clippy", "--release", "--locked"]);
    lints.args(["--", "-D", "warnings"]).run()?;
    cargo(workspace, NRF52840, &["test", "--locked", "--package", "layout", "--target", "host-tuple"])
        .run()?;
    cargo(workspace, NRF52840, &["build", "--release", "--locked"]).run()
}

/// Replays the corpora and tries something new for some seconds.
pub(super) fn fuzz(workspace: &Workspace) -> Result<()> {
    TARGETS.iter().try_for_each(|target| {
        let run = cargo(workspace, FUZZ, &["run", "--release", "--locked", "--bin", target]);
        run.args(["--", &format!("corpus/{target}"), "--random", CHANCE]).run()
    })
}

fn cargo(workspace: &Workspace, folder: &str, args: &[&str]) -> CommandLine {
    let target = workspace.target().join(folder.replace('/', "-"));
    CommandLine::cargo().args(args).arg("--target-dir").arg(target).dir(&workspace.root().join(folder))
}
