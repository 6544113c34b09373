//! Nothing is offered that a device could not prove: releases are checked with the device's own verifier.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ota_manifest::{ChunkSize, DeviceId, Digest, Frame, Manifest, Role, SecurityVersion};
use ota_verify::sign::describe_image;
use ota_verify::{
    AlgSet, AuthError, Authentic, Bootloader, DeviceState, Identity, PublicKey, Sha256, TargetSlot, Trust,
    TrustTerms, TrustedKey,
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::chain::adopted;
use crate::artifact::{ArtifactError, ArtifactStore, Stamp};
use crate::fleet::{FleetError, PublishError};
use crate::release::{Blob, Release, ReleaseImage, ReleaseNo};
use crate::trust::TrustRow;

/// How long files that did not prove are not read again unless somebody touches them: the disk gets another chance.
const BAD_FOR: Duration = Duration::from_secs(60);

/// Proves releases, and remembers what it found in which files, so that a poll costs a look at their metadata.
///
/// One proof at a time for each release: after a restart all devices ask at once, and each proof holds whole images.
pub(super) struct Prover {
    max_image: u64,
    findings: Mutex<BTreeMap<ReleaseNo, Arc<Turn<Option<Finding>>>>>,
}

/// What releases are held against.
#[derive(Debug, Clone)]
pub(super) enum Judge {
    /// The release key: there are no trust documents. Which epochs are open is for each device's own trust to say.
    Key(PublicKey),
    /// The newest document, as a device has it that has adopted it.
    Document(TrustRow),
}

impl Judge {
    fn version(&self) -> Option<u32> {
        if let Self::Document(row) = self { Some(row.version) } else { None }
    }
}

/// What a proof found, and in which files.
struct Finding {
    /// Version of the trust document that judged.
    under: Option<u32>,
    stamps: Vec<Stamp>,
    verdict: Result<(), PublishError>,
    at: Instant,
}

impl Finding {
    /// The verdict, if it is about these files and still believed.
    fn on(&self, stamps: &[Stamp], judge: &Judge) -> Option<Result<(), PublishError>> {
        let believed = self.verdict.is_ok() || self.at.elapsed() < BAD_FOR;
        (believed && self.stamps == stamps && self.under == judge.version()).then(|| self.verdict.clone())
    }
}

impl Prover {
    pub(super) fn new(max_image: u64) -> Self {
        Self { max_image, findings: Mutex::default() }
    }

    /// Whether envelope and artifacts are what they should be. The outer error is a storage that cannot be asked.
    pub(super) async fn prove(
        &self,
        release: &Release,
        artifacts: &dyn ArtifactStore,
        judge: &Judge,
    ) -> Result<Result<(), PublishError>, FleetError> {
        match self.find(release, artifacts, judge).await {
            Ok(verdict) => Ok(verdict),
            Err(FleetError::Publish(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn find(
        &self,
        release: &Release,
        artifacts: &dyn ArtifactStore,
        judge: &Judge,
    ) -> Result<Result<(), PublishError>, FleetError> {
        let before = stamps(release, artifacts).await?;
        let turn = Arc::clone(self.findings().entry(release.no).or_default());
        let found = turn.lock_owned().await;
        if let Some(verdict) = found.as_ref().and_then(|finding| finding.on(&before, judge)) {
            return Ok(verdict);
        }
        // Once more, now that it is our turn: the files may have been replaced while we waited.
        let stamps = stamps(release, artifacts).await?;
        self.read_and_prove(release, artifacts, stamps, (judge, found)).await
    }

    /// The proof keeps its turn and its finding even if the caller goes away meanwhile.
    async fn read_and_prove(
        &self,
        release: &Release,
        artifacts: &dyn ArtifactStore,
        stamps: Vec<Stamp>,
        (judge, mut found): (&Judge, OwnedMutexGuard<Option<Finding>>),
    ) -> Result<Result<(), PublishError>, FleetError> {
        let mut images = Vec::new();
        for image in &release.images {
            let bytes = read_whole(image.payload, self.max_image, artifacts).await?;
            let leaves = read_whole(image.leaves, self.max_image, artifacts).await?;
            images.push((*image, bytes, leaves));
        }
        let (envelope, judge) = (release.envelope.clone(), judge.clone());
        let task = tokio::task::spawn_blocking(move || {
            let verdict = prove_bytes(&envelope, &images, &judge);
            let under = judge.version();
            *found = Some(Finding { under, stamps, verdict: verdict.clone(), at: Instant::now() });
            verdict
        });
        task.await.map_err(|_| FleetError::ShuttingDown)
    }

    fn findings(&self) -> MutexGuard<'_, BTreeMap<ReleaseNo, Arc<Turn<Option<Finding>>>>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stamps of a release's artifacts, if all are there and as long as they should be.
async fn stamps(release: &Release, artifacts: &dyn ArtifactStore) -> Result<Vec<Stamp>, FleetError> {
    let mut stamps = Vec::new();
    for blob in release.images.iter().flat_map(|image| [image.payload, image.leaves]) {
        match artifacts.stamp(blob.digest).await? {
            Some(stamp) if stamp.size == blob.size => stamps.push(stamp),
            Some(_) => return Err(PublishError::Damaged(blob.digest).into()),
            None => return Err(PublishError::ImageMissing(blob.digest).into()),
        }
    }
    Ok(stamps)
}

pub(super) async fn read_whole(
    blob: Blob,
    limit: u64,
    artifacts: &dyn ArtifactStore,
) -> Result<Vec<u8>, FleetError> {
    if blob.size > limit {
        return Err(PublishError::ImageTooLarge { size: blob.size, limit }.into());
    }
    match artifacts.read(blob.digest, 0..blob.size).await {
        Ok(bytes) => Ok(bytes),
        Err(ArtifactError::Missing(digest)) => Err(PublishError::ImageMissing(digest).into()),
        Err(error) => Err(error.into()),
    }
}

/// Takes a release through every step a device takes, once for each image.
pub(super) fn prove_bytes(
    envelope: &[u8],
    images: &[(ReleaseImage, Vec<u8>, Vec<u8>)],
    judge: &Judge,
) -> Result<(), PublishError> {
    for (image, bytes, leaves) in images {
        let authentic = authenticate(envelope, judge)?;
        let manifest = authentic.manifest();
        let named =
            manifest.image_for(image.link_address).filter(|named| named.digest == image.payload.digest);
        let chunk = named.map(|named| (named.chunk_size, named.chunk_root));
        let (chunk_size, chunk_root) = chunk.ok_or(PublishError::Damaged(image.payload.digest))?;
        prove_leaves(bytes, leaves, image, chunk_size, chunk_root)?;
        let state = willing_device(manifest, image.link_address);
        let mut stream = authentic.admit(&state)?.into_stream();
        stream.update(bytes);
        let _proof = stream.finish()?;
    }
    Ok(())
}

/// Reads an envelope as a device does.
pub(super) fn authenticate<'a>(envelope: &'a [u8], judge: &Judge) -> Result<Authentic<'a>, PublishError> {
    let frame = Frame::parse(envelope).map_err(|_| AuthError::BadSignature)?;
    match judge {
        Judge::Key(key) => {
            let keys = [TrustedKey::new(Role::Release, key)];
            let terms = TrustTerms { epoch: u16::MAX, ..TrustTerms::FIRST };
            Ok(Trust::pinned_on(&terms, &keys).authenticate(frame, Role::Release)?)
        }
        Judge::Document(row) => {
            // A document that the store has not kept whole names no key.
            let adopted = adopted(row).map_err(|_| AuthError::UnknownKey)?;
            Ok(Trust::documented(&adopted).authenticate(frame, Role::Release)?)
        }
    }
}

/// The leaf list must be the one that the manifest's root was computed from.
fn prove_leaves(
    bytes: &[u8],
    leaves: &[u8],
    image: &ReleaseImage,
    chunk: ChunkSize,
    root: Digest,
) -> Result<(), PublishError> {
    let described = describe_image(bytes, image.link_address, chunk)?;
    if described.image.digest != image.payload.digest || described.image.chunk_root != root {
        return Err(PublishError::Damaged(image.payload.digest));
    }
    if described.leaves != leaves || Sha256::of(&[leaves]) != image.leaves.digest {
        return Err(PublishError::Damaged(image.leaves.digest));
    }
    Ok(())
}

/// The device that the release is for: of its kind, with room, running nothing.
fn willing_device<'d>(manifest: &Manifest<'_>, link_address: u32) -> DeviceState<'d> {
    let class = manifest.classes.iter().next();
    let hardware = (0..=u16::MAX).find(|revision| manifest.hardware.contains(*revision));
    DeviceState {
        identity: Identity {
            vendor: manifest.vendor,
            class: class.unwrap_or(ota_manifest::ClassId::new([0; 16])),
            hardware: hardware.unwrap_or_default(),
            device: manifest.target.unwrap_or(DeviceId::new([0; 16])),
        },
        running: None,
        now: None,
        floor: SecurityVersion(0),
        rejected: &[],
        target: TargetSlot { link_address, usable: u32::MAX, largest_image: u32::MAX, erase_page: 1 },
        bootloader: Bootloader { version: manifest.min_bootloader, algorithms: AlgSet::from_bits(u8::MAX) },
    }
}
