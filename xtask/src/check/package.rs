//! The published crates as crates.io would get them.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;

/// Packages all published members together, so that each builds against the packages of its siblings.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    // A target folder of its own, so that what is forgotten in it is nobody else's.
    let target = workspace.target().join("packages");
    let mut package =
        CommandLine::cargo().args(["package", "--workspace", "--allow-dirty", "--target-dir"]).arg(&target);
    for member in workspace.members().iter().filter(|member| !member.published) {
        package = package.args(["--exclude", &member.name]);
    }
    let published = workspace.members().iter().filter(|member| member.published);
    let siblings: Vec<&str> = published.map(|member| member.name.as_str()).collect();
    forget_unpacked(&cargo_home()?.join("registry").join("src"), &siblings)?;
    forget_built(&target.join("debug").join(".fingerprint"), &siblings)?;
    package.run()
}

/// Removes what an earlier run has unpacked there. Cargo keeps unpublished siblings by the path of the target folder and
/// their version, as if they had come from a registry, and takes them again although they have changed since.
fn forget_unpacked(sources: &Path, siblings: &[&str]) -> Result<()> {
    let Ok(registries) = fs::read_dir(sources) else { return Ok(()) };
    for registry in registries {
        let registry = registry?;
        // Registries without a host are on this disk.
        if registry.file_name().to_string_lossy().starts_with('-') && holds_only(&registry.path(), siblings)?
        {
            fs::remove_dir_all(registry.path())?;
        }
    }
    Ok(())
}

/// Has cargo build siblings anew, for the same reason.
fn forget_built(fingerprints: &Path, siblings: &[&str]) -> Result<()> {
    let Ok(units) = fs::read_dir(fingerprints) else { return Ok(()) };
    for unit in units {
        let unit = unit?;
        if is_one_of(&unit.file_name(), siblings) {
            fs::remove_dir_all(unit.path())?;
        }
    }
    Ok(())
}

fn holds_only(registry: &Path, siblings: &[&str]) -> Result<bool> {
    for package in fs::read_dir(registry)? {
        if !is_one_of(&package?.file_name(), siblings) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a folder is called `NAME-...` after one of them.
fn is_one_of(folder: &OsStr, names: &[&str]) -> bool {
    let folder = folder.to_string_lossy();
    names.iter().any(|name| folder.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
}

fn cargo_home() -> Result<PathBuf> {
    let default = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(default)
        .context("neither CARGO_HOME nor a home folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_local_registries_with_nothing_but_siblings_are_removed() {
        let sources = env::temp_dir().join(format!("xtask-unpacked-{}", std::process::id()));
        let folders =
            ["-1/ota-manifest-0.1.0", "-1/ota-slots-0.1.0", "-2/ota-manifest-0.1.0", "-2/serde-1.0.0"];
        let public = ["index.crates.io-3/ota-manifest-0.1.0"];
        for folder in folders.iter().chain(&public) {
            fs::create_dir_all(sources.join(folder)).unwrap();
        }
        forget_unpacked(&sources, &["ota-manifest", "ota-slots"]).unwrap();
        let left = |folder: &str| sources.join(folder).exists();
        assert!(!left("-1"));
        assert!(left("-2/ota-manifest-0.1.0"), "somebody else's packages stand beside ours");
        assert!(left("index.crates.io-3/ota-manifest-0.1.0"));
        fs::remove_dir_all(&sources).unwrap();
        forget_unpacked(&sources, &[]).unwrap();
        forget_built(&sources, &[]).unwrap();
    }
}
