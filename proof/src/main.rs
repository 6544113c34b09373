//! Cuts power everywhere and counts broken promises.
//!
//! ```text
//! slots-proof power-cut            everything; some minutes
//! slots-proof power-cut --quick    small boards and samples; half a minute
//! slots-proof power-cut --json     one JSON object on standard output
//! slots-proof slots [--json]       what an undisturbed update costs the flash
//! slots-proof replay BOARD LIFE operation:mode:seed ...    one life again, step by step
//! ```
//! Exits with 0 if every promise was kept, 1 if one was broken, 2 if that could not be found out.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use slots_proof::cost;
use slots_proof::life::Life;
use slots_proof::plan::{self, Row, Section, Settings};
use slots_proof::replay::{parse_blow, replay};
use slots_proof::report;
use slots_proof::stage::Stage;
use slots_proof::world::World;

/// Proof by exhaustion that no power failure bricks a device.
#[derive(Parser)]
#[command(name = "slots-proof")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Cut power everywhere; fails if a promise was broken.
    PowerCut {
        /// Print one JSON object on standard output.
        #[arg(long)]
        json: bool,
        /// Small boards and samples only.
        #[arg(long)]
        quick: bool,
        /// Stop at the first broken promise.
        #[arg(long)]
        fail_fast: bool,
        /// Only this section (repeatable): strategies, double, triple, tail, grid.
        #[arg(long, value_name = "SECTION")]
        only: Vec<String>,
        /// Threads; as many as there are processors by default.
        #[arg(long)]
        threads: Option<usize>,
        /// Where everything random comes from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// What an undisturbed update costs the flash, phase by phase.
    Slots {
        /// Print one JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Lead one life again and tell it step by step.
    Replay {
        /// The board.
        board: String,
        /// The life.
        life: String,
        /// Power failures: `operation:mode:seed`.
        blows: Vec<String>,
    },
}

fn main() -> ExitCode {
    // Panics of the code under test are counted, not shown.
    std::panic::set_hook(Box::new(|_| ()));
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every promise was kept.
fn run(task: Task) -> Result<bool> {
    match task {
        Task::PowerCut { json, quick, fail_fast, only, threads, seed } => {
            let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let threads = threads.unwrap_or_else(processors);
            let settings = Settings { quick, fail_fast, threads, seed };
            power_cut(&settings, &chosen(&only)?, json)
        }
        Task::Slots { json } => {
            let figures = cost::take()?;
            if json {
                println!("{figures}");
            } else {
                print!("{}", cost::table(&figures));
            }
            Ok(true)
        }
        Task::Replay { board, life, blows } => {
            let board = plan::find_board(&board).with_context(|| format!("there is no board {board}"))?;
            let life = Life::find(&life).with_context(|| format!("there is no life {life}"))?;
            let stage = Stage::new(&Arc::new(World::new(board)?), life)?;
            let blows = blows.iter().map(|text| parse_blow(text)).collect::<Result<Vec<_>>>()?;
            let (story, findings) = replay(&stage, &blows)?;
            print!("{story}");
            Ok(findings.is_empty())
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<Section>> {
    if names.is_empty() {
        return Ok(Section::ALL.to_vec());
    }
    let find = |name: &String| {
        let found = Section::ALL.into_iter().find(|section| section.name() == name);
        found.with_context(|| format!("there is no section {name}"))
    };
    names.iter().map(find).collect()
}

fn power_cut(settings: &Settings, sections: &[Section], json: bool) -> Result<bool> {
    let started = Instant::now();
    let mut done: Vec<(Section, Vec<Row>)> = Vec::new();
    for section in sections {
        done.push((*section, plan::sweep(*section, settings)?));
        if settings.fail_fast && report::broken(&done) > 0 {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    if json {
        println!("{}", report::whole(&done, seconds, settings.seed));
    } else {
        print!("{}", report::lines(&done));
    }
    let failures = done.iter().flat_map(|(_, rows)| rows).flat_map(|row| row.tally.failures());
    failures.take(20).for_each(|failure| eprintln!("{failure}"));
    let broken = report::broken(&done);
    eprintln!("{broken} broken promises in {seconds:.1} s");
    Ok(broken == 0)
}
