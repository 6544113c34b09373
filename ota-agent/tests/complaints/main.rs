//! What users of other agents complain about, made to happen here. `docs/agent.md` lists the threads, and beside each the
//! test that holds it; those that the other files of tests hold already are not repeated.

#[path = "../common/mod.rs"]
mod common;

mod cancel;
mod reports;
mod resume;
mod transfer;
mod trial;
mod waits;

use common::{Device, Firmware};
use ota_manifest::wire::{Object, Stage, Up};

/// Bytes of an image that is no multiple of anything.
const SIZE: usize = 12_500;

/// A device, and a release 2 for it whose firmware behaves like this.
fn device(firmware: Firmware) -> Device {
    Device::new(firmware, |lab| lab.release(2, SIZE))
}

/// The first chunk of a payload that is asked for.
fn payload_from(up: &Up) -> Option<u32> {
    match up {
        Up::Fetch(fetch) if fetch.object == Object::Payload => Some(fetch.first),
        _ => None,
    }
}

/// Whether the server was told a stage that `wanted` describes.
fn was_told(device: &Device, wanted: impl Fn(Stage) -> bool) -> bool {
    device.server.reports().iter().any(|report| wanted(report.stage))
}
