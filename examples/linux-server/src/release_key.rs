//! Where the server's keys live, and that they stay the same until a trust document says otherwise: devices trust one release
//! key, and a server that signed with another would be able to update none of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::trust_options::RootThreshold;
use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use ota_manifest::Role;
use ota_server_core::mqtt::MqttConfigError;
use ota_server_core::signing::{
    MissingKey, Pin, Pkcs11Config, Pkcs11Error, Pkcs11Signer, SoftwareSigner, TokenKeyType,
};
use ota_server_core::{Fleet, TrustRow, private_file};
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
    /// Opens the signer of releases for a data folder, or makes its key if the folder never had one.
    pub(crate) fn open(&self, data: &Path) -> anyhow::Result<ServerKey> {
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
        Ok(ServerKey { role: Role::Release, signer, memory, known })
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

/// Opens the freshness key of a data folder, or makes it if the folder never had one. Always a file: it signs for every device
/// that asks, and releases nothing.
pub(crate) fn open_freshness(data: &Path) -> anyhow::Result<ServerKey> {
    let memory = data.join("freshness.pub");
    let known = read(&memory)?;
    let missing = if known.is_some() { MissingKey::Refuse } else { MissingKey::Generate };
    let signer = Arc::new(software(&data.join("freshness.key"), missing)?);
    Ok(ServerKey { role: Role::Freshness, signer, memory, known })
}

/// A key that devices trust, and the one that they trusted so far.
pub(crate) struct ServerKey {
    role: Role,
    pub(crate) signer: Arc<dyn Signer>,
    memory: PathBuf,
    known: Option<PublicKey>,
}

impl ServerKey {
    /// Insists that the key is the one that the folder began with, or one that `newest` trust document gives its role; and
    /// remembers it.
    pub(crate) fn keep(&self, newest: Option<&TrustRow>) -> anyhow::Result<()> {
        let (found, memory) = (self.signer.public_key(), &self.memory);
        match self.known {
            Some(known) if known == found && memory.exists() => return Ok(()),
            Some(known) if known != found => ensure!(
                newest.is_some_and(|newest| newest.lists(self.role, &found)),
                "devices trust the key {known} of {}, not {found}: give the key it began with, add a trust document that \
                 lists the other one first, or choose another --data",
                memory.display()
            ),
            _ => {}
        }
        private_file::write(memory, &format!("{found}\n"))
            .with_context(|| format!("cannot write {}", memory.display()))
    }
}

/// Insists that both keys are the ones that devices trust.
pub(crate) fn keep(keys: [&ServerKey; 2], fleet: &Fleet) -> anyhow::Result<()> {
    let newest = fleet.look(|engine| engine.newest_trust().cloned());
    keys.iter().try_for_each(|key| key.keep(newest.as_ref()))
}

/// A token was named and no PIN.
#[derive(Debug, thiserror::Error)]
#[error("a token needs its PIN: set OTA_PKCS11_PIN or give --pin")]
struct NoPin;

/// Whether whoever started the program can mend this error by starting it in another way.
#[must_use]
pub fn is_callers_fault(error: &anyhow::Error) -> bool {
    error.is::<NoPin>()
        || error.is::<Pkcs11Error>()
        || error.is::<MqttConfigError>()
        || error.is::<RootThreshold>()
}

fn software(file: &Path, missing: MissingKey) -> anyhow::Result<SoftwareSigner> {
    if missing == MissingKey::Refuse && !file.exists() {
        bail!(
            "{} is missing, and devices trust this key: put it back (a release key may be in a token: --pkcs11)",
            file.display()
        );
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

    /// Opens and remembers, as a server without trust documents does.
    fn opened(folder: &Path) -> anyhow::Result<PublicKey> {
        let key = SigningOptions::default().open(folder)?;
        key.keep(None)?;
        Ok(key.signer.public_key())
    }

    #[test]
    fn key_of_a_folder_stays_the_same_or_the_server_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let made = opened(folder.path()).unwrap();
        assert_eq!(opened(folder.path()).unwrap(), made);
        let (file, away) = (folder.path().join("release.key"), folder.path().join("away"));
        std::fs::rename(&file, &away).unwrap();
        let error = opened(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is missing, and devices trust this key"), "{error}");
        assert!(!file.exists(), "no other key was made");
        SoftwareSigner::open_or_create(&file).unwrap();
        let error = opened(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&made.to_string()), "{error}");
    }

    #[test]
    fn freshness_key_is_another_one_and_is_not_made_anew_when_it_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let release = opened(folder.path()).unwrap();
        let fresh = open_freshness(folder.path()).unwrap();
        fresh.keep(None).unwrap();
        assert_ne!(fresh.signer.public_key(), release);
        assert_eq!(open_freshness(folder.path()).unwrap().signer.public_key(), fresh.signer.public_key());
        std::fs::remove_file(folder.path().join("freshness.key")).unwrap();
        let error = open_freshness(folder.path()).err().unwrap().to_string();
        assert!(error.contains("freshness.key is missing, and devices trust this key"), "{error}");
    }

    #[test]
    fn folder_with_a_key_file_and_no_memory_of_it_keeps_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let made = SoftwareSigner::open_or_create(&folder.path().join("release.key")).unwrap();
        assert_eq!(key_file(&folder.path().join("release.key")).unwrap(), Some(made.public_key()));
        assert_eq!(opened(folder.path()).unwrap(), made.public_key());
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
