//! The real nRF52840 firmware on the emulated chip: updates, rollbacks, and the power cut wherever flash is touched.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

/// Cuts, at least.
const CUTS: u64 = 3_000;
/// Seconds for them, at most, on a machine with two cores and nothing else to do.
const SECONDS: u64 = 900;
/// What must never have happened.
const NEVER: [&str; 8] = [
    "unbootable",
    "unverified_boots",
    "stuck",
    "wrong_end",
    "unsettled",
    "misused",
    "missed",
    "unmodelled_new",
];

/// Builds the proof with optimisation and runs all of it, after a look at how fast the emulator is. Its progress and the
/// first failures stay visible on standard error.
///
/// # Errors
///
/// When it does not run.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    let run = ["run", "--release", "--quiet", "-p", "emulator", "--bin", "run", "--", "--speed"];
    let speed = CommandLine::cargo().args(run).output()?;
    CommandLine::cargo().args(["build", "--release", "-p", "board-proof"]).run()?;
    let program = workspace.target().join("release/board-proof");
    let mut command = std::process::Command::new(&program);
    command.arg("--json").stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    eprintln!("$ {} --json", program.display());
    let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    let mut figures: Figures = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the proof ended with {} and without one JSON object", output.status))?;
    figures.extend(speeds(&speed)?);
    Ok(figures)
}

/// Instructions per second of a loop, emulated and by the host itself, and how many times faster the latter is.
fn speeds(report: &str) -> Result<[(String, Value); 2]> {
    let number = |from: &str, to: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(from)?.strip_suffix(to));
        line.and_then(|number| number.parse::<f64>().ok()).with_context(|| format!("no {from} in {report:?}"))
    };
    let mips = number("emulated: ", " million instructions per second")?;
    let ratio = number("ratio: 1 to ", "")?;
    Ok([("loop_mips".into(), mips.into()), ("native_loop_is_faster_by".into(), ratio.into())])
}

/// Holds the figures against what was promised.
///
/// # Errors
///
/// When a promise was broken; the figures have been printed, for they say which.
pub(super) fn hold(figures: &Figures) -> Result<()> {
    super::hold_at_zero(figures, &NEVER)?;
    let figure = |name| super::figure(figures, name);
    let (cuts, seconds) = (figure("cuts")?, figure("seconds")?);
    ensure!(cuts >= CUTS, "{cuts} cuts are fewer than {CUTS}");
    ensure!(seconds <= SECONDS, "{seconds} s are more than {SECONDS}: does the machine do something else?");
    let (planted, caught) = (figure("planted")?, figure("planted_caught")?);
    ensure!(
        planted > 0 && caught == planted,
        "{caught} of {planted} bootloaders that lack something were caught"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(change: &str, value: u64) -> Figures {
        let mut figures = Figures::new();
        NEVER.iter().for_each(|name| drop(figures.insert((*name).into(), 0.into())));
        let rest = [("cuts", 3_000), ("seconds", 900), ("planted", 2), ("planted_caught", 2)];
        rest.iter().for_each(|(name, value)| drop(figures.insert((*name).into(), (*value).into())));
        figures.insert(change.into(), value.into());
        figures
    }

    #[test]
    fn every_broken_promise_is_an_error() {
        assert!(hold(&figures("updates", 1)).is_ok());
        for name in NEVER {
            assert!(hold(&figures(name, 1)).unwrap_err().to_string().contains(name));
        }
        for (name, value) in [("cuts", 2_999), ("seconds", 901), ("planted_caught", 1), ("planted", 0)] {
            assert!(hold(&figures(name, value)).is_err(), "{name}");
        }
        let mut incomplete = figures("updates", 1);
        incomplete.remove("stuck");
        assert!(hold(&incomplete).is_err());
    }

    #[test]
    fn speeds_are_read_from_what_the_emulator_prints() {
        let report = "emulated: 84.3 million instructions per second\nnative loop: ..\nratio: 1 to 62.4\n";
        let [mips, ratio] = speeds(report).unwrap();
        assert_eq!((mips.1, ratio.1), (84.3.into(), 62.4.into()));
        assert!(speeds("ratio: 1 to 62.4\n").is_err());
    }
}
