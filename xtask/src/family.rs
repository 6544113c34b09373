//! Who belongs to the family, and who may know whom.

/// The crates that run on a device: no_std, no allocator, each building alone for [`THUMB`].
pub(crate) const DEVICE_CRATES: [&str; 4] = ["ota-manifest", "ota-verify", "ota-slots", "ota-agent"];

/// The server crate. Its engine (default features off) is no_std with an allocator.
pub(crate) const SERVER_CRATE: &str = "ota-server-core";

/// The bare-metal target every device crate is checked on: Cortex-M4F, for example the nRF52840.
pub(crate) const THUMB: &str = "thumbv7em-none-eabihf";

/// Features that never reach a microcontroller: the standard library, links that need it, test peers, tests against real
/// services, the signing side. Everything else a device crate offers must build for [`THUMB`].
pub(crate) const HOST_FEATURES: [&str; 6] = ["std", "http", "mqtt", "sim", "real-parts", "sign"];

/// Features that need a newer toolchain than the crate that offers them, and say which.
pub(crate) const NEWER_FEATURES: [&str; 1] = ["mqtt"];

/// The one direction of knowledge: each crate with the crates of the family it may depend on.
pub(crate) const ARROWS: [(&str, &[&str]); 5] = [
    ("ota-manifest", &[]),
    ("ota-verify", &["ota-manifest"]),
    ("ota-slots", &["ota-manifest", "ota-verify"]),
    ("ota-agent", &["ota-manifest", "ota-verify", "ota-slots"]),
    (SERVER_CRATE, &["ota-manifest", "ota-verify"]),
];

/// The names of the published crates, lowest first.
pub(crate) fn crates() -> impl Iterator<Item = &'static str> {
    ARROWS.iter().map(|(name, _)| *name)
}
