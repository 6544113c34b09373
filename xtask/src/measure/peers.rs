//! What power cuts do to embassy-boot, on the same simulated flash.

use anyhow::Result;

use super::slots;
use crate::cargo_metadata::Workspace;
use crate::quickstart::Figures;

/// Runs the peer's lives. Its figures are no verdict on us: nothing here can fail but the run itself.
///
/// # Errors
///
/// When the program does not run.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    slots::peers(workspace, "power-cut")
}
