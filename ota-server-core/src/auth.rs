//! Who is asking: devices and operators, known by the SHA-256 of a bearer token.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ota_manifest::{DeviceId, Digest};
use ota_verify::{Sha256, digests_equal};

use crate::operator::Actor;

/// What a device shows to say who it is.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// A bearer token.
    Bearer(&'a str),
}

/// Decides which device is asking.
pub trait DeviceAuth: Send + Sync {
    /// The device behind `credential`; `token_of` knows the SHA-256 of every enrolled device's token.
    fn device(
        &self,
        credential: Credential<'_>,
        token_of: &dyn Fn(DeviceId) -> Option<Digest>,
    ) -> Option<DeviceId>;
}

/// Devices with bearer tokens.
///
/// ```
/// use ota_manifest::DeviceId;
/// use ota_server_core::auth::{BearerAuth, Credential, DeviceAuth, Token};
/// let device = DeviceId::new([7; 16]);
/// let token = Token::for_device(device, [9; 32]);
/// let stored = token.digest();
/// let found = BearerAuth.device(Credential::Bearer(token.expose()), &|id| (id == device).then_some(stored));
/// assert_eq!(found, Some(device));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BearerAuth;

impl DeviceAuth for BearerAuth {
    fn device(
        &self,
        credential: Credential<'_>,
        token_of: &dyn Fn(DeviceId) -> Option<Digest>,
    ) -> Option<DeviceId> {
        let Credential::Bearer(token) = credential;
        let (device, _) = token.split_once('.')?;
        let device = device.parse().ok()?;
        let stored = token_of(device)?;
        digests_equal(&Sha256::of(&[token.as_bytes()]), &stored).then_some(device)
    }
}

/// A bearer token in the clear. Shown once to whoever shall use it; stored as its digest only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A device's token: its id, a dot, and 32 random bytes in hexadecimal.
    #[must_use]
    pub fn for_device(device: DeviceId, random: [u8; 32]) -> Self {
        Self(format!("{device}.{}", Digest::new(random)))
    }

    /// An operator's token: 32 random bytes in hexadecimal.
    #[must_use]
    pub fn for_operator(random: [u8; 32]) -> Self {
        Self(format!("{}", Digest::new(random)))
    }

    /// A token that came from outside.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// SHA-256 of the token.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Sha256::of(&[self.0.as_bytes()])
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The operators of a server.
#[derive(Debug, Clone, Default)]
pub struct Operators(Vec<(Actor, Digest)>);

impl Operators {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets whoever shows this token act as `actor`.
    pub fn add(&mut self, actor: Actor, token: &Token) {
        self.0.push((actor, token.digest()));
    }

    /// The operator behind a token. Looks at every operator, whoever it is, and compares in constant time.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<&Actor> {
        let shown = Sha256::of(&[token.as_bytes()]);
        self.0.iter().fold(
            None,
            |found, (actor, stored)| if digests_equal(&shown, stored) { Some(actor) } else { found },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_devices_token_a_wrong_secret_and_garbage_are_nobody() {
        let (device, other) = (DeviceId::new([7; 16]), DeviceId::new([8; 16]));
        let token = Token::for_device(device, [9; 32]);
        let known = |id| (id == device || id == other).then_some(token.digest());
        let stolen = format!("{other}.{}", Digest::new([9; 32]));
        for bad in ["", ".", "x.y", &stolen, &token.expose()[..80], "é.é"] {
            assert_eq!(BearerAuth.device(Credential::Bearer(bad), &known), None, "{bad}");
        }
        assert_eq!(BearerAuth.device(Credential::Bearer(token.expose()), &|_| None), None);
    }

    #[test]
    fn operator_is_found_by_the_whole_token_only() {
        let token = Token::for_operator([1; 32]);
        let mut operators = Operators::new();
        operators.add(Actor::new("ann", &[]), &token);
        assert_eq!(operators.find(token.expose()).map(Actor::name), Some("ann"));
        assert_eq!(operators.find(&token.expose()[..63]), None);
    }
}
