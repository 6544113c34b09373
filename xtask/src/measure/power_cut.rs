//! Power cut at every flash operation of whole lives, in every way it can fail.

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

/// What the proof prints and how it ends: `{"failures": n, ...}`, and 0 or 1.
const KEPT_ARGS: [&str; 2] = ["power-cut", "--json"];

/// Builds the proof with optimisation and runs all of it. Its progress and the first failures stay visible on standard
/// error.
///
/// # Errors
///
/// When a promise was broken: the figures are printed all the same, for they say which.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    CommandLine::cargo().args(["build", "--release", "-p", "slots-proof"]).run()?;
    let program = workspace.target().join("release/slots-proof");
    let mut command = std::process::Command::new(&program);
    command.args(KEPT_ARGS).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    eprintln!("$ {} {}", program.display(), KEPT_ARGS.join(" "));
    let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    let figures: Figures = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the proof ended with {} and without one JSON object", output.status))?;
    let kept = figures.get("failures").and_then(serde_json::Value::as_u64) == Some(0);
    if !kept || !output.status.success() {
        println!("{}", serde_json::to_string(&figures)?);
        bail!("promises were broken; the proof ended with {}", output.status);
    }
    Ok(figures)
}
