//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quickstart::PlayError;
use tempfile::TempDir;

use crate::Options;

/// Where the server's data are: for good, or as long as this lives.
pub(crate) enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    pub(crate) fn open(options: &Options) -> Result<Self, PlayError> {
        let Some(keep) = &options.keep else {
            let made = tempfile::Builder::new().prefix("ota-board-demo-").tempdir();
            return Ok(Self::Temporary(made.context("no temporary folder")?));
        };
        let usage = |why: String| PlayError::Usage(format!("--keep {}: {why}", keep.display()));
        fs::create_dir_all(keep).map_err(|error| usage(format!("cannot be made: {error}")))?;
        let mut entries = keep.read_dir().map_err(|error| usage(format!("cannot be read: {error}")))?;
        match entries.next() {
            None => Ok(Self::Kept(keep.clone())),
            Some(_) => Err(usage("the folder is not empty".into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
