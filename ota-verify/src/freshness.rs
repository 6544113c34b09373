//! Freshness: what time it is, and what there is, for a device without a clock.

use ota_manifest::{Frame, Freshness, Kind, Nonce, Order, Role};

use crate::{AuthError, FreshnessError, Trust};

/// The answer of a freshness key to this device's own question.
///
/// ```compile_fail
/// fn forge(reply: ota_manifest::Freshness) -> ota_verify::AuthenticFreshness {
///     ota_verify::AuthenticFreshness(reply) // private field
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct AuthenticFreshness(Freshness);

impl AuthenticFreshness {
    /// The question it answers, for whoever has several under way.
    #[must_use]
    pub const fn nonce(&self) -> Nonce {
        self.0.nonce
    }

    /// The time of the answer. Take it when the reply arrives and count on from there with [`TrustedTime::later`]: it then
    /// lags behind by the reply's way at most, and is never ahead of the server's clock.
    #[must_use]
    pub const fn time(&self) -> TrustedTime {
        TrustedTime(self.0.time)
    }

    /// Highest order released for this device. Whoever runs a lower one for long, and is offered nothing, is kept from it.
    #[must_use]
    pub const fn latest(&self) -> Order {
        self.0.latest
    }

    /// Version of the newest trust document: above the device's own there is a chain to follow.
    #[must_use]
    pub const fn trust_version(&self) -> u32 {
        self.0.trust_version
    }
}

/// A time that a freshness key has vouched for; nothing else makes one.
///
/// Whoever could set it could let good releases expire, or bad ones last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustedTime(u64);

impl TrustedTime {
    /// Seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The time `elapsed_s` seconds later, by the device's own counting since.
    #[must_use]
    pub const fn later(self, elapsed_s: u64) -> Self {
        Self(self.0.saturating_add(elapsed_s))
    }
}

impl Trust<'_> {
    /// Believes a freshness reply to the question that drew `nonce`: signed by the freshness keys, and for this question.
    ///
    /// Draw a nonce from a random source for each question, and forget it with the first answer that is believed.
    ///
    /// ```
    /// # #[cfg(all(feature = "sign", feature = "ed25519"))] {
    /// use ota_manifest::{Frame, FreshnessDraft, Nonce, Order, Role};
    /// use ota_verify::sign::{Signature, Signer, SignerError, seal_freshness};
    /// use ota_verify::{FreshnessError, PublicKey, Trust, TrustedKey};
    /// # struct Dev(ed25519_dalek::SigningKey);
    /// # impl Signer for Dev {
    /// #     fn public_key(&self) -> PublicKey { PublicKey::ed25519(self.0.verifying_key().to_bytes()) }
    /// #     fn sign(&self, tbs: &ota_verify::Tbs) -> Result<Signature, SignerError> {
    /// #         use ed25519_dalek::ed25519::signature::Signer as _;
    /// #         Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    /// #     }
    /// # }
    /// # let online = Dev(ed25519_dalek::SigningKey::from_bytes(&[4; 32]));
    /// // The server, with the nonce from the device's question:
    /// let (nonce, latest) = (Nonce::new([7; 16]), Order { epoch: 0, sequence: 9 });
    /// let reply = FreshnessDraft { nonce, time: 1_790_000_000, latest, trust_version: 1 };
    /// let envelope = seal_freshness(&reply, &[&online]).unwrap();
    ///
    /// // The device:
    /// let key = online.public_key();
    /// let keys = [TrustedKey::new(Role::Freshness, &key)];
    /// let trust = Trust::pinned(&keys);
    /// let fresh = trust.freshness(Frame::parse(&envelope)?, nonce).unwrap();
    /// assert_eq!((fresh.time().seconds(), fresh.latest()), (1_790_000_000, latest));
    /// assert_eq!(fresh.nonce(), nonce);
    /// let replayed = trust.freshness(Frame::parse(&envelope)?, Nonce::new([8; 16])).err();
    /// assert_eq!(replayed, Some(FreshnessError::WrongNonce));
    /// # }
    /// # Ok::<(), ota_manifest::FrameError>(())
    /// ```
    ///
    /// # Errors
    /// [`FreshnessError`]; what the device believed before stays.
    pub fn freshness(&self, frame: Frame<'_>, nonce: Nonce) -> Result<AuthenticFreshness, FreshnessError> {
        if frame.kind() != Kind::Freshness {
            return Err(FreshnessError::Auth(AuthError::WrongKind(frame.kind())));
        }
        self.signed(&frame, Role::Freshness).map_err(FreshnessError::Auth)?;
        let reply = Freshness::decode_unauthenticated(frame.payload_unauthenticated())
            .map_err(FreshnessError::Malformed)?;
        if reply.nonce == nonce { Ok(AuthenticFreshness(reply)) } else { Err(FreshnessError::WrongNonce) }
    }
}
