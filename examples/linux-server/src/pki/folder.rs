//! The files. Keys and certificates alike are readable by their owner only; each is there whole or not at all.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ota_manifest::DeviceId;
use ota_server_core::private_file;
use rcgen::KeyPair;

use super::PkiError;
use super::certificate::Certificate;

pub(super) const DEVICES: &str = "devices";
pub(super) const CA: &str = "ca.pem";
const LOCK: &str = "lock";
/// What a file is called, behind a dot, until it is whole: see [`private_file::write`].
const DRAFT: &str = "new";

/// A folder of certificates.
pub(super) struct Folder {
    root: PathBuf,
    /// Held by whoever writes: of two revocations at a time one would be lost.
    _lock: Option<File>,
}

impl Folder {
    /// Opens a folder to write to it, and makes it if it is not there.
    pub(super) fn create(dir: &Path) -> Result<Self, PkiError> {
        make(dir)?;
        let folder = Self::locked(dir)?;
        make(&folder.path(DEVICES))?;
        Ok(folder)
    }

    /// Opens a folder that holds an authority, to write to it.
    pub(super) fn open(dir: &Path) -> Result<Self, PkiError> {
        Self::look(dir)?;
        Self::locked(dir)
    }

    /// Opens a folder that holds an authority, to read in it.
    pub(super) fn look(dir: &Path) -> Result<Self, PkiError> {
        if !dir.join(CA).exists() {
            let why = "there is no authority here (no ca.pem); make one with `otactl pki init`";
            return Err(PkiError::file(dir, why));
        }
        Ok(Self { root: dir.to_owned(), _lock: None })
    }

    fn locked(dir: &Path) -> Result<Self, PkiError> {
        let root =
            dir.canonicalize().map_err(|error| PkiError::file(dir, format!("cannot be used: {error}")))?;
        check_owner(&root)?;
        let path = root.join(LOCK);
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
        let lock = lock.map_err(|error| PkiError::file(&path, format!("cannot be written: {error}")))?;
        let folder = Self { root, _lock: Some(lock) };
        folder.sweep();
        Ok(folder)
    }

    /// Takes away drafts that a kill left behind; keys may be in them. With the lock held nobody is writing one.
    fn sweep(&self) {
        let entries =
            [self.root.clone(), self.path(DEVICES)].into_iter().filter_map(|dir| fs::read_dir(dir).ok());
        for entry in entries.flatten().flatten() {
            if entry.path().extension().is_some_and(|kind| kind == DRAFT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What is public, whoever may read it.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, PkiError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PkiError::file(&path, format!("cannot be read: {error}"))),
        }
    }

    pub(super) fn certificate(&self, name: &str) -> Result<Option<Certificate>, PkiError> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let broken = || PkiError::file(&self.path(name), "is damaged; put it back from a backup");
        Certificate::parse(&text).map(Some).ok_or_else(broken)
    }

    pub(super) fn key(&self, name: &str) -> Result<Option<KeyPair>, PkiError> {
        let path = self.path(name);
        let text = private_file::read(&path).map_err(|error| PkiError::file(&path, error))?;
        let Some(text) = text else { return Ok(None) };
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&text, &rcgen::PKCS_ECDSA_P256_SHA256);
        let why = "is damaged, or no ECDSA P-256 key in PEM; put it back from a backup";
        key.map(Some).map_err(|_| PkiError::file(&path, why))
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), PkiError> {
        let path = self.path(name);
        private_file::write(&path, text)
            .map_err(|error| PkiError::file(&path, format!("cannot be written: {error}")))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), PkiError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(PkiError::file(&path, format!("cannot be removed: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// The devices that have a certificate or a key, in no order.
    pub(super) fn devices(&self) -> Result<Vec<DeviceId>, PkiError> {
        let path = self.path(DEVICES);
        let unreadable = |error| PkiError::file(&path, format!("cannot be read: {error}"));
        let mut devices = Vec::new();
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let file = PathBuf::from(entry.map_err(unreadable)?.file_name());
            let known = file.extension().is_some_and(|kind| kind == "pem" || kind == "key");
            let stem = file.file_stem().and_then(|stem| stem.to_str()).filter(|_| known);
            let id = stem.and_then(|stem| stem.parse().ok().filter(|id: &DeviceId| id.to_string() == stem));
            devices.extend(id);
        }
        devices.sort_unstable();
        devices.dedup();
        Ok(devices)
    }
}

/// Refuses to write into another user's folder, which root could. The broker runs as the owner: a revocation list that only
/// root can read would make it accept, after a signal, everybody who is revoked.
#[cfg(unix)]
fn check_owner(root: &Path) -> Result<(), PkiError> {
    use std::os::unix::fs::MetadataExt;
    let probe = root.join(format!("owner-{}.{DRAFT}", std::process::id()));
    // Of the open file: another thread may remove it at once.
    let ours = File::create(&probe).and_then(|file| file.metadata()).map(|data| data.uid());
    let _ = fs::remove_file(&probe);
    let theirs = fs::metadata(root).map(|data| data.uid());
    let failed = |error| PkiError::file(root, format!("cannot be used: {error}"));
    let (ours, theirs) = (ours.map_err(failed)?, theirs.map_err(failed)?);
    if ours != theirs {
        let why = "belongs to another user, who could not read what you write here; run this as that user";
        return Err(PkiError::file(root, format!("{why}: sudo -u '#{theirs}'")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), PkiError> {
    Ok(())
}

/// Random bytes.
pub(super) fn random() -> Result<[u8; 16], PkiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| PkiError::Making(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// Makes a folder, and what leads to it, for its owner only.
fn make(dir: &Path) -> Result<(), PkiError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| PkiError::file(dir, format!("cannot be made: {error}")))
}
