//! The three numbers of a release, which answer three different questions.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// What people call the release: `major.minor.patch+build`. Shown, never compared by a device.
///
/// ```
/// use ota_manifest::Version;
/// assert_eq!("1.2.0".parse(), Ok(Version::new(1, 2, 0)));
/// assert_eq!(Version { build: 7, ..Version::new(1, 2, 0) }.to_string(), "1.2.0+7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Version {
    /// Incompatible changes.
    pub major: u16,
    /// Additions.
    pub minor: u16,
    /// Repairs.
    pub patch: u16,
    /// Build number, 0 if not used.
    pub build: u32,
}

impl Version {
    /// A version without a build number.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch, build: 0 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.build == 0 { Ok(()) } else { write!(f, "+{}", self.build) }
    }
}

/// The text is not of the form `1.2.3` or `1.2.3+4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected a version like 1.2.3 or 1.2.3+4, each of the first three numbers below 65536")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let (numbers, build) = text.split_once('+').unwrap_or((text, "0"));
        let mut parts = numbers.split('.');
        let mut part = || parts.next().and_then(|digits| digits.parse().ok()).ok_or(ParseVersionError);
        let version = Self {
            major: part()?,
            minor: part()?,
            patch: part()?,
            build: build.parse().map_err(|_| ParseVersionError)?,
        };
        if parts.next().is_some() { Err(ParseVersionError) } else { Ok(version) }
    }
}

/// Which of two manifests is newer: `epoch` first, then `sequence`. A device takes only a higher order than the one it runs.
///
/// A new epoch lets the trust root recover from a forged, very high sequence (fast-forward attack, TUF 1.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Order {
    /// Changed only to recover from a key compromise.
    pub epoch: u16,
    /// Rises with each release.
    pub sequence: u32,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.sequence)
    }
}

/// The anti-rollback counter: raised by its author only when older firmware must never run again.
///
/// A device remembers the highest one it has *confirmed* as its floor and refuses anything below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SecurityVersion(pub u32);

impl fmt::Display for SecurityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_outranks_any_sequence() {
        assert!(Order { epoch: 1, sequence: 0 } > Order { epoch: 0, sequence: u32::MAX });
    }

    #[test]
    fn version_text_with_missing_extra_or_overflowing_parts_is_refused() {
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.70000", "1.2.x", "1.2.3+", "-1.2.3"] {
            assert_eq!(text.parse::<Version>(), Err(ParseVersionError), "{text}");
        }
    }
}
