//! The one entry for checks and measurements.
//!
//! ```text
//! cargo xtask test             every check, in order, stopping at the first that fails
//! cargo xtask test --fast      without those that take minutes
//! cargo xtask test --only fmt  one check (repeatable), after installing what it needs
//! cargo xtask measure          the names of all measurements
//! cargo xtask measure size     one measurement; --json prints one object
//! ```
//!
//! A check is a [`suite::Step`], a figure a [`measure::Measurement`]: to add one, write a function and name it in
//! the registry of its module. Nothing is measured or checked anywhere else, so a number in the documentation can
//! always be traced to a command.

mod cargo_metadata;
mod check;
mod command;
mod elf;
mod family;
mod measure;
mod no_alloc;
mod quickstart;
mod suite;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cargo_metadata::Workspace;
use crate::suite::Selection;

/// Checks and measurements of the OTA family.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the checks; the last line of the output is `N passed, M failed`.
    Test {
        /// Leave out the checks that take minutes.
        #[arg(long)]
        fast: bool,
        /// Run only this check (may be given more than once).
        #[arg(long, value_name = "STEP", conflicts_with = "fast")]
        only: Vec<String>,
        /// Print the checks and stop.
        #[arg(long)]
        list: bool,
    },
    /// Take one measurement; without a name, list them.
    Measure {
        /// Which one.
        name: Option<String>,
        /// Print one JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task; `false` when a check failed and has already been reported.
fn run(task: Task) -> anyhow::Result<bool> {
    match task {
        Task::Test { list: true, .. } => {
            print!("{}", suite::listing());
            Ok(true)
        }
        Task::Test { fast, only, .. } => {
            let selection = Selection::new(fast, &only)?;
            suite::run(&selection, &Workspace::load()?)
        }
        Task::Measure { name: None, .. } => {
            print!("{}", measure::listing());
            Ok(true)
        }
        Task::Measure { name: Some(name), json } => {
            let measurement = measure::find(&name)?;
            measure::report(measurement, &Workspace::load()?, json)?;
            Ok(true)
        }
    }
}
