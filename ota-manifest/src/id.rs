//! Identifiers: fixed-length byte strings, shown and parsed as lower-case hexadecimal.

use core::fmt;
use core::str::FromStr;

use crate::ParseIdError;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the raw bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write_hex(&self.0, f)?;
                f.write_str(")")
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                parse_hex(text, &mut bytes).ok_or(ParseIdError { expected: 2 * $len })?;
                Ok(Self(bytes))
            }
        }
    };
}

identifier!(
    /// Who makes the device: a UUID, by convention version 5 over the vendor's domain name (RFC 9124, 4.2).
    VendorId, 16
);
identifier!(
    /// What kind of device it is: a UUID, by convention version 5 over the product name in the vendor's name space.
    ClassId, 16
);
identifier!(
    /// One device: 16 bytes that its maker burnt in. Also the common name of its certificate, in hexadecimal.
    DeviceId, 16
);
identifier!(
    /// One attempt of a server to bring one device to one release.
    JobId, 16
);
identifier!(
    /// First 8 bytes of SHA-256 over algorithm number and public key. A hint where to look, never a proof.
    KeyId, 8
);
identifier!(
    /// A number a device draws anew for each question, so that an old answer is not taken for the new one.
    Nonce, 16
);
identifier!(
    /// One signed manifest: the first 8 bytes of SHA-256 over the envelope's header and payload.
    ///
    /// Short because journals keep six of them in 128 bytes. Only the holder of a release key can choose what is hashed,
    /// so an accidental clash is what must be unlikely: at 2^-64 a pair it is.
    ManifestId, 8
);

impl ManifestId {
    /// No manifest: an empty slot, or a slot whose manifest is not known.
    pub const NONE: Self = Self([0; Self::LEN]);
}

pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Fills `out` from exactly `2 * out.len()` hexadecimal digits.
pub(crate) fn parse_hex(text: &str, out: &mut [u8]) -> Option<()> {
    let digits = text.as_bytes();
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(*pair.first()?).to_digit(16)?;
        let low = char::from(*pair.last()?).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn text_form_round_trips_and_refuses_other_lengths() {
        let id = DeviceId::new([0xA5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<DeviceId>(), Err(ParseIdError { expected: 32 }));
        assert!("zz".repeat(16).parse::<DeviceId>().is_err());
        assert!("é".repeat(16).parse::<DeviceId>().is_err());
    }
}
