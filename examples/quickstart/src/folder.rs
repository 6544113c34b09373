//! The folder of a play, and the small file in it that says which play it is.
//!
//! ```text
//!   DIR/play.json     format, devices, seed, SHA-256 of the firmware, runs begun; written whole, before anything else
//!   DIR/server/       the server's data
//!   DIR/devices/NNNN/ one simulated device each
//!   DIR/attacker.key  the key of the man in the middle
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use device_sim::write_whole;
use serde::{Deserialize, Serialize};

use crate::firmware::Source;
use crate::{Options, PlayError};

const FORMAT: u32 = 1;
const FILE: &str = "play.json";
/// What [`write_whole`] leaves beside the file when it is killed.
const DRAFT: &str = "play.new";

/// How long a folder may still be in use: a process that was killed takes a moment to be gone.
const GONE: Duration = Duration::from_secs(3);

/// What makes a run the same one, and how often it was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticket {
    format: u32,
    devices: u16,
    seed: u64,
    /// SHA-256 of the firmware bytes.
    firmware: String,
    /// The broker, if devices are rung.
    mqtt: Option<String>,
    runs: u32,
}

/// A folder to work in. A temporary one goes away when this is dropped, also after an error or Ctrl-C.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
    ticket: Ticket,
    resumed: bool,
    /// The folder itself, locked: two processes would undo each other's work.
    _lock: File,
}

impl Folder {
    /// Makes the folder, or finds the same play in it.
    pub(crate) fn open(options: &Options, source: &Source) -> Result<Self, PlayError> {
        let ticket = Ticket {
            format: FORMAT,
            devices: options.devices,
            seed: options.seed,
            firmware: source.digest(),
            mqtt: options.bell.mqtt.as_ref().map(ToString::to_string),
            runs: 1,
        };
        let (path, temporary) = match &options.keep {
            Some(keep) => (keep.clone(), None),
            None => {
                let made = tempfile::Builder::new().prefix("ota-quickstart-").tempdir();
                let made = made.context("no temporary folder")?;
                (made.path().to_owned(), Some(made))
            }
        };
        let usage = |text| PlayError::Usage(format!("--keep {}: {text}", path.display()));
        let lock = lock(&path).map_err(usage)?;
        let found = found(&path, &ticket).map_err(usage)?;
        let resumed = found.is_some();
        let folder = Self { path, temporary, ticket: found.unwrap_or(ticket), resumed, _lock: lock };
        if !resumed {
            folder.write()?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// Whether another process has begun this play.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Counts this process among those that played; the number it has, from 1.
    pub(crate) fn begin(&mut self) -> Result<u32> {
        if self.resumed {
            self.ticket.runs = self.ticket.runs.saturating_add(1);
            self.write()?;
        }
        Ok(self.ticket.runs)
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.ticket)? + "\n";
        let path = self.path.join(FILE);
        write_whole(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// How many processes have played in this folder.
///
/// # Errors
/// If the folder holds no play.
pub(crate) fn runs(dir: &Path) -> Result<u32> {
    Ok(ticket(dir)?.runs)
}

/// Whether the devices of the play in this folder are rung.
///
/// # Errors
/// If the folder holds no play.
pub(crate) fn has_bell(dir: &Path) -> Result<bool> {
    Ok(ticket(dir)?.mqtt.is_some())
}

fn ticket(dir: &Path) -> Result<Ticket> {
    let path = dir.join(FILE);
    let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let ticket: Ticket = serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))?;
    ensure!(ticket.format == FORMAT, "{} has format {}", path.display(), ticket.format);
    Ok(ticket)
}

/// Makes the folder if it is not there, and keeps everybody else out.
fn lock(dir: &Path) -> Result<File, String> {
    fs::create_dir_all(dir).map_err(|error| format!("cannot be made: {error}"))?;
    let lock = File::open(dir).map_err(|error| format!("cannot be opened: {error}"))?;
    let begun = Instant::now();
    while lock.try_lock().is_err() {
        if begun.elapsed() > GONE {
            return Err("another process plays in the folder".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(lock)
}

/// The ticket of the play in `dir` if it is the wanted one, `None` if nothing was begun there. Nothing of anybody else's is
/// touched.
///
/// # Errors
/// Why this play cannot be played there, as the rest of a sentence.
fn found(dir: &Path, wanted: &Ticket) -> Result<Option<Ticket>, String> {
    let unreadable = |error| format!("cannot be read: {error}");
    let entries = dir.read_dir().map_err(unreadable)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(unreadable)?;
    if names.iter().all(|name| name == DRAFT) {
        return Ok(None);
    }
    if !names.iter().any(|name| name == FILE) {
        return Err("the folder is not empty".to_owned());
    }
    let text = fs::read(dir.join(FILE)).map_err(unreadable)?;
    let Ok(ticket) = serde_json::from_slice::<Ticket>(&text) else {
        return Err(format!("the folder is not empty, and its {FILE} is not of this program"));
    };
    match differences(&ticket, wanted) {
        None => Ok(Some(ticket)),
        Some(text) => Err(format!("the folder holds another run, {text}")),
    }
}

/// In what two plays differ, for people.
fn differences(found: &Ticket, wanted: &Ticket) -> Option<String> {
    let mut different = Vec::new();
    if found.format != wanted.format {
        different.push(format!("in format {} instead of {}", found.format, wanted.format));
    }
    if found.devices != wanted.devices {
        different.push(format!("with {} instead of {} devices", found.devices, wanted.devices));
    }
    if found.seed != wanted.seed {
        different.push(format!("with seed {} instead of {}", found.seed, wanted.seed));
    }
    if found.firmware != wanted.firmware {
        different.push("with another firmware".to_owned());
    }
    if found.mqtt != wanted.mqtt {
        let broker = |mqtt: &Option<String>| mqtt.clone().unwrap_or_else(|| "no broker".to_owned());
        different.push(format!("with {} instead of {}", broker(&found.mqtt), broker(&wanted.mqtt)));
    }
    (!different.is_empty()).then(|| different.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn open(dir: &Path, arguments: &[&str]) -> Result<Folder, String> {
        let dir = dir.to_str().unwrap();
        let options = Options::parse_from(["quickstart", "--keep", dir].iter().chain(arguments));
        let source = Source::load(&options).unwrap();
        Folder::open(&options, &source).map_err(|error| error.to_string())
    }

    #[test]
    fn folder_is_found_again_and_counts_its_runs() {
        let dir = tempfile::tempdir().unwrap();
        let keep = dir.path().join("run");
        let mut first = open(&keep, &[]).unwrap();
        assert!(!first.is_resumed());
        assert_eq!(first.begin().unwrap(), 1);
        assert!(open(&keep, &[]).unwrap_err().ends_with("another process plays in the folder"));
        drop(first);
        for run in 2..4 {
            let mut again = open(&keep, &[]).unwrap();
            assert!(again.is_resumed());
            assert_eq!(again.begin().unwrap(), run);
            assert_eq!(runs(&keep).unwrap(), run);
        }
    }

    #[test]
    fn folder_in_which_nothing_was_begun_starts_fresh() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!open(dir.path(), &[]).unwrap().is_resumed());
        fs::rename(dir.path().join(FILE), dir.path().join(DRAFT)).unwrap();
        assert!(!open(dir.path(), &[]).unwrap().is_resumed());
        assert!(open(dir.path(), &[]).unwrap().is_resumed());
    }

    #[test]
    fn another_run_is_refused_with_every_difference_named() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), &["--devices", "6"]).unwrap());
        let refused = open(dir.path(), &["--seed", "2"]).unwrap_err();
        let expected = "with 6 instead of 24 devices, with seed 1 instead of 2, with another firmware";
        assert!(refused.ends_with(expected), "{refused}");
        assert!(open(dir.path(), &["--devices", "6"]).unwrap().is_resumed(), "nothing was changed");
    }

    #[test]
    fn file_that_is_no_play_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{\"format\":1}", "something else"] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert!(open(dir.path(), &[]).unwrap_err().contains("not empty"));
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
        }
    }
}
