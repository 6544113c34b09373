//! What can be asked for on the command line.

use std::path::{Path, PathBuf};

use clap::Parser;

/// An update and a rollback of the emulated nRF52840 DK: real firmware, real server, one command.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "board-demo")]
pub struct Options {
    /// Keep the server's data and what the factory flashes (board.hex) in this folder, which is empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Speed of the line, bits per second, instead of the one that the firmware sets, which is the kit's: 19,200 to 1,000,000. On
    /// a slower one, what the firmware asks for at once takes longer than it waits.
    #[arg(long, value_name = "BAUD", value_parser = clap::value_parser!(u32).range(19_200..=1_000_000))]
    pub pace: Option<u32>,
    /// Folder for the firmware that is built, and for the keys that it trusts; target/board-demo if it is not named.
    #[arg(long, value_name = "DIR")]
    pub target: Option<PathBuf>,
    /// Print one JSON object with the figures on standard output.
    #[arg(long)]
    pub json: bool,
}

impl Options {
    pub(crate) fn target(&self) -> PathBuf {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/board-demo");
        self.target.clone().unwrap_or_else(beside)
    }
}
