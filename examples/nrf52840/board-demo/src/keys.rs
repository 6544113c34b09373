//! The keys of the demonstration, which stay the same from run to run: firmware that trusts others is built anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ota_server_core::signing::SoftwareSigner;
use ota_verify::PublicKey;
use ota_verify::sign::Signer as _;
use provision::keep_public;

/// The two that the server signs with.
const SERVER: [&str; 2] = ["release", "freshness"];

/// A folder of keys: root, release and freshness, each as `NAME.key` and `NAME.pub`.
#[derive(Debug, Clone)]
pub struct DemoKeys {
    folder: PathBuf,
    root: PublicKey,
}

impl DemoKeys {
    /// Opens the keys in a folder, and makes those that are not there.
    ///
    /// # Errors
    /// If a key cannot be read, or not be written.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Two demonstrations that begin at once would make two sets. Beside the folder: what changes in it is built anew.
        let lock = File::create(folder.with_extension("lock")).context("cannot lock the keys")?;
        lock.lock().context("cannot lock the keys")?;
        for name in SERVER {
            open(folder, name)?;
        }
        Ok(Self { folder: folder.to_owned(), root: open(folder, "root")? })
    }

    /// The folder: what firmware is told to trust.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The root key.
    #[must_use]
    pub const fn root(&self) -> PublicKey {
        self.root
    }

    /// Puts the server's keys into its data folder, where it takes them for its own.
    ///
    /// # Errors
    /// If they cannot be written there.
    pub fn give(&self, data: &Path) -> Result<()> {
        fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
        for name in SERVER {
            let (from, to) = (private(&self.folder, name), private(data, name));
            fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(())
    }
}

fn private(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

fn open(folder: &Path, name: &str) -> Result<PublicKey> {
    let file = private(folder, name);
    let signer =
        SoftwareSigner::open_or_create(&file).with_context(|| format!("cannot use {}", file.display()))?;
    keep_public(&folder.join(format!("{name}.pub")), &signer.public_key())?;
    Ok(signer.public_key())
}
