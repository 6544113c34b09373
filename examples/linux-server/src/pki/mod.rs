//! Certificates for MQTT: an authority, a broker, a server, and every device under its own name.
//!
//! ```text
//!   DIR/ca.pem  ca.key        the authority; whoever has the key can be any device
//!   DIR/crl.pem               what it has revoked, signed
//!   DIR/broker.pem  .key      for mosquitto
//!   DIR/server.pem  .key      for `ota-server`, whose name on the broker is `ota-server`
//!   DIR/devices/ID.pem  .key  for each device, whose name on the broker is its id
//!   DIR/mosquitto.conf  acl   a broker that lets nobody read or write another's topics
//!   DIR/lock                  held while something is being made or revoked
//! ```
//!
//! ECDSA P-256 throughout, serial numbers of 126 random bits. Every file is readable by its owner only and is written whole
//! or not at all, and a key always before its certificate: [`init`] that was killed at any moment is repeated, and goes on.
//! What is there is kept, and what is there but broken is named, not replaced. All certificates are good from a day before
//! they were made, for clocks that are behind, until the authority ends.
//!
//! **Not here:** no intermediate authorities, no requests signed for keys made elsewhere, no renewal. The authority's key lies
//! in a file: for a fleet that matters, make certificates in the factory with an authority of its own and take from here what
//! the broker must be told.
//!
//! **The server's key leaked?** Make a new folder. The broker knows it by its name, and revoking is for devices.
//!
//! ```
//! use linux_server::pki::{self, PkiPlan};
//!
//! let folder = tempfile::tempdir()?;
//! let plan = PkiPlan { devices: 2, ..PkiPlan::default() };
//! let devices = pki::init(folder.path(), &plan)?;
//! assert_eq!(pki::init(folder.path(), &plan)?, devices, "what is there is kept");
//!
//! pki::revoke(folder.path(), devices[0])?;
//! assert_eq!(pki::devices(folder.path())?, devices[1..]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod authority;
pub mod broker;
mod certificate;
mod error;
mod folder;
mod leaf;
mod revocation;

use std::net::IpAddr;
use std::path::Path;

use ota_manifest::DeviceId;
use serde::Serialize;

use self::authority::{Authority, Signer};
use self::broker::Listener;
use self::folder::{DEVICES, Folder};
use self::leaf::Leaf;
use self::revocation::Revoked;

pub use self::error::PkiError;

/// How many years certificates are good for, unless said otherwise.
pub const YEARS: u16 = 10;

/// What a folder shall hold in the end. What it holds already is kept.
#[derive(Debug, Clone)]
pub struct PkiPlan {
    /// How many devices with a certificate that is not revoked; those missing get random ids.
    pub devices: usize,
    /// Devices that shall be among them. One that was revoked stays revoked: [`issue`] gives it a new certificate.
    pub device_ids: Vec<DeviceId>,
    /// Names and addresses of the broker besides `localhost`, `127.0.0.1` and `::1`. A broker whose certificate lacks one gets
    /// a new certificate that has it too, under the same key.
    pub hosts: Vec<String>,
    /// Address the broker listens on; what `mosquitto.conf` says, or `127.0.0.1`, if absent.
    pub bind: Option<IpAddr>,
    /// Port the broker listens on; what `mosquitto.conf` says, or 18883, if absent.
    pub port: Option<u16>,
    /// For how many years a new authority is good, and with it everything it signs, 1 to 100. Nothing changes an old one.
    pub years: u16,
}

impl Default for PkiPlan {
    fn default() -> Self {
        Self { devices: 0, device_ids: Vec::new(), hosts: Vec::new(), bind: None, port: None, years: YEARS }
    }
}

/// A device's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceCertificate {
    /// Whose.
    #[serde(serialize_with = "as_text")]
    pub device: DeviceId,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// Until when it is good, milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
    /// Whether the revocation list names it.
    pub revoked: bool,
}

/// Makes what the plan asks for and the folder lacks; returns the devices whose certificates are not revoked, in order.
///
/// `mosquitto.conf` and `acl` follow from the rest and are written anew each time.
///
/// # Errors
/// [`PkiError`]. Repeat it once the reason is gone; what was made in the meantime is used.
pub fn init(dir: &Path, plan: &PkiPlan) -> Result<Vec<DeviceId>, PkiError> {
    let hosts = plan.hosts.iter().map(|host| leaf::check_host(host)).collect::<Result<Vec<_>, _>>()?;
    let folder = Folder::create(dir)?;
    let signer = Signer::open_or_create(&folder, plan.years)?;
    let revoked = Revoked::read(&folder, signer.authority())?;
    leaf::ensure(&folder, &signer, &Leaf::broker(&hosts))?;
    leaf::ensure(&folder, &signer, &Leaf::server(&hosts))?;

    let (mut there, mut good) = (folder.devices()?, Vec::new());
    there.extend(&plan.device_ids);
    there.sort_unstable();
    there.dedup();
    for device in there {
        let certificate = leaf::ensure(&folder, &signer, &Leaf::device(device))?;
        if !revoked.names(certificate.serial()) {
            good.push(device);
        }
    }
    while good.len() < plan.devices {
        let device = DeviceId::new(folder::random()?);
        leaf::ensure(&folder, &signer, &Leaf::device(device))?;
        good.push(device);
    }
    good.sort_unstable();
    broker::write(&folder, Listener::new(&folder, plan.bind, plan.port)?)?;
    Ok(good)
}

/// Makes a certificate for a device, and a new one under a new key for a device whose certificate was revoked; false if it has
/// one that is good.
///
/// # Errors
/// [`PkiError`].
pub fn issue(dir: &Path, device: DeviceId) -> Result<bool, PkiError> {
    let folder = Folder::open(dir)?;
    let signer = Signer::open(&folder)?;
    let leaf = Leaf::device(device);
    if let Some(certificate) = folder.certificate(&leaf.certificate_file())? {
        if !Revoked::read(&folder, signer.authority())?.names(certificate.serial()) {
            leaf::ensure(&folder, &signer, &leaf)?;
            return Ok(false);
        }
        // The key first: killed in between, this leaves a revoked certificate, which is replaced the next time. A revoked
        // key without its certificate would be given a good one.
        folder.remove(&leaf.key_file())?;
        folder.remove(&leaf.certificate_file())?;
    }
    leaf::ensure(&folder, &signer, &leaf)?;
    Ok(true)
}

/// Puts a device's certificate on the revocation list, beside what is there; false if it is on it. The broker reads the list
/// when it starts and when it is told to: see [`broker`].
///
/// # Errors
/// [`PkiError`], among others if the device has no certificate in this folder.
pub fn revoke(dir: &Path, device: DeviceId) -> Result<bool, PkiError> {
    let folder = Folder::open(dir)?;
    let signer = Signer::open(&folder)?;
    let file = Leaf::device(device).certificate_file();
    let certificate = folder.certificate(&file)?.ok_or(PkiError::Unknown(device))?;
    signer.authority().check(&certificate, &folder.path(&file))?;
    let mut revoked = Revoked::read(&folder, signer.authority())?;
    let added = revoked.add(certificate.serial())?;
    if added {
        revoked.write(&folder, &signer)?;
    }
    Ok(added)
}

/// The devices whose certificates are not revoked, in order.
///
/// # Errors
/// [`PkiError`].
pub fn devices(dir: &Path) -> Result<Vec<DeviceId>, PkiError> {
    Ok(list(dir)?.into_iter().filter(|row| !row.revoked).map(|row| row.device).collect())
}

/// The certificates of all devices, in the order of their ids.
///
/// # Errors
/// [`PkiError`].
pub fn list(dir: &Path) -> Result<Vec<DeviceCertificate>, PkiError> {
    // Without the lock: each file is replaced as a whole, and whoever may only read the folder can look.
    let folder = Folder::look(dir)?;
    let authority = Authority::look(&folder)?;
    let revoked = Revoked::read(&folder, &authority)?;
    let mut rows = Vec::new();
    for device in folder.devices()? {
        let file = Leaf::device(device).certificate_file();
        let Some(certificate) = folder.certificate(&file)? else { continue };
        authority.check(&certificate, &folder.path(&file))?;
        rows.push(DeviceCertificate {
            device,
            serial: certificate.serial().to_string(),
            expires_ms: certificate.not_after_s() * 1000,
            revoked: revoked.names(certificate.serial()),
        });
    }
    rows.sort_unstable_by_key(|row| row.device);
    Ok(rows)
}

/// Where a device's certificate and key are, below the folder: `devices/ID.pem` and `devices/ID.key`.
#[must_use]
pub fn device_files(dir: &Path, device: DeviceId) -> (std::path::PathBuf, std::path::PathBuf) {
    let stem = dir.join(DEVICES).join(device.to_string());
    (stem.with_extension("pem"), stem.with_extension("key"))
}

fn as_text<S: serde::Serializer>(device: &DeviceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(device)
}
