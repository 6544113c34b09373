//! Keys that sign releases. The seam is [`ota_verify::sign::Signer`]; here are the places where a key can live.

#[cfg(feature = "software-signer")]
mod software;

#[cfg(feature = "software-signer")]
pub use software::{KeyFileError, SoftwareSigner};
