//! One function per device crate, calling its main entry points.
//!
//! Arguments and results go through `black_box`, so that nothing is computed or dropped while compiling.

/// Reads an envelope and a manifest from outside bytes.
#[cfg(feature = "manifest")]
pub(crate) fn manifest() {
    use ota_manifest as _;
}

/// Takes an envelope from bytes to a proven image.
#[cfg(feature = "verify")]
pub(crate) fn verify() {
    use ota_verify as _;
}

/// Decides a boot, stages an image, confirms it.
#[cfg(feature = "slots")]
pub(crate) fn slots() {
    use ota_slots as _;
}

/// Turns the agent's loop once.
#[cfg(feature = "agent")]
pub(crate) fn agent() {
    use ota_agent as _;
}
