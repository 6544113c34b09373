//! `otactl device`.

use clap::Subcommand;
use linux_server::OperatorClient;
use ota_manifest::DeviceId;
use ota_server_core::http::api::{DeviceInfo, NewDevice};
use serde_json::json;

use crate::output::{Output, moment, or_dash, pairs, table};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Let a device in; its token is shown this once.
    Enrol {
        /// Its id, 32 hexadecimal digits; a random one if absent.
        #[arg(long)]
        id: Option<DeviceId>,
        /// A name for people.
        name: String,
    },
    /// Show all devices.
    List,
    /// Ring for a device: it asks now, whether or not anything waits for it.
    Ring {
        /// The device, 32 hexadecimal digits.
        id: DeviceId,
    },
    /// Take a device out; its token is no longer good.
    Remove {
        /// The device, 32 hexadecimal digits.
        id: DeviceId,
    },
}

pub(crate) fn run(verb: Verb, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    match verb {
        Verb::Enrol { id, name } => {
            let enrolled = client.enrol(&NewDevice { device: id.map(|id| id.to_string()), name })?;
            output.print(&enrolled, |device| {
                pairs([("device", device.device.clone()), ("token", device.token.clone())])
            })
        }
        Verb::List => output.print(&client.devices()?, |devices| listing(devices)),
        Verb::Ring { id } => {
            client.ring(&id.to_string())?;
            output.print(&json!({ "device": id.to_string() }), |_| format!("{id} is rung for"))
        }
        Verb::Remove { id } => {
            client.remove(&id.to_string())?;
            output.print(&json!({ "device": id.to_string() }), |_| format!("{id} is removed"))
        }
    }
}

fn listing(devices: &[DeviceInfo]) -> String {
    let rows = devices.iter().map(|device| {
        [
            device.device.clone(),
            device.name.clone(),
            or_dash(device.version.as_ref()),
            or_dash(device.protocol),
            or_dash(device.trust),
            or_dash(device.last_poll_ms.map(moment)),
            or_dash(device.removed_ms.map(moment)),
        ]
    });
    table(["DEVICE", "NAME", "RUNS", "PROTOCOL", "TRUST", "LAST ASKED", "REMOVED"], rows)
}
