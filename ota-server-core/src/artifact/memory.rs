//! Artifacts in memory, for tests.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ota_manifest::Digest;
use ota_verify::Sha256;

use super::{ArtifactError, ArtifactStore, Stamp};
use crate::release::Blob;
use crate::store::BoxFuture;

/// Keeps artifacts until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryArtifacts {
    blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl MemoryArtifacts {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<u8>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArtifactStore for MemoryArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Blob, ArtifactError>> {
        Box::pin(async move {
            let blob = Blob { digest: Sha256::of(&[&bytes]), size: bytes.len() as u64 };
            self.blobs().insert(blob.digest, bytes);
            Ok(blob)
        })
    }

    fn read(&self, digest: Digest, range: Range<u64>) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        Box::pin(async move {
            let blobs = self.blobs();
            let bytes = blobs.get(&digest).ok_or(ArtifactError::Missing(digest))?;
            let to_index = |at: u64| usize::try_from(at).map_err(|_| ArtifactError::OutOfRange);
            let range = to_index(range.start)?..to_index(range.end)?;
            let part = bytes.get(range).filter(|part| !part.is_empty());
            part.map(<[u8]>::to_vec).ok_or(ArtifactError::OutOfRange)
        })
    }

    fn stamp(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Stamp>, ArtifactError>> {
        Box::pin(async move {
            let size = self.blobs().get(&digest).map(|bytes| bytes.len() as u64);
            Ok(size.map(|size| Stamp { size, tag: String::new() }))
        })
    }
}
