//! The doorbell: tells a device to ask. It says nothing else, so a lost or repeated ring does no harm.

use alloc::boxed::Box;
use alloc::string::String;

use ota_manifest::{DeviceId, JobId};
use thiserror::Error;

use crate::store::BoxFuture;

/// Reaches devices that do not ask by themselves.
pub trait Notifier: Send + Sync {
    /// Tells `device` to ask: because `job` waits for it, or because an operator wants to hear from it.
    ///
    /// The engine rings again for a job after [`RING_AGAIN_MS`](crate::engine::RING_AGAIN_MS).
    fn notify(&self, device: DeviceId, job: Option<JobId>) -> BoxFuture<'_, Result<(), NotifyError>>;

    /// `device` has asked: a bell that still rings for it can stop. Must not wait for anything.
    fn heard(&self, device: DeviceId) {
        let _ = device;
    }
}

/// No bell at all: the devices ask by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBell;

impl Notifier for NoBell {
    fn notify(&self, _: DeviceId, _: Option<JobId>) -> BoxFuture<'_, Result<(), NotifyError>> {
        let silent = NotifyError("this server has no bell; its devices ask by themselves".into());
        Box::pin(core::future::ready(Err(silent)))
    }
}

/// A bell did not ring.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the device was not told: {0}")]
pub struct NotifyError(pub String);
