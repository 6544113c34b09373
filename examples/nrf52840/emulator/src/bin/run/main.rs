//! Runs firmware: its UART on standard output, and a report at the end.
//!
//! ```console
//! $ cargo run --release -p emulator --bin run -- bootloader.elf app.elf --seconds 10
//! $ cargo run --release -p emulator --bin run -- --speed
//! ```
#![forbid(unsafe_code)]

mod speed;

use std::error::Error;
use std::io::Write as _;

use emulator::{HZ, Machine, Program, ResetCause, Stop, describe_fault};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What to run, and for how long.
struct Options {
    files: Vec<String>,
    seconds: u64,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { files: Vec::new(), seconds: 10 };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--speed" => return speed::measure(),
            "--seconds" => options.seconds = value()?.parse()?,
            option if option.starts_with("--") => return Err(format!("{option} is not known").into()),
            _ => options.files.push(argument),
        }
    }
    if options.files.is_empty() {
        return Err("usage: run FILE.elf.. [--seconds N], or run --speed".into());
    }
    run(&options)
}

fn run(options: &Options) -> Result<()> {
    let mut programs = Vec::new();
    let mut machine = Machine::new();
    for file in &options.files {
        let program = Program::read(&std::fs::read(file)?).map_err(|error| format!("{file}: {error}"))?;
        machine.load(&program).map_err(|_| format!("{file}: not all of it lies in flash"))?;
        programs.push(program);
    }
    machine.cover();
    machine.power_on();
    let end = options.seconds * HZ;
    let stop = loop {
        // Often enough that output appears as it comes.
        let stop = machine.run((HZ / 100).min(end.saturating_sub(machine.time())));
        std::io::stdout().write_all(&machine.sent(0))?;
        match stop {
            Stop::Deadline if machine.time() < end => {}
            Stop::Reset(cause) => eprintln!("[{}] reset: {cause:?}", seconds(&machine)),
            stop => break stop,
        }
    };
    report(&mut machine, &programs, stop);
    match stop {
        Stop::Deadline | Stop::Idle | Stop::SystemOff | Stop::Reset(ResetCause::Soft) => Ok(()),
        stop => Err(format!("ended by {stop:?}").into()),
    }
}

fn report(machine: &mut Machine, programs: &[Program], stop: Stop) {
    eprintln!("[{}] {stop:?}", seconds(machine));
    eprintln!("{} instructions, {} resets", machine.core().instructions(), machine.resets());
    let over = machine.flash().overprogrammed().count();
    eprintln!("{} flash operations; {over} words programmed too often", machine.flash().operations());
    for program in programs {
        if let Some(coverage) = machine.coverage() {
            let (reached, missed) = (coverage.reached(program).count(), coverage.missed(program).count());
            eprintln!("{reached} of {} functions executed", reached + missed);
        }
        if let Some(fault) = machine.last_fault() {
            eprintln!("last fault: {}", describe_fault(fault, program));
        }
    }
    if !machine.unmodelled().is_empty() {
        eprint!("registers that are not modelled:\n{}", machine.unmodelled());
    }
}

/// Virtual time, in seconds.
fn seconds(machine: &Machine) -> String {
    let millis = machine.time() / (HZ / 1000);
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}
