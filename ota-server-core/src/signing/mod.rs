//! Keys that sign releases. The seam is [`ota_verify::sign::Signer`]; here are the places where a key can live.

#[cfg(feature = "lms-signer")]
mod lms;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "software-signer")]
mod software;

#[cfg(feature = "lms-signer")]
pub use lms::{LmsFileError, LmsFileSigner, LmsFileState};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{MissingKey, Pin, Pkcs11Config, Pkcs11Error, Pkcs11Signer, TokenKeyType};
#[cfg(feature = "software-signer")]
pub use software::{KeyFileError, SoftwareSigner};
