//! Whole lives of an agent over a lossy link, with resets anywhere.

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

/// What the proof prints and how it ends: one JSON object, and 0 or 1.
const ARGS: [&str; 2] = ["run", "--json"];
/// Lives, at least.
const LIVES: u64 = 20_000;
/// What must never have happened.
const NEVER: [&str; 12] = [
    "wrong_terminal",
    "double_terminal",
    "misnumbered",
    "stuck",
    "unproven",
    "went_back",
    "refetched_beyond_window",
    "went_on_after_cancel",
    "retold_otherwise",
    "trust_broken",
    "flash_rule_broken",
    "panicked",
];

/// Builds the proof with optimisation and runs all of it. Its progress and the first failures stay visible on standard
/// error.
///
/// # Errors
///
/// When it does not run.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    CommandLine::cargo().args(["build", "--release", "-p", "agent-proof"]).run()?;
    let program = workspace.target().join("release/agent-proof");
    let mut command = std::process::Command::new(&program);
    command.args(ARGS).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    eprintln!("$ {} {}", program.display(), ARGS.join(" "));
    let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the proof ended with {} and without one JSON object", output.status))
}

/// Holds the figures against what was promised.
///
/// # Errors
///
/// When a promise was broken; the figures have been printed, for they say which.
pub(super) fn hold(figures: &Figures) -> Result<()> {
    super::hold_at_zero(figures, &NEVER)?;
    let figure = |name| super::figure(figures, name);
    let (lives, finished) = (figure("lossy_runs")?, figure("finished")?);
    if lives < LIVES || finished != lives {
        bail!("{finished} of {lives} lives ended; {LIVES} have to");
    }
    let (most, window) = (figure("refetched_bytes_max")?, figure("window_pages_bytes")?);
    if most > window {
        bail!(
            "{most} bytes were fetched again after one reset, more than the {window} of one window's pages"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(change: &str, value: u64) -> Figures {
        let mut figures = Figures::new();
        NEVER.iter().for_each(|name| drop(figures.insert((*name).into(), 0.into())));
        for (name, value) in [
            ("lossy_runs", 20_000),
            ("finished", 20_000),
            ("refetched_bytes_max", 5120),
            ("window_pages_bytes", 5120),
        ] {
            figures.insert(name.into(), value.into());
        }
        figures.insert(change.into(), json!(value));
        figures
    }

    #[test]
    fn every_broken_promise_is_an_error() {
        assert!(hold(&figures("reboots", 1)).is_ok());
        for name in NEVER {
            assert!(hold(&figures(name, 1)).unwrap_err().to_string().contains(name));
        }
        assert!(hold(&figures("finished", 19_999)).is_err());
        assert!(hold(&figures("lossy_runs", 400)).is_err());
        assert!(hold(&figures("refetched_bytes_max", 5121)).is_err());
        let mut incomplete = figures("reboots", 1);
        incomplete.remove("stuck");
        assert!(hold(&incomplete).is_err());
    }
}
