//! The published crates as crates.io would get them.

use anyhow::Result;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;

/// Packages all published members together, so that each builds against the packages of its siblings.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut package = CommandLine::cargo().args(["package", "--workspace", "--allow-dirty"]);
    for member in workspace.members().iter().filter(|member| !member.published) {
        package = package.args(["--exclude", &member.name]);
    }
    package.run()
}
