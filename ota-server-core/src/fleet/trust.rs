//! Trust documents: taken in as a device would take them, and handed out as they came.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ota_manifest::wire::Refusal;
use ota_manifest::{DeviceId, Frame, Kind, TrustDocument};
use ota_verify::Sha256;

use super::chain::{PinnedTrust, TrustRefused, answers, successor};
use super::{Fleet, FleetError, Reply};
use crate::clock::UnixMs;
use crate::engine::Answer;
use crate::operator::{Actor, Command, Role};
use crate::trust::TrustRow;

/// A document that is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustAdded {
    /// Its version.
    pub version: u32,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Whether devices that adopt it believe this server's freshness replies. Without freshness keys it says `true`: there
    /// are none to be believed.
    pub is_fresh: bool,
}

impl Fleet {
    /// The trust that devices were made with, as far as this server knows it.
    #[must_use]
    pub fn pinned_trust(&self) -> &PinnedTrust {
        &self.inner.pinned
    }

    /// Takes a signed trust document into the chain, if a device under the newest one would adopt it and the releases of this
    /// server remain releases under it. The same bytes once more change nothing.
    ///
    /// # Errors
    /// [`FleetError::Trust`] says what is wrong with it; [`FleetError::Command`] without the author's role.
    pub async fn add_trust(&self, actor: &Actor, envelope: Vec<u8>) -> Result<TrustAdded, FleetError> {
        actor.need(Role::Author)?;
        let known = self.look(|engine| engine.trust_chain().find(|row| row.envelope == envelope).cloned());
        if let Some(row) = known {
            return Ok(TrustAdded { version: row.version, is_new: false, is_fresh: self.is_fresh(&row) });
        }
        let row = self.prove_trust(envelope).await?;
        let (version, is_fresh) = (row.version, self.is_fresh(&row));
        let note =
            if is_fresh { "" } else { "; devices under it do not believe this server's freshness replies" };
        self.command(actor, Command::AddTrust { row: Box::new(row), note }).await?;
        Ok(TrustAdded { version, is_new: true, is_fresh })
    }

    /// Hash-based signatures take their time, so a thread that may wait looks at them.
    async fn prove_trust(&self, envelope: Vec<u8>) -> Result<TrustRow, FleetError> {
        let newest = self.look(|engine| engine.newest_trust().cloned());
        let claimed = claimed_version(&envelope)?;
        if let Some(version) = claimed.filter(|version| self.look(|engine| engine.trust(*version).is_some()))
        {
            return Err(TrustRefused::Contradicts(version).into());
        }
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            let version = successor(newest.as_ref(), &inner.pinned, &envelope, &inner.signer.public_key())?;
            let sha256 = Sha256::of(&[&envelope]);
            Ok(TrustRow { version, sha256, envelope, author: String::new(), added: UnixMs(0) })
        });
        task.await.map_err(|_| FleetError::ShuttingDown)?.map_err(FleetError::Trust)
    }

    /// Whether devices under a document believe this server's freshness replies.
    #[must_use]
    pub fn is_fresh(&self, row: &TrustRow) -> bool {
        let keys = self.freshness_keys();
        keys.is_empty() || row.document().is_some_and(|document| answers(&document, &keys))
    }

    /// A device asks for a trust document.
    #[must_use]
    pub fn trust(&self, device: DeviceId, version: u32) -> Reply {
        let found = self.look(|engine| {
            engine.device(device)?;
            Some(engine.trust(version)?.envelope.clone())
        });
        match found {
            Some(envelope) => Reply { answer: Answer::Trust { version }, envelope, retry_after_ms: 0 },
            None => Reply::of(Answer::Refused(Refusal::Gone)),
        }
    }
}

/// The version that an envelope says it is, if it is a trust document that can be read at all.
fn claimed_version(envelope: &[u8]) -> Result<Option<u32>, TrustRefused> {
    let frame = Frame::parse(envelope)?;
    let document = TrustDocument::decode_unauthenticated(frame.payload_unauthenticated());
    Ok(document.ok().filter(|_| frame.kind() == Kind::Trust).map(|document| document.version))
}
