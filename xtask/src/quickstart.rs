//! Running quickstart and judging what it reports.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;

/// The flash of one download window on the simulated device: four erase pages of 4096 bytes. What a device had not
/// yet hashed and kept when its power went is at most this much, so one resume may fetch this much again.
const WINDOW_BYTES: u64 = 4 * 4096;

/// The whole flow with its default fleet takes less than this once it is built, enrolment and all.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The figures quickstart reports, by name.
pub(crate) type Figures = Map<String, Value>;

/// Runs quickstart, small and large, and fails with every expectation its figures do not meet.
pub(crate) fn check(_: &Workspace) -> Result<()> {
    CommandLine::cargo().args(["build", "--release", "-p", "quickstart"]).run()?;
    let started = Instant::now();
    judge(&run(&[])?)?;
    let took = started.elapsed();
    if took > TIME_LIMIT {
        bail!("quickstart took {} s, more than {} s", took.as_secs(), TIME_LIMIT.as_secs());
    }
    judge(&run(&["--devices", "300", "--seed", "7"])?)
}

fn judge(figures: &Figures) -> Result<()> {
    let missed = missed(figures)?;
    if !missed.is_empty() {
        bail!("quickstart did not show what it must: {}", missed.join("; "));
    }
    Ok(())
}

/// Runs quickstart with these arguments; its progress stays visible on standard error.
///
/// # Errors
///
/// When it fails or prints anything but one JSON object on standard output.
pub(crate) fn run(arguments: &[&str]) -> Result<Figures> {
    let line =
        CommandLine::cargo().args(["run", "--release", "-p", "quickstart", "--", "--json"]).args(arguments);
    eprintln!("$ {line}");
    let printed = line.output()?;
    serde_json::from_str(&printed)
        .with_context(|| format!("`{line}` did not print one JSON object on standard output but: {printed}"))
}

/// One sentence per expectation not met.
fn missed(figures: &Figures) -> Result<Vec<String>> {
    let number = |name: &str| {
        let value = figures.get(name).and_then(Value::as_u64);
        value.with_context(|| format!("quickstart reports no whole number called {name}"))
    };
    let devices = number("devices")?;
    let resumed = number("resumed")?;
    let exactly =
        [("confirmed", devices), ("told_time", devices), ("offered_after_halt", 0), ("power_cuts", 2)];
    let at_least = [
        ("devices", 1),
        ("rolled_back", 1),
        ("polls_after_halt", 2 * devices.saturating_sub(1)),
        ("refused_foreign", 1),
        ("refused_old", 1),
        ("refused_tampered", 1),
        ("resumed", 1),
        ("bytes_served", 1),
        ("elapsed_ms", 1),
    ];
    let at_most = [("refetched_bytes", resumed * WINDOW_BYTES)];

    let mut missed = Vec::new();
    if figures.get("halted").and_then(Value::as_bool) != Some(true) {
        missed.push("halted is not true".to_owned());
    }
    let mut expect = |limits: &[(&str, u64)], relation: &str, holds: fn(u64, u64) -> bool| -> Result<()> {
        for &(name, limit) in limits {
            let value = number(name)?;
            if !holds(value, limit) {
                missed.push(format!("{name} is {value}, expected {relation} {limit}"));
            }
        }
        Ok(())
    };
    expect(&exactly, "exactly", |value, limit| value == limit)?;
    expect(&at_least, "at least", |value, limit| value >= limit)?;
    expect(&at_most, "at most", |value, limit| value <= limit)?;
    Ok(missed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Figures {
        let figures = json!({
            "devices": 24, "confirmed": 24, "rolled_back": 1, "halted": true, "polls_after_halt": 46,
            "offered_after_halt": 0, "refused_foreign": 1, "refused_old": 1, "refused_tampered": 1, "told_time": 24,
            "power_cuts": 2, "resumed": 1, "refetched_bytes": 16_384, "bytes_served": 6_500_000, "elapsed_ms": 8_000,
        });
        figures.as_object().unwrap().clone()
    }

    fn with(name: &str, value: Value) -> Vec<String> {
        let mut figures = good();
        figures.insert(name.into(), value);
        missed(&figures).unwrap()
    }

    #[test]
    fn good_figures_meet_every_expectation() {
        assert_eq!(missed(&good()).unwrap(), [""; 0]);
    }

    #[test]
    fn each_figure_out_of_bounds_is_named() {
        for (name, value) in [
            ("confirmed", json!(23)),
            ("rolled_back", json!(0)),
            ("halted", json!(false)),
            ("polls_after_halt", json!(45)),
            ("offered_after_halt", json!(1)),
            ("refused_foreign", json!(0)),
            ("refused_old", json!(0)),
            ("refused_tampered", json!(0)),
            ("told_time", json!(23)),
            ("power_cuts", json!(3)),
            ("resumed", json!(0)),
            ("refetched_bytes", json!(16_385)),
            ("bytes_served", json!(0)),
            ("elapsed_ms", json!(0)),
        ] {
            let missed = with(name, value);
            assert!(missed.iter().any(|sentence| sentence.starts_with(name)), "{name}: {missed:?}");
        }
    }

    #[test]
    fn a_figure_missing_or_of_another_type_is_an_error() {
        for name in ["devices", "resumed", "elapsed_ms"] {
            let mut figures = good();
            figures.remove(name);
            assert!(missed(&figures).unwrap_err().to_string().contains(name));
            figures.insert(name.into(), json!("24"));
            assert!(missed(&figures).is_err());
        }
    }
}
