//! Artifacts in a folder: `sha256/ab/abcd...`, one file each.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use std::path::Path as FilePath;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use ota_manifest::Digest;
use ota_verify::Sha256;

use super::{ArtifactError, ArtifactStore, Stamp};
use crate::release::Blob;
use crate::store::BoxFuture;

/// Keeps artifacts in a folder. A file appears under its name only when all of it is on the disk.
#[derive(Debug)]
pub struct FsArtifacts {
    files: LocalFileSystem,
}

impl FsArtifacts {
    /// Artifacts below `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`ArtifactError::Failed`] if the folder cannot be made or used.
    pub fn open(folder: &FilePath) -> Result<Self, ArtifactError> {
        std::fs::create_dir_all(folder).map_err(|error| ArtifactError::Failed(error.to_string()))?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
        Ok(Self { files: files.with_fsync(true) })
    }

    async fn keep(&self, bytes: Vec<u8>) -> Result<Blob, ArtifactError> {
        let blob = Blob { digest: Sha256::of(&[&bytes]), size: bytes.len() as u64 };
        let bytes = Bytes::from(bytes);
        match self.write(blob.digest, bytes.clone(), PutMode::Create).await {
            Err(Error::AlreadyExists { .. }) => self.repair(blob, bytes).await?,
            result => result.map_err(failed)?,
        }
        Ok(blob)
    }

    async fn write(&self, digest: Digest, bytes: Bytes, mode: PutMode) -> Result<(), Error> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.files.put_opts(&path(digest), PutPayload::from_bytes(bytes), options).await.map(|_| ())
    }

    /// The name is taken: by the same bytes, or by what a failing disk made of them.
    async fn repair(&self, blob: Blob, bytes: Bytes) -> Result<(), ArtifactError> {
        let there =
            self.files.get(&path(blob.digest)).await.map_err(failed)?.bytes().await.map_err(failed)?;
        if Sha256::of(&[&there]) == blob.digest {
            return Ok(());
        }
        self.write(blob.digest, bytes, PutMode::Overwrite).await.map_err(failed)
    }

    async fn part(&self, digest: Digest, range: Range<u64>) -> Result<Vec<u8>, ArtifactError> {
        let stamp = self.look(digest).await?.ok_or(ArtifactError::Missing(digest))?;
        if range.is_empty() || range.end > stamp.size {
            return Err(ArtifactError::OutOfRange);
        }
        let bytes = self.files.get_range(&path(digest), range).await.map_err(failed)?;
        Ok(bytes.into())
    }

    async fn look(&self, digest: Digest) -> Result<Option<Stamp>, ArtifactError> {
        match self.files.head(&path(digest)).await {
            Ok(meta) => {
                let tag = meta.e_tag.unwrap_or_default();
                Ok(Some(Stamp { size: meta.size, tag: format!("{tag} {}", meta.last_modified) }))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl ArtifactStore for FsArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Blob, ArtifactError>> {
        Box::pin(self.keep(bytes))
    }

    fn read(&self, digest: Digest, range: Range<u64>) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        Box::pin(self.part(digest, range))
    }

    fn stamp(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Stamp>, ArtifactError>> {
        Box::pin(self.look(digest))
    }
}

/// `sha256/ab/abcd...`: a folder of a million files is slow to list on many file systems.
fn path(digest: Digest) -> Path {
    let name = digest.to_string();
    let first: String = name.chars().take(2).collect();
    Path::from_iter(["sha256", first.as_str(), name.as_str()])
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn failed(error: Error) -> ArtifactError {
    ArtifactError::Failed(error.to_string())
}
