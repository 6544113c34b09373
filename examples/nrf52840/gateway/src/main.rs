//! `gateway`: carries boards on serial ports to `ota-server`.
//!
//! ```sh
//! gateway --server https://updates.example --ca ca.pem --boards boards.json
//! gateway --server http://127.0.0.1:8080 --board /dev/ttyACM0=TOKEN
//! ```
#![forbid(unsafe_code)]

mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::Parser;
use gateway::{Bridge, Gateway, PATIENCE_MS, Station};
use ota_agent::linux::Tls;

use show::Show;

#[derive(Parser)]
#[command(about = "Carries boards on serial ports to an OTA server", version)]
struct Cli {
    /// The server, http://host:port or https://host:port.
    #[arg(long, env = "OTA_SERVER")]
    server: String,
    /// Authority of the server's certificate, PEM; wanted with https.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A board: its port, and the token it was enrolled with. Others on this computer see it here; see --boards.
    #[arg(long = "board", value_name = "PATH=TOKEN")]
    boards: Vec<String>,
    /// A file with boards, readable by its owner only: { "boards": [{ "name": "desk", "port": "/dev/ttyACM0", "token": "..", "baud": 115200 }] }.
    #[arg(long = "boards", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Bits per second, of boards whose line in the file does not say.
    #[arg(long, value_name = "N", default_value_t = layout::BAUD, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// After how many seconds without anything of use to say what may be wrong with a port.
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_MS / 1000)]
    patience: u64,
    /// Every request for chunks, and what boards say between their messages.
    #[arg(long, short)]
    verbose: bool,
    /// A JSON object for each event.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match prepare(Cli::parse()) {
        Ok((gateway, stations, show)) => run(&gateway, &stations, &show),
        Err(error) => {
            // One sentence, also where backtraces are switched on.
            eprintln!("gateway: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whatever is wrong here is the caller's to change; later the gateway goes on trying.
fn prepare(cli: Cli) -> Result<(Gateway, Vec<Station>, Show)> {
    let tls = cli.ca.as_deref().map(believe).transpose()?;
    let gateway = Gateway::new(&cli.server, tls).context("--server")?;
    let gateway = gateway.with_patience_ms(cli.patience.saturating_mul(1000));
    let mut stations = Vec::new();
    for board in &cli.boards {
        stations.push(Station::parse(board, cli.baud)?);
    }
    if let Some(file) = &cli.file {
        stations.extend(Station::read(file, cli.baud)?);
    }
    Station::check(&stations)?;
    for Station { board, .. } in &stations {
        gateway.carrier(board, &mut Bridge::memory()).with_context(|| format!("board {}", board.name))?;
    }
    let names: Vec<_> = stations.iter().map(|station| station.board.name.as_str()).collect();
    let show = Show::new(&names, cli.verbose, cli.json);
    Ok((gateway, stations, show))
}

fn believe(file: &Path) -> Result<Tls> {
    let pem = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Tls::new(&pem).with_context(|| format!("in {}", file.display()))
}

/// A thread for each board, until the process is interrupted: nothing here has to be put away.
fn run(gateway: &Gateway, stations: &[Station], show: &Show) -> ExitCode {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for station in stations {
            let stop = &stop;
            scope.spawn(move || gateway.keep(station, stop, |line| show.line(&line)));
        }
    });
    // Not reached while a board is served.
    ExitCode::FAILURE
}
