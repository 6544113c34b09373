//! What the fuzz targets have in common: a device that bytes are turned into, and the judge of what it does.
//!
//! The device and the reference are those of the tests of `ota-slots`, by their path.

#[path = "../../ota-slots/tests/model/judge.rs"]
mod judge;
#[path = "../../ota-slots/tests/model/reference.rs"]
mod reference;
#[path = "../../ota-slots/tests/rig/mod.rs"]
mod rig;

pub mod ops;
pub mod random;
pub mod state;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its corpus folder.
    pub name: &'static str,
    /// Runs one input; panics if the device does what it must not.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}
