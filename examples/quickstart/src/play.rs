//! The acts, in order.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use device_sim::firmware::Behaviour;
use ota_manifest::Version;

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
    let (dir, temporary) = folder(options)?;
    let show = Arc::new(Show::new(usize::from(options.devices)));
    let cast = Cast::assemble(options.clone(), dir, source, Arc::clone(&show))?;
    let played = perform(cast);
    show.close();
    let dir = played?;
    let figures = judge(&dir, usize::from(options.devices))?;
    act::table::show(&figures, &dir, temporary.is_none());
    figures.check().map_err(PlayError::Unmet)?;
    Ok(figures)
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
