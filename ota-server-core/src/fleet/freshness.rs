//! Freshness replies: what time it is and what there is, signed for one question.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use ota_manifest::wire::{Question, Refusal};
use ota_manifest::{DeviceId, FreshnessDraft, MAX_SIGNATURES, Order};
use ota_verify::PublicKey;
use ota_verify::sign::{Signer, seal_freshness};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Fleet, FleetError, Reply};
use crate::engine::{Answer, Event};

/// Replies that are signed at the same time. A token signs one after the other anyway; more would only hold threads.
const UNDER_WAY: usize = 8;
/// How long a question waits for its turn. Longer, and the device would have given up on the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long devices are told to wait when signing cannot keep up, milliseconds: at least, and spread over how many steps.
const PAUSE_MS: u32 = 5_000;
const STEP_MS: u32 = 100;

/// The freshness keys.
pub(super) struct FreshnessKeys {
    signers: Vec<Arc<dyn Signer>>,
    turns: Arc<Semaphore>,
}

impl FreshnessKeys {
    /// # Errors
    /// [`FleetError::Keys`]: a key serves one role, and signs once.
    pub(super) fn new(signers: Vec<Arc<dyn Signer>>, release: &PublicKey) -> Result<Self, FleetError> {
        let mut ids: Vec<_> = signers.iter().map(|signer| signer.public_key().key_id()).collect();
        if ids.contains(&release.key_id()) {
            return Err(FleetError::Keys(
                "the release key must not sign freshness replies: a key serves one role",
            ));
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < signers.len() || ids.len() > usize::from(MAX_SIGNATURES) {
            return Err(FleetError::Keys("a freshness reply has at most 8 signatures, each of another key"));
        }
        Ok(Self { signers, turns: Arc::new(Semaphore::new(UNDER_WAY)) })
    }

    pub(super) fn public(&self) -> Vec<PublicKey> {
        self.signers.iter().map(|signer| signer.public_key()).collect()
    }

    /// `None` if too many others are waiting.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        tokio::time::timeout(PATIENCE, turn).await.ok()?.ok()
    }
}

impl Fleet {
    /// The keys that sign freshness replies: devices must trust them in role freshness.
    #[must_use]
    pub fn freshness_keys(&self) -> Vec<PublicKey> {
        self.inner.freshness.public()
    }

    /// A device asks what time it is and what there is. Without freshness keys it is told that this is not to be had here.
    ///
    /// Signing is bounded: a device has 30 questions in a row and then one every ten seconds, and whoever has not got his
    /// turn after two seconds is told to come back later.
    ///
    /// # Errors
    /// [`FleetError::Store`], or [`FleetError::Freshness`] if a key did not sign: try again later.
    pub async fn ask(&self, device: DeviceId, question: &Question) -> Result<Reply, FleetError> {
        // So that `latest` is nothing that would not be offered. A storage that cannot be asked keeps nobody from the time.
        let _ = self.prove_candidates(device).await;
        let taken = self.step(Event::Ask { device, question }).await?;
        let Answer::Fresh { latest, trust } = taken.answer else { return self.reply(taken).await };
        if self.inner.freshness.signers.is_empty() {
            return Ok(Reply::of(Answer::Refused(Refusal::Unsupported)));
        }
        // The campaign that `latest` comes from must be one that a crash cannot undo.
        self.inner.core.settle(&taken).await?;
        // Younger bootloaders may pin what older ones have to come to by documents.
        let trust = trust.unwrap_or(0).max(self.inner.pinned.terms.version);
        let Some(turn) = self.inner.freshness.turn().await else {
            return Ok(Reply::of(Answer::Busy { retry_after_ms: pause(question) }));
        };
        let envelope = self.sign(question, latest, trust, turn).await?;
        Ok(Reply { answer: taken.answer, envelope, retry_after_ms: 0 })
    }

    /// Signs in a thread that may wait for a token. The turn ends with the signature, also if the caller has gone away.
    async fn sign(
        &self,
        question: &Question,
        latest: Order,
        trust_version: u32,
        turn: OwnedSemaphorePermit,
    ) -> Result<Vec<u8>, FleetError> {
        let (fleet, nonce) = (self.clone(), question.nonce);
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // The time is read last, so that it is late by as little as can be. It is what the clock says, also if that was
            // set back: a memory of the highest time would keep for ever what a clock once showed by mistake.
            let time = fleet.time().0 / 1000;
            let reply = FreshnessDraft { nonce, time, latest, trust_version };
            let signers: Vec<_> = fleet.inner.freshness.signers.iter().map(|signer| &**signer).collect();
            seal_freshness(&reply, &signers)
        });
        task.await.map_err(|_| FleetError::ShuttingDown)?.map_err(FleetError::Freshness)
    }
}

/// How long to wait. Devices that asked together must not come back together; the nonce is as random as it gets.
fn pause(question: &Question) -> u32 {
    PAUSE_MS + STEP_MS * u32::from(question.nonce.as_bytes()[0])
}
