//! What an update costs the flash, phase by phase, ours and embassy-boot's in one run, on the same simulated flash.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

/// The crate that runs others' bootloaders; outside the workspace, with a lock file of its own.
const PEERS: &str = "xtask/peers";

/// The limits that our figures are held against: path below the strategy, and the most it may be.
const LIMITS: [(&str, &str, u64); 8] = [
    // Two records, perhaps a page for them: nothing is copied.
    ("DirectXip", "/phases/activate/bytes_written", 4 * 128),
    ("DirectXip", "/phases/activate/erases", 1),
    ("SwapOffset", "/phases/activate/erases", 208),
    ("SwapOffset", "/phases/activate/bytes_written", 837_000),
    // 16 pages there and back, envelopes, records and cells.
    ("SwapOffset", "/small_image/phases/activate/erases", 2 * 16 + 8),
    ("DirectXip", "/phases/idle_boot/bytes_written", 0),
    ("SwapOffset", "/phases/idle_boot/bytes_written", 0),
    ("Overwrite", "/phases/idle_boot/bytes_written", 0),
];
/// An idle boot reads image, envelope, journal and guard region, and nothing else.
const IDLE_READ: u64 = 409_600 + 1536 + 2 * 4096 + 2 * 4096;
/// Updates that two pages of journal must last at 10,000 cycles.
const JOURNAL: u64 = 40_000;

/// Takes the figures of both and holds ours against their limits.
///
/// # Errors
///
/// When a program does not run, or a figure is beyond its limit.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    let mut figures =
        json(CommandLine::cargo().args(["run", "--release", "-p", "slots-proof", "--", "slots", "--json"]))?;
    hold(&figures)?;
    figures.append(&mut peers(workspace, "slots")?);
    Ok(figures)
}

/// Runs the peers' program.
///
/// # Errors
///
/// When it does not run.
pub(super) fn peers(workspace: &Workspace, task: &str) -> Result<Figures> {
    let target = workspace.target().join("xtask-peers");
    let run = ["run", "--release", "--locked", "--target-dir"];
    json(
        CommandLine::cargo()
            .args(run)
            .arg(target)
            .args(["--", task, "--json"])
            .dir(&workspace.root().join(PEERS)),
    )
}

/// Runs a program that prints one JSON object.
///
/// # Errors
///
/// When it fails or prints something else.
pub(super) fn json(line: CommandLine) -> Result<Figures> {
    eprintln!("$ {line}");
    serde_json::from_str(&line.output()?).with_context(|| format!("`{line}` did not print one JSON object"))
}

fn hold(figures: &Figures) -> Result<()> {
    let strategies = figures.get("strategies").and_then(Value::as_array).context("no strategies")?;
    let figure = |name: &str, path: &str| {
        let strategy = strategies.iter().find(|strategy| strategy["name"] == name);
        let value = strategy.and_then(|strategy| strategy.pointer(path)).and_then(Value::as_u64);
        value.with_context(|| format!("{name} has no figure {path}"))
    };
    for (name, path, most) in LIMITS {
        let found = figure(name, path)?;
        if found > most {
            bail!("{name}{path} is {found}, more than {most}");
        }
    }
    for strategy in ["DirectXip", "SwapOffset", "Overwrite"] {
        let (read, updates) = (
            figure(strategy, "/phases/idle_boot/bytes_read")?,
            figure(strategy, "/journal_updates_at_10k_cycles")?,
        );
        if read > IDLE_READ {
            bail!("an idle boot of {strategy} reads {read} bytes, more than {IDLE_READ}");
        }
        if updates < JOURNAL {
            bail!("the journal of {strategy} lasts {updates} updates, less than {JOURNAL}");
        }
    }
    Ok(())
}
