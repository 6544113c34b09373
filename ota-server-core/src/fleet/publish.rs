//! From uploaded images to a release: described, signed, proven, kept, and only then known to the engine.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ota_manifest::{Digest, ManifestDraft};
use ota_verify::Sha256;
use ota_verify::sign::{ImageDescription, Signer, describe_image, seal_manifest};

use super::prove::{Judge, authenticate, prove_bytes, read_whole};
use super::{Fleet, FleetError, PublishError};
use crate::artifact::ArtifactStore;
use crate::clock::UnixMs;
use crate::engine::Answer;
use crate::operator::{Actor, Command, Role};
use crate::release::{Blob, Release, ReleaseImage, ReleaseNo};

/// A release to be published: a manifest without its images, and the uploaded images that belong into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDraft {
    /// The manifest; its list of images is filled by the server.
    pub manifest: ManifestDraft,
    /// The images, one for each slot address.
    pub images: Vec<ImageDraftRef>,
}

/// An uploaded image and the address it is linked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageDraftRef {
    /// SHA-256 as the upload returned it.
    pub digest: Digest,
    /// Address it is linked for.
    pub link_address: u32,
}

/// An image on its way into a release.
struct Described {
    bytes: Vec<u8>,
    description: ImageDescription,
}

impl Fleet {
    /// Describes, signs, proves and keeps a release.
    ///
    /// Nothing of it can be offered unless all steps succeed; a signer that fails leaves nothing behind.
    ///
    /// # Errors
    /// [`FleetError::Publish`] says whose fault it is; [`FleetError::Command`] if role or order stand in the way.
    pub async fn publish(&self, actor: &Actor, draft: ReleaseDraft) -> Result<ReleaseNo, FleetError> {
        actor.need(Role::Author)?;
        let class = draft.manifest.classes.first().map(ToString::to_string).unwrap_or_default();
        self.look(|engine| engine.check_order(&class, draft.manifest.order))?;
        let described = self.describe(&draft.images).await?;
        let (signer, judge) = (Arc::clone(&self.inner.signer), self.judge());
        let task = tokio::task::spawn_blocking(move || seal(draft.manifest, described, &*signer, &judge));
        let (release, leaves) = task.await.map_err(|_| FleetError::ShuttingDown)??;
        for list in leaves {
            self.inner.artifacts.put(list).await?;
        }
        match self.command(actor, Command::Publish(Box::new(release))).await? {
            Answer::Published(no) => Ok(no),
            _ => Err(FleetError::ShuttingDown), // the engine answers `Publish` with `Published` or an error
        }
    }

    async fn describe(&self, images: &[ImageDraftRef]) -> Result<Vec<Described>, FleetError> {
        if images.is_empty() || images.len() > usize::from(ota_manifest::MAX_IMAGES) {
            return Err(PublishError::ImageCount(images.len()).into());
        }
        let (artifacts, config): (&dyn ArtifactStore, _) = (&*self.inner.artifacts, self.inner.config);
        let mut described = Vec::new();
        for image in images {
            let stamp =
                artifacts.stamp(image.digest).await?.ok_or(PublishError::ImageMissing(image.digest))?;
            let blob = Blob { digest: image.digest, size: stamp.size };
            let bytes = read_whole(blob, config.max_image, artifacts).await?;
            let description =
                describe_image(&bytes, image.link_address, config.chunk).map_err(PublishError::Image)?;
            if description.image.digest != image.digest {
                return Err(PublishError::Damaged(image.digest).into());
            }
            described.push(Described { bytes, description });
        }
        Ok(described)
    }
}

/// Signs the manifest and proves the result; returns the release and the leaf lists to keep.
fn seal(
    mut manifest: ManifestDraft,
    described: Vec<Described>,
    signer: &dyn Signer,
    judge: &Judge,
) -> Result<(Release, Vec<Vec<u8>>), PublishError> {
    let count = described.len();
    manifest.images.clear();
    for image in &described {
        let pushed = manifest.images.push(image.description.image.clone());
        pushed.map_err(|_| PublishError::ImageCount(count))?;
    }
    let envelope = seal_manifest(&manifest, &[(signer, ota_manifest::Role::Release)])?;
    let images: Vec<_> = described.into_iter().map(release_image).collect();
    prove_bytes(&envelope, &images, judge)?;
    let release = describe_release(&envelope, images.iter().map(|(image, ..)| *image).collect(), judge)?;
    Ok((release, images.into_iter().map(|(.., leaves)| leaves).collect()))
}

fn release_image(described: Described) -> (ReleaseImage, Vec<u8>, Vec<u8>) {
    let Described { bytes, description: ImageDescription { image, leaves } } = described;
    let list = Blob { digest: Sha256::of(&[&leaves]), size: leaves.len() as u64 };
    let payload = Blob { digest: image.digest, size: u64::from(image.size) };
    (ReleaseImage { link_address: image.link_address, payload, leaves: list }, bytes, leaves)
}

/// What the proven manifest says of the release. Number, author and time are the engine's to give.
fn describe_release(
    envelope: &[u8],
    images: Vec<ReleaseImage>,
    judge: &Judge,
) -> Result<Release, PublishError> {
    let authentic = authenticate(envelope, judge)?;
    let manifest = authentic.manifest();
    let class = manifest.classes.iter().next().map(|class| class.to_string());
    Ok(Release {
        no: ReleaseNo(0),
        version: manifest.version,
        order: manifest.order,
        security_version: manifest.security_version,
        manifest: authentic.id(),
        vendor: manifest.vendor.to_string(),
        class: class.unwrap_or_default(),
        hardware: manifest.hardware,
        min_bootloader: manifest.min_bootloader,
        images,
        envelope: envelope.to_vec(),
        author: String::new(),
        published: UnixMs(0),
    })
}
