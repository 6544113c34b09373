//! What a token can refuse, one sentence each.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::PathBuf;

use cryptoki::error::{Error, RvError};
use ota_verify::sign::SignerError;
use thiserror::Error;

/// Why a token's key cannot be used. The operator's to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// The module is not there, or is no PKCS#11 module.
    #[error("the PKCS#11 module {} cannot be loaded ({why}); install it or correct its path", module.display())]
    NoModule {
        /// Its path.
        module: PathBuf,
        /// The loader's words.
        why: String,
    },
    /// The module does not start.
    #[error("the PKCS#11 module {} does not start ({why}); check its configuration (SoftHSM: SOFTHSM2_CONF)", module.display())]
    ModuleFailed {
        /// Its path.
        module: PathBuf,
        /// Its words.
        why: String,
    },
    /// No token has this label.
    #[error("no token is labelled `{token}`; {}", found(others))]
    NoToken {
        /// The label looked for.
        token: String,
        /// Labels of the tokens that are there.
        others: Vec<String>,
    },
    /// More than one token has this label.
    #[error("several tokens are labelled `{0}`; relabel or remove all but one")]
    SeveralTokens(String),
    /// The token does not take the PIN.
    #[error("the PIN is wrong; it is not tried again, as a few wrong ones lock a token")]
    WrongPin,
    /// Too many wrong PINs.
    #[error("the token is locked after too many wrong PINs; its security officer must set a new one")]
    Locked,
    /// The token has no user PIN, or wants it changed first.
    #[error("the token's user PIN is not set or has expired; set it with the token's own tool")]
    PinNotSet,
    /// The token holds no such private key.
    #[error("the token `{token}` holds no private key labelled `{key}`")]
    NoKey {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
    },
    /// More than one private key has this label.
    #[error(
        "the token holds several private keys labelled `{0}`; choose the key's type or relabel all but one"
    )]
    SeveralKeys(String),
    /// The private key's public half is not in the token.
    #[error("the public half of the key `{0}` is not in the token; store it under the same CKA_ID")]
    NoPublicKey(String),
    /// The private key may leave the token.
    #[error(
        "the key `{0}` may be taken out of the token; make one with CKA_SENSITIVE and without CKA_EXTRACTABLE"
    )]
    Exposed(String),
    /// The token holds another key of this name than before.
    #[error(
        "the token now holds another key labelled `{key}`, which devices do not trust; put the first one back"
    )]
    OtherKey {
        /// The key's label.
        key: String,
    },
    /// The token cannot do this.
    #[error("the token does not offer the mechanism {0}; choose the other key type or another token")]
    NoMechanism(&'static str),
    /// The key is on a curve that no device checks.
    #[error("the key's curve is neither Ed25519 nor P-256; choose another key label, or make the key anew")]
    OtherCurve,
    /// What came back is not a key or a signature of this type.
    #[error("the token returned a malformed {0}")]
    Malformed(&'static str),
    /// Anything else.
    #[error("the token failed while {doing}: {why}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The token's words.
        why: String,
    },
}

impl Pkcs11Error {
    /// Whether a module that is started anew might see more.
    pub(super) const fn may_be_stale(&self) -> bool {
        matches!(self, Self::NoToken { .. } | Self::NoKey { .. } | Self::Failed { .. })
    }
}

fn found(others: &[String]) -> String {
    if others.is_empty() {
        "there is no token at all; initialise one".into()
    } else {
        format!("there are: {}", others.join(", "))
    }
}

impl From<Pkcs11Error> for SignerError {
    fn from(error: Pkcs11Error) -> Self {
        let text = error.to_string();
        match error {
            Pkcs11Error::NoModule { .. }
            | Pkcs11Error::ModuleFailed { .. }
            | Pkcs11Error::NoToken { .. }
            | Pkcs11Error::Failed { .. } => Self::Unavailable(text),
            _ => Self::Refused(text),
        }
    }
}

/// What an error of the token means while `doing` something with `mechanism`.
pub(super) fn explain(error: &Error, doing: &'static str, mechanism: &'static str) -> Pkcs11Error {
    let Error::Pkcs11(code, _) = error else {
        return Pkcs11Error::Failed { doing, why: error.to_string() };
    };
    match code {
        RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid => Pkcs11Error::WrongPin,
        RvError::PinLocked => Pkcs11Error::Locked,
        RvError::UserPinNotInitialized | RvError::PinExpired => Pkcs11Error::PinNotSet,
        RvError::MechanismInvalid | RvError::CurveNotSupported | RvError::FunctionNotSupported => {
            Pkcs11Error::NoMechanism(mechanism)
        }
        code => Pkcs11Error::Failed { doing, why: format!("{code:?}") },
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn each_refusal_of_a_token_is_one_sentence_of_its_own() {
        let said =
            |code| explain(&Error::Pkcs11(code, Function::Login), "logging in", "CKM_EDDSA").to_string();
        for (code, words) in [
            (RvError::PinIncorrect, "the PIN is wrong"),
            (RvError::PinLocked, "locked after too many wrong PINs"),
            (RvError::UserPinNotInitialized, "PIN is not set"),
            (RvError::MechanismInvalid, "does not offer the mechanism CKM_EDDSA"),
            (RvError::DeviceRemoved, "the token failed while logging in: DeviceRemoved"),
        ] {
            let sentence = said(code);
            assert!(sentence.contains(words), "{sentence}");
            assert_eq!(sentence.lines().count(), 1);
        }
    }

    #[test]
    fn only_what_may_come_back_by_itself_is_called_unavailable() {
        let gone = Pkcs11Error::NoToken { token: "ota".into(), others: Vec::new() };
        assert!(matches!(SignerError::from(gone), SignerError::Unavailable(_)));
        assert!(matches!(SignerError::from(Pkcs11Error::Locked), SignerError::Refused(_)));
    }
}
