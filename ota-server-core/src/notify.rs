//! The doorbell: tells a device to ask. It says nothing else, so a lost or repeated ring does no harm.

use alloc::boxed::Box;
use alloc::string::String;

use ota_manifest::{DeviceId, JobId};
use thiserror::Error;

use crate::store::BoxFuture;

/// Reaches devices that do not ask by themselves.
pub trait Notifier: Send + Sync {
    /// Tells `device` that `job` waits for it. The engine rings again after [`RING_AGAIN_MS`](crate::engine::RING_AGAIN_MS).
    fn notify(&self, device: DeviceId, job: JobId) -> BoxFuture<'_, Result<(), NotifyError>>;
}

/// No bell at all: the devices ask by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBell;

impl Notifier for NoBell {
    fn notify(&self, _device: DeviceId, _job: JobId) -> BoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(core::future::ready(Ok(())))
    }
}

/// A bell did not ring.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("device could not be notified: {0}")]
pub struct NotifyError(pub String);
