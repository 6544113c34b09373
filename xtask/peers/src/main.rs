//! What other update libraries cost, and what a power cut leaves of them.

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use peers::{peer, power_cut, report, slots};
use serde::Serialize;
use serde_json::{Map, Value};

/// Other update libraries on the simulated flash.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What each phase of an update costs: erases, bytes, calls, wear.
    Slots(Form),
    /// What becomes of whole lives when the power fails.
    PowerCut(Form),
}

#[derive(Debug, Args)]
struct Form {
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Where everything random comes from: images, torn words, marginal bits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Slots(form) => form.print(&slots::measure(form.seed)?, report::slots),
        Command::PowerCut(form) => form.print(&power_cut::measure(form.seed)?, report::power_cut),
    }
}

impl Form {
    fn print<T: Serialize>(&self, figures: &T, table: impl Fn(&T) -> String) -> Result<()> {
        if self.json {
            let filed = Map::from_iter([(peer::NAME.to_owned(), serde_json::to_value(figures)?)]);
            println!("{}", Value::Object(filed));
        } else {
            print!("{}", table(figures));
        }
        Ok(())
    }
}
