//! Leads tens of thousands of lives of an agent over a bad link and counts broken promises.
//!
//! ```text
//! agent-proof run                  40,000 lives; some minutes
//! agent-proof run --json           one JSON object on standard output
//! agent-proof replay SEED          one life again, step by step
//! ```
//! Exits with 0 if every promise was kept, 1 if one was broken, 2 if that could not be found out.

use std::process::ExitCode;
use std::time::Instant;

use agent_proof::board::Board;
use agent_proof::life::Life;
use agent_proof::plant::Plant;
use agent_proof::progress;
use clap::{Parser, Subcommand};

/// Proof by many lives that an agent survives its link, its server and its power supply.
#[derive(Parser)]
#[command(name = "agent-proof")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Lead lives; fails if a promise was broken.
    Run {
        /// Print one JSON object on standard output.
        #[arg(long)]
        json: bool,
        /// How many.
        #[arg(long, default_value_t = 40_000)]
        lives: u64,
        /// Seed of the first.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Threads; as many as there are processors by default.
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Lead one life again and tell it step by step.
    Replay {
        /// Its seed.
        seed: u64,
    },
}

fn main() -> ExitCode {
    let kept = match Cli::parse().task {
        Task::Run { json, lives, seed, threads } => {
            // Panics of the code under test are counted, not shown.
            std::panic::set_hook(Box::new(|_| ()));
            let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            run(json, seed..seed.saturating_add(lives), threads.unwrap_or_else(processors))
        }
        Task::Replay { seed } => replay(seed),
    };
    if kept { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Whether every promise was kept.
fn run(json: bool, seeds: std::ops::Range<u64>, threads: usize) -> bool {
    let started = Instant::now();
    let tally = progress::lead(seeds, Plant::None, threads, true);
    let figures = tally.figures(started.elapsed().as_secs_f64());
    if json {
        println!("{}", serde_json::Value::from(figures));
    } else {
        figures.iter().for_each(|(name, value)| println!("{name:<24}{value}"));
    }
    tally.failures().for_each(|failure| eprintln!("{failure}"));
    tally.broken() == 0 && tally.finished == tally.lives
}

fn replay(seed: u64) -> bool {
    let boards = Board::all();
    let mut life = Life::new(&boards, seed, Plant::None);
    life.tell();
    let outcome = life.lead();
    outcome.findings.iter().for_each(|finding| println!("{}: {}", finding.fault.name(), finding.detail));
    println!(
        "{} reboots, finished: {}, refetched {:?}",
        outcome.reboots, outcome.finished, outcome.refetched
    );
    outcome.findings.is_empty() && outcome.finished
}
