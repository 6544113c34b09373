//! What the devices were made with.

use anyhow::ensure;
use clap::Args;
use ota_server_core::PinnedTrust;
use ota_verify::PublicKey;

/// The trust that devices were made with: the first trust document is held against it.
#[derive(Debug, Clone, Args)]
pub struct TrustOptions {
    /// A root key that devices were made with, in hexadecimal (may be given more than once). Without any, no trust document
    /// is taken.
    #[arg(long = "root-key", value_name = "KEY")]
    pub root_keys: Vec<PublicKey>,
    /// How many of the root keys must sign the first document.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub root_threshold: u8,
}

impl Default for TrustOptions {
    /// No roots.
    fn default() -> Self {
        Self { root_keys: Vec::new(), root_threshold: 1 }
    }
}

impl TrustOptions {
    pub(crate) fn pinned(&self) -> anyhow::Result<PinnedTrust> {
        let (mut ids, needed): (Vec<_>, _) =
            (self.root_keys.iter().map(PublicKey::key_id).collect(), usize::from(self.root_threshold));
        ids.sort_unstable();
        ids.dedup();
        let possible = ids.is_empty() || (1..=ids.len()).contains(&needed);
        ensure!(possible, RootThreshold { needed, keys: ids.len() });
        Ok(PinnedTrust::roots(self.root_keys.clone(), self.root_threshold))
    }
}

/// No document could ever follow.
#[derive(Debug, thiserror::Error)]
#[error("--root-threshold is {needed}, and the number of different root keys is {keys}")]
pub(crate) struct RootThreshold {
    needed: usize,
    keys: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threshold_that_the_roots_cannot_reach_is_refused() {
        let key = |n| PublicKey::ed25519([n; 32]);
        let pinned = |root_keys, root_threshold| TrustOptions { root_keys, root_threshold }.pinned();
        assert!(pinned(vec![], 1).is_ok());
        assert!(pinned(vec![key(1), key(2)], 2).is_ok());
        for (keys, threshold) in [(vec![key(1)], 0), (vec![key(1)], 2), (vec![key(1), key(1)], 2)] {
            assert!(pinned(keys, threshold).unwrap_err().is::<RootThreshold>());
        }
    }
}
