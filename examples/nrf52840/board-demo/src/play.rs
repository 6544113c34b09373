//! A run, from the firmware to the table.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway::Bridge;
use quickstart::{PlayError, listen_for_interrupt};
use tokio::runtime::Runtime;

use crate::folder::Folder;
use crate::operators::Operators;
use crate::show::Show;
use crate::stage::Stage;
use crate::{DemoKeys, Figures, Firmware, Options};

/// Plays all acts.
///
/// # Errors
/// [`PlayError`], whose exit code is the process's.
pub fn play(options: &Options) -> Result<Figures, PlayError> {
    let runtime = Runtime::new().context("no threads for the server")?;
    let interrupted = listen_for_interrupt(&runtime);
    let mut show = Show::new(Firmware::PROGRAMS);
    let folder = Folder::open(options)?;
    let begun = Instant::now();
    let target = options.target();
    let keys = DemoKeys::open(&target.join("board-keys"))?;
    let mut figures = Figures::default();
    let built = build(&target, &keys, &show);
    let firmware = built.map_err(|error| match interrupted.load(Ordering::Relaxed) {
        // It has interrupted cargo as well.
        true => PlayError::Interrupted,
        false => PlayError::Usage(format!("no firmware: {error:#}")),
    })?;
    figures.build_ms = ms(begun.elapsed());
    let begun = Instant::now();
    let operators = Operators::open(&runtime, &folder.path().join("server"), &keys)?;
    let mut memory = Bridge::memory();
    let mut stage = Stage::set(operators, &firmware, options, &folder, &mut show, interrupted, &mut memory)?;
    let played = stage.acts(&firmware, &mut figures);
    let stopped = stage.operators.stop(&runtime);
    played?;
    stopped?;
    figures.elapsed_ms = ms(begun.elapsed());
    show.say(&format!("\n{}", figures.table()));
    if options.keep.is_some() {
        show.say(&format!("  the server's data and board.hex are in {}", folder.path().display()));
    }
    figures.check().map_err(PlayError::Unmet)?;
    Ok(figures)
}

fn build(target: &Path, keys: &DemoKeys, show: &Show) -> Result<Firmware> {
    let mut done = 0;
    let built = Firmware::build(target, keys.folder(), &mut |what| {
        show.building(done, what);
        done += 1;
    });
    show.built();
    built
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
