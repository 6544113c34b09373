//! `board-proof`: leads the real firmware through its lives.
//!
//! ```sh
//! cargo run --release -p board-proof -- --json
//! ```
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use board_proof::{Cast, Conduct, Figures, Plan, Plays};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Updates, rollbacks and power cuts of the real nRF52840 firmware on the emulated chip")]
struct Options {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Cut at every so many operations on journal, guard region, configuration and pages.
    #[arg(long, default_value_t = 1)]
    each: usize,
    /// Cut at every so many words of images, envelopes and leaf lists.
    #[arg(long, default_value_t = 256)]
    words: usize,
    /// Lives for each record of the journal that is whole but for one bit, which reads differently each time.
    #[arg(long, default_value_t = 4)]
    records: u64,
    /// Lives with two cuts, in each story.
    #[arg(long, default_value_t = 60)]
    doubles: usize,
    /// Chooses the bits that are torn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for what is built.
    #[arg(long)]
    target: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("board-proof: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    let Options { each, words, records, doubles, seed, .. } = *options;
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/board-proof");
    let target = options.target.clone().unwrap_or_else(beside);
    let plays = Plays::rehearse(Cast::assemble(&target)?, &Conduct::BAD)?;
    let figures = Figures::take(&plays, &Plan { each, words, records, doubles, seed })?;
    figures.failures().iter().for_each(|failure| eprintln!("{failure}"));
    let json = figures.json();
    if options.json {
        println!("{json}");
    } else {
        println!("{json:#}");
    }
    Ok(figures.is_good())
}
