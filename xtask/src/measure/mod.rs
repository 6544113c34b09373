//! The home of every figure: each number the documentation states comes from a measurement registered here.

mod agent;
mod board;
mod kill;
pub(crate) mod mutants;
mod peers;
mod power_cut;
mod size;
mod slots;
pub(crate) mod verify;

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::quickstart::{self, Figures};

/// One named measurement.
pub(crate) struct Measurement {
    name: &'static str,
    about: &'static str,
    /// Takes it. A figure's name ends in its unit.
    take: fn(&Workspace) -> Result<Figures>,
    /// For people.
    table: fn(&Figures) -> String,
    /// Fails when a figure is beyond its limit. What can fail only as a whole does so when taken.
    hold: fn(&Figures) -> Result<()>,
}

/// All measurements.
const MEASUREMENTS: [Measurement; 10] = [
    Measurement {
        name: "size",
        about: "flash taken by the device crates on bare metal, optimised for size",
        take: size::take,
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "quickstart",
        about: "one run of the whole flow with the default number of devices",
        take: |_| quickstart::run(&[]),
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "kill",
        about: "quickstart killed at twenty moments, each followed by the same command on the same folder",
        take: kill::take,
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "power-cut",
        about: "power cut at every flash operation of whole lives, on every strategy and geometry",
        take: power_cut::take,
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "slots",
        about: "flash operations of an update, phase by phase, ours and embassy-boot's",
        take: slots::take,
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "agent",
        about: "whole lives of an agent over a lossy link, with resets anywhere, judged",
        take: agent::take,
        table,
        hold: agent::hold,
    },
    Measurement {
        name: "board",
        about: "the real nRF52840 firmware on the emulated chip, with the power cut wherever flash is touched",
        take: board::take,
        table,
        hold: board::hold,
    },
    Measurement {
        name: "verify",
        about: "flash, stack and instructions of each signature algorithm and reader on an emulated Cortex-M4",
        take: verify::take,
        table: verify::table,
        hold: verify::hold,
    },
    Measurement {
        name: "mutants",
        about: "faults planted in ota-slots, which the power-cut proof must notice",
        take: mutants::take,
        table,
        hold: |_| Ok(()),
    },
    Measurement {
        name: "peers",
        about: "the same cuts over embassy-boot on the same simulated flash",
        take: peers::take,
        table,
        hold: |_| Ok(()),
    },
];

/// The measurement called `name`.
///
/// # Errors
///
/// When there is none; the message lists all.
pub(crate) fn find(name: &str) -> Result<&'static Measurement> {
    let found = MEASUREMENTS.iter().find(|measurement| measurement.name == name);
    found.with_context(|| format!("there is no measurement called {name}; there are:\n{}", listing()))
}

/// Takes a measurement and prints its figures on standard output, as a table or as one JSON object.
///
/// # Errors
///
/// When it cannot be taken; when a figure is beyond its limit, after all have been printed.
pub(crate) fn report(measurement: &Measurement, workspace: &Workspace, json: bool) -> Result<()> {
    std::env::set_current_dir(workspace.root())?;
    let figures = (measurement.take)(workspace)?;
    if json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        print!("{}", (measurement.table)(&figures));
    }
    (measurement.hold)(&figures)
}

/// The measurements, one per line.
pub(crate) fn listing() -> String {
    let mut text = String::new();
    for measurement in &MEASUREMENTS {
        let _ = writeln!(text, "  {:<12}{}", measurement.name, measurement.about);
    }
    text
}

/// A figure that counts something.
fn figure(figures: &Figures, name: &str) -> Result<u64> {
    figures.get(name).and_then(Value::as_u64).with_context(|| format!("there is no figure {name}"))
}

/// Fails if something happened that must never happen.
fn hold_at_zero(figures: &Figures, never: &[&str]) -> Result<()> {
    never.iter().try_for_each(|name| {
        let found = figure(figures, name)?;
        ensure!(found == 0, "{name} is {found}");
        Ok(())
    })
}

fn table(figures: &Figures) -> String {
    let width = figures.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in figures {
        let _ = writeln!(text, "{name:<width$}  {:>12}", value.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_list() {
        let error = find("speed").err().unwrap().to_string();
        assert!(error.starts_with("there is no measurement called speed; there are:\n"), "{error}");
        assert!(MEASUREMENTS.iter().all(|measurement| error.contains(measurement.name)), "{error}");
    }

    #[test]
    fn figures_line_up() {
        let figures = json!({ "a_bytes": 12, "longer_bytes": 3456 });
        assert_eq!(
            table(figures.as_object().unwrap()),
            "a_bytes                 12\nlonger_bytes          3456\n"
        );
    }
}
