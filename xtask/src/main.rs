//! The one entry for checks and measurements.
//!
//! ```text
//! cargo xtask test             every check, in order, stopping at the first that fails
//! cargo xtask test --fast      without those that take minutes
//! cargo xtask test --only fmt  one check (repeatable), after installing what it needs
//! cargo xtask measure          the names of all measurements
//! cargo xtask measure size     one measurement; --json prints one object
//! cargo xtask mqtt-lab DIR     a broker with certificates, to try MQTT with
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
mod firmware;
mod m4;
mod measure;
mod mqtt_lab;
mod no_alloc;
mod quickstart;
mod suite;
mod thumb;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cargo_metadata::Workspace;
use crate::mqtt_lab::Lab;
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
    /// Run an MQTT broker on this machine, with certificates for devices and server, until Ctrl-C.
    MqttLab(Lab),
    /// Say when the broker of a lab listens. The lab starts this, nobody else.
    #[command(hide = true)]
    MqttLabAnnounce {
        /// The process that is the broker.
        #[arg(long)]
        broker: u32,
        #[command(flatten)]
        lab: Lab,
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
        Task::MqttLab(lab) => lab.run(&Workspace::load()?).map(|never| match never {}),
        Task::MqttLabAnnounce { broker, lab } => Ok(lab.announce(broker)),
    }
}
