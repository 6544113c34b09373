//! Where images and leaf lists are kept: immutable, and named by what they contain.

#[cfg(feature = "fs-artifacts")]
mod fs;
#[cfg(feature = "std")]
mod memory;

#[cfg(feature = "fs-artifacts")]
pub use fs::FsArtifacts;
#[cfg(feature = "std")]
pub use memory::MemoryArtifacts;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use ota_manifest::Digest;
use thiserror::Error;

use crate::release::Blob;
use crate::store::BoxFuture;

/// Keeps artifacts. What can be seen is whole; what is there never changes.
pub trait ArtifactStore: Send + Sync {
    /// Keeps `bytes` under their SHA-256. Keeping the same bytes again changes nothing, or repairs what was damaged.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Blob, ArtifactError>>;

    /// Reads `range`, bytes counted from 0; it must lie within the artifact and not be empty.
    fn read(&self, digest: Digest, range: Range<u64>) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>>;

    /// Whether the artifact is there, without reading it.
    fn stamp(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Stamp>, ArtifactError>>;
}

/// What can be told of an artifact without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// Changes when somebody touched the bytes behind the store's back.
    pub tag: String,
}

/// Why an artifact store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Not there. Upload it first.
    #[error("there is no artifact {0}")]
    Missing(Digest),
    /// The range is empty or ends outside the artifact. The caller's fault.
    #[error("range outside the artifact")]
    OutOfRange,
    /// Disk or service.
    #[error("artifact storage failed: {0}")]
    Failed(String),
}
