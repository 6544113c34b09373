//! Each device crate alone on bare metal.
//!
//! Alone, because cargo builds a dependency once with the features of everyone who asks for it: in the whole
//! workspace the server would switch the standard library on for all, and hide that a device crate needs it.

use anyhow::Result;

use crate::cargo_metadata::{Member, Workspace};
use crate::command::CommandLine;
use crate::family::{DEVICE_CRATES, HOST_FEATURES, SERVER_CRATE, THUMB};

/// Checks every device crate without features and with each one, then the server's engine.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for name in DEVICE_CRATES {
        bare(name).run()?;
        for feature in features(workspace.member(name)?) {
            bare(name).args(["--features", feature]).run()?;
        }
    }
    bare(SERVER_CRATE).run()
}

/// `cargo check` of one package, for bare metal, default features off.
pub(crate) fn bare(package: &str) -> CommandLine {
    CommandLine::cargo().args(["check", "-p", package, "--target", THUMB, "--no-default-features"])
}

/// The features a device may switch on.
fn features(member: &Member) -> impl Iterator<Item = &str> {
    let names = member.features.iter().map(String::as_str);
    names.filter(|name| *name != "default" && !HOST_FEATURES.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_crate_is_checked_with_its_device_features_only() {
        let workspace = Workspace::load().unwrap();
        for name in DEVICE_CRATES {
            let member = workspace.member(name).unwrap();
            let checked: Vec<_> = features(member).collect();
            let left_out: Vec<_> =
                member.features.iter().map(String::as_str).filter(|name| !checked.contains(name)).collect();
            let expected: &[&str] = match name {
                "ota-agent" => &["default", "http", "mqtt", "real-parts", "sim", "std"],
                "ota-slots" => &["default", "sim"],
                "ota-verify" => &["default", "sign"],
                _ => &["default"],
            };
            assert_eq!(left_out, expected, "{name}");
        }
    }
}
