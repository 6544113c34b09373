//! The acts, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use device_sim::firmware::Behaviour;
use ota_manifest::Version;
use tokio::runtime::Runtime;

use crate::cast::Cast;
use crate::firmware::Source;
use crate::folder::Folder;
use crate::show::Show;
use crate::{Figures, Options, PlayError, act, judge};

/// Plays all acts, or what is left of them in a folder that holds this play already, and judges what is in the folder.
///
/// # Errors
/// [`PlayError`], whose exit code is the process's.
pub fn play(options: &Options) -> Result<Figures, PlayError> {
    let source = Source::load(options)?;
    let runtime = Runtime::new().context("no threads for the server")?;
    // Before there is anything to leave behind.
    let interrupted = listen_for_interrupt(&runtime);
    let mut folder = Folder::open(options, &source)?;
    let devices = usize::from(options.devices);
    if let Some(figures) = played_already(&folder, devices) {
        act::table::show(&figures, folder.path(), true);
        return Ok(figures);
    }
    let show = Arc::new(Show::new(devices));
    let run = folder.begin()?;
    if folder.is_resumed() {
        show.say(&format!("goes on in {}, run {run}", folder.path().display()));
    }
    let dir = folder.path().to_owned();
    let cast =
        Cast::assemble(options.clone(), dir, source, Arc::clone(&show), runtime, Arc::clone(&interrupted))?;
    let played = perform(cast);
    show.close();
    let figures = played.and_then(|()| Ok(judge(folder.path(), devices)?));
    if interrupted.load(Ordering::Relaxed) {
        return Err(PlayError::Interrupted);
    }
    let figures = figures?;
    act::table::show(&figures, folder.path(), folder.is_kept());
    figures.check().map_err(PlayError::Unmet)?;
    Ok(figures)
}

/// The figures of a play that came to its end. One that did not cannot be judged, or lacks something.
fn played_already(folder: &Folder, devices: usize) -> Option<Figures> {
    if !folder.is_resumed() {
        return None;
    }
    let figures = judge(folder.path(), devices).ok().filter(|figures| figures.check().is_ok())?;
    eprintln!("everything was played in {} already", folder.path().display());
    Some(figures)
}

/// A flag that Ctrl-C sets from now on, rather than ending the process.
#[must_use]
pub fn listen_for_interrupt(runtime: &Runtime) -> Arc<AtomicBool> {
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
fn perform(mut cast: Cast) -> Result<(), PlayError> {
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
