//! The factory: every device is enrolled and gets the first release.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use device_sim::firmware::leaves;
use device_sim::{Certificate, Factory, FactoryMqtt, PowerPlan, is_device, provision, read_log};
use linux_server::pki;
use ota_manifest::{ChunkSize, DeviceId};
use ota_server_core::http::api::NewDevice;
use ota_verify::Sha256;

use super::{Cast, Member, device_dir};

use crate::firmware::Images;
use crate::{Options, PlayError};

impl Cast {
    /// Enrols and provisions every device with the first release, but those that an earlier run has made.
    pub(crate) fn manufacture(&mut self, release: u32, images: &Images) -> Result<(), PlayError> {
        let envelope = self.author.envelope(release).map_err(anyhow::Error::from)?;
        let first_leaves = leaves(&images.0[0], ChunkSize::KIB4);
        let enrolled = self.enrolled()?;
        let mut made = 0;
        for number in 0..self.size() {
            if self.is_interrupted() {
                return Err(PlayError::Interrupted);
            }
            let dir = device_dir(&self.dir, number);
            if !is_device(&dir) {
                let factory = self.enrol(number, &enrolled)?;
                if let Some(pki) = &self.options.bell.mqtt_pki {
                    Certificate::issued(pki, &factory.id)?.install(&dir)?;
                }
                provision(&dir, &factory, &images.0[0], &first_leaves, &envelope)?;
                made += 1;
            }
            let past = read_log(&dir)?;
            self.devices.push(Member { dir, past, power: PowerPlan::default(), proxy: None });
        }
        if made < self.size() {
            self.show.note(&format!("passed over: {} devices were made before", self.size() - made));
        }
        Ok(())
    }

    /// The devices that the server knows.
    fn enrolled(&self) -> Result<BTreeSet<String>> {
        let devices = self.author.devices()?.into_iter();
        Ok(devices.filter(|device| device.removed_ms.is_none()).map(|device| device.device).collect())
    }

    fn enrol(&self, number: usize, enrolled: &BTreeSet<String>) -> Result<Factory> {
        let id = self.ids.get(number).cloned().context("a device without an id")?;
        if enrolled.contains(&id) {
            // A run was killed before the device was made. Its token was shown once and is lost, so it begins anew; no campaign
            // has seen it, as campaigns come after the last device.
            self.author.remove(&id)?;
        }
        let request = NewDevice { device: Some(id.clone()), name: format!("device {number}") };
        let token = self.author.enrol(&request)?.token;
        let release_key = self.server.release_key().to_string();
        let freshness_key = Some(self.server.freshness_key().to_string());
        let mqtt = self.options.bell.mqtt.as_ref();
        let mqtt = mqtt.map(|url| FactoryMqtt::at(&url.to_string())).transpose()?;
        let server = self.server.url();
        let (root_keys, root_threshold) = (Vec::new(), 1);
        Ok(Factory { id, server, token, release_key, freshness_key, root_keys, root_threshold, mqtt })
    }
}

/// Who takes part: whoever has a certificate for the broker, or devices made up from the seed.
pub(super) fn ids(options: &Options, dir: &Path) -> Result<Vec<String>, PlayError> {
    let wanted = usize::from(options.devices);
    let Some(pki) = &options.bell.mqtt_pki else {
        return Ok((0..wanted).map(|number| device_id(options.seed, number).to_string()).collect());
    };
    let usage = |text: String| PlayError::Usage(format!("--mqtt-pki {}: {text}", pki.display()));
    let issued = pki::devices(pki).map_err(|error| usage(error.to_string()))?;
    let mut issued: Vec<String> = issued.iter().map(ToString::to_string).collect();
    issued.sort_unstable();
    let made: Result<Vec<_>> = (0..wanted).map(|number| made_before(&device_dir(dir, number))).collect();
    let found = issued.len();
    assign(made?, issued).ok_or_else(|| {
        usage(format!(
            "it holds certificates of {found} devices and {wanted} take part; `otactl pki init` makes more"
        ))
    })
}

/// The id of the device that an earlier run has made here.
fn made_before(dir: &Path) -> Result<Option<String>> {
    is_device(dir).then(|| Factory::load(dir).map(|factory| factory.id)).transpose()
}

/// An id for each device: its own if it was made before, else the next that nobody has. `None` if there are too few. Which
/// certificates there are may have changed since an earlier run.
fn assign(made: Vec<Option<String>>, issued: Vec<String>) -> Option<Vec<String>> {
    let taken: BTreeSet<String> = made.iter().flatten().cloned().collect();
    let mut free = issued.into_iter().filter(|id| !taken.contains(id));
    made.into_iter().map(|own| own.or_else(|| free.next())).collect()
}

/// The same devices for the same seed.
fn device_id(seed: u64, number: usize) -> DeviceId {
    let digest = Sha256::of(&[b"quickstart device", &seed.to_le_bytes(), &(number as u64).to_le_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    DeviceId::new(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_keep_their_ids_when_certificates_are_issued_between_two_runs() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(assign(vec![None; 2], ids(&["b", "c", "d"])), Some(ids(&["b", "c"])));
        let made = vec![Some("b".to_owned()), None, None];
        assert_eq!(assign(made.clone(), ids(&["a", "b", "c", "d"])), Some(ids(&["b", "a", "c"])));
        assert_eq!(assign(made, ids(&["b", "c"])), None);
    }
}
