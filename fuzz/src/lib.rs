//! What the fuzz targets have in common: something that bytes are turned into, and the judge of what it does.
//!
//! Devices and references are those of the crates' own tests, by their path.

#[path = "../../ota-slots/tests/model/judge.rs"]
mod judge;
#[path = "../../ota-manifest/tests/oracle/stream.rs"]
mod naive_stream;
#[path = "../../ota-manifest/tests/oracle/mod.rs"]
mod oracle;
#[path = "../../ota-slots/tests/model/reference.rs"]
mod reference;
#[path = "../../ota-slots/tests/rig/mod.rs"]
mod rig;
#[path = "../../ota-verify/tests/common/vectors.rs"]
mod vectors;

pub mod agent;
pub mod chunk_tree;
pub mod frame;
pub mod freshness;
mod keys;
pub mod lms;
pub mod manifest;
pub mod messages;
pub mod ops;
pub mod plain;
pub mod random;
pub mod state;
pub mod stream;
pub mod trust_chain;

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

/// The program of a target: driven by libFuzzer with the feature `libfuzzer`, by [`plain::main`] without.
#[cfg(not(feature = "libfuzzer"))]
#[macro_export]
macro_rules! main {
    ($target:expr) => {
        fn main() -> std::io::Result<()> {
            $crate::plain::main($target)
        }
    };
}

#[cfg(feature = "libfuzzer")]
#[doc(hidden)]
pub use libfuzzer_sys;

/// The program of a target: driven by libFuzzer with the feature `libfuzzer`, by [`plain::main`] without.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! main {
    ($target:expr) => {
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| ($target.run)(input));
    };
}
