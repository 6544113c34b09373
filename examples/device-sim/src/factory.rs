//! What the factory burns in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ota_manifest::{Alg, DeviceId, Role, Thresholds};
use ota_slots::{BootDescriptor, Policy};
use ota_verify::{AlgSet, Identity, PublicKey, Trust, TrustTerms, TrustedKey};
use serde::{Deserialize, Serialize};

use crate::FactoryMqtt;
use crate::board::{BOOTLOADER, HARDWARE, LAYOUT, class, description, vendor};

/// What the simulated bootloader can check; which one counts is up to the keys.
const ALGORITHMS: AlgSet = AlgSet::ED25519.with(Alg::P256).with(Alg::Lms);

/// What the factory burns into a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Factory {
    /// Device id, 32 hexadecimal digits.
    pub id: String,
    /// The server, `http://host:port`.
    pub server: String,
    /// Bearer token of the device.
    pub token: String,
    /// Release key: 64 hexadecimal digits (Ed25519), 120 (LMS) or 130 (P-256).
    pub release_key: String,
    /// Freshness key, written as the release key is: with one the device asks what time it is, and confirms no update before
    /// the key has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness_key: Option<String>,
    /// Root keys: whoever has them can replace all the others. Without any, no trust document is adopted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub root_keys: Vec<String>,
    /// How many of the root keys must sign the first trust document.
    #[serde(default = "one")]
    pub root_threshold: u8,
    /// The broker with the device's bell, if there is one. [`Certificate::install`](crate::Certificate::install) adds what
    /// the device shows there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<FactoryMqtt>,
}

impl Factory {
    /// Reads what is burnt in.
    ///
    /// # Errors
    /// If `DIR/device.json` is missing or not what a factory writes.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = description(dir);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read: provision the device first", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a device description", path.display()))
    }

    /// The device's id.
    ///
    /// # Errors
    /// If it is not 32 hexadecimal digits.
    pub fn device_id(&self) -> Result<DeviceId> {
        self.id.parse().context("device id")
    }

    /// What every image is held against, as if it stood in ROM: lives as long as the process.
    ///
    /// # Errors
    /// If id or keys are not hexadecimal, or the roots cannot reach their threshold.
    pub fn policy(&self) -> Result<&'static Policy<'static>> {
        let trust = self.trust()?;
        let identity =
            Identity { vendor: vendor(), class: class(), hardware: HARDWARE, device: self.device_id()? };
        let descriptor = BootDescriptor::new(BOOTLOADER, ALGORITHMS, &LAYOUT, trust.digest());
        Ok(Box::leak(Box::new(Policy { trust, identity, descriptor: Box::leak(Box::new(descriptor)) })))
    }

    fn trust(&self) -> Result<Trust<'static>> {
        let release = [(Role::Release, &self.release_key)].into_iter();
        let freshness = self.freshness_key.iter().map(|key| (Role::Freshness, key));
        let roots = self.root_keys.iter().map(|key| (Role::Root, key));
        let keys = release.chain(freshness).chain(roots).map(|(role, text)| {
            let key: PublicKey = text.parse().with_context(|| format!("{role:?} key").to_lowercase())?;
            Ok(TrustedKey::new(role, Box::leak(Box::new(key))))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let (roots, needed) = (self.root_keys.iter().collect::<BTreeSet<_>>().len(), self.root_threshold);
        let possible = roots == 0 || (1..=roots).contains(&usize::from(needed));
        ensure!(possible, "{needed} root keys must sign, and the number of different ones is {roots}");
        let thresholds = Thresholds { root: needed, ..Thresholds::ONE };
        let terms = Box::leak(Box::new(TrustTerms { thresholds, ..TrustTerms::FIRST }));
        Ok(Trust::pinned_on(terms, keys.leak()))
    }
}

const fn one() -> u8 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factory(root_keys: &[&str], root_threshold: u8) -> Factory {
        Factory {
            id: "ab".repeat(16),
            server: "http://s".into(),
            token: "t".into(),
            release_key: "11".repeat(32),
            freshness_key: Some("22".repeat(32)),
            root_keys: root_keys.iter().map(|key| key.repeat(32)).collect(),
            root_threshold,
            mqtt: None,
        }
    }

    #[test]
    fn keys_are_pinned_in_their_roles_and_change_what_the_bootloader_says_about_its_trust() {
        let with_roots = factory(&["33", "44"], 2).policy().unwrap();
        assert_eq!(with_roots.trust.threshold(Role::Root), 2);
        assert!(
            [Role::Release, Role::Freshness, Role::Root].iter().all(|role| with_roots.trust.has_keys(*role))
        );
        let without = factory(&[], 1).policy().unwrap();
        assert!(!without.trust.has_keys(Role::Root));
        assert_ne!(without.descriptor, with_roots.descriptor);
    }

    #[test]
    fn threshold_that_the_roots_cannot_reach_and_keys_that_are_none_are_refused() {
        let refused = |factory: Factory| format!("{:#}", factory.policy().unwrap_err());
        for (keys, threshold) in [(&["33"][..], 0), (&["33"], 2), (&["33", "33"], 2)] {
            assert!(refused(factory(keys, threshold)).contains("the number of different ones is 1"));
        }
        assert!(refused(factory(&["3"], 1)).contains("root key"));
    }
}
