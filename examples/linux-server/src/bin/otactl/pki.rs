//! `otactl pki`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use linux_server::pki::{self, DeviceCertificate, PkiPlan, YEARS};
use ota_manifest::DeviceId;
use serde_json::json;

use crate::output::{Output, moment, table};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make what is missing of an authority, the broker's and the server's certificate, those of devices, and a
    /// configuration for mosquitto. Safe to repeat.
    ///
    /// All certificates are good from a day before they were made until the authority ends: see --years.
    Init(Init),
    /// Make a certificate for each of these devices; one whose certificate was revoked gets a new key.
    Issue {
        /// Folder of certificates.
        dir: PathBuf,
        /// Devices, 32 hexadecimal digits each.
        #[arg(required = true)]
        ids: Vec<DeviceId>,
    },
    /// Put a device's certificate on the revocation list. The broker must then be restarted.
    Revoke {
        /// Folder of certificates.
        dir: PathBuf,
        /// The device, 32 hexadecimal digits.
        id: DeviceId,
    },
    /// Show the certificates of all devices.
    List {
        /// Folder of certificates.
        dir: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Init {
    /// Folder of certificates; made if it is not there.
    dir: PathBuf,
    /// How many devices with a good certificate there shall be; those missing get random ids.
    #[arg(long, default_value_t = 0, value_name = "N")]
    devices: usize,
    /// A device that shall be among them, 32 hexadecimal digits (may be given more than once).
    #[arg(long, value_name = "ID")]
    device_id: Vec<DeviceId>,
    /// Name or address of the broker besides localhost, 127.0.0.1 and ::1 (may be given more than once).
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Address the broker listens on [default: what it was, at first 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Port the broker listens on [default: what it was, at first 18883].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// For how many years a new authority is good, and with it everything it signs.
    #[arg(long, default_value_t = YEARS, value_parser = clap::value_parser!(u16).range(1..=100))]
    years: u16,
}

pub(crate) fn run(verb: &Verb, output: &Output) -> anyhow::Result<()> {
    match verb {
        Verb::Init(options) => init(options, output),
        Verb::Issue { dir, ids } => issue(dir, ids, output),
        Verb::Revoke { dir, id } => revoke(dir, *id, output),
        Verb::List { dir } => output.print(&pki::list(dir)?, |rows| listing(rows)),
    }
}

fn init(options: &Init, output: &Output) -> anyhow::Result<()> {
    let plan = PkiPlan {
        devices: options.devices,
        device_ids: options.device_id.clone(),
        hosts: options.host.clone(),
        bind: options.bind,
        port: options.port,
        years: options.years,
    };
    let devices = pki::init(&options.dir, &plan)?;
    let ids: Vec<String> = devices.iter().map(ToString::to_string).collect();
    output.print(&json!({ "devices": ids }), |_| {
        let dir = options.dir.display();
        format!(
            "{} devices with a good certificate in {dir}/devices\nbroker  mosquitto -c {dir}/mosquitto.conf\n",
            ids.len()
        )
    })
}

fn issue(dir: &std::path::Path, ids: &[DeviceId], output: &Output) -> anyhow::Result<()> {
    for id in ids {
        let made = pki::issue(dir, *id)?;
        output.print(&json!({ "device": id.to_string(), "made": made }), |_| {
            let (pem, _) = pki::device_files(dir, *id);
            format!("{}  {}", if made { "made" } else { "was there" }, pem.display())
        })?;
    }
    Ok(())
}

fn revoke(dir: &std::path::Path, id: DeviceId, output: &Output) -> anyhow::Result<()> {
    let added = pki::revoke(dir, id)?;
    output.print(&json!({ "device": id.to_string(), "added": added }), |_| {
        let done = if added { "is on the revocation list now" } else { "was on the revocation list" };
        format!(
            "{id} {done}
Restart the broker: it then lets the device in no more, and the others come back by themselves.
A SIGHUP is enough only if the device is not connected: an open session goes on.
Over HTTP its token is good until `otactl device remove {id}`.
"
        )
    })
}

fn listing(rows: &[DeviceCertificate]) -> String {
    let rows = rows.iter().map(|row| {
        let state = if row.revoked { "revoked" } else { "good" };
        [row.device.to_string(), row.serial.clone(), moment(row.expires_ms), state.into()]
    });
    table(["DEVICE", "SERIAL", "EXPIRES", "STATE"], rows)
}
