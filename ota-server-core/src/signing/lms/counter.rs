//! The count of used leaves, in a file.
//!
//! The number stands in two files. Both are durable before it is handed out, each in one step, the counter first: so the
//! witness is never ahead of it, and a witness that is says that an old counter has come back. Where both come back
//! together, with a snapshot of the whole disk, no file can tell; the counter belongs on a disk that is not rolled back.

use alloc::format;
use alloc::string::String;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ota_manifest::KeyId;
use ota_verify::sign::{LmsSigningKey, LmsState, SignerError};

use super::LmsFileError;
use crate::private_file::{self, append};

/// Counts the leaves of one key in a file, for one process at a time.
///
/// For a key that lives elsewhere than in the file of [`LmsFileSigner`](super::LmsFileSigner). Locks are the file
/// system's: use one that has them, which a network's may not.
///
/// ```
/// use ota_server_core::signing::{LmsFileError, LmsFileState};
/// use ota_verify::sign::{LmsHeight, LmsSigningKey, LmsState, LmsWidth};
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("counter");
/// let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]);
/// let state = LmsFileState::create(&file, &key)?;
/// assert_eq!((state.claim(), state.claim(), state.remaining()), (Ok(0), Ok(1), Ok(30)));
/// drop(state);
/// assert_eq!(LmsFileState::open(&file, &key)?.claim(), Ok(2));
/// assert_eq!(LmsFileState::skip_to(&file, &key, 10)?.claim(), Ok(10));
/// assert!(LmsFileState::skip_to(&file, &key, 10).is_err());
/// # Ok::<(), LmsFileError>(())
/// ```
#[derive(Debug)]
pub struct LmsFileState {
    counter: Number,
    witness: Number,
    signatures: u32,
    /// What this process knows to be the least that may come next; held while a leaf is claimed.
    least: Mutex<u32>,
    lock: Lock,
}

impl LmsFileState {
    /// Begins to count in `file` for a key that has never signed.
    ///
    /// # Errors
    /// [`LmsFileError::Exists`] if a counter there has handed out a leaf, [`LmsFileError::InUse`], or what the file system
    /// says.
    pub fn create(file: &Path, key: &LmsSigningKey) -> Result<Self, LmsFileError> {
        Self::begin(Lock::take(file)?, key)
    }

    /// Goes on where the counter in `file` stands.
    ///
    /// # Errors
    /// [`LmsFileError`] says what to do. A counter that is missing, restored or another key's is refused, not replaced.
    pub fn open(file: &Path, key: &LmsSigningKey) -> Result<Self, LmsFileError> {
        Self::resume(Lock::take(file)?, key)
    }

    /// Goes on at leaf `next`, whatever became of the counter in `file`. See
    /// [`LmsFileSigner::skip_to`](super::LmsFileSigner::skip_to) for how to choose `next`.
    ///
    /// # Errors
    /// [`LmsFileError::Backwards`] if the files know of a later leaf, [`LmsFileError::OutOfRange`] beyond the end of the
    /// key; otherwise as [`Self::open`].
    pub fn skip_to(file: &Path, key: &LmsSigningKey, next: u32) -> Result<Self, LmsFileError> {
        Self::skip(Lock::take(file)?, key, next)
    }

    /// How many leaves are left.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remaining(&self) -> Result<u32, LmsFileError> {
        Ok(self.signatures.saturating_sub(self.counted()?))
    }

    pub(super) fn begin(lock: Lock, key: &LmsSigningKey) -> Result<Self, LmsFileError> {
        let state = Self::new(lock, key);
        for number in [&state.counter, &state.witness] {
            // One at 0 was left behind by a crash before the key was there, and nobody misses it.
            if number.look()?.is_some_and(|(_, counted)| counted > 0) {
                return Err(LmsFileError::Exists(number.file.clone()));
            }
        }
        state.set(0)?;
        Ok(state)
    }

    pub(super) fn resume(lock: Lock, key: &LmsSigningKey) -> Result<Self, LmsFileError> {
        let state = Self::new(lock, key);
        state.counted()?;
        Ok(state)
    }

    pub(super) fn skip(lock: Lock, key: &LmsSigningKey, next: u32) -> Result<Self, LmsFileError> {
        let state = Self::new(lock, key);
        let known = [state.counter.read()?, state.witness.read()?];
        let least = known.into_iter().flatten().max().unwrap_or(0);
        if next < least {
            return Err(LmsFileError::Backwards { next, least });
        }
        if next > state.signatures {
            return Err(LmsFileError::OutOfRange { next, signatures: state.signatures });
        }
        state.set(next)?;
        Ok(state)
    }

    fn new(lock: Lock, key: &LmsSigningKey) -> Self {
        let number = |file| Number { file, key: key.public_key().key_id() };
        Self {
            counter: number(lock.counter.clone()),
            witness: number(append(&lock.counter, ".seen")),
            signatures: key.signatures(),
            least: Mutex::new(0),
            lock,
        }
    }

    /// The next leaf, if the files agree that it is.
    fn counted(&self) -> Result<u32, LmsFileError> {
        let next = self.counter.read()?.ok_or_else(|| LmsFileError::NoCounter(self.counter.file.clone()))?;
        let least = self.witness.read()?.ok_or_else(|| LmsFileError::Moved(self.witness.file.clone()))?;
        if next < least { Err(LmsFileError::Backwards { next, least }) } else { Ok(next) }
    }

    fn claim_leaf(&self) -> Result<u32, LmsFileError> {
        self.lock.check_held()?;
        let mut least = self.least.lock().unwrap_or_else(PoisonError::into_inner);
        // Read again each time: somebody may have put old files back while this process runs.
        let leaf = self.counted()?;
        if leaf < *least {
            return Err(LmsFileError::Backwards { next: leaf, least: *least });
        }
        if leaf >= self.signatures {
            return Err(LmsFileError::Spent(self.signatures));
        }
        self.set(leaf + 1)?;
        *least = leaf + 1;
        Ok(leaf)
    }

    /// Makes `next` durable. In this order: see the head of this file.
    fn set(&self, next: u32) -> Result<(), LmsFileError> {
        self.counter.write(next)?;
        self.witness.write(next)
    }
}

impl LmsState for LmsFileState {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.claim_leaf()?)
    }
}

const LOCK: &str = ".lock";

/// Whether the name still leads to the open file. Where it does not, the next signer locks another file.
#[cfg(unix)]
fn is_named(open: &File, name: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (open.metadata()?, std::fs::metadata(name));
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

/// A file that is open keeps its name here.
#[cfg(not(unix))]
fn is_named(_open: &File, _name: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Held by the one process that may count. The kernel lets go when the process ends, however it ends.
///
/// A process that this one forks has the lock as well, as far as the kernel knows, and the least leaf in a memory of its own:
/// both would claim the same one. So the lock is the process's that took it, and a fork neither counts nor lets go.
#[derive(Debug)]
pub(super) struct Lock {
    counter: PathBuf,
    file: File,
    owner: u32,
}

impl Lock {
    /// Takes the lock of the counter in `file`. The lock file stays: to remove it would let in two at once.
    #[expect(clippy::incompatible_msrv, reason = "the feature needs Rust 1.89, and says so")]
    pub(super) fn take(file: &Path) -> Result<Self, LmsFileError> {
        let lock =
            private_file::private().create(true).truncate(false).write(true).open(append(file, LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { counter: file.into(), file: lock, owner: std::process::id() }),
            Err(TryLockError::WouldBlock) => Err(LmsFileError::InUse(file.into())),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Whether this process, and nobody else, may count.
    fn check_held(&self) -> Result<(), LmsFileError> {
        if !self.is_owner() {
            return Err(LmsFileError::Forked(self.counter.clone()));
        }
        let named = append(&self.counter, LOCK);
        if is_named(&self.file, &named)? { Ok(()) } else { Err(LmsFileError::Unlocked(named)) }
    }

    fn is_owner(&self) -> bool {
        self.owner == std::process::id()
    }
}

impl Drop for Lock {
    /// Not left to the closing of the file: a process that this one is just starting holds a copy of it until it runs its
    /// own program, and the lock with it.
    #[expect(clippy::incompatible_msrv, reason = "the feature needs Rust 1.89, and says so")]
    fn drop(&mut self) {
        if self.is_owner() {
            let _ = self.file.unlock();
        }
    }
}

/// A number in a file, with the key it counts for.
#[derive(Debug)]
struct Number {
    file: PathBuf,
    key: KeyId,
}

impl Number {
    /// The number, if it is this key's; `None` without a file.
    fn read(&self) -> Result<Option<u32>, LmsFileError> {
        match self.look()? {
            Some((counts_for, _)) if counts_for != self.key => {
                Err(LmsFileError::OtherKey { file: self.file.clone(), counts_for, key: self.key })
            }
            found => Ok(found.map(|(_, number)| number)),
        }
    }

    /// The number and whose it is; `None` without a file.
    fn look(&self) -> Result<Option<(KeyId, u32)>, LmsFileError> {
        let Some(text) = private_file::read(&self.file)? else { return Ok(None) };
        let found = parse(&text).ok_or_else(|| LmsFileError::NotACounter(self.file.clone()))?;
        Ok(Some(found))
    }

    fn write(&self, number: u32) -> Result<(), LmsFileError> {
        Ok(private_file::write(&self.file, &text(self.key, number))?)
    }
}

fn text(key: KeyId, number: u32) -> String {
    format!("ota-lms-counter 1\n{key}\n{number}\n")
}

/// Takes back what [`text`] makes, and nothing else.
fn parse(counter: &str) -> Option<(KeyId, u32)> {
    let (_, rest) = counter.split_once('\n')?;
    let (key, number) = rest.split_once('\n')?;
    let (key, number) = (key.parse().ok()?, number.trim_end().parse().ok()?);
    (text(key, number) == counter).then_some((key, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_verify::sign::{LmsHeight, LmsWidth};

    #[test]
    fn forked_process_neither_counts_nor_lets_go_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("counter");
        let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]);
        let mut state = LmsFileState::create(&file, &key).unwrap();
        assert_eq!(state.claim(), Ok(0));
        // What a fork leaves in the parent: another descriptor of the very file that is locked.
        let parents = state.lock.file.try_clone().unwrap();
        state.lock.owner ^= 1;
        assert_eq!(state.claim_leaf(), Err(LmsFileError::Forked(file.clone())));
        drop(state);
        assert_eq!(LmsFileState::open(&file, &key).unwrap_err(), LmsFileError::InUse(file.clone()));
        drop(parents);
        assert_eq!(LmsFileState::open(&file, &key).unwrap().claim(), Ok(1));
    }
}
