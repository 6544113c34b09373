//! The registry of checks. Cheap ones that only read files stand as functions in files of their own; those that
//! start cargo once stand here.

mod claims;
mod device;
mod layers;
mod msrv;
mod outside;
mod package;
mod quotes;
#[cfg(test)]
mod scratch;
mod source;
mod unsafety;

use anyhow::Result;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::measure::{mutants, verify};
use crate::suite::Step;
use crate::tool::Tool;
use crate::{firmware, m4, no_alloc, quickstart};

/// All checks, in the order they run.
pub(crate) const STEPS: [Step; 19] = [
    Step { name: "fmt", about: "formatting", slow: false, needs: &[Tool::Component("rustfmt")], run: fmt },
    Step {
        name: "clippy",
        about: "lints of all targets, the length of functions among them",
        slow: false,
        needs: &[Tool::Component("clippy"), Tool::CCompiler],
        run: clippy,
    },
    Step {
        name: "tests",
        about: "all host tests, those against real services too, and the code in the documentation",
        slow: false,
        needs: &[Tool::CCompiler, Tool::Mosquitto, Tool::SoftHsm, Tool::OpenSsl, Tool::ThumbTarget],
        run: tests,
    },
    Step {
        name: "thumb",
        about: "each device crate alone on bare metal, with each of its features",
        slow: false,
        needs: &[Tool::ThumbTarget],
        run: device::check,
    },
    Step {
        name: "no-alloc",
        about: "a bare-metal program without an allocator links",
        slow: false,
        needs: &[Tool::ThumbTarget],
        run: no_alloc::check,
    },
    Step {
        name: "verify",
        about: "what verification costs on an emulated Cortex-M4 is within its limits",
        slow: true,
        needs: &m4::TOOLS,
        run: verify::check,
    },
    Step {
        name: "source",
        about: "device code keeps its rules; tests that documents name exist, and files they show are as shown",
        slow: false,
        needs: &[],
        run: source,
    },
    Step {
        name: "docs",
        about: "documentation without warnings",
        slow: true,
        needs: &[Tool::CCompiler],
        run: docs,
    },
    Step {
        name: "layers",
        about: "crates know only the crates below them",
        slow: false,
        needs: &[],
        run: layers::check,
    },
    Step {
        name: "msrv",
        about: "device crates, the server's engine and the nRF52840's firmware on the oldest supported toolchain",
        slow: true,
        needs: &[Tool::OldestToolchain],
        run: msrv::check,
    },
    Step {
        name: "deny",
        about: "licences, sources and bans of all dependencies",
        slow: true,
        needs: &[Tool::CCompiler, Tool::CargoDeny],
        run: deny,
    },
    Step {
        name: "package",
        about: "the published crates package and build from their packages",
        slow: true,
        needs: &[],
        run: package::check,
    },
    Step {
        name: "unsafe",
        about: "every published crate forbids unsafe code",
        slow: false,
        needs: &[],
        run: unsafety::check,
    },
    Step {
        name: "fuzz",
        about: "the fuzz targets, as plain programs, over their corpora and some seconds of chance",
        slow: false,
        needs: &[],
        run: outside::fuzz,
    },
    Step {
        name: "peers",
        about: "the program that runs others' bootloaders: lints and tests",
        slow: true,
        needs: &[Tool::Component("clippy")],
        run: outside::peers,
    },
    Step {
        name: "nrf52840",
        about: "the firmware of the nRF52840 example: lints, and a release build",
        slow: true,
        needs: &[Tool::Component("clippy"), Tool::ThumbTarget],
        run: outside::nrf52840,
    },
    Step {
        name: "loops",
        about: "the loops of ota-agent's README: on bare metal, and through an update on the host",
        slow: true,
        needs: &[Tool::Component("clippy"), Tool::ThumbTarget],
        run: outside::loops,
    },
    Step {
        name: "mutants",
        about: "a sample of the planted faults is noticed; the unchanged sources and a no-op pass",
        slow: true,
        needs: &[],
        run: mutants::sample,
    },
    Step {
        name: "quickstart",
        about: "the whole flow, and what it must have shown",
        slow: true,
        needs: &[Tool::CCompiler],
        run: quickstart::check,
    },
];

/// The feature that holds tests against a real broker or a real PKCS#11 token. A feature, so that `cargo test` works where
/// neither is installed.
const REAL_PARTS: &str = "real-parts";

/// The members, and what stands outside the workspace.
fn fmt(_: &Workspace) -> Result<()> {
    CommandLine::cargo().args(["fmt", "--all", "--check"]).run()?;
    let outside = [
        no_alloc::FOLDER,
        m4::FOLDER,
        m4::INPUTS,
        outside::PEERS,
        outside::FUZZ,
        outside::LOOPS,
        outside::NRF52840,
        firmware::PEER,
    ];
    outside.iter().try_for_each(|folder| {
        let manifest = format!("{folder}/Cargo.toml");
        // All of a workspace, where the folder is one.
        CommandLine::cargo().args(["fmt", "--all", "--check", "--manifest-path", &manifest]).run()
    })
}

/// All targets, so that tests and examples are linted as well; all features, so that nothing hides behind one.
fn clippy(_: &Workspace) -> Result<()> {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    CommandLine::cargo().args(args).run()
}

/// What files say, read as they stand.
fn source(workspace: &Workspace) -> Result<()> {
    source::check(workspace)?;
    claims::check(workspace)?;
    quotes::check(workspace)
}

/// Without other features than those tests ask for: what users get by default is what is tested.
fn tests(workspace: &Workspace) -> Result<()> {
    CommandLine::cargo().args(["test", "--workspace", "--features", &real_parts(workspace)]).run()
}

/// The feature of every member that has it: tests behind one that nobody switches on would pass in silence.
fn real_parts(workspace: &Workspace) -> String {
    let members = workspace.members().iter();
    let members = members.filter(|member| member.features.iter().any(|feature| feature == REAL_PARTS));
    members.map(|member| format!("{}/{REAL_PARTS}", member.name)).collect::<Vec<_>>().join(",")
}

fn docs(_: &Workspace) -> Result<()> {
    let args = ["doc", "--workspace", "--no-deps", "--all-features"];
    CommandLine::cargo().args(args).env("RUSTDOCFLAGS", "-D warnings").run()
}

/// Without `advisories`: whether a dependency has a known flaw changes without a change here, and needs the network.
fn deny(_: &Workspace) -> Result<()> {
    CommandLine::cargo().args(["deny", "check", "bans", "licenses", "sources"]).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_with_real_parts_is_tested_with_them() {
        let features = real_parts(&Workspace::load().unwrap());
        let mut found: Vec<_> = features.split(',').collect();
        found.sort_unstable();
        let expected = ["linux-server", "ota-agent", "ota-server-core", "quickstart"];
        assert_eq!(found, expected.map(|name| format!("{name}/real-parts")));
    }
}
