//! A key in a PKCS#11 token: a hardware security module, a smart card, SoftHSM.
//!
//! ```text
//!   48 bytes --> session in the token --> CKM_EDDSA                 --> 64 bytes (RFC 8032)
//!                                     '-> SHA-256, then CKM_ECDSA   --> r and s, 32 bytes each, s made low
//! ```
//! The private key is made in the token and never leaves it: a key that could leave is refused.

mod error;
mod key;
mod token;

pub use error::Pkcs11Error;

use alloc::string::{String, ToString};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};
use zeroize::Zeroizing;

use token::{Connection, restart_module};

/// Which token and which key in it.
#[derive(Clone)]
pub struct Pkcs11Config {
    /// The vendor's library, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// Label of the private key; its public half bears the same `CKA_ID`.
    pub key: String,
    /// The user's PIN.
    pub pin: Pin,
    /// Type of the key. `None` takes the one that is there, and makes an Ed25519 key if none is.
    pub key_type: Option<TokenKeyType>,
}

impl Pkcs11Config {
    /// The key `ota-release` in the token `ota`.
    #[must_use]
    pub fn new(module: PathBuf, pin: Pin) -> Self {
        Self { module, token: "ota".into(), key: "ota-release".into(), pin, key_type: None }
    }
}

/// Types of keys that both tokens and devices can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKeyType {
    /// Ed25519 (`CKK_EC_EDWARDS`).
    Ed25519,
    /// P-256 (`CKK_EC` on `secp256r1`).
    P256,
}

/// A PIN. Wiped when dropped, and not shown.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Wraps a PIN.
    #[must_use]
    pub fn new(pin: &str) -> Self {
        Self(Zeroizing::new(pin.into()))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for Pin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// What to do if the token holds no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// Make one, in the token, never to leave it.
    Generate,
    /// Fail: devices out there trust a key that must be found, not replaced.
    Refuse,
}

/// Signs with a key in a token.
///
/// It keeps one session open, and opens another one when the token was taken out, restarted or has forgotten who is
/// logged in. A PIN that was wrong once is never tried again: a few wrong ones lock most tokens.
///
/// Keys that ask for the PIN at each use (`CKA_ALWAYS_AUTHENTICATE`) are not supported.
pub struct Pkcs11Signer {
    config: Pkcs11Config,
    public: PublicKey,
    token: Mutex<Token>,
}

/// The way to the token.
struct Token {
    /// `None` after a failure.
    connection: Option<Connection>,
    /// Set once the PIN was wrong.
    barred: bool,
}

impl Pkcs11Signer {
    /// Logs in and finds the key, or makes it.
    ///
    /// # Errors
    /// [`Pkcs11Error`]: one sentence on what to change.
    pub fn open(config: Pkcs11Config, missing: MissingKey) -> Result<Self, Pkcs11Error> {
        let connection = Connection::open(&config, missing)?;
        let public = connection.public_key();
        let token = Mutex::new(Token { connection: Some(connection), barred: false });
        Ok(Self { config, public, token })
    }

    fn sign_with(&self, token: &mut Token, tbs: &Tbs) -> Result<Signature, SignerError> {
        if token.barred {
            return Err(Pkcs11Error::WrongPin.into());
        }
        if let Some(signature) = token.connection.as_ref().and_then(|open| open.sign(tbs).ok()) {
            return Ok(signature);
        }
        // Closed before another is opened: with the last session of a process the token forgets who is logged in.
        token.connection = None;
        let connection = self.connect_again().inspect_err(|error| {
            token.barred = matches!(error, Pkcs11Error::WrongPin);
        })?;
        let signature = connection.sign(tbs)?;
        token.connection = Some(connection);
        Ok(signature)
    }

    fn connect_again(&self) -> Result<Connection, Pkcs11Error> {
        let found = match Connection::open(&self.config, MissingKey::Refuse) {
            Err(error) if error.may_be_stale() => {
                // Some modules look for tokens only when they are started.
                restart_module(&self.config.module);
                Connection::open(&self.config, MissingKey::Refuse)
            }
            found => found,
        }?;
        if found.public_key() != self.public {
            return Err(Pkcs11Error::OtherKey { key: self.config.key.clone() });
        }
        Ok(found)
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for Pkcs11Signer {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        self.sign_with(&mut self.token(), tbs)
    }
}

impl core::fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pkcs11Signer").field("public_key", &self.public.to_string()).finish_non_exhaustive()
    }
}
