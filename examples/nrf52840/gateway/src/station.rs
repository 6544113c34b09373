//! Which board is at which port.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ota_server_core::private_file::{self, PrivateFileError};
use serde::Deserialize;
use thiserror::Error;

use crate::Board;

/// A board and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The board.
    pub board: Board,
    /// The serial device or the pty that it is at.
    pub port: PathBuf,
}

/// Why there is no list of boards. The caller's to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StationsError {
    /// Not `PATH=TOKEN`.
    #[error("`--board` wants PATH=TOKEN, such as /dev/ttyACM0=0123..; this has no {0}")]
    Argument(&'static str),
    /// There is no such file.
    #[error("{} is not there", .0.display())]
    NotThere(PathBuf),
    /// The file cannot be read, or others can read it.
    #[error("cannot use {}: {why}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        why: PrivateFileError,
    },
    /// The file does not have what it should.
    #[error(
        "in {}: {why}; it should be like {{ \"boards\": [{{ \"name\": \"desk\", \"port\": \"/dev/ttyACM0\", \"token\": \"..\" }}] }}",
        .file.display()
    )]
    Json {
        /// Which.
        file: PathBuf,
        /// Why.
        why: serde_json::Error,
    },
    /// Nothing to do.
    #[error("no board is named: give --board PATH=TOKEN or --boards FILE")]
    None,
    /// Both would get half of the bytes.
    #[error("two boards are at one port, {}", .0.display())]
    SamePort(PathBuf),
    /// The log could not tell them apart.
    #[error("two boards have the name {0}: in a file (--boards) they can have others")]
    SameName(String),
    /// The server could not tell them apart.
    #[error("two boards have the same token: each device was enrolled with one of its own")]
    SameToken,
    /// A line of no speed.
    #[error("board {0} has a baud rate of 0")]
    Baud(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardsFile {
    boards: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    port: PathBuf,
    token: String,
    baud: Option<u32>,
}

impl Station {
    /// A board at a port, called after it.
    #[must_use]
    pub fn new(port: &Path, token: &str, baud: u32) -> Self {
        let name = port.file_name().map_or_else(|| port.to_string_lossy(), |name| name.to_string_lossy());
        Self { board: Board { baud, ..Board::new(&name, token) }, port: port.into() }
    }

    /// One from a command line: `PATH=TOKEN`.
    ///
    /// # Errors
    /// [`StationsError::Argument`].
    pub fn parse(text: &str, baud: u32) -> Result<Self, StationsError> {
        // Paths may have one of these, tokens have none.
        let (port, token) = text.rsplit_once('=').ok_or(StationsError::Argument("="))?;
        match (port, token) {
            ("", _) => Err(StationsError::Argument("PATH")),
            (_, "") => Err(StationsError::Argument("TOKEN")),
            (port, token) => Ok(Self::new(Path::new(port), token, baud)),
        }
    }

    /// Those in a file, which nobody but its owner may read.
    ///
    /// # Errors
    /// [`StationsError`].
    pub fn read(file: &Path, baud: u32) -> Result<Vec<Self>, StationsError> {
        let refused = |why| StationsError::File { file: file.into(), why };
        let text = private_file::read(file).map_err(refused)?;
        let text = text.ok_or_else(|| StationsError::NotThere(file.into()))?;
        let read: Result<BoardsFile, _> = serde_json::from_str(&text);
        let read = read.map_err(|why| StationsError::Json { file: file.into(), why })?;
        let station = |entry: Entry| {
            let mut station = Self::new(&entry.port, &entry.token, entry.baud.unwrap_or(baud));
            entry.name.into_iter().for_each(|name| station.board.name = name);
            station
        };
        Ok(read.boards.into_iter().map(station).collect())
    }

    /// Looks a whole list over: there is one board at least, and no two are mistaken for each other.
    ///
    /// # Errors
    /// [`StationsError`].
    pub fn check(stations: &[Self]) -> Result<(), StationsError> {
        if stations.is_empty() {
            return Err(StationsError::None);
        }
        let (mut names, mut ports, mut tokens) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for Self { board, port } in stations {
            // One device may have several names.
            if !ports.insert(port.canonicalize().unwrap_or_else(|_| port.clone())) {
                return Err(StationsError::SamePort(port.clone()));
            }
            if !names.insert(&board.name) {
                return Err(StationsError::SameName(board.name.clone()));
            }
            if !tokens.insert(&board.token) {
                return Err(StationsError::SameToken);
            }
            if board.baud == 0 {
                return Err(StationsError::Baud(board.name.clone()));
            }
        }
        Ok(())
    }
}
