//! Where the release key lives, and that it stays the same: devices trust one key, and a server that signed with another
//! would be able to update none of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use ota_server_core::mqtt::MqttConfigError;
use ota_server_core::private_file;
use ota_server_core::signing::{
    MissingKey, Pin, Pkcs11Config, Pkcs11Error, Pkcs11Signer, SoftwareSigner, TokenKeyType,
};
use ota_verify::PublicKey;
use ota_verify::sign::Signer;

/// Which key signs releases.
#[derive(Debug, Clone, Args)]
pub struct SigningOptions {
    /// Sign with a key in a token, through this PKCS#11 module, instead of a key in a file.
    #[arg(long, value_name = "MODULE")]
    pub pkcs11: Option<PathBuf>,
    /// The token's PIN. Others can see a command line: better give it as the environment variable.
    #[arg(long, env = "OTA_PKCS11_PIN", hide_env_values = true, value_parser = pin)]
    pub pin: Option<Pin>,
    /// Label of the token.
    #[arg(long, value_name = "LABEL", default_value = "ota")]
    pub token_label: String,
    /// Label of the key in the token; made there if the data folder has known no key yet and the token has none.
    #[arg(long, value_name = "LABEL", default_value = "ota-release")]
    pub key_label: String,
    /// Type of the key in the token [default: that of the key that is there, or Ed25519].
    #[arg(long, value_enum)]
    pub key_type: Option<KeyType>,
}

/// Types of keys in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyType {
    /// Ed25519, 64-byte signatures (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    P256,
}

impl Default for SigningOptions {
    /// A key in a file.
    fn default() -> Self {
        let (token_label, key_label) = ("ota".into(), "ota-release".into());
        Self { pkcs11: None, pin: None, token_label, key_label, key_type: None }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a value parser")]
fn pin(text: &str) -> Result<Pin, std::convert::Infallible> {
    Ok(Pin::new(text))
}

impl SigningOptions {
    /// Opens the signer for a data folder, or makes its key if the folder never had one.
    pub(crate) fn open(&self, data: &Path) -> anyhow::Result<Arc<dyn Signer>> {
        let memory = data.join("release.pub");
        // A folder with a key file and no memory of it is one from before there was a memory.
        let known = match read(&memory)? {
            None => key_file(&data.join("release.key"))?,
            known => known,
        };
        let missing = if known.is_some() { MissingKey::Refuse } else { MissingKey::Generate };
        let signer: Arc<dyn Signer> = match &self.pkcs11 {
            Some(module) => Arc::new(Pkcs11Signer::open(self.pkcs11_config(module)?, missing)?),
            None => Arc::new(software(&data.join("release.key"), missing)?),
        };
        let found = signer.public_key();
        if let Some(known) = known {
            ensure!(
                known == found,
                "devices of {} trust the release key {known}, not {found}: give the key it began with, or another --data",
                data.display()
            );
        }
        if !memory.exists() {
            private_file::write(&memory, &format!("{found}\n"))
                .with_context(|| format!("cannot write {}", memory.display()))?;
        }
        Ok(signer)
    }

    fn pkcs11_config(&self, module: &Path) -> anyhow::Result<Pkcs11Config> {
        // An empty environment variable is how some service managers spell an absent one.
        let Some(pin) = self.pin.clone().filter(|pin| !pin.is_empty()) else { bail!(NoPin) };
        let key_type = self.key_type.map(|key_type| match key_type {
            KeyType::Ed25519 => TokenKeyType::Ed25519,
            KeyType::P256 => TokenKeyType::P256,
        });
        let (token, key) = (self.token_label.clone(), self.key_label.clone());
        Ok(Pkcs11Config { module: module.into(), token, key, pin, key_type })
    }
}

/// A token was named and no PIN.
#[derive(Debug, thiserror::Error)]
#[error("a token needs its PIN: set OTA_PKCS11_PIN or give --pin")]
struct NoPin;

/// Whether whoever started the program can mend this error by starting it in another way.
#[must_use]
pub fn is_callers_fault(error: &anyhow::Error) -> bool {
    error.is::<NoPin>() || error.is::<Pkcs11Error>() || error.is::<MqttConfigError>()
}

fn software(file: &Path, missing: MissingKey) -> anyhow::Result<SoftwareSigner> {
    if missing == MissingKey::Refuse && !file.exists() {
        bail!("{} is missing, and devices trust this key: put it back, or give --pkcs11", file.display());
    }
    SoftwareSigner::open_or_create(file).with_context(|| format!("cannot use {}", file.display()))
}

/// The key in the key file, if there is one.
fn key_file(file: &Path) -> anyhow::Result<Option<PublicKey>> {
    let key = file.exists().then(|| software(file, MissingKey::Refuse));
    Ok(key.transpose()?.map(|key| key.public_key()))
}

/// The key that the folder began with.
fn read(memory: &Path) -> anyhow::Result<Option<PublicKey>> {
    let text = private_file::read(memory).with_context(|| format!("cannot use {}", memory.display()))?;
    let parse = |text: &str| text.trim().parse().with_context(|| format!("in {}", memory.display()));
    text.map(|text| parse(&text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_a_folder_stays_the_same_or_the_server_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let options = SigningOptions::default();
        let made = options.open(folder.path()).unwrap().public_key();
        assert_eq!(options.open(folder.path()).unwrap().public_key(), made);
        let (file, away) = (folder.path().join("release.key"), folder.path().join("away"));
        std::fs::rename(&file, &away).unwrap();
        let error = options.open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is missing, and devices trust this key"), "{error}");
        assert!(!file.exists(), "no other key was made");
        SoftwareSigner::open_or_create(&file).unwrap();
        let error = options.open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&made.to_string()), "{error}");
    }

    #[test]
    fn folder_with_a_key_file_and_no_memory_of_it_keeps_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let made = SoftwareSigner::open_or_create(&folder.path().join("release.key")).unwrap();
        assert_eq!(key_file(&folder.path().join("release.key")).unwrap(), Some(made.public_key()));
        let signer = SigningOptions::default().open(folder.path()).unwrap();
        assert_eq!(signer.public_key(), made.public_key());
        assert_eq!(read(&folder.path().join("release.pub")).unwrap(), Some(made.public_key()));
    }

    #[test]
    fn token_without_a_pin_is_the_callers_to_mend() {
        let folder = tempfile::tempdir().unwrap();
        let options = SigningOptions { pkcs11: Some("module.so".into()), ..SigningOptions::default() };
        let error = options.open(folder.path()).err().unwrap();
        assert!(is_callers_fault(&error));
        let options = SigningOptions { pin: Some(Pin::new("1234")), ..options };
        let error = options.open(folder.path()).err().unwrap();
        assert!(is_callers_fault(&error), "{error}");
        assert!(!format!("{options:?}").contains("1234"));
    }
}
