//! The device's log: one JSON object a line, appended and flushed before the device goes on.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::CutPoint;

/// Called with every line, for those who watch.
pub type Observer = Box<dyn Fn(&Line) + Send>;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// The bootloader handed over.
    Boot {
        /// What reset the device.
        cause: String,
        /// Slot that runs.
        slot: String,
        /// Version that runs.
        version: String,
        /// State it runs in.
        state: String,
        /// Version of the trust in force; 1 is what the factory burnt in.
        #[serde(default)]
        trust: u32,
    },
    /// The firmware crashed as soon as it ran.
    Fault {
        /// Why.
        why: String,
    },
    /// The server was asked for work.
    Poll {
        /// What it answered.
        answer: String,
    },
    /// Somebody rang: the server wants to be asked.
    Rung,
    /// A job was offered.
    Offered {
        /// Which.
        job: String,
        /// Which attempt at it.
        attempt: u8,
    },
    /// The offer was refused.
    Refused {
        /// What the server is told.
        refusal: String,
        /// The precise code.
        code: u16,
    },
    /// Bytes of an object arrived.
    Fetched {
        /// For which job.
        job: String,
        /// Leaf list or payload.
        object: String,
        /// Number of the first chunk or leaf.
        first: u32,
        /// How many bytes.
        bytes: usize,
    },
    /// An update that had begun goes on where it was cut off.
    Resumed {
        /// Bytes held already; 0 if it was cut off before the first block was complete.
        held: u32,
        /// Bytes in all.
        total: u32,
    },
    /// A chunk did not match the manifest.
    ChunkRefused {
        /// Its number.
        chunk: u32,
    },
    /// The leaf list did not match the manifest.
    LeavesRefused,
    /// A freshness key has told the time.
    Fresh {
        /// Seconds since 1970-01-01 UTC.
        time_s: u64,
        /// Epoch and sequence of the newest release for this device.
        latest: String,
    },
    /// A trust document lies in the bootloader's inbox.
    TrustOffered {
        /// Its version.
        version: u32,
        /// Whether it was there already, and was not adopted at the last reset.
        held_before: bool,
    },
    /// A probe of the self-test has ended.
    Probed {
        /// Its name.
        probe: String,
        /// What it has found.
        outcome: String,
    },
    /// The job has come this far.
    Reached {
        /// The stage, as it is reported.
        stage: String,
        /// Bytes held and bytes in all, while downloading.
        progress: Option<(u32, u32)>,
    },
    /// The old image runs again.
    RolledBack {
        /// Why.
        reason: String,
        /// What reset the device last.
        cause: String,
        /// Boots the image got.
        boots: u8,
    },
    /// The server has the terminal report.
    Settled {
        /// Of this job.
        job: String,
    },
    /// The power failed, as it was planned.
    PowerCut {
        /// Where in the update.
        at: CutPoint,
    },
    /// Anything else worth a line.
    Note {
        /// What.
        text: String,
    },
}

/// Appends lines to a file and shows them to an observer.
pub struct Log {
    file: File,
    observer: Option<Observer>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens `DIR/log.jsonl` for appending.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(dir: &Path, observer: Option<Observer>) -> Result<Self> {
        let path = dir.join("log.jsonl");
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let file = file.and_then(|file| end_last_line(&file).map(|()| file));
        Ok(Self { file: file.with_context(|| format!("{} cannot be opened", path.display()))?, observer })
    }

    /// Appends a line. A log that cannot be written does not stop the device.
    pub fn write(&mut self, what: Happening) {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let line = Line { at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX), what };
        if let Ok(text) = serde_json::to_string(&line) {
            // One write for one line: a process killed meanwhile leaves whole lines, or one cut-off last line.
            let _ = self.file.write_all((text + "\n").as_bytes());
        }
        if let Some(observer) = &self.observer {
            observer(&line);
        }
    }
}

/// What a killed process left of its last line must not spoil the first line of the next.
fn end_last_line(file: &File) -> std::io::Result<()> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    if byte == *b"\n" { Ok(()) } else { (&*file).write_all(b"\n") }
}

/// Reads a log back; lines that a kill cut off are passed over. A device that was never switched on has an empty one.
///
/// # Errors
/// If the file cannot be read.
pub fn read_log(dir: &Path) -> Result<Vec<Line>> {
    let path = dir.join("log.jsonl");
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_after_one_that_was_cut_off_is_not_glued_to_it() {
        let dir = tempfile::tempdir().unwrap();
        Log::open(dir.path(), None).unwrap().write(Happening::LeavesRefused);
        let path = dir.path().join("log.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_within(..bytes.len() / 2);
        std::fs::write(&path, bytes).unwrap();
        for chunk in [1, 2] {
            Log::open(dir.path(), None).unwrap().write(Happening::ChunkRefused { chunk });
        }
        let lines: Vec<_> = read_log(dir.path()).unwrap().into_iter().map(|line| line.what).collect();
        let expected = [
            Happening::LeavesRefused,
            Happening::ChunkRefused { chunk: 1 },
            Happening::ChunkRefused { chunk: 2 },
        ];
        assert_eq!(lines, expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn device_that_was_never_switched_on_has_an_empty_log() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_log(dir.path()).unwrap(), []);
    }
}
