//! The acts, in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use device_sim::firmware::Behaviour;
use ota_manifest::Version;
use tokio::runtime::Runtime;

use crate::cast::Cast;
use crate::firmware::Source;
use crate::show::Show;
use crate::{Figures, Options, PlayError, act, judge};

/// Plays all acts and judges what is left in the folder.
///
/// # Errors
/// [`PlayError`], whose exit code is the process's.
pub fn play(options: &Options) -> Result<Figures, PlayError> {
    let source = Source::load(options)?;
    let runtime = Runtime::new().context("no threads for the server")?;
    // Before there is anything to leave behind.
    let interrupted = listen_for_interrupt(&runtime);
    let (dir, temporary) = folder(options)?;
    let show = Arc::new(Show::new(usize::from(options.devices)));
    let cast =
        Cast::assemble(options.clone(), dir, source, Arc::clone(&show), runtime, Arc::clone(&interrupted))?;
    let played = perform(cast);
    show.close();
    let figures = played.and_then(|dir| Ok((judge(&dir, usize::from(options.devices))?, dir)));
    if interrupted.load(Ordering::Relaxed) {
        return Err(PlayError::Interrupted);
    }
    let (figures, dir) = figures?;
    act::table::show(&figures, &dir, temporary.is_none());
    figures.check().map_err(PlayError::Unmet)?;
    Ok(figures)
}

fn listen_for_interrupt(runtime: &Runtime) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let (listening, ready) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let signal = tokio::signal::ctrl_c();
        let mut signal = std::pin::pin!(signal);
        // Polled once, the handler is in place.
        let _ = tokio::time::timeout(Duration::ZERO, &mut signal).await;
        let _ = listening.send(());
        if signal.await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    let _ = ready.recv();
    interrupted
}

/// Whatever happens in an act, everybody goes home afterwards.
fn perform(mut cast: Cast) -> Result<PathBuf, PlayError> {
    let acts = acts(&mut cast);
    let dismissed = cast.dismiss();
    acts?;
    Ok(dismissed?)
}

fn acts(cast: &mut Cast) -> Result<(), PlayError> {
    cast.show.act(&format!("{} devices leave the factory with 1.0.0", cast.size()));
    let (first, images) = cast.publish(Version::new(1, 0, 0), 1, Behaviour::Healthy)?;
    cast.manufacture(first, &images)?;
    act::power::prepare(cast);
    act::man_in_the_middle::prepare(cast, first)?;
    cast.switch_on()?;
    act::rollout::play(cast)?;
    act::bad_release::play(cast)
}

/// The folder to work in; a temporary one goes away when its guard is dropped, also after an error or Ctrl-C.
fn folder(options: &Options) -> Result<(PathBuf, Option<tempfile::TempDir>), PlayError> {
    let Some(keep) = &options.keep else {
        let temporary = tempfile::Builder::new().prefix("ota-quickstart-").tempdir();
        let temporary = temporary.context("no temporary folder")?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    let usage = |text: String| PlayError::Usage(format!("--keep {}: {text}", keep.display()));
    std::fs::create_dir_all(keep).map_err(|error| usage(format!("cannot be made: {error}")))?;
    let mut entries = keep.read_dir().map_err(|error| usage(format!("cannot be read: {error}")))?;
    match entries.next() {
        Some(_) => Err(usage("the folder is not empty".to_owned())),
        None => Ok((keep.clone(), None)),
    }
}
