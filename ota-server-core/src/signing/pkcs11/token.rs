//! From a module's path to a session that is logged in and knows its key.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use ota_verify::sign::Signature;
use ota_verify::{PublicKey, Tbs};

use super::error::explain;
use super::key::Key;
use super::{MissingKey, Pkcs11Config, Pkcs11Error, TokenKeyType};

/// A session that is logged in, and the key it signs with.
pub(super) struct Connection {
    session: Session,
    key: Key,
}

impl Connection {
    pub(super) fn open(config: &Pkcs11Config, missing: MissingKey) -> Result<Self, Pkcs11Error> {
        let module = start_module(&config.module)?;
        let slot = find_token(&module, &config.token)?;
        let session = log_in(&module, slot, config, false)?;
        let key = match (Key::find(&session, config), missing) {
            (Err(Pkcs11Error::NoKey { .. }), MissingKey::Generate) => {
                let kind = config.key_type.unwrap_or(TokenKeyType::Ed25519);
                check_mechanisms(&module, slot, &[kind.generating(), kind.signing()])?;
                let writing = log_in(&module, slot, config, true)?;
                Key::generate(&writing, &config.key, kind)?;
                Key::find(&session, config)?
            }
            (found, _) => found?,
        };
        check_mechanisms(&module, slot, &[key.kind().signing()])?;
        Ok(Self { session, key })
    }

    pub(super) fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    pub(super) fn sign(&self, tbs: &Tbs) -> Result<Signature, Pkcs11Error> {
        self.key.sign(&self.session, tbs)
    }
}

fn start_module(path: &Path) -> Result<Pkcs11, Pkcs11Error> {
    let module = Pkcs11::new(path).map_err(|error| {
        let why = match error {
            Error::LibraryLoading(error) => error.to_string(),
            error => error.to_string(),
        };
        Pkcs11Error::NoModule { module: path.into(), why }
    })?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another part of this process uses the same module.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => {
            let why = match error {
                Error::Pkcs11(code, _) => alloc::format!("{code:?}"),
                error => error.to_string(),
            };
            Err(Pkcs11Error::ModuleFailed { module: path.into(), why })
        }
    }
}

/// Ends the module, so that the next start looks for tokens anew. Every session of this process ends with it.
pub(super) fn restart_module(path: &Path) {
    if let Ok(module) = Pkcs11::new(path) {
        let _ = module.finalize();
    }
}

fn find_token(module: &Pkcs11, label: &str) -> Result<Slot, Pkcs11Error> {
    let failed = |error: Error| explain(&error, "looking for tokens", "");
    let mut labels: Vec<(Slot, String)> = Vec::new();
    for slot in module.get_slots_with_token().map_err(failed)? {
        // A slot that cannot be asked, such as a reader whose card is just being pulled, is not ours.
        let Ok(token) = module.get_token_info(slot) else { continue };
        if token.token_initialized() {
            labels.push((slot, token.label().trim_end().to_string()));
        }
    }
    let mut ours = labels.iter().filter(|(_, found)| found == label);
    match (ours.next(), ours.next()) {
        (Some((slot, _)), None) => check_pin_state(module, *slot).map(|()| *slot),
        (Some(_), Some(_)) => Err(Pkcs11Error::SeveralTokens(label.into())),
        _ => {
            let others = labels.into_iter().map(|(_, label)| label).collect();
            Err(Pkcs11Error::NoToken { token: label.into(), others })
        }
    }
}

fn check_pin_state(module: &Pkcs11, slot: Slot) -> Result<(), Pkcs11Error> {
    let token = module.get_token_info(slot).map_err(|error| explain(&error, "asking the token", ""))?;
    if token.user_pin_locked() { Err(Pkcs11Error::Locked) } else { Ok(()) }
}

fn log_in(module: &Pkcs11, slot: Slot, config: &Pkcs11Config, writing: bool) -> Result<Session, Pkcs11Error> {
    let session = if writing { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(|error| explain(&error, "opening a session", ""))?;
    let pin = AuthPin::new(config.pin.expose().into());
    match session.login(UserType::User, Some(&pin)) {
        // Whoever is logged in on one session of a process is so on all.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(error) => Err(explain(&error, "logging in", "")),
    }
}

/// The list, not the description of each: SoftHSM describes mechanisms that its configuration has taken away. For those
/// it does not know the library logs lines under `cryptoki::mechanism`, which mean nothing.
fn check_mechanisms(
    module: &Pkcs11,
    slot: Slot,
    needed: &[(MechanismType, &'static str)],
) -> Result<(), Pkcs11Error> {
    let offered = module.get_mechanism_list(slot);
    let offered = offered.map_err(|error| explain(&error, "asking for mechanisms", ""))?;
    match needed.iter().find(|(mechanism, _)| !offered.contains(mechanism)) {
        Some((_, name)) => Err(Pkcs11Error::NoMechanism(name)),
        None => Ok(()),
    }
}
