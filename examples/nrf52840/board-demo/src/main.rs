//! `board-demo`: an update and a rollback of the emulated nRF52840 DK, in one command.
//!
//! ```sh
//! cargo run --release -p board-demo
//! cargo run --release -p board-demo -- --keep /tmp/demo --json
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use board_demo::{Options, play};
use clap::Parser;

fn main() -> ExitCode {
    let options = Options::parse();
    let (sentence, code) = match play(&options) {
        Ok(figures) if options.json => match serde_json::to_string(&figures) {
            Ok(json) => {
                println!("{json}");
                return ExitCode::SUCCESS;
            }
            Err(error) => (error.to_string(), 1),
        },
        Ok(_) => return ExitCode::SUCCESS,
        Err(error) => (error.to_string(), error.exit_code()),
    };
    eprintln!("board-demo: {sentence}");
    ExitCode::from(code)
}
