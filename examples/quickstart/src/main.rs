//! `quickstart`: the whole flow in one command.
//!
//! ```sh
//! cargo run --release -p quickstart
//! cargo run --release -p quickstart -- --devices 300 --seed 7 --json
//! cargo run --release -p quickstart -- --image firmware.bin --keep /tmp/run
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use quickstart::{Options, play};

fn main() -> ExitCode {
    let options = Options::parse();
    match play(&options) {
        Ok(figures) => {
            if options.json {
                match serde_json::to_string(&figures) {
                    Ok(json) => println!("{json}"),
                    Err(error) => return fail(&error.to_string(), 1),
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

fn fail(sentence: &str, code: u8) -> ExitCode {
    eprintln!("quickstart: {sentence}");
    ExitCode::from(code)
}
